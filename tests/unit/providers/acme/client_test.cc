#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <random>
#include <set>

#include "providers/issuers/acme/messages.h"
#include "providers/issuers/acme/settings.h"
#include "tests/unit/providers/acme/scripted_acme.h"

namespace certflow::providers::acme {
namespace {

using nlohmann::json;

class ClientTest : public testing::Test, protected AcmeFixture {
 protected:
  Result<seams::Issuance> NewOrder() {
    seams::StepMemo memo = Ordered();
    memo.erase("order");
    return Advance(memo);
  }
};

// R-6: a refused nonce is answered at once, with the nonce of that very answer.
TEST_F(ClientTest, ARefusedNonceIsReplacedByTheOneThatCameWithTheRefusal) {
  server.AnswerProblem(kNewOrder, 400, "badNonce", {{"replay-nonce", "fresh"}});
  server.Answer(kNewOrder, 201, OrderBody("pending"), {{"location", kOrderUrl}});
  ASSERT_TRUE(NewOrder().ok());
  const auto posts = server.PostsTo(kNewOrder);
  ASSERT_EQ(posts.size(), 2u);
  EXPECT_EQ(posts[1].nonce, "fresh");
}

TEST_F(ClientTest, ANonceIsUsedOnceAndGivenUpAfterEightRefusals) {
  server.AnswerProblem(kNewOrder, 400, "badNonce");
  const auto answer = NewOrder();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().reason, "AcmeBadNonce");
  EXPECT_EQ(answer.error().retry, Retry::kBackoff);
  std::set<std::string> nonces;
  const auto posts = server.PostsTo(kNewOrder);
  for (const auto& post : posts) nonces.insert(post.nonce);
  EXPECT_EQ(posts.size(), 9u);
  EXPECT_EQ(nonces.size(), posts.size());
}

TEST_F(ClientTest, ARateLimitIsWaitedForExactly) {
  server.AnswerProblem(kNewOrder, 429, "rateLimited", {{"retry-after", "3600"}});
  EXPECT_EQ(NewOrder().error().retry_after, std::chrono::hours(1));
}

TEST_F(ClientTest, AnAccountIsRegisteredWithItsKeyAndUsedByItsUrl) {
  server.Answer(kNewOrder, 201, OrderBody("pending"), {{"location", kOrderUrl}});
  ASSERT_TRUE(NewOrder().ok());
  const auto account = server.PostsTo(kNewAccount).at(0);
  EXPECT_FALSE(account.with_account);
  EXPECT_EQ(json::parse(account.payload),
            json::parse(R"({"termsOfServiceAgreed":true,"contact":["mailto:a@example.com"]})"));
  const auto order = server.PostsTo(kNewOrder).at(0);
  EXPECT_EQ(json::parse(order.header)["kid"], kAccount);
  EXPECT_EQ(json::parse(order.header)["url"], kNewOrder);
}

TEST_F(ClientTest, AnAccountThatTheServerLostIsRegisteredAgain) {
  server.AnswerProblem(kNewOrder, 400, "accountDoesNotExist");
  server.Answer(kNewOrder, 201, OrderBody("pending"), {{"location", kOrderUrl}});
  ASSERT_TRUE(NewOrder().ok());
  EXPECT_EQ(server.PostsTo(kNewAccount).size(), 2u);
  EXPECT_EQ(server.PostsTo(kNewOrder).size(), 2u);
}

TEST_F(ClientTest, AnAccountThatStaysLostIsAnError) {
  server.AnswerProblem(kNewOrder, 400, "accountDoesNotExist");
  const auto answer = NewOrder();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().reason, "AcmeAccountDoesNotExist");
  EXPECT_EQ(server.PostsTo(kNewOrder).size(), 2u);
}

// Observe reads only: it does not register.
TEST_F(ClientTest, ALookDoesNotRegister) {
  server.Forget(kNewAccount);
  server.AnswerProblem(kNewAccount, 400, "accountDoesNotExist");
  seams::StepMemo memo = Ordered();
  memo.erase("order");
  const auto seen = Observe(memo);
  ASSERT_TRUE(seen.ok()) << seen.error().message;
  EXPECT_TRUE(std::holds_alternative<seams::IssueNeedsAction>(*seen));
  for (const auto& post : server.PostsTo(kNewAccount)) {
    EXPECT_EQ(json::parse(post.payload), json::parse(R"({"onlyReturnExisting":true})"));
  }
}

TEST_F(ClientTest, EnsureAccountGivesTheUrlOnceFound) {
  AcmeAccountCache cache;
  const std::string settings = R"({"server":"https://ca.test/dir"})";
  for (int i = 0; i < 2; ++i) {
    const auto url = EnsureAccount(ctx(), server, cache, account_key, settings);
    ASSERT_TRUE(url.ok()) << url.error().message;
    EXPECT_EQ(*url, kAccount);
  }
  EXPECT_EQ(server.PostsTo(kNewAccount).size(), 1u);
}

TEST_F(ClientTest, NoAnswerIsAskedForAgainLater) {
  server.Fail(kOrderUrl, MakeError(ErrorCode::kUnknownOutcome, "Lost", "no answer"));
  const auto answer = Observe(Ordered());
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(answer.error().reason, "AcmeUnavailable");
}

TEST_F(ClientTest, AStoppedContextEndsTheCall) {
  std::stop_source stop;
  stop.request_stop();
  const auto answer =
      Connect()->Observe(ctx().WithStop(stop.get_token()), {"st-1", names, key}, Ordered());
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
}

TEST(AccountCacheTest, ThePoolOfNoncesIsBoundedAndTakesNoRubbish) {
  AcmeAccountCache cache;
  cache.PutNonce("with space");
  cache.PutNonce(std::string(10'000, 'x'));
  cache.PutNonce("");
  EXPECT_FALSE(cache.TakeNonce());
  for (std::size_t i = 0; i < AcmeAccountCache::kMaxNonces + 10; ++i) {
    cache.PutNonce("n" + std::to_string(i));
  }
  std::size_t count = 0;
  while (cache.TakeNonce()) ++count;
  EXPECT_EQ(count, AcmeAccountCache::kMaxNonces);
}

TEST(AccountCacheTest, TheDirectoryIsFetchedAgainWhenItIsOld) {
  fakes::SimulatedClock clock;
  AcmeAccountCache cache;
  int fetched = 0;
  const auto fetch = [&]() -> Result<Directory> {
    ++fetched;
    return Directory{};
  };
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(cache.GetDirectory(Context{clock}, fetch).ok());
  EXPECT_EQ(fetched, 1);
  clock.Advance(AcmeAccountCache::kDirectoryLife);
  ASSERT_TRUE(cache.GetDirectory(Context{clock}, fetch).ok());
  EXPECT_EQ(fetched, 2);
}

struct SettingsCase {
  const char* reason;
  const char* json;
};
TEST(SettingsTest, WhatIsWrongIsSaid) {
  const SettingsCase cases[] = {
      {"no JSON", "{"},
      {"no server", "{}"},
      {"plain http", R"({"server":"http://ca.test/dir"})"},
      {"a line break in the URL", "{\"server\":\"https://ca.test/\\nx\"}"},
      {"two addresses", R"({"server":"https://ca.test/dir","email":"a@b.c,d@e.f"})"},
      {"no certificate", R"({"server":"https://ca.test/dir","caBundle":"nothing"})"},
      {"a number", R"({"server":"https://ca.test/dir","email":5})"},
  };
  for (const SettingsCase& c : cases) {
    const auto settings = ParseSettings(c.json);
    ASSERT_FALSE(settings.ok()) << c.reason;
    EXPECT_EQ(settings.error().reason, "AcmeSettings") << c.reason;
  }
}

TEST(MessagesTest, WhatCouldLeaveItsPlaceIsRefused) {
  const char* tokens[] = {"", "../x", "a/b", "a b", "a%2e", "\\u00e4"};
  for (const std::string token : tokens) {
    json authz = json::parse(AuthzBody("pending", "pending"));
    authz["challenges"][1]["token"] = token;
    EXPECT_FALSE(ParseAuthorization(authz.dump()).ok()) << token;
  }
  const std::string urls[] = {"http://ca.test/x", "https://ca.test/\r\nx", "file:///etc/passwd",
                              "https://" + std::string(2000, 'x')};
  for (const std::string& url : urls) {
    EXPECT_FALSE(ParseOrder(OrderBody("ready", json{{"finalize", url}}.dump())).ok()) << url;
  }
}

TEST(MessagesTest, ListsAreBounded) {
  const json urls(std::vector<std::string>(kMaxNames + 1, kAuthz));
  EXPECT_FALSE(ParseOrder(OrderBody("pending", json{{"authorizations", urls}}.dump())).ok());
}

// Whatever comes, an answer is read or refused. The seed is printed.
TEST(MessagesTest, MutatedAnswersAreReadOrRefused) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string originals[] = {
      OrderBody("valid"), AuthzBody("pending", "pending"),
      R"({"type":"x","detail":"y","subproblems":[{"identifier":{"value":"z"}}]})"};
  for (int i = 0; i < 5000; ++i) {
    std::string text = originals[i % 3];
    for (unsigned edits = 1 + random() % 4; edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 8);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 16));
      }
      if (text.empty()) text = "{";
    }
    (void)ParseOrder(text).ok();
    (void)ParseAuthorization(text).ok();
    (void)ParseDirectory(text).ok();
    if (const auto problem = ParseProblem(text)) {
      EXPECT_LE(DescribeProblem(*problem).size(), kMaxMessageBytes);
    }
  }
}

}  // namespace
}  // namespace certflow::providers::acme
