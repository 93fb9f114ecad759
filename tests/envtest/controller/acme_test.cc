// Certificates of an ACME server: by DNS, through the target and through the cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/envtest/controller/acme.h"
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
  certificate: {commonName: "{name}", dnsNames: [{names}], secretName: shop-tls}
  authorities: [{name: pebble}]
  renewal: {policy: {policy}}
{rest}
)";

class AcmeTest : public StageTest {
 protected:
  void SetUp() override {
    StageTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ns_ = stage().NewNamespace();
    host_.Declare(stage(), ns_);
    acme_ = std::make_unique<Acme>(stage());
  }
  std::string OntoHost() {
    return "  deployment: {waves: [{name: w, targets: [" + host_.Use() +
           "]}]}\n  validation: {endpoints: [\"" + host_.peer()["https"] +
           "\"], trust: Authority, timeout: 30s}\n";
  }
  void MakeWorkflow(const std::string& names, const std::string& rest,
                    const std::string& policy = "Automatic") {
    stage().Create(ns_, Fill(kWorkflow, {{"name", names.substr(1, names.find('"', 1) - 1)},
                                         {"names", names},
                                         {"policy", policy},
                                         {"rest", rest}}));
  }
  std::unique_ptr<test::Peer> Ingress() {
    auto assets = controlplane::FindAssets();
    return std::make_unique<test::Peer>(
        "ingress", std::vector<std::string>{
                       "--kubectl", *assets + "/kubectl", "--kubeconfig",
                       stage().plane().KubeconfigFor(kAdmin), "--namespace", "certflow-system",
                       "--port", std::to_string(stage().http01_port()), "--backend",
                       "127.0.0.1:" + std::to_string(stage().controller().acme_port()), "--default",
                       host_.peer()["http"]});
  }

  std::string ns_;
  Webhost host_;
  std::unique_ptr<Acme> acme_;
};

TEST_F(AcmeTest, R40_AWildcardByDnsGoesLive) {
  stage().controller();
  acme_->Declare(stage(), ns_, "pebble", "dns01");
  MakeWorkflow(R"("*.shop.localhost", "shop.localhost")", OntoHost());
  Json run = stage().AwaitState(ns_, "shop", "Succeeded", 60);
  EXPECT_EQ(host_.Served(), run["status"]["certificate"]["fingerprint"].get<std::string>());
  EXPECT_TRUE(host_.PairMatches());
  EXPECT_EQ(acme_->Issued(), 1);
  EXPECT_EQ(acme_->Orders(), 1);
}

TEST_F(AcmeTest, R40_Http01ThroughTheTargetsOwnServer) {
  stage().controller();
  auto ingress = Ingress();
  acme_->Declare(stage(), ns_, "pebble", "Target");
  MakeWorkflow(R"("target.localhost")", OntoHost());
  Json run = stage().AwaitState(ns_, "shop", "Succeeded", 60);
  EXPECT_EQ(host_.Served(), run["status"]["certificate"]["fingerprint"].get<std::string>());
  EXPECT_THAT(test::ReadFile(ingress->folder() / "requests"),
              HasSubstr("target.localhost /.well-known"));
  EXPECT_EQ(RunTool({"ls", host_.peer()["challenges"]}), "") << "a challenge was left behind";
}

TEST_F(AcmeTest, R40_Http01ThroughTheClustersIngress) {
  stage().controller();
  auto ingress = Ingress();
  acme_->Declare(stage(), ns_, "pebble", "Cluster");
  MakeWorkflow(R"("one.localhost", "two.localhost")", "");
  stage().AwaitState(ns_, "shop", "Succeeded", 60);
  const std::string requests = test::ReadFile(ingress->folder() / "requests");
  for (const char* name : {"one.localhost", "two.localhost"}) {
    EXPECT_THAT(requests, HasSubstr(std::string(name) + " /.well-known"));
  }
  EXPECT_THAT(requests, HasSubstr(" ingress\n"));
  EXPECT_TRUE(Await([&] { return stage().List("ingresses", "certflow-system").empty(); }, 10))
      << "an Ingress was left behind";
}

TEST_F(AcmeTest, AForbiddenNameserverIsRefused) {
  stage().controller();
  acme_->Declare(stage(), ns_, "pebble", "dns01", "169.254.169.254:53");
  MakeWorkflow(R"("shop.localhost")", "");
  stage().AwaitRun(ns_, "shop", "refusing the address", [](Json& one) {
    return one["status"].dump().find("may not be used") != std::string::npos;
  });
  EXPECT_EQ(acme_->Issued(), 0);
}

// Sampled: the process dies at random instants, again and again, until the run ends.
TEST_F(AcmeTest, R91_KilledAtRandomInstantsARunStillEndsWithOneOrder) {
  constexpr int kKills = 16;
  stage().StopController();
  const unsigned seed = std::random_device{}();
  std::mt19937 random{seed};
  std::cout << "seed " << seed << "\n";
  acme_->Declare(stage(), ns_, "pebble", "dns01");
  MakeWorkflow(R"("*.shop.localhost", "shop.localhost")", OntoHost(), "OnRequest");
  auto replica = stage().NewReplica({"--no-leader-elect"});
  replica->Start();
  EXPECT_TRUE(Await(
      [&] {
        return Condition(stage().Get("authorities", ns_, "pebble"), "Ready").starts_with("True");
      },
      30));
  int kills = 0, number = 0;
  while (kills < kKills && number < 12 && !HasFailure()) {
    ++number;
    Json note = {
        {"metadata", {{"annotations", {{"certflow.dev/renew", "n" + std::to_string(number)}}}}}};
    ASSERT_TRUE(stage().Patch("workflows", ns_, "shop", note.dump()));
    auto ended = [&] {
      Json run = stage().NewestRun(ns_, "shop");
      return !run.is_null() && run["spec"]["number"] == number && StateOf(run) == "Succeeded";
    };
    for (int life = 0; life < 12 && !ended(); ++life) {
      ::poll(nullptr, 0, 150 + static_cast<int>(random() % 1200));
      if (ended()) break;
      replica->Kill();
      ++kills;
      replica->Start();
    }
    Json run = stage().AwaitState(ns_, "shop", "Succeeded", 90, number);
    EXPECT_EQ(acme_->Orders(), number);
    EXPECT_EQ(acme_->Issued(), number);
    EXPECT_EQ(host_.Served(), run["status"]["certificate"]["fingerprint"].get<std::string>());
    EXPECT_TRUE(host_.PairMatches());
  }
  std::cout << kills << " kills in " << number << " runs\n";
  EXPECT_GE(kills, kKills - 1);
  replica->Kill();
}

}  // namespace
}  // namespace certflow::envtest
