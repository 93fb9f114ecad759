// Who may create a workflow or a target must not gain what they could not reach (design, section
// 4).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/mailbox.h"
#include "tests/envtest/controller/stage.h"
#include "tests/envtest/controller/webhost.h"

namespace certflow::envtest {
namespace {

using testing::HasSubstr;

constexpr const char* kWorkflow = R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: "{name}"}
spec:
  certificate: {commonName: shop.example.com, dnsNames: [shop.example.com], secretName: "{name}-tls"}
  authorities: [{authority}]
{rest}
)";

class TrustTest : public StageTest {
 protected:
  void SetUp() override {
    StageTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    stage().controller();
  }
  void MakeWorkflow(const std::string& ns, const std::string& name, const std::string& rest = "",
                    const std::string& authority = "{name: corp}") {
    stage().Create(ns, Fill(kWorkflow, {{"authority", authority}, {"rest", rest}, {"name", name}}));
  }
  void AwaitCondition(std::string_view plural, const std::string& ns, const std::string& name,
                      const std::string& type, const std::string& text, int seconds = 30) {
    std::string now;
    EXPECT_TRUE(Await(
        [&] {
          now = Condition(stage().Get(plural, ns, name), type);
          return now.find(text) != std::string::npos;
        },
        seconds))
        << ns << "/" << name << " says: " << now;
  }
  void AwaitEvent(const std::string& ns, const std::string& text) {
    EXPECT_TRUE(Await([&] { return stage().Events(ns).find(text) != std::string::npos; }, 15))
        << stage().Events(ns);
  }
};

TEST_F(TrustTest, ASecretThatDoesNotAllowItIsNeitherReadNorOverwritten) {
  std::string ns = stage().NewNamespace();
  stage().MakeSecret(ns, "foreign-ca",
                     {{"tls.crt", stage().ca_pem()}, {"tls.key", stage().ca_key()}}, false,
                     "kubernetes.io/tls");
  stage().MakeSecret(ns, "precious-tls",
                     {{"tls.crt", stage().ca_pem()}, {"tls.key", stage().ca_key()}}, false,
                     "kubernetes.io/tls");
  stage().Create(ns, R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateAuthority
metadata: {name: foreign}
spec: {ca: {secretName: foreign-ca}}
)");
  AwaitCondition("authorities", ns, "foreign", "Ready", "certflow.dev/allow");
  AwaitEvent(ns, "certflow.dev/allow");
  EXPECT_THAT(Condition(stage().Get("authorities", ns, "foreign"), "Ready"),
              HasSubstr("foreign-ca"));
  const std::string before = stage().Get("secrets", ns, "precious-tls").dump();
  MakeWorkflow(ns, "precious");
  Json run = stage().AwaitRun(ns, "precious", "refusing the Secret", [](Json& one) {
    return one["status"].dump().find("certflow.dev/allow") != std::string::npos;
  });
  EXPECT_EQ(stage().Get("secrets", ns, "precious-tls").dump(), before);
}

TEST_F(TrustTest, WhatAnotherNamespaceHasIsUsedOnlyWhereItSaysSo) {
  std::string owner = stage().NewNamespace();
  std::string guest = stage().NewNamespace("certificates: internal");
  std::string stranger = stage().NewNamespace();
  stage().Create(owner, R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateAuthority
metadata: {name: shared}
spec:
  allowedNamespaces: {from: Selector, selector: {matchLabels: {certificates: internal}}}
  ca: {secretName: corp-ca}
---
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: closed}
spec: {kubernetes: {}}
---
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: open}
spec:
  allowedNamespaces: {from: Selector, selector: {matchLabels: {certificates: internal}}}
  kubernetes: {}
)");
  const std::string shared = "{name: shared, namespace: " + owner + "}";
  auto onto = [&](const std::string& target) {
    return Fill(
        "  deployment: {waves: [{name: w, targets: [{targetRef: {name: {target}, namespace: "
        "{owner}}, kubernetes: {secretName: {target}-tls}}]}]}",
        {{"target", target}, {"owner", owner}});
  };
  MakeWorkflow(guest, "good", onto("open"), shared);
  MakeWorkflow(guest, "bad", onto("closed"), shared);
  MakeWorkflow(stranger, "worse", "", shared);
  MakeWorkflow(stranger, "worst", onto("open"));
  stage().AwaitState(guest, "good", "Succeeded");
  EXPECT_FALSE(stage().Get("secrets", owner, "open-tls").is_null());
  AwaitCondition("workflows", stranger, "worse", "Stalled",
                 "does not allow namespace " + stranger + "; its spec.allowedNamespaces decides");
  AwaitEvent(stranger, "spec.allowedNamespaces decides");
  for (auto [ns, name] : {std::pair{guest, "bad"}, {stranger, "worst"}}) {
    AwaitCondition("workflows", ns, name, "Stalled", "spec.allowedNamespaces decides");
    EXPECT_TRUE(stage().Get("secrets", ns, std::string(name) + "-tls").is_null());
  }
  EXPECT_TRUE(stage().Get("secrets", owner, "closed-tls").is_null());
}

TEST_F(TrustTest, ACatalogueOfForbiddenAddressesIsRefusedEverywhere) {
  std::string ns = stage().NewNamespace();
  stage().MakeSecret(ns, "ssh", {{"id", stage().ca_key()}});
  stage().Create(ns, R"(
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: metadata}
spec:
  nginx:
    host: 169.254.169.254
    user: root
    privateKeySecretRef: {name: ssh, key: id}
    hostKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO5Hp1a7wV9Yb0e2o3xq9mQ4tC6uKJrPZ8sWnD1fLgXh"]
---
apiVersion: certflow.dev/v1alpha1
kind: CertificateAuthority
metadata: {name: metadata}
spec:
  acme:
    server: https://[fd00:ec2::254]/directory
    accountKeySecretRef: {name: account}
    solvers: [{http01: {}}]
---
apiVersion: certflow.dev/v1alpha1
kind: NotificationChannel
metadata: {name: metadata}
spec: {smtp: {host: 169.254.169.254, port: 25, tls: None, from: a@example.com}}
)");
  MakeWorkflow(ns, "probe", R"(
  validation: {endpoints: ["169.254.169.254:443"], timeout: 2s, trust: Authority}
  notifications: [{channelRef: {name: metadata}, events: [ValidationFailed, RolledBack], to: [a@example.com]}]
)");
  AwaitCondition("targets", ns, "metadata", "Ready", "AddressRefused");
  AwaitCondition("authorities", ns, "metadata", "Ready", "AddressRefused");
  Json run = stage().AwaitState(ns, "probe", "RolledBack");
  EXPECT_THAT(run["status"]["message"].get<std::string>(), HasSubstr("may not be used"));
  stage().AwaitRun(ns, "probe", "giving the mail up", [](Json& one) {
    return one["status"]["outbox"].dump().find("may not be used") != std::string::npos;
  });
}

TEST_F(TrustTest, TextOfUsersCannotBecomeAHeaderOrALine) {
  test::Peer mail("mail");
  std::string ns = stage().NewNamespace();
  stage().KeepSecret(mail["password"]);
  stage().MakeSecret(ns, "login", {{"password", mail["password"]}});
  stage().Create(ns, MailChannel(mail));
  const std::string rest = R"(
  owner: {team: "web\r\nBcc: evil@example.com", contact: web@example.com, escalation: [web@example.com]}
  notifications:
    - channelRef: {name: mail}
      events: [Completed]
      to: [a@example.com]
      subject: {Completed: "{{ .owner.team }} {{ .nothing }}{subject}"}
      body: {Completed: "{{ .owner.team }}\n.\nQUIT\n{{"}
)";
  Answer broken = stage().Kubectl(
      {"create", "-n", ns, "-f", "-"}, kAdmin,
      Fill(kWorkflow, {{"authority", "{name: corp}"},
                       {"name", "broken"},
                       {"rest", Fill(rest, {{"subject", "\\r\\nBcc: evil@example.com"}})}}));
  MakeWorkflow(ns, "shop", Fill(rest, {{"subject", ""}}));
  stage().AwaitState(ns, "shop", "Succeeded");
  if (broken.ok()) stage().AwaitState(ns, "broken", "Succeeded");
  AwaitMail(mail, "Completed");
  for (const std::string& one : Mails(mail)) {
    const std::string head = one.substr(0, one.find("\n\n"));
    EXPECT_EQ(head.find("\nBcc:"), std::string::npos) << head;
    EXPECT_EQ(head.find("envelope-to: evil"), std::string::npos) << head;
    EXPECT_EQ(one.find("\nBcc: evil"), std::string::npos) << one;
  }
}

TEST_F(TrustTest, HugeAnnotationsAreNobodysTrouble) {
  std::string ns = stage().NewNamespace();
  MakeWorkflow(ns, "shop",
               "  approval: {renewal: {layers: [{name: owner, approvers: {groups: [web-team]}}]}}");
  Json run = stage().AwaitGate(ns, "shop", "renewal");
  Json huge = {{"metadata", {{"annotations", {{"example.com/huge", std::string(200'000, 'x')}}}}}};
  EXPECT_TRUE(stage().Patch("runs", ns, NameOf(run), huge.dump()));
  EXPECT_TRUE(stage().Patch("workflows", ns, "shop", huge.dump()));
  Answer longer = stage().Annotate(
      ns, "workflowrun/" + NameOf(run),
      "certflow.dev/approve=renewal by dora@example.com because " + std::string(2'000, 'y'), kDora);
  EXPECT_THAT(longer.err, HasSubstr("at most 512 bytes"));
  EXPECT_TRUE(stage()
                  .Annotate(ns, "workflowrun/" + NameOf(run), "certflow.dev/approve=renewal", kDora)
                  .ok());
  stage().AwaitState(ns, "shop", "Succeeded");
}

}  // namespace
}  // namespace certflow::envtest
