#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "controller/pki/request.h"
#include "providers/issuers/acme/memo.h"
#include "tests/unit/providers/acme/scripted_acme.h"

namespace certflow::providers::acme {
namespace {

using nlohmann::json;
using seams::IssueNeedsAction;
using seams::IssuePending;

class IssuerTest : public testing::Test, protected AcmeFixture {
 protected:
  // A certificate chain for the request's key, of a CA that is left out of the chain.
  std::string Certificate(const pki::PrivateKey& subject, const std::string& name) {
    const pki::PrivateKey ca = pki::PrivateKey::Generate({}).value();
    const std::string root =
        pki::MakeSelfSignedCa(ca, "CA", std::chrono::hours(1000), clock.Now()).value();
    return pki::SignServerCertificate(root, ca, subject, {"", {name}}, std::chrono::hours(24),
                                      clock.Now())
        .value();
  }
  const IssuePending& Pending(const Result<seams::Issuance>& answer) {
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return std::get<IssuePending>(*answer);
  }
  const IssueNeedsAction& Action(const Result<seams::Issuance>& answer) {
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return std::get<IssueNeedsAction>(*answer);
  }
};

TEST_F(IssuerTest, AnOrderIsAnnouncedBeforeItIsMade) {
  const auto first = Observe({});
  EXPECT_EQ(Action(first).action, "NewOrder");
  EXPECT_TRUE(Action(first).once);
  EXPECT_TRUE(server.PostsTo(kNewOrder).empty());
  server.Answer(kNewOrder, 201, OrderBody("pending"), {{"location", kOrderUrl}});
  const auto made = Advance(Action(first).memo);
  EXPECT_EQ(Pending(made).memo.at("order"), kOrderUrl);
  ASSERT_EQ(server.PostsTo(kNewOrder).size(), 1u);
  EXPECT_EQ(json::parse(server.PostsTo(kNewOrder)[0].payload)["identifiers"][0]["value"],
            "a.example");
}

TEST_F(IssuerTest, ALostAnswerToNewOrderIsNotRepeatedBlindly) {
  server.Fail(kNewOrder, MakeError(ErrorCode::kUnknownOutcome, "Lost", "no answer"));
  const auto first = Observe({});
  const auto lost = Advance(Action(first).memo);
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(server.PostsTo(kNewOrder).size(), 1u);
}

// The account's list gives the order back; two pages, the newest last.
TEST_F(IssuerTest, AnOrderThatWasNotNotedIsFoundAgain) {
  const auto first = Observe({});
  server.Forget(kAccount);
  server.Answer(kAccount, 200, json{{"orders", kBase + "/orders"}}.dump());
  server.Answer(kBase + "/orders", 200, json{{"orders", {kBase + "/order/0"}}}.dump(),
                {{"link", "<" + kBase + "/orders?c=1>;rel=\"next\""}});
  server.Answer(kBase + "/orders?c=1", 200, json{{"orders", {kOrderUrl}}}.dump());
  server.Answer(kBase + "/order/0", 200, OrderBody("invalid"));
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  const auto found = Observe(Action(first).memo);
  EXPECT_EQ(Action(found).memo.at("order"), kOrderUrl);
  EXPECT_FALSE(Action(found).once);
  EXPECT_TRUE(server.PostsTo(kNewOrder).empty());
}

// Orders older than the intent belong to others, whatever their names.
TEST_F(IssuerTest, AnOlderOrderIsNotTakenForOurs) {
  const auto first = Observe({});
  server.Forget(kAccount);
  server.Answer(kAccount, 200, json{{"orders", kBase + "/orders"}}.dump());
  server.Answer(kBase + "/orders", 200,
                json{{"orders", {kBase + "/order/0", kBase + "/order/2"}}}.dump());
  server.Answer(kBase + "/order/0", 200,
                OrderBody("pending", R"({"expires":"2026-01-07T00:00:00Z"})"));
  server.Answer(kBase + "/order/2", 200,
                OrderBody("pending", R"({"identifiers":[{"type":"dns","value":"b.example"}]})"));
  EXPECT_EQ(Action(Observe(Action(first).memo)).action, "NewOrder");
}

TEST_F(IssuerTest, WhereNoListIsKeptTheOrderIsMade) {
  const auto first = Observe({});
  const auto again = Observe(Action(first).memo);
  EXPECT_EQ(Action(again).action, "NewOrder");
  EXPECT_EQ(Action(again).memo, Action(first).memo);
}

TEST_F(IssuerTest, APendingOrderIsProved) {
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  server.Answer(kAuthz, 200, AuthzBody("pending", "pending"));
  server.Answer(kChallengeUrl, 200, "{}");
  EXPECT_EQ(Action(Observe(Ordered())).action, "ProveControl");
  const auto proved = Advance(Ordered());
  ASSERT_EQ(solver->present.size(), 1u);
  EXPECT_EQ(solver->present.begin()->first, "a.example/-token_1");
  ASSERT_EQ(server.PostsTo(kChallengeUrl).size(), 1u);
  EXPECT_EQ(server.PostsTo(kChallengeUrl)[0].payload, "{}");
  EXPECT_EQ(Pending(proved).memo.at("dns01/-token_1"), "a.example");
  // Reads are POST-as-GET, with an empty payload.
  EXPECT_EQ(server.PostsTo(kAuthz)[0].payload, "");

  // The server that leaves the challenge pending is not asked a second time.
  const auto waiting = Advance(Pending(proved).memo);
  EXPECT_EQ(Pending(waiting).poll_after, Duration(2000));
  EXPECT_EQ(server.PostsTo(kChallengeUrl).size(), 1u);
}

TEST_F(IssuerTest, NothingIsAskedOfTheCaBeforeTheProofCanBeSeen) {
  solver->visible = false;
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  server.Answer(kAuthz, 200, AuthzBody("pending", "pending"));
  seams::StepMemo memo = Pending(Advance(Ordered())).memo;
  EXPECT_TRUE(server.PostsTo(kChallengeUrl).empty());
  // Waits grow with the time since the proof was published, up to half a minute.
  clock.Advance(std::chrono::seconds(20));
  EXPECT_EQ(Pending(Advance(memo)).poll_after, Duration(10'000));
  clock.Advance(std::chrono::minutes(10));
  EXPECT_EQ(Pending(Advance(memo)).poll_after, Duration(30'000));
  clock.Advance(std::chrono::hours(1));
  const auto late = Advance(memo);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().reason, "AcmeProofNotVisible");
  EXPECT_EQ(late.error().retry, Retry::kNever);
}

TEST_F(IssuerTest, WhyAProofCannotBeSeenIsSaid) {
  solver->visible_error = MakeError(ErrorCode::kUnavailable, "X", "ns1 does not answer");
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  server.Answer(kAuthz, 200, AuthzBody("pending", "pending"));
  const auto waiting = Advance(Ordered());
  EXPECT_NE(Pending(waiting).waiting_for.find("ns1 does not answer"), std::string::npos);
  solver->visible_error = MakeError(ErrorCode::kRefused, "AddressRefused", "link-local");
  EXPECT_FALSE(Advance(Pending(waiting).memo).ok());
}

TEST_F(IssuerTest, AnHttpProofIsRecordedBeforeAnybodyLooks) {
  solver = std::make_shared<FakeSolver>(seams::ChallengeType::kHttp01);
  solvers = {{{}, solver}};
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  server.Answer(kAuthz, 200, AuthzBody("pending", "pending", R"({"type":"http-01"})"));
  server.Answer(kChallengeUrl, 200, "{}");
  const auto published = Advance(Ordered());
  EXPECT_EQ(Pending(published).poll_after, Duration(0));
  EXPECT_EQ(Pending(published).memo.at("http01/-token_1"), solver->present.begin()->second);
  EXPECT_EQ(Pending(published).memo.at("http01-domain/-token_1"), "a.example");
  EXPECT_TRUE(server.PostsTo(kChallengeUrl).empty());
  EXPECT_TRUE(Advance(Pending(published).memo).ok());
  EXPECT_EQ(server.PostsTo(kChallengeUrl).size(), 1u);
}

TEST_F(IssuerTest, AProcessingChallengeIsWaitedForAsLongAsTheServerSays) {
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  server.Answer(kAuthz, 200, AuthzBody("pending", "processing"), {{"retry-after", "7"}});
  EXPECT_EQ(Pending(Advance(Ordered())).poll_after, Duration(7000));
  EXPECT_TRUE(server.PostsTo(kChallengeUrl).empty());
}

// RFC 8555 section 8.2: failed, pending, and may be tried again; a bounded number of times.
TEST_F(IssuerTest, AChallengeThatFailedAndStaysPendingIsTriedAFewTimes) {
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  server.Answer(
      kAuthz, 200,
      AuthzBody("pending", "pending",
                R"({"error":{"type":"urn:ietf:params:acme:error:dns","detail":"no TXT"}})"));
  server.Answer(kChallengeUrl, 200, "{}");
  seams::StepMemo memo = Ordered();
  Result<seams::Issuance> answer = Advance(memo);
  int calls = 1;
  while (answer.ok() && calls < 20) {
    memo = Pending(answer).memo;
    answer = Advance(memo);
    ++calls;
  }
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().reason, "AcmeChallengeFailed");
  EXPECT_EQ(server.PostsTo(kChallengeUrl).size(), 6u);
}

TEST_F(IssuerTest, AllAuthorizationsValidWaitsForTheOrder) {
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  server.Answer(kAuthz, 200, AuthzBody("valid", "valid"));
  EXPECT_EQ(Pending(Advance(Ordered())).poll_after, Duration(2000));
  EXPECT_TRUE(solver->present.empty());
}

TEST_F(IssuerTest, AReadyOrderIsFinalizedWithTheStoredKey) {
  server.Answer(kOrderUrl, 200, OrderBody("ready"));
  server.Answer(kFinalize, 200, OrderBody("processing"), {{"retry-after", "3"}});
  EXPECT_EQ(Action(Observe(Ordered())).action, "Finalize");
  EXPECT_EQ(Pending(Advance(Ordered())).poll_after, Duration(3000));
  EXPECT_TRUE(json::parse(server.PostsTo(kFinalize)[0].payload).contains("csr"));
}

TEST_F(IssuerTest, AnOrderThatIsNotReadyAfterAllIsLookedAtAgain) {
  server.Answer(kOrderUrl, 200, OrderBody("ready"));
  server.AnswerProblem(kFinalize, 403, "orderNotReady");
  EXPECT_EQ(Pending(Advance(Ordered())).waiting_for, "the order to become ready");
}

TEST_F(IssuerTest, AProcessingOrderIsWaitedFor) {
  server.Answer(kOrderUrl, 200, OrderBody("processing"), {{"retry-after", "3"}});
  EXPECT_EQ(Pending(Observe(Ordered())).poll_after, Duration(3000));
  EXPECT_EQ(Pending(Advance(Ordered())).poll_after, Duration(3000));
  EXPECT_TRUE(server.PostsTo(kFinalize).empty());
}

TEST_F(IssuerTest, AValidOrderIsDownloaded) {
  server.Answer(kOrderUrl, 200, OrderBody("valid"));
  server.Answer(kCertificate, 200, Certificate(key, "a.example"));
  EXPECT_TRUE(std::holds_alternative<seams::Issued>(*Observe(Ordered())));
  EXPECT_TRUE(std::holds_alternative<seams::Issued>(*Advance(Ordered())));
}

TEST_F(IssuerTest, ACertificateForAnotherKeyMeansANewOrder) {
  const pki::PrivateKey other = pki::PrivateKey::Generate({}).value();
  server.Answer(kOrderUrl, 200, OrderBody("valid"));
  server.Answer(kCertificate, 200, Certificate(other, "a.example"));
  const auto answer = Observe(Ordered());
  EXPECT_EQ(Action(answer).action, "NewOrder");
  EXPECT_FALSE(Action(answer).memo.contains("order"));
}

TEST_F(IssuerTest, ACertificateWithoutTheNameIsRefused) {
  server.Answer(kOrderUrl, 200, OrderBody("valid"));
  server.Answer(kCertificate, 200, Certificate(key, "b.example"));
  const auto answer = Observe(Ordered());
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().reason, "AcmeWrongNames");
}

TEST_F(IssuerTest, AnInvalidOrderSaysWhichChallengeFailedAndIsOver) {
  server.Answer(kOrderUrl, 200, OrderBody("invalid"));
  server.Answer(
      kAuthz, 200,
      AuthzBody("invalid", "invalid",
                R"({"error":{"type":"urn:ietf:params:acme:error:unauthorized","detail":"nope"}})"));
  for (const auto& answer : {Observe(Ordered()), Advance(Ordered())}) {
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().reason, "AcmeChallengeFailed");
    EXPECT_EQ(answer.error().retry, Retry::kNever);
    EXPECT_EQ(answer.error().message, "a.example: dns-01: nope");
  }
}

TEST_F(IssuerTest, AnInvalidOrderWithoutAFailedChallengeTellsItsOwnError) {
  server.Answer(kOrderUrl, 200,
                OrderBody("invalid", R"({"error":{"type":"urn:ietf:params:acme:error:caa",
                                         "detail":"CAA forbids"}})"));
  server.Answer(kAuthz, 200, AuthzBody("valid", "valid"));
  const auto answer = Observe(Ordered());
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().message, "CAA forbids");
  EXPECT_EQ(answer.error().retry, Retry::kNever);
}

TEST_F(IssuerTest, AnOrderThatIsGoneIsMadeAgainAFewTimes) {
  seams::StepMemo memo = Ordered();
  for (int lost = 1; lost <= 2; ++lost) {
    const auto answer = Observe(memo);
    EXPECT_EQ(Action(answer).action, "NewOrder");
    memo = Action(answer).memo;
    EXPECT_EQ(memo.at("orders"), std::to_string(lost + 1));
    memo["order"] = kOrderUrl;
  }
  const auto over = Observe(memo);
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().reason, "AcmeOrderLost");
  EXPECT_EQ(over.error().retry, Retry::kNever);
}

TEST_F(IssuerTest, AnExpiredOrderIsMadeAgain) {
  server.Answer(kOrderUrl, 200, OrderBody("pending", R"({"expires":"2025-12-31T00:00:00Z"})"));
  EXPECT_EQ(Action(Observe(Ordered())).action, "NewOrder");
}

TEST_F(IssuerTest, TheProofsOfALostOrderAreTakenBack) {
  solver->present["a.example/old"] = "x";
  seams::StepMemo memo = Ordered();
  memo["dns01/old"] = "a.example";
  memo = Action(Observe(memo)).memo;
  server.Answer(kNewOrder, 201, OrderBody("pending"), {{"location", kOrderUrl}});
  const auto made = Advance(memo);
  EXPECT_FALSE(Pending(made).memo.contains("dns01/old"));
  EXPECT_TRUE(solver->present.empty());
}

TEST_F(IssuerTest, CleanupTakesBackWhatWasPublishedAndNotNoted) {
  server.Answer(kOrderUrl, 200, OrderBody("valid"));
  server.Answer(kAuthz, 200, AuthzBody("valid", "valid"));
  solver->present["a.example/-token_1"] = "x";
  solver->present["a.example/of-another-order"] = "y";
  ASSERT_TRUE(Connect()->Cleanup(ctx(), {"st-1", names, key}, Ordered()).ok());
  EXPECT_EQ(solver->present.size(), 1u);
}

TEST_F(IssuerTest, AWildcardNeedsADnsSolver) {
  solvers = {{{}, std::make_shared<FakeSolver>(seams::ChallengeType::kHttp01)}};
  json authz = json::parse(AuthzBody("pending", "pending"));
  authz["wildcard"] = true;
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  server.Answer(kAuthz, 200, authz.dump());
  const auto answer = Advance(Ordered());
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().reason, "AcmeNoSolver");
  EXPECT_NE(answer.error().message.find("*.a.example"), std::string::npos);
}

TEST_F(IssuerTest, TheSolverWithTheLongestZoneIsTaken) {
  auto general = std::make_shared<FakeSolver>(seams::ChallengeType::kDns01);
  auto near = std::make_shared<FakeSolver>(seams::ChallengeType::kDns01);
  auto other = std::make_shared<FakeSolver>(seams::ChallengeType::kDns01);
  solvers = {{{}, general}, {{"xample", "b.example"}, other}, {{"example"}, near}};
  server.Answer(kOrderUrl, 200, OrderBody("pending"));
  server.Answer(kAuthz, 200, AuthzBody("pending", "pending"));
  server.Answer(kChallengeUrl, 200, "{}");
  ASSERT_TRUE(Advance(Ordered()).ok());
  EXPECT_EQ(near->present.size(), 1u);
  EXPECT_TRUE(general->present.empty() && other->present.empty());
}

}  // namespace
}  // namespace certflow::providers::acme
