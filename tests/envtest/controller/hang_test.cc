// Hosts and devices that accept and then say nothing.
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"
#include "tests/envtest/controller/webhost.h"

namespace certflow::envtest {
namespace {

constexpr int kHanging = 300;

constexpr const char* kWorkflow = R"(
---
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: "{name}"}
spec:
  certificate: {commonName: shop.example.com, dnsNames: [shop.example.com], secretName: "{name}-tls"}
  authorities: [{name: corp}]
  renewal: {policy: {policy}}
  deployment: {waves: [{name: w, targets: [{use}]}]}
)";

constexpr const char* kTarget = R"(
---
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: "{name}"}
spec:
  nginx:
    host: {host}
    port: {port}
    user: root
    privateKeySecretRef: {name: ssh, key: id_ed25519}
    hostKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO5Hp1a7wV9Yb0e2o3xq9mQ4tC6uKJrPZ8sWnD1fLgXh"]
)";

class HangTest : public StageTest {
 protected:
  // From the request to the end of the run, by the reader's clock.
  double Renew(const std::string& ns, int number) {
    const auto asked = std::chrono::steady_clock::now();
    Json note = {
        {"metadata", {{"annotations", {{"certflow.dev/renew", "n" + std::to_string(number)}}}}}};
    EXPECT_TRUE(stage().Patch("workflows", ns, "healthy", note.dump()));
    stage().AwaitState(ns, "healthy", "Succeeded", 60, number);
    return SecondsSince(asked);
  }
};

TEST_F(HangTest, R90_ThreeHundredHangingHostsDoNotDelayTheNextRun) {
  stage().controller();
  std::string ns = stage().NewNamespace();
  Webhost host;
  host.Declare(stage(), ns, "edge");
  stage().Create(
      ns,
      Fill(kWorkflow, {{"name", "healthy"}, {"policy", "OnRequest"}, {"use", host.Use("edge")}}));
  Renew(ns, 1);
  const double alone = (Renew(ns, 2) + Renew(ns, 3)) / 2;

  test::Peer hanging("hang", {std::to_string(kHanging)});
  std::string hung = stage().NewNamespace();
  stage().MakeSecret(hung, "ssh", {{"id_ed25519", test::ReadFile(host.peer()["key"])}});
  std::string all;
  for (int i = 0; i < kHanging; ++i) {
    const std::string name = "h" + std::to_string(i);
    all += Fill(kTarget,
                {{"name", name},
                 {"port", hanging["port"]},
                 {"host", "127.7." + std::to_string(i / 200) + "." + std::to_string(1 + i % 200)}});
    all += Fill(kWorkflow, {{"name", name}, {"policy", "Automatic"}, {"use", host.Use(name)}});
  }
  stage().Create(hung, all);
  // A connection for each run, and some for the checks of the targets.
  EXPECT_TRUE(Await(
      [&] { return test::ReadFile(hanging.folder() / "accepted").size() >= kHanging + 100; }, 60));
  const double beside = (Renew(ns, 4) + Renew(ns, 5)) / 2;
  std::cout << "a run on a healthy host: alone " << alone << " s, beside " << kHanging
            << " hanging hosts " << beside << " s\n";
  EXPECT_LT(beside, 2 * alone + 0.5);
  // So that what follows does not share the machine with three hundred runs that end.
  hanging.Stop();
  stage().StopController();
  for (const Json& run : stage().List("runs", hung)) {
    stage().Patch("runs", hung, NameOf(run), R"({"metadata":{"finalizers":null}})");
  }
  for (const char* kind : {"cwf", "cwr", "cdt"}) {
    EXPECT_TRUE(stage().Kubectl({"delete", kind, "--all", "-n", hung, "--wait=false"}).ok())
        << kind;
  }
}

constexpr const char* kPair = R"(
---
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: "{name}"}
spec:
  f5:
    hosts: ["{a}", "{b}"]
    username: {user}
    passwordSecretRef: {name: bigip, key: password}
    tls: {caBundle: {ca}}
)";

class PairHangTest : public NamespaceTest {
 protected:
  void Prepare() override {
    stage().KeepSecret(bigip_["password"]);
    stage().MakeSecret(ns_, "bigip", {{"password", bigip_["password"]}});
    for (const char* number : {"", "2"}) {
      const std::string of = number;
      stage().Create(ns_, Fill(kPair, {{"name", "pair" + of},
                                       {"a", bigip_["a" + of]},
                                       {"b", bigip_["b" + of]},
                                       {"user", bigip_["user"]},
                                       {"ca", Json(test::ReadFile(bigip_["ca"])).dump()}}));
      stage().Create(
          ns_, Fill(kWorkflow, {{"name", "site" + of},
                                {"policy", "OnRequest"},
                                {"use", R"({targetRef: {name: pair)" + of +
                                            R"(}, f5: {virtualServers: [{name: vs_www}]}})"}}));
      EXPECT_TRUE(Await(
          [&] {
            return Condition(stage().Get("targets", ns_, "pair" + of), "Ready").starts_with("True");
          },
          60))
          << Condition(stage().Get("targets", ns_, "pair" + of), "Ready");
    }
  }
  Json Control(const std::string& path, const std::string& body = "") const {
    std::vector<std::string> curl = {"curl", "-sSf", "http://" + bigip_["control"] + path};
    if (!body.empty()) curl.insert(curl.end(), {"-d", body});
    return Json::parse(RunTool(curl));
  }
  void Ask(const std::string& workflow) {
    EXPECT_TRUE(stage().Patch("workflows", ns_, workflow,
                              R"({"metadata":{"annotations":{"certflow.dev/renew":"now"}}})"));
  }
  // Of the first pair: asked for, and not answered.
  std::size_t Unanswered() const {
    std::size_t count = 0;
    for (const Json& request : Control("/requests")) count += request["status"] == 0;
    return count;
  }

  test::Peer bigip_{"f5", {"--pairs", "2"}, 60};
};

// R-90: whatever the time is. The pair that hangs has not answered when the other one is through.
TEST_F(PairHangTest, R90_APairThatHangsKeepsNobodyFromAnotherPair) {
  Control("/faults", R"({"fault": "hang", "count": null})");
  Ask("site");
  ASSERT_TRUE(Await([&] { return Unanswered() > 0; }, 60));
  Json hung = stage().NewestRun(ns_, "site");
  EXPECT_EQ(StateOf(hung), "Running");
  EXPECT_NE(hung["status"].value("step", ""), "") << "it says where it is";

  Ask("site2");
  Json run = stage().AwaitState(ns_, "site2", "Succeeded", 60);
  EXPECT_EQ(ServedFingerprint(bigip_["vs_www2"], "shop.example.com"),
            run["status"]["certificate"]["fingerprint"]);
  hung = stage().NewestRun(ns_, "site");
  EXPECT_TRUE(StateOf(hung) == "Running" || StateOf(hung) == "Waiting") << StateOf(hung);
  const Json units = Control("/state?pair=2")["units"];
  EXPECT_EQ(units.size(), 2u);
  for (const Json& unit : units) EXPECT_LE(unit["mostTokens"], 1);

  RunTool({"curl", "-sSf", "-X", "DELETE", "http://" + bigip_["control"] + "/faults"});
  run = stage().AwaitState(ns_, "site", "Succeeded", 150);
  EXPECT_EQ(ServedFingerprint(bigip_["vs_www"], "shop.example.com"),
            run["status"]["certificate"]["fingerprint"]);
}

}  // namespace
}  // namespace certflow::envtest
