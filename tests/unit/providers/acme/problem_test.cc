#include "providers/issuers/acme/problem.h"

#include <gtest/gtest.h>

#include "controller/net/retry_after.h"
#include "tests/unit/providers/acme/scripted_acme.h"

namespace certflow::providers::acme {
namespace {

struct Row {
  const char* type;
  int status;
  ErrorCode code;
  Retry retry;
  const char* reason;
};

// R-6: problem documents are told apart; every type of RFC 8555 section 6.7, at newOrder.
TEST(ProblemTest, EveryTypeHasItsClass) {
  const Row rows[] = {
      {"serverInternal", 500, ErrorCode::kUnavailable, Retry::kBackoff, "AcmeUnavailable"},
      {"rateLimited", 429, ErrorCode::kRateLimited, Retry::kAfter, "AcmeRateLimited"},
      {"orderNotReady", 403, ErrorCode::kConflict, Retry::kBackoff, "AcmeOrderNotReady"},
      {"connection", 400, ErrorCode::kRefused, Retry::kNever, "AcmeChallengeFailed"},
      {"dns", 400, ErrorCode::kRefused, Retry::kNever, "AcmeChallengeFailed"},
      {"tls", 400, ErrorCode::kRefused, Retry::kNever, "AcmeChallengeFailed"},
      {"incorrectResponse", 403, ErrorCode::kRefused, Retry::kNever, "AcmeChallengeFailed"},
      {"caa", 403, ErrorCode::kRefused, Retry::kNever, "AcmeChallengeFailed"},
      {"unauthorized", 403, ErrorCode::kForbidden, Retry::kNever, "AcmeUnauthorized"},
      {"malformed", 400, ErrorCode::kInvalid, Retry::kNever, "AcmeMalformed"},
      {"badCSR", 400, ErrorCode::kInvalid, Retry::kNever, "AcmeBadCsr"},
      {"badPublicKey", 400, ErrorCode::kInvalid, Retry::kNever, "AcmeBadPublicKey"},
      {"badSignatureAlgorithm", 400, ErrorCode::kInvalid, Retry::kNever,
       "AcmeBadSignatureAlgorithm"},
      {"rejectedIdentifier", 400, ErrorCode::kRefused, Retry::kNever, "AcmeRejectedIdentifier"},
      {"unsupportedIdentifier", 400, ErrorCode::kRefused, Retry::kNever,
       "AcmeUnsupportedIdentifier"},
      {"invalidProfile", 400, ErrorCode::kInvalid, Retry::kNever, "AcmeInvalidProfile"},
      {"unsupportedContact", 400, ErrorCode::kInvalid, Retry::kNever, "AcmeUnsupportedContact"},
      {"invalidContact", 400, ErrorCode::kInvalid, Retry::kNever, "AcmeInvalidContact"},
      {"badRevocationReason", 400, ErrorCode::kInvalid, Retry::kNever, "AcmeBadRevocationReason"},
      {"externalAccountRequired", 403, ErrorCode::kRefused, Retry::kNever,
       "AcmeExternalAccountRequired"},
      {"userActionRequired", 403, ErrorCode::kRefused, Retry::kNever, "AcmeUserActionRequired"},
      {"alreadyRevoked", 400, ErrorCode::kAlreadyExists, Retry::kNever, "AcmeAlreadyRevoked"},
      {"alreadyReplaced", 409, ErrorCode::kAlreadyExists, Retry::kNever, "AcmeAlreadyReplaced"},
      // Types that nobody knows go by the status.
      {"brandNew", 400, ErrorCode::kRefused, Retry::kNever, "AcmeRefused"},
      {"brandNew", 429, ErrorCode::kRateLimited, Retry::kAfter, "AcmeRateLimited"},
      {"brandNew", 503, ErrorCode::kUnavailable, Retry::kBackoff, "AcmeUnavailable"},
      // The type goes before the status (step-ca answers nearly everything with 400).
      {"rateLimited", 400, ErrorCode::kRateLimited, Retry::kAfter, "AcmeRateLimited"},
      {"malformed", 500, ErrorCode::kInvalid, Retry::kNever, "AcmeMalformed"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(row.type) + " with " + std::to_string(row.status));
    AcmeFixture acme;
    acme.server.AnswerProblem(kNewOrder, row.status, row.type);
    seams::StepMemo memo = acme.Ordered();
    memo.erase("order");
    const auto answer = acme.Advance(memo);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, row.code) << answer.error().message;
    EXPECT_EQ(answer.error().retry, row.retry);
    EXPECT_EQ(answer.error().reason, row.reason);
    EXPECT_NE(answer.error().message.find("because of"), std::string::npos);
  }
}

TEST(ProblemTest, UnauthorizedInsideAChallengeIsAFailedValidation) {
  const Problem problem{"unauthorized", "wrong text", "", {}};
  EXPECT_EQ(ProblemError(problem, 403, {}, Where::kChallenge).reason, "AcmeChallengeFailed");
  EXPECT_EQ(ProblemError(problem, 403, {}, Where::kElsewhere).reason, "AcmeUnauthorized");
}

TEST(ProblemTest, TheWorstPartOfACompoundDecides) {
  const auto problem = ParseProblem(R"({"type":"urn:ietf:params:acme:error:compound",
    "detail":"several","subproblems":[
      {"type":"urn:ietf:params:acme:error:serverInternal","detail":"later"},
      {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"not this one",
       "identifier":{"type":"dns","value":"b.example"}}]})");
  ASSERT_TRUE(problem);
  const Error error = ProblemError(*problem, 403, {}, Where::kElsewhere);
  EXPECT_EQ(error.reason, "AcmeRejectedIdentifier");
  EXPECT_NE(error.message.find("b.example: not this one"), std::string::npos) << error.message;
}

TEST(ProblemTest, TheServersWordsAreCleanedAndBounded) {
  Problem problem{"malformed", std::string(5000, 'x') + "\n\x1b[31m", "", {}};
  EXPECT_LE(ProblemError(problem, 400, {}, Where::kElsewhere).message.size(), kMaxMessageBytes);
  problem.detail = "two\nlines\r and \x1b";
  const Error error = ProblemError(problem, 400, {}, Where::kElsewhere);
  EXPECT_EQ(error.message.find_first_of("\n\r\x1b"), std::string::npos) << error.message;
}

TEST(ProblemTest, ChangedTermsNameTheAddressForPeople) {
  const auto problem = ParseProblem(
      R"({"type":"urn:ietf:params:acme:error:userActionRequired","detail":"new terms",
          "instance":"https://ca.test/terms/2"})");
  const Error error = ProblemError(*problem, 403, {}, Where::kElsewhere);
  EXPECT_NE(error.message.find("https://ca.test/terms/2"), std::string::npos) << error.message;
}

TEST(ProblemTest, AnAnswerThatIsNoProblemGoesByItsStatus) {
  const WallTime now = fakes::SimulatedClock::kStart;
  EXPECT_EQ(ResponseError({503, {}, "<html>"}, now).reason, "AcmeUnavailable");
  EXPECT_EQ(ResponseError({302, {}, ""}, now).reason, "AcmeRefused");
  const Error wait = ResponseError({503, {{"retry-after", "60"}}, ""}, now);
  EXPECT_EQ(wait.retry, Retry::kAfter);
  EXPECT_EQ(wait.retry_after, Duration(60'000));
}

struct RetryCase {
  const char* name;
  const char* header;
  const char* date;
  std::optional<int> seconds;
};

// R-6: both forms of Retry-After, kept within a second and a day. It is 2026-01-01 00:00:00.
TEST(RetryAfterTest, BothFormsAndTheirBounds) {
  const RetryCase cases[] = {
      {"seconds", "120", "", 120},
      {"none at all", "0", "", 1},
      {"longer than a day", "90000", "", 86400},
      {"longer than a number", "99999999999999999999", "", 86400},
      {"a date", "Thu, 01 Jan 2026 00:02:00 GMT", "", 120},
      {"a date by the server's clock", "Thu, 01 Jan 2026 10:02:00 GMT",
       "Thu, 01 Jan 2026 10:00:00 GMT", 120},
      {"a date that has passed", "Wed, 31 Dec 2025 00:00:00 GMT", "", 1},
      {"a far date", "Fri, 01 Jan 2027 00:00:00 GMT", "", 86400},
      {"absent", "", "", std::nullopt},
      {"negative", "-5", "", std::nullopt},
      {"nonsense", "soon", "", std::nullopt},
      {"no such day", "Thu, 31 Feb 2026 00:00:00 GMT", "", std::nullopt},
      {"another zone", "Thu, 01 Jan 2026 00:02:00 CET", "", std::nullopt},
  };
  for (const RetryCase& c : cases) {
    SCOPED_TRACE(c.name);
    net::HttpResponse response{200, {{"retry-after", c.header}, {"date", c.date}}, ""};
    const auto wait = RetryAfter(response, fakes::SimulatedClock::kStart);
    ASSERT_EQ(wait.has_value(), c.seconds.has_value());
    if (!wait) continue;
    EXPECT_EQ(*wait, std::chrono::seconds(*c.seconds));
  }
}

}  // namespace
}  // namespace certflow::providers::acme
