// A bad network and a bad load balancer between the program and the API server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"

namespace certflow::envtest {
namespace {

constexpr int kWorkflows = 10;
constexpr const char* kRate = "0.15";
// As tests/peers/fault-proxy names them.
constexpr const char* kFaults[] = {"cut-before", "cut-after", "late-504",     "error-500",
                                   "busy-429",   "slow",      "half-open",    "expired-410",
                                   "stream-410", "watch-cut", "watch-dropped"};

constexpr const char* kWorkflow = R"(
---
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: "{name}"}
spec:
  certificate: {commonName: "{name}.example.com", dnsNames: ["{name}.example.com"], secretName: "{name}-tls"}
  authorities: [{name: corp}]
  deployment: {retryLimit: 0, waves: [{name: w, targets: [{targetRef: {name: here}, kubernetes: {secretName: "{name}-copy"}}]}]}
)";

std::string Name(int i) { return "shop-" + std::to_string(i); }

class FaultTest : public StageTest {
 protected:
  // Faults that were not played yet.
  static std::string Missing(test::Peer& proxy) {
    const std::string counts = test::ReadFile(proxy["counts"]);
    std::string missing;
    for (const std::string fault : kFaults) {
      if (counts.find(fault + "=") == std::string::npos) missing += fault + " ";
    }
    return missing;
  }
  // Waits until every workflow has that many runs, all successful, and its Secrets hold one pair.
  // The program is started anew where it has given up, as the kubelet would.
  void AwaitAll(Replica& replica, const std::string& ns, int runs, int& restarts) {
    std::string missing;
    EXPECT_TRUE(Await(
        [&] {
          if (!replica.Running()) {
            ++restarts;
            replica.Start();
          }
          missing.clear();
          std::map<std::string, int> good;
          for (const Json& run : stage().List("runs", ns)) {
            if (StateOf(run) == "Succeeded") ++good[run["spec"]["workflowRef"]["name"]];
          }
          for (int i = 0; i < kWorkflows; ++i) {
            if (good[Name(i)] < runs) missing += Name(i) + " ";
          }
          return missing.empty();
        },
        150))
        << missing << stage().Events(ns);
  }
};

TEST_F(FaultTest, R91_TenRunsThroughABadNetworkLoseNothingAndDoNothingTwice) {
  stage().StopController();
  const std::string upstream = stage().plane().url().substr(sizeof("https://") - 1);
  test::Peer proxy("fault-proxy", {"--upstream", upstream, "--ca", stage().plane().ca_file()});
  test::WriteFile(proxy["rate"], kRate);
  std::string ns = stage().NewNamespace();
  auto replica = stage().NewReplica({}, proxy["url"], proxy["ca"]);
  replica->Start();
  std::string all = R"(
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: here}
spec: {kubernetes: {}}
)";
  for (int i = 0; i < kWorkflows; ++i) all += Fill(kWorkflow, {{"name", Name(i)}});
  stage().Create(ns, all);
  int restarts = 0;
  AwaitAll(*replica, ns, 1, restarts);
  for (int i = 0; i < kWorkflows; ++i) {
    EXPECT_TRUE(stage().Patch("workflows", ns, Name(i),
                              R"({"metadata":{"annotations":{"certflow.dev/renew":"again"}}})"));
  }
  AwaitAll(*replica, ns, 2, restarts);
  EXPECT_TRUE(Await([&] { return Missing(proxy).empty(); }, 60)) << Missing(proxy);
  test::WriteFile(proxy["rate"], "0");
  std::cout << "faults played:\n"
            << test::ReadFile(proxy["counts"]) << "restarts: " << restarts << "\n";

  EXPECT_EQ(stage().List("runs", ns).size(), 2u * kWorkflows);
  std::set<std::string> served;
  for (int i = 0; i < kWorkflows; ++i) {
    Json newest = stage().NewestRun(ns, Name(i));
    EXPECT_EQ(newest["spec"]["number"], 2);
    // A retryLimit of 0 is for targets: what the API server does to us uses nothing of it up.
    for (const Json& entry : newest["status"]["ledger"]) EXPECT_EQ(entry.value("attempts", 0), 0);
    const std::string live = stage().SecretValue(ns, Name(i) + "-tls", "tls.crt");
    EXPECT_FALSE(live.empty());
    EXPECT_EQ(stage().SecretValue(ns, Name(i) + "-copy", "tls.crt"), live);
    EXPECT_EQ(RunTool({"openssl", "x509", "-noout", "-pubkey"}, live),
              RunTool({"openssl", "pkey", "-pubout"},
                      stage().SecretValue(ns, Name(i) + "-tls", "tls.key")));
    served.insert(live);
    EXPECT_TRUE(Await(
        [&] {
          Json workflow = stage().Get("workflows", ns, Name(i));
          return workflow["status"].value("runs", 0) == 2 &&
                 workflow["status"].value("phase", "") == "Idle" &&
                 Condition(workflow, "Stalled").empty() &&
                 workflow["status"].value("issuances", Json::array()).size() == 2 &&
                 workflow["status"]["certificate"]["fingerprint"] ==
                     newest["status"]["certificate"]["fingerprint"];
        },
        30))
        << stage().Get("workflows", ns, Name(i))["status"].dump(1);
  }
  EXPECT_EQ(served.size(), static_cast<std::size_t>(kWorkflows));
  EXPECT_TRUE(replica->Stop()) << replica->Log();
}

}  // namespace
}  // namespace certflow::envtest
