// The example of docs/targets.md for AWS, against somebody else's ACM and ELB (moto), which checks
// every signature with botocore and every right with IAM's rules.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/pki/certificate.h"
#include "providers/targets/http/http_target.h"
#include "tests/contract/target/doc_example.h"
#include "tests/contract/target/target_contract.h"
#include "tests/peers/peer.h"

namespace certflow::contract {
namespace {

namespace http = providers::http;

// Passes requests on; the n-th is lost before it leaves, or its answer is.
class CutHttp : public net::HttpClient {
 public:
  explicit CutHttp(net::HttpClient& inner) : inner_(inner) {}
  Result<net::HttpResponse> Do(const Context& ctx, const net::HttpRequest& request) override {
    const bool strikes = ++count == cut.interaction;
    if (strikes && !cut.after) return MakeError(ErrorCode::kUnavailable, "ConnectFailed", "cut");
    auto response = inner_.Do(ctx, request);
    if (strikes) return MakeError(ErrorCode::kUnknownOutcome, "AnswerLost", "cut");
    return response;
  }
  Result<void> Stream(const Context&, const net::HttpRequest&, net::StreamSink&) override {
    return MakeError(ErrorCode::kInternal, "NotHere", "no streams");
  }
  Cut cut;
  int count = 0;

 private:
  net::HttpClient& inner_;
};

class AwsTargetTest : public testing::Test {
 protected:
  // One server for all tests: it takes seconds to start.
  static void SetUpTestSuite() {
    aws_ = std::make_unique<test::Peer>("aws", std::vector<std::string>(), 120);
  }
  static void TearDownTestSuite() { aws_.reset(); }

  AwsTargetTest() {
    const nlohmann::json settings = {{"parameters", {{"listener", (*aws_)["listener"]}}}};
    at_ = {"0/aws", "prod", "shop", "uid", settings.dump()};
    original_ = pki::ReadChain(test::ReadFile((*aws_)["pem"]))->front().fingerprint;
  }
  ~AwsTargetTest() override {
    http_.cut = {};
    (void)Back().ok();
    (void)Connect()->Prune(ctx(), at_, {}).ok();
  }

  Context ctx() { return {*clock_}; }
  std::unique_ptr<seams::Target> Connect() {
    return ConnectWith(test::ReadFile((*aws_)["secret"]));
  }
  std::unique_ptr<seams::Target> ConnectWith(const std::string& secret) {
    const std::string settings = HttpExample("aws-eu-west-1", (*aws_)["url"]);
    http::Login login;
    login.sigv4.emplace();
    login.sigv4->region = "eu-west-1";
    login.sigv4->service = "elasticloadbalancing";
    login.sigv4->keys.access_key_id = SecretBytes((*aws_)["id"]);
    login.sigv4->keys.secret_access_key = SecretBytes(secret);
    auto made =
        http::MakeHttpTarget(settings, *http::ParseServer(settings), std::move(login), http_);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
    return std::move(*made);
  }
  Result<void> Back() {
    return Connect()->Activate(
        ctx(), at_,
        {"original-" + original_.substr(0, 8), true, {{"active", (*aws_)["certificate"]}}});
  }
  seams::TargetState Observe() {
    auto state = Connect()->Observe(ctx(), at_);
    EXPECT_TRUE(state.ok()) << (state.ok() ? "" : state.error().message);
    return state.ok() ? *state : seams::TargetState();
  }

  static std::unique_ptr<test::Peer> aws_;
  std::unique_ptr<net::HttpClient> engine_ = net::MakeCurlHttpClient("http-aws", {});
  CutHttp http_{*engine_};
  // Signatures are bound to the time of day.
  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  seams::Binding at_;
  std::string original_;
  const Pair first_ = MakePair("first.test");
  const Pair second_ = MakePair("second.test");
};
std::unique_ptr<test::Peer> AwsTargetTest::aws_;

//
TEST_F(AwsTargetTest, AListenerGetsTheNewCertificateAndGoesBack) {
  auto state = Observe();
  EXPECT_EQ(state.active, "original-" + original_.substr(0, 8));
  EXPECT_EQ(state.way_back.at("active"), (*aws_)["certificate"]);

  auto staged = Connect()->Stage(ctx(), at_, first_.AsBundle("st-1"));
  ASSERT_TRUE(staged.ok()) << staged.error().message;
  EXPECT_EQ(Observe().fingerprint, original_) << "staging changes nothing live";
  auto active = Connect()->Activate(ctx(), at_, {"st-1"});
  ASSERT_TRUE(active.ok()) << active.error().message;
  state = Observe();
  EXPECT_EQ(state.active, "st-1");
  EXPECT_EQ(state.fingerprint, first_.fingerprint);

  ASSERT_TRUE(Connect()->Stage(ctx(), at_, second_.AsBundle("st-2")).ok());
  ASSERT_TRUE(Connect()->Activate(ctx(), at_, {"st-2"}).ok());
  ASSERT_TRUE(Connect()->Prune(ctx(), at_, {}).ok());
  EXPECT_EQ(Observe().staged, std::vector<std::string>{"st-2"});

  ASSERT_TRUE(Back().ok());
  EXPECT_EQ(Observe().fingerprint, original_);
}

TEST_F(AwsTargetTest, AWrongSecretIsRefusedByTheSignature) {
  const auto state = ConnectWith("not-the-secret")->Observe(ctx(), at_);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().reason, "HttpForbidden");
  EXPECT_NE(state.error().message.find("SignatureDoesNotMatch"), std::string::npos)
      << state.error().message;
}

// Every request of a deployment is cut once, before and after it took effect; a new process always
// finds the old or the new certificate in the listener, and ends with the new one.
TEST_F(AwsTargetTest, ADeploymentSurvivesEveryCut) {
  for (const bool after : {false, true}) {
    for (int n = 1;; ++n) {
      SCOPED_TRACE("cut " + std::to_string(n) + (after ? " after" : " before"));
      const std::string version = "st-" + std::to_string(2 * n + after);
      http_.count = 0;
      http_.cut = {n, after};
      {
        auto target = Connect();
        (void)(target->Stage(ctx(), at_, first_.AsBundle(version)).ok() &&
               target->Activate(ctx(), at_, {version}).ok());
      }
      const bool struck = http_.count >= n;
      http_.cut = {};
      auto state = Observe();
      EXPECT_TRUE(state.fingerprint == original_ || state.fingerprint == first_.fingerprint);
      ASSERT_TRUE(Connect()->Stage(ctx(), at_, first_.AsBundle(version)).ok());
      ASSERT_TRUE(Connect()->Activate(ctx(), at_, {version}).ok());
      state = Observe();
      EXPECT_EQ(state.active, version);
      EXPECT_EQ(state.fingerprint, first_.fingerprint);
      ASSERT_EQ(std::count(state.staged.begin(), state.staged.end(), version), 1)
          << "nothing is uploaded twice";
      ASSERT_TRUE(Back().ok());
      ASSERT_TRUE(Connect()->Prune(ctx(), at_, {}).ok());
      if (!struck) break;
    }
  }
}

}  // namespace
}  // namespace certflow::contract
