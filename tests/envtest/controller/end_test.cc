// Deletion, suspension, a changed spec, and the history: how things end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"
#include "tests/envtest/controller/webhost.h"

namespace certflow::envtest {
namespace {

using testing::HasSubstr;

constexpr const char* kWorkflow = R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: shop}
spec:
  certificate: {commonName: shop.example.com, dnsNames: [shop.example.com], secretName: shop-tls}
  authorities: [{name: corp}]
  renewal: {policy: OnRequest}
  deployment: {waves: [{name: web, targets: [{use}]}]}
  validation: {endpoints: ["{endpoint}"], trust: Authority, timeout: {timeout}}
{rest}
)";
constexpr const char* kGate =
    "  approval: {renewal: {layers: [{name: o, approvers: {groups: [web-team]}}]}}";

class EndTest : public NamespaceTest {
 protected:
  void Prepare() override {
    host_.Declare(stage(), ns_);
    original_ = host_.Served();
  }
  void MakeWorkflow(const std::string& rest, const std::string& endpoint = "",
                    const std::string& timeout = "5m") {
    stage().Create(
        ns_, Fill(kWorkflow, {{"use", host_.Use()},
                              {"endpoint", endpoint.empty() ? host_.peer()["https"] : endpoint},
                              {"timeout", timeout},
                              {"rest", rest}}));
  }
  void AskFor(int number) {
    Json note = {
        {"metadata", {{"annotations", {{"certflow.dev/renew", "n" + std::to_string(number)}}}}}};
    ASSERT_TRUE(stage().Patch("workflows", ns_, "shop", note.dump()));
  }
  // A run that has changed the host and waits for a proof that does not come.
  Json StuckAfterTheChange() {
    MakeWorkflow("", "127.0.0.1:" + std::to_string(controlplane::FreePort()));
    AskFor(1);
    Json run = stage().AwaitRun(ns_, "shop", "waiting for the proof", [](Json& one) {
      return one["status"].value("waitingFor", "").starts_with("proof from outside");
    });
    EXPECT_TRUE(Await([&] { return host_.Served() != original_; }, 10));
    return run;
  }
  void AwaitGone(const std::string& run) {
    EXPECT_TRUE(Await([&] { return stage().Get("runs", ns_, run).is_null(); }, 30))
        << stage().Get("runs", ns_, run).dump(1);
  }

  Webhost host_;
  std::string original_;
};

TEST_F(EndTest, R01_ARunDeletedAtTheGateIsGoneAndNothingWasTouched) {
  MakeWorkflow(kGate);
  AskFor(1);
  Json run = stage().AwaitGate(ns_, "shop", "renewal");
  EXPECT_FALSE(run["metadata"].value("finalizers", Json::array()).empty());
  stage().Delete("runs", ns_, NameOf(run));
  AwaitGone(NameOf(run));
  EXPECT_EQ(host_.Served(), original_);
}

TEST_F(EndTest, R01_ARunDeletedAfterTheChangePutsItBackAndGoes) {
  Json run = StuckAfterTheChange();
  stage().Delete("runs", ns_, NameOf(run));
  AwaitGone(NameOf(run));
  EXPECT_EQ(host_.Served(), original_);
  EXPECT_TRUE(host_.PairMatches());
}

TEST_F(EndTest, R01_AWorkflowDeletedAtTheGateStopsAndSaysSo) {
  MakeWorkflow(kGate);
  AskFor(1);
  Json run = stage().AwaitGate(ns_, "shop", "renewal");
  EXPECT_TRUE(stage().Kubectl({"delete", "cwf", "shop", "-n", ns_, "--wait=false"}).ok());
  EXPECT_TRUE(Await([&] { return stage().Get("workflows", ns_, "shop").is_null(); }, 15));
  // The garbage collector is a controller of its own, which the test's cluster lacks.
  stage().AwaitState(ns_, "shop", "Cancelled");
  EXPECT_TRUE(Await(
      [&] {
        return stage().Events(ns_).find("AutomationStopped: the workflow was deleted while") !=
               std::string::npos;
      },
      15))
      << stage().Events(ns_);
  EXPECT_EQ(host_.Served(), original_);
}

TEST_F(EndTest, R01_AWorkflowDeletedAfterTheChangePutsItBack) {
  StuckAfterTheChange();
  EXPECT_TRUE(stage().Kubectl({"delete", "cwf", "shop", "-n", ns_, "--wait=false"}).ok());
  stage().AwaitState(ns_, "shop", "RolledBack");
  EXPECT_EQ(host_.Served(), original_);
}

TEST_F(EndTest, R01_AWorkflowDeletedAtRestLeavesWhatIsInUse) {
  MakeWorkflow("");
  AskFor(1);
  Json run = stage().AwaitState(ns_, "shop", "Succeeded");
  const std::string live = host_.Served();
  const std::string pem = stage().SecretValue(ns_, "shop-tls", "tls.crt");
  EXPECT_TRUE(stage().Kubectl({"delete", "cwf", "shop", "-n", ns_, "--wait=false"}).ok());
  EXPECT_TRUE(Await(
      [&] {
        return stage().Events(ns_).find("certificates in use stay as they are") !=
               std::string::npos;
      },
      15));
  stage().Delete("runs", ns_, NameOf(run));
  AwaitGone(NameOf(run));
  EXPECT_EQ(host_.Served(), live);
  EXPECT_EQ(stage().SecretValue(ns_, "shop-tls", "tls.crt"), pem);
}

TEST_F(EndTest, R01_SuspensionHoldsARunThatHasChangedNothing) {
  MakeWorkflow(kGate);
  AskFor(1);
  Json run = stage().AwaitGate(ns_, "shop", "renewal");
  EXPECT_TRUE(stage().Patch("workflows", ns_, "shop", R"({"spec":{"suspend":true}})"));
  stage().AwaitRun(ns_, "shop", "suspended", [](Json& one) {
    return one["status"].value("waitingFor", "").starts_with("spec.suspend to be false");
  });
  EXPECT_TRUE(
      stage()
          .Annotate(ns_, "workflowrun/" + NameOf(run), "certflow.dev/approve=renewal", kDora)
          .ok());
  // Nothing moves although the gate is decided: the decision counts once the run goes on.
  EXPECT_FALSE(Await([&] { return StateOf(stage().NewestRun(ns_, "shop")) != "Waiting"; }, 3));
  EXPECT_TRUE(stage().Patch("workflows", ns_, "shop", R"({"spec":{"suspend":false}})"));
  stage().AwaitState(ns_, "shop", "Succeeded");
}

TEST_F(EndTest, R12_AChangedSpecEndsTheRunAndStartsAnother) {
  MakeWorkflow(kGate);
  EXPECT_TRUE(
      stage().Patch("workflows", ns_, "shop", R"({"spec":{"renewal":{"policy":"Automatic"}}})"));
  Json run = stage().AwaitGate(ns_, "shop", "renewal");
  EXPECT_TRUE(stage().Patch("workflows", ns_, "shop", R"({"spec":{"certificate":
      {"dnsNames":["shop.example.com","www.example.com"]}}})"));
  Json next = stage().AwaitGate(ns_, "shop", "renewal", 40, 2);
  EXPECT_NE(next["spec"]["planDigest"], run["spec"]["planDigest"]);
  Json old = stage().Get("runs", ns_, NameOf(run));
  EXPECT_EQ(StateOf(old), "Cancelled");
  EXPECT_EQ(old["status"]["reason"], "Superseded");
}

TEST_F(EndTest, R06_AChangeAfterTheFirstActivationDoesNotReachTheRun) {
  Json run = StuckAfterTheChange();
  EXPECT_TRUE(stage().Patch("workflows", ns_, "shop", R"({"spec":{"certificate":
      {"dnsNames":["shop.example.com","www.example.com"]}}})"));
  EXPECT_FALSE(Await([&] { return StateOf(stage().NewestRun(ns_, "shop")) != "Waiting"; }, 3));
  EXPECT_EQ(stage().NewestRun(ns_, "shop")["spec"]["planDigest"], run["spec"]["planDigest"]);
  stage().Delete("runs", ns_, NameOf(run));
  AwaitGone(NameOf(run));
}

TEST_F(EndTest, R82_TheHistoryKeepsWhatTheLimitSays) {
  MakeWorkflow("  historyLimit: {successful: 2, failed: 1}");
  for (int number = 1; number <= 4; ++number) {
    AskFor(number);
    stage().AwaitState(ns_, "shop", "Succeeded", 40, number);
  }
  EXPECT_TRUE(Await([&] { return stage().List("runs", ns_).size() == 2; }, 30))
      << stage().List("runs", ns_).size();
  EXPECT_EQ(stage().NewestRun(ns_, "shop")["spec"]["number"], 4);
}

}  // namespace
}  // namespace certflow::envtest
