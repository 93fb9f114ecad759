// Whole runs: a real web server over real SSH, proved from outside, told by mail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
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
metadata: {name: shop}
spec:
  owner: {team: web, contact: web@example.com, escalation: [oncall@example.com]}
  certificate: {commonName: shop.example.com, dnsNames: [shop.example.com], secretName: shop-tls}
  authorities: [{name: corp}]
  renewal: {policy: OnRequest}
  deployment: {retryLimit: 0, waves: [{name: web, targets: [{use}]}]}
  validation: {endpoints: [{endpoints}], trust: Authority, timeout: 4s}
  rollback: {policy: {rollback}}
)";
constexpr const char* kNotify = R"(  notifications:
    - {channelRef: {name: mail}, to: [dora@example.com], bcc: [archive@example.com], events: [Completed],
       subject: {Completed: "{{ .certificate.commonName }} is renewed"}}
)";

class RunTest : public NamespaceTest {
 protected:
  void Prepare() override {
    host_.Declare(stage(), ns_);
    original_ = host_.Served();
  }
  // A server on this port that certflow does not touch.
  std::string ForeignEndpoint() {
    const std::string& folder = host_.peer().folder().path().string();
    RunTool({"cp", host_.peer()["cert"], folder + "/foreign.pem"});
    RunTool({"cp", host_.peer()["keyfile"], folder + "/foreign.key"});
    const std::string at = "127.0.0.1:" + std::to_string(controlplane::FreePort());
    host_.Configure("foreign.conf", "server { listen " + at + " ssl; ssl_certificate " + folder +
                                        "/foreign.pem; ssl_certificate_key " + folder +
                                        "/foreign.key; }\n");
    host_.Reload();
    EXPECT_TRUE(Await([&] { return !ServedFingerprint(at, "x").empty(); }, 10));
    return at;
  }
  void MakeWorkflow(const std::string& rollback, const std::string& more_endpoints = "",
                    const std::string& rest = "") {
    stage().Create(
        ns_,
        Fill(kWorkflow, {{"use", host_.Use()},
                         {"rollback", rollback},
                         {"endpoints", "\"" + host_.peer()["https"] + "\"" + more_endpoints}}) +
            rest);
  }
  void AskFor(int number) {
    Answer asked = stage().Annotate(ns_, "certificateworkflow/shop",
                                    "certflow.dev/renew=number " + std::to_string(number), kErin);
    ASSERT_TRUE(asked.ok()) << asked.err;
  }
  Json Renew(const std::string& state, int number = 1) {
    AskFor(number);
    return stage().AwaitState(ns_, "shop", state, 60, number);
  }
  std::string SecretFingerprint() {
    std::string pem = stage().SecretValue(ns_, "shop-tls", "tls.crt");
    if (pem.empty()) return "";
    std::string out = RunTool({"openssl", "x509", "-noout", "-fingerprint", "-sha256"}, pem);
    std::string hex;
    for (unsigned char c : out.substr(out.find('=') + 1)) {
      if (std::isxdigit(c) != 0) hex += static_cast<char>(std::tolower(c));
    }
    return hex;
  }

  Webhost host_;
  std::string original_;
};

TEST_F(RunTest, R51_R60_R70_ARenewalGoesLiveIsProvedAndTold) {
  test::Peer mail("mail");
  stage().KeepSecret(mail["password"]);
  stage().MakeSecret(ns_, "login", {{"password", mail["password"]}});
  stage().Create(ns_, MailChannel(mail));
  MakeWorkflow("Automatic", "", kNotify);
  Json run = Renew("Succeeded");
  const std::string fingerprint = run["status"]["certificate"]["fingerprint"];
  EXPECT_EQ(host_.Served(), fingerprint);
  EXPECT_EQ(SecretFingerprint(), fingerprint);
  EXPECT_TRUE(host_.PairMatches());
  ASSERT_FALSE(run["status"]["evidence"].empty());
  EXPECT_EQ(run["status"]["evidence"][0]["verdict"], "Passed");
  EXPECT_EQ(run["status"]["evidence"][0]["fingerprint"], fingerprint);
  std::string text = AwaitMail(mail, "Subject: shop.example.com is renewed");
  EXPECT_THAT(text, HasSubstr(fingerprint));
  EXPECT_TRUE(Await([&] { return Mails(mail).size() >= 1; }, 5));
  EXPECT_TRUE(Await(
      [&] {
        return Condition(stage().Get("workflows", ns_, "shop"), "Ready").starts_with("True Issued");
      },
      15));
  EXPECT_TRUE(Await(
      [&] { return Condition(stage().Get("targets", ns_, "edge"), "Ready").starts_with("True"); },
      10))
      << stage().Get("targets", ns_, "edge").dump(1);
}

TEST_F(RunTest, R61_ABrokenServerConfigurationLeavesBothAsTheyWere) {
  MakeWorkflow("Automatic");
  const std::string first = Renew("Succeeded")["status"]["certificate"]["fingerprint"];
  host_.Configure("broken.conf", "this is no configuration;\n");
  Json run = Renew("RolledBack", 2);
  EXPECT_EQ(host_.Served(), first);
  EXPECT_EQ(SecretFingerprint(), first);
  EXPECT_TRUE(host_.PairMatches());
  EXPECT_THAT(run["status"]["message"].get<std::string>(), HasSubstr("Deployment of"));
  // Mended, the next one goes through.
  host_.Forget("broken.conf");
  const std::string third = Renew("Succeeded", 3)["status"]["certificate"]["fingerprint"];
  EXPECT_EQ(host_.Served(), third);
  EXPECT_EQ(SecretFingerprint(), third);
}

TEST_F(RunTest, R61_AFailedProofPutsTheOldCertificateBackEverywhere) {
  std::string foreign = ForeignEndpoint();
  MakeWorkflow("Automatic", ", \"" + foreign + "\"");
  Json run = Renew("RolledBack");
  EXPECT_EQ(host_.Served(), original_);
  EXPECT_TRUE(host_.PairMatches());
  EXPECT_EQ(SecretFingerprint(), "");
  EXPECT_THAT(run["status"]["message"].get<std::string>(), HasSubstr("serves another certificate"));
  EXPECT_THAT(stage().Events(ns_), HasSubstr("RolledBack"));
}

TEST_F(RunTest, R61_ManualAsksBeforeItPutsBack) {
  std::string foreign = ForeignEndpoint();
  MakeWorkflow("Manual", ", \"" + foreign + "\"");
  AskFor(1);
  Json run = stage().AwaitGate(ns_, "shop", "rollback");
  EXPECT_NE(host_.Served(), original_);
  Answer approved =
      stage().Annotate(ns_, "workflowrun/" + NameOf(run), "certflow.dev/approve=rollback", kDora);
  EXPECT_TRUE(approved.ok()) << approved.err;
  stage().AwaitState(ns_, "shop", "RolledBack");
  EXPECT_EQ(host_.Served(), original_);
  EXPECT_TRUE(host_.PairMatches());

  AskFor(2);
  run = stage().AwaitGate(ns_, "shop", "rollback", 40, 2);
  const std::string live = run["status"]["certificate"]["fingerprint"];
  EXPECT_TRUE(
      stage()
          .Annotate(ns_, "workflowrun/" + NameOf(run), "certflow.dev/reject=rollback", kDora)
          .ok());
  stage().AwaitState(ns_, "shop", "Held", 40, 2);
  EXPECT_EQ(host_.Served(), live);
}

TEST_F(RunTest, R61_HoldLeavesTheNewOneAndCallsAPerson) {
  std::string foreign = ForeignEndpoint();
  MakeWorkflow("Hold", ", \"" + foreign + "\"");
  Json run = Renew("Held");
  EXPECT_EQ(host_.Served(), run["status"]["certificate"]["fingerprint"].get<std::string>());
  EXPECT_THAT(Condition(run, "Stalled"), HasSubstr("nothing was put back"));
}

}  // namespace
}  // namespace certflow::envtest
