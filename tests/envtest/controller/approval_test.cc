// Approvals on the real server, by people with identities of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"

namespace certflow::envtest {
namespace {

using testing::HasSubstr;

constexpr const char* kWorkflow = R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: "{name}"}
spec:
  certificate: {commonName: "{name}.example.com", dnsNames: ["{name}.example.com"], secretName: "{name}-tls"}
  authorities: [{name: corp}]
  renewal: {policy: {policy}}
  approval: {approval}
)";
constexpr const char* kOwner =
    "{renewal: {layers: [{name: owner, approvers: {groups: [web-team]}}]}}";
constexpr const char* kOwnerAndBoard = R"({
    renewal: {layers: [{name: owner, approvers: {groups: [web-team]}}]},
    deployment: {layers: [{name: owner, approvers: {users: [dora@example.com]}},
                          {name: board, approvers: {groups: [cab]}, required: 2}]}})";

class ApprovalTest : public NamespaceTest {
 protected:
  void MakeWorkflow(const std::string& approval, const std::string& policy = "Automatic") {
    stage().Create(ns_,
                   Fill(kWorkflow, {{"name", "shop"}, {"approval", approval}, {"policy", policy}}));
  }
  Json AwaitGate(const std::string& gate, int number = 1) {
    return stage().AwaitGate(ns_, "shop", gate, 40, number);
  }
  Answer OnRun(const Json& run, const std::string& annotation, std::string_view user) {
    return stage().Annotate(ns_, "workflowrun/" + NameOf(run), annotation, user);
  }
  Answer OnWorkflow(const std::string& annotation, std::string_view user) {
    return stage().Annotate(ns_, "certificateworkflow/shop", annotation, user);
  }
  // Waits until the newest run has refused a decision for that reason.
  void ExpectRefusal(const std::string& text, const std::string& user) {
    Json run = stage().AwaitRun(ns_, "shop", "refusing: " + text, [&](Json& one) {
      for (const Json& refusal : one["status"].value("refusals", Json::array())) {
        if (refusal["message"].get<std::string>().find(text) != std::string::npos) {
          return refusal.value("user", "") == user;
        }
      }
      return false;
    });
    EXPECT_TRUE(Await([&] { return stage().Events(ns_).find(text) != std::string::npos; }, 10))
        << stage().Events(ns_);
  }
  std::size_t Approvals(const Json& run) {
    return run["status"].value("approvals", Json::array()).size();
  }
  bool Issued() { return !stage().Get("secrets", ns_, "shop-tls").is_null(); }
};

#define EXPECT_TAKEN(answer)              \
  do {                                    \
    const Answer taken = (answer);        \
    EXPECT_TRUE(taken.ok()) << taken.err; \
  } while (false)

TEST_F(ApprovalTest, R30_R31_FullAndBareFormsCountByLayerGroupAndNumber) {
  MakeWorkflow(kOwnerAndBoard);
  Json run = AwaitGate("renewal");
  EXPECT_FALSE(Issued());
  const std::string digest = run["spec"]["planDigest"];
  EXPECT_TAKEN(OnRun(run,
                     "certflow.dev/approve=renewal by dora@example.com in web-team for " + digest +
                         " because asked by phone",
                     kDora));
  run = AwaitGate("deployment");
  EXPECT_TAKEN(OnRun(run, "certflow.dev/approve.emil=deployment", kEmil));
  EXPECT_TAKEN(OnRun(run, "certflow.dev/approve.dora=deployment", kDora));
  run = stage().AwaitRun(ns_, "shop", "waiting for the board", [](Json& one) {
    return one["status"].value("waitingFor", "") == "approval deployment, layer board: 1 more";
  });
  EXPECT_FALSE(Issued()) << "deployed before everybody agreed";
  EXPECT_TAKEN(OnRun(run, "certflow.dev/approve.frida=deployment", kFrida));
  run = stage().AwaitState(ns_, "shop", "Succeeded");
  EXPECT_TRUE(Issued());
  ASSERT_EQ(Approvals(run), 4u) << run["status"]["approvals"].dump(1);
  const Json& first = run["status"]["approvals"][0];
  EXPECT_EQ(first["user"], kDora);
  EXPECT_EQ(first["layer"], "owner");
  EXPECT_EQ(first["reason"], "asked by phone");
  EXPECT_EQ(first["digest"], digest);
  const Json& emil = run["status"]["approvals"][1];
  EXPECT_EQ(emil["user"], kEmil);
  EXPECT_EQ(emil["groups"], Json({"cab"}));
  EXPECT_EQ(emil["layer"], "board");
}

TEST_F(ApprovalTest, R30_ADecisionOnTheWorkflowNamesItsRun) {
  MakeWorkflow(kOwner);
  Json run = AwaitGate("renewal");
  EXPECT_TAKEN(OnWorkflow("certflow.dev/approve=" + NameOf(run) + " renewal", kDora));
  run = stage().AwaitState(ns_, "shop", "Succeeded");
  ASSERT_EQ(Approvals(run), 1u);
  EXPECT_EQ(run["status"]["approvals"][0]["user"], kDora);
}

TEST_F(ApprovalTest, R32_AForgedDecisionDoesNotEvenReachTheObject) {
  MakeWorkflow(kOwner);
  Json run = AwaitGate("renewal");
  Answer forged =
      OnRun(run, "certflow.dev/approve=renewal by dora@example.com in web-team", kMallory);
  EXPECT_FALSE(forged.ok());
  EXPECT_THAT(forged.err, HasSubstr("nobody decides for somebody else"));
  Answer group =
      OnRun(run, "certflow.dev/approve=renewal by mallory@example.com in web-team", kMallory);
  EXPECT_THAT(group.err, HasSubstr("a group that you are not in"));
  Answer outsider = OnRun(run, "certflow.dev/approve=renewal", kErin);
  EXPECT_FALSE(outsider.ok());
  // With a right of its own but not among the approvers: recorded as refused.
  EXPECT_TAKEN(OnRun(run, "certflow.dev/approve=renewal", kMallory));
  ExpectRefusal("is not among the approvers of gate renewal", std::string(kMallory));
  run = AwaitGate("renewal");
  EXPECT_EQ(Approvals(run), 0u);
  EXPECT_FALSE(Issued());
}

TEST_F(ApprovalTest, R32_ReplayedRepeatedLateAndMisdirectedDecisionsAreRefused) {
  MakeWorkflow(
      R"({renewal: {layers: [{name: owner, approvers: {groups: [web-team, cab]}, required: 2}]}})",
      "OnRequest");
  EXPECT_TAKEN(OnWorkflow("certflow.dev/renew=first", kErin));
  Json run = AwaitGate("renewal");
  EXPECT_TAKEN(OnRun(run,
                     "certflow.dev/approve.x=renewal by dora@example.com in web-team for sha256:" +
                         std::string(64, 'a'),
                     kDora));
  ExpectRefusal("it is for plan sha256:aaaa", std::string(kDora));
  EXPECT_TAKEN(OnRun(run, "certflow.dev/approve.d=renewal", kDora));
  stage().AwaitRun(ns_, "shop", "one short", [](Json& one) {
    return one["status"].value("waitingFor", "").ends_with("1 more");
  });
  EXPECT_TAKEN(OnRun(run, "certflow.dev/approve.d2=renewal because twice", kDora));
  ExpectRefusal("has decided on gate renewal already", std::string(kDora));
  EXPECT_EQ(Approvals(AwaitGate("renewal")), 1u);
  EXPECT_TAKEN(OnRun(run, "certflow.dev/approve.e=renewal", kEmil));
  run = stage().AwaitState(ns_, "shop", "Succeeded");
  EXPECT_TAKEN(OnRun(run, "certflow.dev/reject.late=renewal because too late", kFrida));
  ExpectRefusal("the gate renewal does not wait for a decision now", std::string(kFrida));

  EXPECT_TAKEN(OnWorkflow("certflow.dev/renew=second", kErin));
  AwaitGate("renewal", 2);
  EXPECT_TAKEN(OnWorkflow("certflow.dev/approve=" + NameOf(run) + " renewal", kDora));
  std::string old = NameOf(run);
  old.replace(0, 2, "ST");
  ExpectRefusal("it names " + old + ", the active run is", std::string(kDora));
  EXPECT_EQ(Approvals(AwaitGate("renewal", 2)), 0u);
}

TEST_F(ApprovalTest, R32_WhoAskedForTheRunMayNotApproveIt) {
  MakeWorkflow(kOwner, "OnRequest");
  EXPECT_TAKEN(OnWorkflow("certflow.dev/renew=CHG0031337", kDora));
  Json run = AwaitGate("renewal");
  EXPECT_EQ(run["spec"]["trigger"]["requestedBy"], kDora);
  EXPECT_TAKEN(OnRun(run, "certflow.dev/approve=renewal", kDora));
  ExpectRefusal("caused this run and may not decide on it", std::string(kDora));
  EXPECT_EQ(Approvals(AwaitGate("renewal")), 0u);
}

TEST_F(ApprovalTest, R32_WhoMadeTheWorkflowMayNotApproveItsFirstRun) {
  stage().Create(ns_,
                 Fill(kWorkflow, {{"name", "shop"}, {"approval", kOwner}, {"policy", "Automatic"}}),
                 kDora);
  Json run = AwaitGate("renewal");
  EXPECT_EQ(run["spec"]["trigger"]["requestedBy"], kDora);
  EXPECT_TAKEN(OnRun(run, "certflow.dev/approve=renewal", kDora));
  ExpectRefusal("caused this run and may not decide on it", std::string(kDora));
}

TEST_F(ApprovalTest, R30_ARejectionIsFinal) {
  MakeWorkflow(kOwnerAndBoard);
  Json run = AwaitGate("renewal");
  EXPECT_TAKEN(OnRun(run, "certflow.dev/reject=renewal because freeze", kDora));
  run = stage().AwaitState(ns_, "shop", "Failed");
  EXPECT_EQ(run["status"]["reason"], "ApprovalRejected");
  EXPECT_THAT(run["status"]["message"].get<std::string>(), HasSubstr("dora@example.com"));
  EXPECT_FALSE(Issued());
  EXPECT_TRUE(Await(
      [&] {
        return Condition(stage().Get("workflows", ns_, "shop"), "Stalled")
            .starts_with("True RetryLater");
      },
      15));
}

TEST_F(ApprovalTest, R34_ARequestForApprovalEndsWithItsTime) {
  MakeWorkflow(
      "{renewal: {layers: [{name: owner, approvers: {groups: [web-team]}}], timeout: 3s}}");
  Json run = AwaitGate("renewal");
  EXPECT_FALSE(run["status"].value("until", "").empty());
  run = stage().AwaitState(ns_, "shop", "Failed", 20);
  EXPECT_EQ(run["status"]["reason"], "ApprovalTimedOut");
  EXPECT_FALSE(Issued());
}

}  // namespace
}  // namespace certflow::envtest
