// The generic HTTP target against an appliance, with the requests that docs/targets.md shows for
// one: the whole contract, and what only such a device does (R-53).

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/pki/certificate.h"
#include "providers/targets/http/http_target.h"
#include "tests/contract/target/doc_example.h"
#include "tests/contract/target/target_contract.h"
#include "tests/simulators/appliance/appliance.h"

namespace certflow::contract {
namespace {

namespace http = providers::http;

net::HttpClient& Client() {
  static const auto kClient = net::MakeCurlHttpClient("http-test", {});
  return *kClient;
}

class ApplianceWorld : public TargetWorld {
 public:
  ApplianceWorld() {
    settings_ =
        HttpExample("branch-firewall", device_.url() + "/api/v2", device_.url() + "/oauth/token");
  }

  std::unique_ptr<seams::Target> Connect() override { return ConnectWith(settings_); }
  std::unique_ptr<seams::Target> ConnectWith(const std::string& settings,
                                             const std::string& secret = test::Appliance::kSecret) {
    auto made = http::MakeHttpTarget(settings, Server(settings), LoginWith(secret), Client());
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
    return std::move(*made);
  }
  static http::ServerSettings Server(const std::string& settings) {
    auto server = http::ParseServer(settings);
    EXPECT_TRUE(server.ok());
    return *server;
  }
  http::Login LoginWith(const std::string& secret) const {
    http::Login login;
    login.oauth2.emplace();
    login.oauth2->token_url = device_.url() + "/oauth/token";
    login.oauth2->client_id = test::Appliance::kClient;
    login.oauth2->client_secret = SecretBytes(secret);
    return login;
  }

  seams::Binding Binding(const std::string& workflow) const override {
    const nlohmann::json settings = {{"parameters", {{"profile", workflow + "-tls"}}}};
    return {"0/firewall", "prod", workflow, "uid", settings.dump()};
  }
  void PutForeign(const seams::Binding& at, const Pair& pair) override {
    device_.PutForeign(ProfileOf(at), pair.chain, pair.key);
  }
  void Empty(const seams::Binding&) override { device_.Reset(); }
  std::optional<Pair> Live(const seams::Binding& at) override {
    const auto served = device_.Served(ProfileOf(at));
    if (!served) return std::nullopt;
    return Pair{served->chain, served->key, pki::ReadChain(served->chain)->front().fingerprint};
  }
  void Arm(Cut cut) override { device_.Break(cut.interaction, cut.after); }
  int interactions() const override { return device_.requests(); }

  test::Appliance& device() { return device_; }
  const std::string& settings() const { return settings_; }

 private:
  static std::string ProfileOf(const seams::Binding& at) {
    return nlohmann::json::parse(at.settings)["parameters"]["profile"];
  }

  test::Appliance device_;
  std::string settings_;
};

std::unique_ptr<TargetWorld> ByHttp() { return std::make_unique<ApplianceWorld>(); }
INSTANTIATE_TEST_SUITE_P(HttpAppliance, TargetContract, testing::Values(&ByHttp));

class ApplianceTest : public testing::Test {
 protected:
  ApplianceTest() : at_(world_.Binding("site")) { world_.PutForeign(at_, original_); }
  Context ctx() { return {clock_}; }
  test::Appliance& device() { return world_.device(); }
  seams::TargetState Observe() {
    auto state = world_.Connect()->Observe(ctx(), at_);
    EXPECT_TRUE(state.ok()) << (state.ok() ? "" : state.error().message);
    return state.ok() ? *state : seams::TargetState();
  }
  void Stage() {
    const auto staged = world_.Connect()->Stage(ctx(), at_, first_.AsBundle("st-1"));
    ASSERT_TRUE(staged.ok()) << staged.error().message;
  }
  // No error may show a key or a credential.
  static void ExpectSilent(const Error& error) {
    for (const char* word : {"PRIVATE", "MIGH", "MIIE", test::Appliance::kSecret, "token-of"}) {
      EXPECT_EQ(error.message.find(word), std::string::npos) << error.message;
    }
  }

  fakes::SimulatedClock clock_;
  ApplianceWorld world_;
  seams::Binding at_;
  const Pair original_ = MakePair("original.test");
  const Pair first_ = MakePair("first.test");
};

TEST_F(ApplianceTest, ACommitThatTakesItsTimeIsWaitedForAndNothingIsDoneMeanwhile) {
  device().SetJobLength(3);
  Stage();
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), at_, {"st-1"}).ok());
  auto state = Observe();
  EXPECT_EQ(state.active, "st-1");
  EXPECT_NE(state.settling.find("still at work"), std::string::npos) << state.settling;
  EXPECT_TRUE(state.running) << "it is waited for";
  state = Observe();
  state = Observe();
  EXPECT_EQ(state.settling, "");
  EXPECT_TRUE(state.running);
  EXPECT_EQ(world_.Live(at_)->fingerprint, first_.fingerprint);
}

TEST_F(ApplianceTest, ACommitThatFailsIsSeenAndTheOldCertificateStaysInService) {
  device().SetJobLength(1, /*commits_fail=*/true);
  Stage();
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), at_, {"st-1"}).ok()) << "the job was accepted";
  auto state = Observe();
  state = Observe();
  EXPECT_EQ(state.settling, "");
  EXPECT_FALSE(state.running) << "configured, and not served";
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
  device().SetJobLength(0);
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), at_, {"st-1"}).ok());
  EXPECT_TRUE(Observe().running);
  EXPECT_EQ(world_.Live(at_)->fingerprint, first_.fingerprint);
}

TEST_F(ApplianceTest, ARefusedCommitLeavesNothingInTheCandidate) {
  Stage();
  device().Answer("/api/v2/commit", 422, R"({"error": "policy 12 is invalid"})");
  const auto active = world_.Connect()->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().reason, "HttpRefused");
  EXPECT_NE(active.error().message.find("policy 12"), std::string::npos) << active.error().message;
  device().Answer("", 0, "");
  EXPECT_EQ(Observe().active, "original-" + original_.fingerprint.substr(0, 8));
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
}

TEST_F(ApplianceTest, WhatADeviceEchoesOfTheKeyIsNotTold) {
  device().Answer("/api/v2/certificates/", 422, "the key does not fit: " + first_.key);
  const auto staged = world_.Connect()->Stage(ctx(), at_, first_.AsBundle("st-1"));
  ASSERT_FALSE(staged.ok());
  ExpectSilent(staged.error());
  device().Answer("/api/v2/candidate/profiles", 200,
                  nlohmann::json({{"certificate", first_.key}}).dump());
  const auto state = world_.Connect()->Observe(ctx(), at_);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().reason, "CaptureRefused");
  ExpectSilent(state.error());
  EXPECT_FALSE(device().KeySeenOutsideBody());
}

TEST_F(ApplianceTest, CredentialsThatAreNotTakenSayWhichAndNothingMore) {
  auto target = world_.ConnectWith(world_.settings(), "an-old-secret");
  auto state = target->Observe(ctx(), at_);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().reason, "TokenRefused");
  EXPECT_EQ(state.error().retry, Retry::kNever);
  EXPECT_EQ(state.error().message.find("an-old-secret"), std::string::npos);
  device().Answer("/api/v2/certificates", 401, "bad token-of-the-appliance");
  state = world_.Connect()->Observe(ctx(), at_);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().reason, "HttpUnauthorized");
  ExpectSilent(state.error());
}

TEST_F(ApplianceTest, AnswersThatAreNoneLeaveTheDeviceAlone) {
  Stage();
  struct Case {
    int status;
    std::string body;
    const char* reason;
  };
  const Case cases[] = {
      {200, "<html>please log in", "AnswerUnreadable"},
      {200, std::string(70, '['), "AnswerUnreadable"},
      {200, std::string(300 << 10, ' '), "ResponseTooLarge"},
      {302, "", "HttpRedirect"},
      {429, "", "HttpRateLimited"},
      {500, "", "HttpUnavailable"},
      {404, "", "HttpNotFound"},
      {200, R"({"certificate": ")" + std::string(600, 'x') + "\"}", "CaptureRefused"},
      {200, R"({"certificate": "a\nb"})", "CaptureRefused"},
  };
  for (const Case& row : cases) {
    device().Answer("/api/v2/candidate/profiles", row.status, row.body);
    const auto active = world_.Connect()->Activate(ctx(), at_, {"st-1"});
    ASSERT_FALSE(active.ok()) << row.reason;
    EXPECT_EQ(active.error().reason, row.reason) << active.error().message;
  }
  device().Answer("", 0, "");
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
}

TEST_F(ApplianceTest, SettingsThatCannotWorkAreRefusedBeforeAnythingIsSent) {
  struct Case {
    const char* pointer;
    const char* value;
    const char* says;
  };
  const Case cases[] = {
      {"/steps/activate/0/path", "\"/profiles/{{ .certificate.key }}\"", "never into a URL"},
      {"/steps/activate/0/json", "\"{\\\"a\\\": {{ .id }} }\"", "inside its strings"},
      {"/steps/activate/0/json", "\"{\\\"a\\\": \\\"{{ .nme }}\\\"}\"", "no field {{ .nme }}"},
      {"/steps/observe/0/capture", "{}", "captures nothing as active"},
      {"/steps/observe/1/capture", "{}", "none of pem, der and fingerprint"},
      {"/steps/list/items", "\"certificates\"", "begins with \"/\""},
      {"/steps/activate/0/json", "\"{\\\"k\\\": \\\"{{ .certificate.key }}\\\"}\"", "no field"},
  };
  for (const Case& row : cases) {
    auto settings = nlohmann::json::parse(world_.settings());
    settings[nlohmann::json::json_pointer(row.pointer)] = nlohmann::json::parse(row.value);
    const auto made = http::MakeHttpTarget(
        settings.dump(), ApplianceWorld::Server(world_.settings()), http::Login(), Client());
    ASSERT_FALSE(made.ok()) << row.says;
    EXPECT_EQ(made.error().code, ErrorCode::kInvalid);
    EXPECT_NE(made.error().message.find(row.says), std::string::npos) << made.error().message;
  }
}

TEST_F(ApplianceTest, ParametersCannotLeaveTheirPlace) {
  for (const std::string profile : {"..", "", "."}) {
    seams::Binding at = at_;
    at.settings = nlohmann::json({{"parameters", {{"profile", profile}}}}).dump();
    EXPECT_FALSE(world_.Connect()->Observe(ctx(), at).ok()) << profile;
  }
  seams::Binding at = at_;
  at.settings = nlohmann::json({{"parameters", {{"profile", "site-tls/../../jobs?x="}}}}).dump();
  const auto state = world_.Connect()->Observe(ctx(), at);
  ASSERT_TRUE(state.ok()) << "a profile of that odd name, which has no certificate";
  EXPECT_EQ(state->active, "");
}

TEST_F(ApplianceTest, ReadinessAsksForTheList) {
  Stage();
  const auto ready =
      http::CheckHttpTarget(ctx(), world_.settings(), ApplianceWorld::Server(world_.settings()),
                            world_.LoginWith(test::Appliance::kSecret), Client());
  ASSERT_TRUE(ready.ok()) << ready.error().message;
  EXPECT_EQ(*ready, "answers; certificates of certflow there: 1");
}

TEST_F(ApplianceTest, AFirstDeploymentThatCannotBeTakenOutSaysSo) {
  device().Reset();
  auto settings = nlohmann::json::parse(world_.settings());
  settings["steps"].erase("deactivate");
  Stage();
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), at_, {"st-1"}).ok());
  const auto out = world_.ConnectWith(settings.dump())->Deactivate(ctx(), at_, {});
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().reason, "DeactivateUnknown");
}

}  // namespace
}  // namespace certflow::contract
