// Replicas: one leads, the other carries on where it stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"
#include "tests/envtest/controller/webhost.h"

namespace certflow::envtest {
namespace {

constexpr double kTakeOverLimit = 20;  // seconds, with the Deployment's Lease settings

constexpr const char* kWorkflow = R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: "{name}"}
spec:
  certificate: {commonName: shop.example.com, dnsNames: [shop.example.com], secretName: "{name}-tls"}
  authorities: [{name: corp}]
{rest}
)";

class FailoverTest : public StageTest {
 protected:
  void SetUp() override {
    StageTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    stage().StopController();
    ns_ = stage().NewNamespace();
    leader_ = stage().NewReplica();
    leader_->Start();
    ASSERT_TRUE(leader_->AwaitLeading()) << leader_->Log();
    other_ = stage().NewReplica();
    other_->Start();
    ASSERT_TRUE(Await([&] { return Says(*other_, "caches are in step"); }, 20));
  }
  void TearDown() override {
    if (!other_ || !other_->Running()) return;
    EXPECT_TRUE(other_->Stop()) << other_->Log();
  }
  static bool Says(const Replica& replica, const std::string& text) {
    return replica.Log().find(text) != std::string::npos;
  }
  void MakeWorkflow(const std::string& name, const std::string& rest) {
    stage().Create(ns_, Fill(kWorkflow, {{"rest", rest}, {"name", name}}));
  }

  std::string ns_;
  std::unique_ptr<Replica> leader_, other_;
};

// One death of the leader finds runs in every kind of waiting.
TEST_F(FailoverTest, R91_R92_TheOtherReplicaFinishesWhatADeadLeaderBegan) {
  Webhost host;
  host.Declare(stage(), ns_);
  MakeWorkflow("gate",
               "  approval: {renewal: {layers: [{name: o, approvers: {groups: [web-team]}}]}}");
  const int late = controlplane::FreePort();
  MakeWorkflow("proof", "  validation: {endpoints: [\"127.0.0.1:" + std::to_string(late) +
                            "\"], trust: Authority, timeout: 5m}\n  deployment: {waves: [{name: w, "
                            "targets: [" +
                            host.Use() + "]}]}");
  Json gate = stage().AwaitGate(ns_, "gate", "renewal");
  stage().AwaitRun(ns_, "proof", "waiting for the proof", [](Json& one) {
    return one["status"].value("waitingFor", "").starts_with("proof from outside");
  });
  EXPECT_FALSE(Says(*other_, "leading: workers started"));

  const auto died = std::chrono::steady_clock::now();
  leader_->Kill();
  // Meanwhile people and the world go on.
  EXPECT_TRUE(
      stage()
          .Annotate(ns_, "workflowrun/" + NameOf(gate), "certflow.dev/approve=renewal", kDora)
          .ok());
  host.Configure("late.conf", "server { listen 127.0.0.1:" + std::to_string(late) +
                                  " ssl; ssl_certificate " + host.peer()["cert"] +
                                  "; ssl_certificate_key " + host.peer()["keyfile"] + "; }\n");
  host.Reload();
  ASSERT_TRUE(other_->AwaitLeading(40));
  const double took = SecondsSince(died);
  std::cout << "take-over after SIGKILL of the leader: " << took << " s\n";
  EXPECT_LT(took, kTakeOverLimit);
  stage().AwaitState(ns_, "gate", "Succeeded");
  Json proof = stage().AwaitState(ns_, "proof", "Succeeded");
  EXPECT_EQ(host.Served(), proof["status"]["certificate"]["fingerprint"].get<std::string>());
  EXPECT_EQ(proof["spec"]["number"], 1);
}

TEST_F(FailoverTest, R91_R92_TheLeaderDiesWhileItActsOverSsh) {
  Webhost host;
  // Every command on the host takes a moment: the leader is killed inside of one.
  const std::string nginx = host.peer()["nginx"];
  std::string script = test::ReadFile(nginx);
  const std::string flag = host.peer().folder() / "acting";
  script.insert(script.find('\n') + 1,
                "case \"$*\" in *-t*) touch " + flag + "; sleep 3 ;; esac\n");
  host.Declare(stage(), ns_);
  EXPECT_TRUE(Await(
      [&] { return Condition(stage().Get("targets", ns_, "edge"), "Ready").starts_with("True"); },
      20));
  test::WriteFile(nginx, script);
  MakeWorkflow("shop", "  validation: {endpoints: [\"" + host.peer()["https"] +
                           "\"], trust: Authority, timeout: 1m}\n  deployment: {waves: [{name: w, "
                           "targets: [" +
                           host.Use() + "]}]}");
  ASSERT_TRUE(Await([&] { return ::access(flag.c_str(), F_OK) == 0; }, 30));
  leader_->Kill();
  Json run = stage().AwaitState(ns_, "shop", "Succeeded", 70);
  EXPECT_EQ(host.Served(), run["status"]["certificate"]["fingerprint"].get<std::string>());
  EXPECT_TRUE(host.PairMatches());
}

TEST_F(FailoverTest, R92_ALeaderThatStopsInOrderIsReplacedAtOnce) {
  const auto asked = std::chrono::steady_clock::now();
  EXPECT_TRUE(leader_->Stop()) << leader_->Log();
  ASSERT_TRUE(other_->AwaitLeading(20));
  std::cout << "take-over after SIGTERM of the leader: " << SecondsSince(asked) << " s\n";
  EXPECT_LT(SecondsSince(asked), 8);
}

// A process that was paused (a frozen node) wakes up and must not go on acting.
TEST_F(FailoverTest, R92_ALeaderThatWasPausedBeyondItsLeaseEnds) {
  leader_->Signal(SIGSTOP);
  ASSERT_TRUE(other_->AwaitLeading(40));
  leader_->Signal(SIGCONT);
  EXPECT_TRUE(Await([&] { return !leader_->Running(); }, 15));
  EXPECT_TRUE(Says(*leader_, "the Lease was lost")) << leader_->Log();
}

}  // namespace
}  // namespace certflow::envtest
