// The scenario that the product is measured by: one wildcard on an F5 pair, an Apache host and a
// Secret that a web server follows, wave by wave, each proved before the next; the pair fails over
// in the middle; and, with Apache's configuration broken, everything is put back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"
#include "tests/envtest/controller/webhost.h"

namespace certflow::envtest {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kTargets = R"(
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: f5-prod}
spec:
  f5:
    hosts: ["{a}", "{b}"]
    username: {user}
    passwordSecretRef: {name: bigip, key: password}
    tls:
      caBundle: |
{ca}
---
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: web-1, labels: {tier: web}}
spec:
  apache:
    host: 127.0.0.1
    port: {ssh_port}
    user: {ssh_user}
    privateKeySecretRef: {name: ssh, key: id_ed25519}
    hostKeys: ["{host_key}"]
    apachePath: {apachectl}
)";
constexpr const char* kWorkflow = R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: wildcard}
spec:
  certificate:
    commonName: "*.bntpro.test"
    dnsNames: ["*.bntpro.test", bntpro.test, site.test]
    secretName: wildcard-tls
  authorities: [{name: corp}]
  renewal: {policy: OnRequest}
  approval:
    requester: Allowed
    deployment: {layers: [{name: ops, approvers: {users: [dora@example.com]}}]}
  deployment:
    retryLimit: 1
    retryBackoff: 1s
    waves:
      - name: primary
        endpoints: ["{vs}", "{ingress}"]
        targets:
          - targetRef: {name: f5-prod}
            f5: {virtualServers: [{name: vs_www, partition: Common, side: ClientSide}]}
      - name: secondary
        endpoints: ["{apache}"]
        targets:
          - targetSelector: {matchLabels: {tier: web}}
            apache: {serverName: site.test}
  validation: {serverName: site.test, trust: Authority, timeout: 30s}
  rollback: {policy: Automatic}
)";

std::string Indent(const std::string& text, int by) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += std::string(by, ' ') + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

class ScenarioTest : public NamespaceTest {
 protected:
  void Prepare() override {
    stage().KeepSecret(bigip_["password"]);
    stage().MakeSecret(ns_, "bigip", {{"password", bigip_["password"]}});
    stage().MakeSecret(ns_, "ssh", {{"id_ed25519", test::ReadFile(apache_["key"])}});
    std::string host_key = test::ReadFile(apache_.folder() / "host_key.pub");
    host_key = host_key.substr(0, host_key.find(' ', host_key.find(' ') + 1));
    stage().Create(ns_, Fill(kTargets, {{"a", bigip_["a"]},
                                        {"b", bigip_["b"]},
                                        {"user", bigip_["user"]},
                                        {"ca", Indent(test::ReadFile(bigip_["ca"]), 8)},
                                        {"ssh_port", std::to_string(PortOf(apache_["ssh"]))},
                                        {"ssh_user", apache_["user"]},
                                        {"host_key", host_key},
                                        {"apachectl", apache_["server"]}}));
    auto assets = controlplane::FindAssets();
    ingress_ = std::make_unique<test::Peer>(
        "secret-web", std::vector<std::string>{"--kubectl", *assets + "/kubectl", "--kubeconfig",
                                               stage().plane().KubeconfigFor("admin"),
                                               "--namespace", ns_, "--secret", "wildcard-tls"});
    original_f5_ = Served(bigip_["vs_www"]);
    original_apache_ = Served(apache_["https"]);
    ASSERT_NE(original_f5_, "");
    ASSERT_NE(original_apache_, "");
  }
  static std::string Served(const std::string& endpoint) {
    return ServedFingerprint(endpoint, "site.test");
  }
  void Control(const std::string& path, const std::string& body) const {
    RunTool({"curl", "-sSf", "http://" + bigip_["control"] + path, "-d", body});
  }
  // Asks for a run and approves it; `meanwhile` happens between its checks and its deployment.
  Json Renew(const std::string& state, int number, const std::function<void()>& meanwhile = [] {}) {
    Answer asked = stage().Annotate(ns_, "certificateworkflow/wildcard",
                                    "certflow.dev/renew=number " + std::to_string(number), kErin);
    EXPECT_TRUE(asked.ok()) << asked.err;
    Json run = stage().AwaitGate(ns_, "wildcard", "deployment", 60, number);
    meanwhile();
    Answer approved = stage().Annotate(ns_, "workflowrun/" + NameOf(run),
                                       "certflow.dev/approve=deployment", kDora);
    EXPECT_TRUE(approved.ok()) << approved.err;
    return stage().AwaitState(ns_, "wildcard", state, 150, number);
  }
  // What is served everywhere; the Secret's consumer needs a moment to follow.
  void ExpectServed(const std::string& on_f5, const std::string& on_apache,
                    const std::string& on_ingress) {
    EXPECT_EQ(Served(bigip_["vs_www"]), on_f5);
    EXPECT_EQ(Served(apache_["https"]), on_apache);
    EXPECT_TRUE(Await([&] { return Served((*ingress_)["https"]) == on_ingress; }, 20))
        << Served((*ingress_)["https"]);
  }

  test::Peer bigip_{"f5", {}, 60};
  test::Peer apache_{"webhost", {"apache-sites"}};
  std::unique_ptr<test::Peer> ingress_;
  std::string original_f5_, original_apache_;
};

// R-50, R-51, R-52, R-54, R-60, R-61, R-80
TEST_F(ScenarioTest, OneCertificateOnAPairAHostAndASecretWaveByWave) {
  stage().Create(ns_, Fill(kWorkflow, {{"vs", bigip_["vs_www"]},
                                       {"apache", apache_["https"]},
                                       {"ingress", (*ingress_)["https"]}}));
  // The active unit loses its role while the new objects are being made.
  Control("/faults",
          R"({"method": "POST", "path": "sys/file/ssl-cert", "fault": "failover-after"})");
  Json run = Renew("Succeeded", 1);
  const std::string first = run["status"]["certificate"]["fingerprint"];
  ExpectServed(first, first, first);
  std::map<std::string, Json> places;
  for (const Json& one : run["status"]["deployments"]) places[one["type"]] = one;
  ASSERT_EQ(places.size(), 3u) << run["status"]["deployments"].dump(1);
  EXPECT_EQ(places["f5"]["side"], "ClientSide");
  EXPECT_EQ(places["f5"]["virtualHost"], "/Common/vs_www");
  EXPECT_NE(places["f5"].value("profile", ""), "");
  EXPECT_EQ(places["apache"]["serverName"], "site.test");
  for (const auto& [type, place] : places) EXPECT_EQ(place["fingerprint"], first) << type;

  // Somebody breaks Apache's configuration after the checks. The wave before it goes live, and is
  // put back.
  run = Renew("RolledBack", 2, [&] {
    test::WriteFile(apache_.folder() / "sites-enabled/zz-broken.conf",
                    "this is no configuration\n");
  });
  ExpectServed(first, first, first);
  EXPECT_THAT(run["status"]["message"].get<std::string>(),
              AllOf(HasSubstr("web-1"), HasSubstr("Invalid command 'this'")));
  bool seen_reverted = false;
  for (const Json& one : run["status"]["deployments"]) {
    if (one["type"] == "f5") seen_reverted = one["state"] == "Reverted";
  }
  EXPECT_TRUE(seen_reverted) << run["status"]["deployments"].dump(1);
}

// R-62
TEST_F(ScenarioTest, TheWholeRunIsTakenBackAfterwards) {
  stage().Create(ns_, Fill(kWorkflow, {{"vs", bigip_["vs_www"]},
                                       {"apache", apache_["https"]},
                                       {"ingress", (*ingress_)["https"]}}));
  const std::string first = Renew("Succeeded", 1)["status"]["certificate"]["fingerprint"];
  Json second = Renew("Succeeded", 2);
  const std::string newer = second["status"]["certificate"]["fingerprint"];
  ExpectServed(newer, newer, newer);
  Answer asked = stage().Annotate(ns_, "workflowrun/" + NameOf(second),
                                  "certflow.dev/rollback=old clients fail", kDora);
  ASSERT_TRUE(asked.ok()) << asked.err;
  Json asks = stage().AwaitGate(ns_, "wildcard", "deployment", 60, 3);
  Answer approved = stage().Annotate(ns_, "workflowrun/" + NameOf(asks),
                                     "certflow.dev/approve=deployment", kDora);
  ASSERT_TRUE(approved.ok()) << approved.err;
  Json back = stage().AwaitState(ns_, "wildcard", "Succeeded", 150, 3);
  EXPECT_EQ(back["status"]["reason"], "RolledBack");
  ExpectServed(first, first, first);
}

}  // namespace
}  // namespace certflow::envtest
