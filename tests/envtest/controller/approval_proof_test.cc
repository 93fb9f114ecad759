// What a decision rests on: the policy that proves it, and the mail that asks for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/mailbox.h"
#include "tests/envtest/controller/stage.h"

namespace certflow::envtest {
namespace {

using testing::HasSubstr;

constexpr const char* kWorkflow = R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: shop}
spec:
  environment: production
  owner: {team: web, contact: web@example.com, escalation: [oncall@example.com]}
  certificate: {commonName: shop.example.com, dnsNames: [shop.example.com], secretName: shop-tls}
  authorities: [{name: corp}]
  approval: {renewal: {layers: [{name: owner, approvers: {groups: [web-team]}}]}}
)";
constexpr const char* kBinding = "validatingadmissionpolicybinding/certflow-approvals";
constexpr const char* kPolicy = "validatingadmissionpolicy/certflow-approvals";

class ApprovalProofTest : public NamespaceTest {
 protected:
  void Restore() {
    auto again = stage().plane().ApplyFile(std::string(CERTFLOW_SOURCE_DIR) + "/manifests/install");
    ASSERT_TRUE(again.ok()) << again.error().message;
  }
  std::size_t Refused(const std::string& text) {
    Json run = stage().NewestRun(ns_, "shop");
    std::size_t count = 0;
    for (const Json& one : run["status"].value("refusals", Json::array())) {
      count += one["message"].get<std::string>().find(text) != std::string::npos ? 1 : 0;
    }
    return count;
  }
  // Dora decides anew, until that is refused for the reason: a policy that was just changed stays
  // in force for a moment.
  void Decide(const std::string& why) {
    Json run = stage().NewestRun(ns_, "shop");
    Answer taken = stage().Annotate(
        ns_, "workflowrun/" + NameOf(run),
        "certflow.dev/approve." + why + "=renewal by dora@example.com in web-team because " + why,
        kDora);
    EXPECT_TRUE(taken.ok()) << taken.err;
  }
};

TEST_F(ApprovalProofTest, R32_WithoutThePolicyInForceNoDecisionCounts) {
  stage().Create(ns_, kWorkflow);
  Json run = stage().AwaitGate(ns_, "shop", "renewal");
  ASSERT_TRUE(stage().Kubectl({"delete", kBinding}).ok());
  Decide("unbound");
  EXPECT_TRUE(Await(
      [&] {
        return Refused("ValidatingAdmissionPolicyBinding certflow-approvals is not installed") == 1;
      },
      20))
      << stage().NewestRun(ns_, "shop")["status"].dump(1);
  Restore();

  ASSERT_TRUE(stage()
                  .Kubectl({"patch", kPolicy, "--type=merge", "-p",
                            R"({"spec":{"failurePolicy":"Ignore"}})"})
                  .ok());
  Decide("edited");
  EXPECT_TRUE(
      Await([&] { return Refused("certflow-approvals is not as it was shipped") == 1; }, 20))
      << stage().NewestRun(ns_, "shop")["status"].dump(1);
  Restore();
  const auto restored = std::chrono::steady_clock::now();
  // Until it has settled, a decision is from before it was in force.
  Decide("early");
  EXPECT_TRUE(Await([&] { return Refused("before the admission policy was in force") == 1; }, 20))
      << stage().NewestRun(ns_, "shop")["status"].dump(1);
  EXPECT_EQ(StateOf(stage().NewestRun(ns_, "shop")), "Waiting");

  Await([&] { return SecondsSince(restored) > 7; }, 10);
  // The run is older than the policy: what stands there when the controller looks first is
  // answered, and what comes after that is proved.
  Decide("again");
  EXPECT_TRUE(Await([&] { return Refused("written anew while this run was under way") == 1; }, 20))
      << stage().NewestRun(ns_, "shop")["status"].dump(1);
  Decide("proved");
  run = stage().AwaitState(ns_, "shop", "Succeeded");
  ASSERT_EQ(run["status"]["approvals"].size(), 1u);
  EXPECT_EQ(run["status"]["approvals"][0]["reason"], "proved");
}

TEST_F(ApprovalProofTest, R34_TheMailSaysWhatWillChangeAndItsCommandWorks) {
  test::Peer mail("mail");
  stage().KeepSecret(mail["password"]);
  stage().MakeSecret(ns_, "login", {{"password", mail["password"]}});
  stage().Create(ns_, MailChannel(mail));
  std::string notify = R"(  notifications:
    - {channelRef: {name: mail}, events: [ApprovalRequested], to: [dora@example.com], bcc: [archive@example.com]}
)";
  stage().Create(ns_, kWorkflow + notify);
  stage().AwaitGate(ns_, "shop", "renewal");
  std::string text = AwaitMail(mail, "ApprovalRequested");
  Json run = stage().NewestRun(ns_, "shop");
  EXPECT_THAT(text, HasSubstr("to: a certificate of corp"));
  EXPECT_THAT(text, HasSubstr(run["spec"]["planDigest"].get<std::string>()));
  EXPECT_THAT(text, HasSubstr("names: shop.example.com"));
  EXPECT_THAT(text, HasSubstr("until 20"));

  std::string command = LineWith(text, "certflow.dev/approve=");
  ASSERT_TRUE(command.starts_with("kubectl ")) << text;
  for (auto [mark, value] :
       {std::pair<std::string, std::string>{"YOUR-USER-NAME", std::string(kDora)},
        {"YOUR-GROUP", "web-team"}}) {
    ASSERT_NE(command.find(mark), std::string::npos) << command;
    command.replace(command.find(mark), mark.size(), value);
  }
  // As a person would: pasted into a shell, with their own kubeconfig.
  auto assets = controlplane::FindAssets();
  ASSERT_TRUE(assets.ok());
  RunTool({"env", "KUBECONFIG=" + stage().plane().KubeconfigFor(kDora),
           "PATH=" + *assets + ":/usr/bin:/bin", "sh", "-c", command});
  run = stage().AwaitState(ns_, "shop", "Succeeded");
  EXPECT_EQ(run["status"]["approvals"][0]["user"], kDora);
}

}  // namespace
}  // namespace certflow::envtest
