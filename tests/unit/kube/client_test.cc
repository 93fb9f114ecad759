#include "controller/kube/client.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"
#include "tests/unit/kube/scripted.h"

namespace certflow::kube {
namespace {

const Resource kRuns{"certflow.dev", "v1alpha1", "workflowruns", "WorkflowRun", true};

// Hands out "token-N", a new one after each refusal.
class CountingConfig : public ClientConfig {
 public:
  const std::string& server() const override { return server_; }
  const std::string& default_namespace() const override { return empty_; }
  const std::string& proxy() const override { return empty_; }
  Result<Credential> Current(const Context&) override {
    Credential credential;
    credential.bearer_token = SecretBytes("token-" + std::to_string(refused));
    return credential;
  }
  void Refused() override { ++refused; }
  int refused = 0;

 private:
  std::string server_ = "https://api.example:6443/prefix";
  std::string empty_;
};

class KeepEvents : public WatchSink {
 public:
  void OnEvent(WatchEvent event) override { names.push_back(event.object.name()); }
  std::vector<std::string> names;
};

class ClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  Context ctx_{*clock_, SteadyTime::max(), {}, {}};
  ScriptedHttp http_;
  std::shared_ptr<CountingConfig> config_ = std::make_shared<CountingConfig>();
  std::unique_ptr<Client> client_ = MakeClient(http_, config_, NoMetrics());
};

constexpr const char* kObject = R"({"metadata":{"name":"a","resourceVersion":"5"}})";

TEST_F(ClientTest, RefusedCredentialIsReplacedOnceAndTheRequestRepeated) {
  http_.Answer(401, "");
  http_.Answer(200, kObject);
  auto read = client_->Get(ctx_, kRuns, {"ns", "a"});
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->resource_version(), "5");
  ASSERT_EQ(http_.seen.size(), 2u);
  EXPECT_EQ(http_.seen[0].token, "token-0");
  EXPECT_EQ(http_.seen[1].token, "token-1");
  http_.Answer(401, "");
  http_.Answer(401, "");
  EXPECT_EQ(client_->Get(ctx_, kRuns, {"ns", "a"}).error().code, ErrorCode::kUnauthorized);
  EXPECT_EQ(http_.seen.size(), 4u) << "once, not for ever";
}

TEST_F(ClientTest, OverloadIsNotRetriedHere) {
  http_.Answer(429, "busy", {{"retry-after", "3"}});
  auto made = client_->Create(ctx_, kRuns, "ns", "{}");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kRateLimited);
  EXPECT_EQ(made.error().retry_after, Duration{3'000});
  EXPECT_EQ(http_.seen.size(), 1u);
}

TEST_F(ClientTest, WritesNameTheirManagerAndAreStrict) {
  http_.Answer(200, kObject);
  ASSERT_TRUE(client_->MergePatch(ctx_, kRuns, {"ns", "a"}, "status", "{}", true).ok());
  EXPECT_EQ(
      http_.seen[0].url,
      "https://api.example:6443/prefix/apis/certflow.dev/v1alpha1/namespaces/ns/workflowruns/a/"
      "status?fieldManager=certflow&fieldValidation=Strict&dryRun=All");
  EXPECT_EQ(http_.seen[0].method, "PATCH");
}

TEST_F(ClientTest, DeleteAlwaysCarriesTheUid) {
  EXPECT_EQ(client_->Delete(ctx_, kRuns, {"ns", "a"}, {}).error().reason, "UidMissing");
  EXPECT_TRUE(http_.seen.empty());
  http_.Answer(200, "{}");
  ASSERT_TRUE(
      client_->Delete(ctx_, kRuns, {"ns", "a"}, {.uid = "u", .resource_version = "7"}).ok());
  const auto body = nlohmann::json::parse(http_.seen[0].body);
  EXPECT_EQ(body["preconditions"]["uid"], "u");
  EXPECT_EQ(body["preconditions"]["resourceVersion"], "7");
}

TEST_F(ClientTest, ListNeverMixesContinueAndResourceVersion) {
  const char* page =
      R"({"metadata":{"resourceVersion":"9","continue":"next"},"items":[{"metadata":{"name":"a"}}]})";
  http_.Answer(200, page);
  auto listed = client_->List(ctx_, kRuns, {.ns = "ns"}, 2, "", "5");
  ASSERT_TRUE(listed.ok());
  EXPECT_EQ(listed->continue_token, "next");
  EXPECT_EQ(Json(listed->items[0])["kind"], "WorkflowRun");
  EXPECT_NE(http_.seen[0].url.find("resourceVersion=5&resourceVersionMatch=NotOlderThan"),
            std::string::npos);
  http_.Answer(200, page);
  ASSERT_TRUE(client_->List(ctx_, kRuns, {.ns = "ns"}, 2, "next", "5").ok());
  EXPECT_EQ(http_.seen[1].url.find("resourceVersion"), std::string::npos);
}

TEST_F(ClientTest, AnswerToAWriteThatIsNoJsonLeavesTheOutcomeUnknown) {
  http_.Answer(200, "<html>login</html>");
  EXPECT_EQ(client_->Create(ctx_, kRuns, "ns", "{}").error().code, ErrorCode::kUnknownOutcome);
  http_.Answer(200, "<html>login</html>");
  EXPECT_EQ(client_->Get(ctx_, kRuns, {"ns", "a"}).error().code, ErrorCode::kUnavailable);
  http_.Answer(200, "{}");
  EXPECT_FALSE(client_->List(ctx_, kRuns, {}, 0, "", "").ok());
}

TEST_F(ClientTest, ErrorsSayWhatWasDone) {
  http_.Fail(MakeError(ErrorCode::kUnavailable, "ConnectFailed", "connection refused"));
  EXPECT_EQ(client_->Get(ctx_, kRuns, {"ns", "a"}).error().message,
            "get workflowruns ns/a: connection refused");
}

TEST_F(ClientTest, RawTakesPathsOnly) {
  for (const char* path : {"", "version", "/a b", "/../x", "/a\r\nHost: b"}) {
    EXPECT_FALSE(client_->Raw(ctx_, path).ok()) << path;
  }
  EXPECT_TRUE(http_.seen.empty());
}

TEST_F(ClientTest, WatchThatBreaksInsideAnEventKeepsWhatWasWhole) {
  http_.Stream(
      {200, {R"({"type":"ADDED","object":{"metadata":{"name":"a"}}})", "\n{\"type\":\"MOD"}, {}});
  KeepEvents sink;
  const auto result = client_->Watch(ctx_, kRuns, {}, sink);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().reason, "BrokenStream");
  EXPECT_EQ(sink.names, std::vector<std::string>{"a"});
}

TEST_F(ClientTest, ExpiredComesAsStatusOrInsideTheStream) {
  KeepEvents sink;
  http_.Stream({410, {R"({"kind":"Status","reason":"Expired","code":410})"}, {}});
  EXPECT_EQ(client_->Watch(ctx_, kRuns, {}, sink).error().code, ErrorCode::kExpired);
  http_.Stream(
      {200, {"{\"type\":\"ERROR\",\"object\":{\"code\":410,\"reason\":\"Expired\"}}\n"}, {}});
  EXPECT_EQ(client_->Watch(ctx_, kRuns, {}, sink).error().code, ErrorCode::kExpired);
}

TEST_F(ClientTest, WatchListThatIsNotServedIsInvalid) {
  KeepEvents sink;
  http_.Stream({422, {R"({"kind":"Status","reason":"Invalid","code":422})"}, {}});
  WatchOptions options;
  options.send_initial_events = true;
  EXPECT_EQ(client_->Watch(ctx_, kRuns, options, sink).error().code, ErrorCode::kInvalid);
  EXPECT_NE(http_.seen[0].url.find("sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
            std::string::npos);
}

TEST_F(ClientTest, WatchOpensAgainWithAFreshCredential) {
  http_.Stream({401, {""}, {}});
  http_.Stream({200, {}, {}});
  KeepEvents sink;
  EXPECT_TRUE(client_->Watch(ctx_, kRuns, {}, sink).ok());
  EXPECT_EQ(http_.seen[1].token, "token-1");
}

TEST_F(ClientTest, ErrorsSayThatTheyAreTheApiServers) {
  http_.Answer(503, "");
  EXPECT_TRUE(IsApiServerTrouble(client_->Get(ctx_, kRuns, {"ns", "a"}).error()));
  http_.Fail(MakeError(ErrorCode::kUnavailable, "ConnectionFailed", "refused"));
  EXPECT_TRUE(IsApiServerTrouble(client_->Get(ctx_, kRuns, {"ns", "a"}).error()));
  http_.Answer(200, "not JSON");
  EXPECT_TRUE(IsApiServerTrouble(client_->Get(ctx_, kRuns, {"ns", "a"}).error()));
  // A refused credential may be replaced.
  http_.Answer(401, "");
  http_.Answer(401, "");
  const Error refused = client_->Get(ctx_, kRuns, {"ns", "a"}).error();
  EXPECT_TRUE(IsApiServerTrouble(refused));
  EXPECT_EQ(refused.retry, Retry::kBackoff);
  http_.Answer(404, "");
  EXPECT_FALSE(IsApiServerTrouble(client_->Get(ctx_, kRuns, {"ns", "a"}).error()));
  // The caller's time was over before: somebody else used it up.
  const Context late{*clock_, clock_->Steady(), {}, {}};
  http_.Fail(MakeError(ErrorCode::kTimeout, "DeadlineExceeded", "no time"));
  EXPECT_FALSE(IsApiServerTrouble(client_->Get(late, kRuns, {"ns", "a"}).error()));
}

}  // namespace
}  // namespace certflow::kube
