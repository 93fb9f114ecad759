// Gates: who is asked, what counts, and what does not.
#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

class ApprovalFlowTest : public ReconcileTest {
 protected:
  static json Layer(const std::string& name, const json& users, int required = 1) {
    return {{"name", name}, {"approvers", {{"users", users}}}, {"required", required}};
  }
  static json Gate(const std::string& gate, const json& layers) {
    return {{"spec", {{"approval", {{gate, {{"layers", layers}, {"timeout", "5d"}}}}}}}};
  }
  void IssueWith(const json& patch) {
    StartWithCa();
    CreateSite(patch);
    ASSERT_TRUE(world.Until([&] { return RunWaitsFor("approval"); })) << RunStatus().dump(1);
  }
  void Decide(const std::string& value, const std::string& key = "certflow.dev/approve") {
    world.Annotate("workflowruns", Run()["metadata"]["name"], key, value);
  }
  std::string Refusal() const {
    const json refusals = RunStatus().value("refusals", json::array());
    return refusals.empty() ? "" : refusals.back().value("message", "");
  }
};

TEST_F(ApprovalFlowTest, WaitsWithoutTouchingAnythingUntilApproved) {
  world.Install(true);
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  world.Pass(kDay);
  EXPECT_EQ(Live(), "");
  EXPECT_EQ(Status()["activeRun"]["step"], "Deployment-Confirmation") << Status().dump(1);
  Decide("deployment by dora because CHG7");
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); })) << RunStatus().dump(1);
  const json approvals = RunStatus()["approvals"];
  ASSERT_EQ(approvals.size(), 1u);
  EXPECT_EQ(approvals[0]["user"], "dora");
  EXPECT_EQ(approvals[0]["reason"], "CHG7");
  EXPECT_EQ(approvals[0]["digest"], Run()["spec"]["planDigest"]);
}

TEST_F(ApprovalFlowTest, ApprovalOnTheWorkflowNamesTheRun) {
  world.Install(true);
  IssueWith(Gate("renewal", json::array({Layer("board", {"dora"})})));
  const std::string run = Run()["metadata"]["name"];
  world.Annotate("certificateworkflows", "site", "certflow.dev/approve", run + " renewal by dora");
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); })) << RunStatus().dump(1);
}

TEST_F(ApprovalFlowTest, RejectionEndsTheRunAndTheNextWaitsADay) {
  world.Install(true);
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  Decide("deployment by dora", "certflow.dev/reject");
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Failed"); }));
  EXPECT_EQ(RunStatus()["reason"], "ApprovalRejected");
  EXPECT_EQ(Live(), "");
  world.Pass(23 * kHour);
  EXPECT_EQ(Runs(), 1u);
  EXPECT_TRUE(world.Until([&] { return Runs() == 2; }, 2 * kHour));
}

TEST_F(ApprovalFlowTest, NoAnswerInTimeFailsTheRun) {
  world.Install(true);
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  world.Pass(4 * kDay);
  EXPECT_TRUE(RunWaitsFor("approval"));
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Failed"); }, 2 * kDay));
  EXPECT_EQ(RunStatus()["reason"], "ApprovalTimedOut");
}

TEST_F(ApprovalFlowTest, LayersAreAskedInTheirOrder) {
  world.Install(true);
  IssueWith(Gate("renewal", json::array({Layer("owner", {"olga"}),
                                         Layer("board", {"dora", "dirk", "dan"}, 2)})));
  EXPECT_TRUE(RunWaitsFor("layer owner"));
  Decide("renewal by olga");
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("layer board: 2 more"); }));
  Decide("renewal by dora", "certflow.dev/approve.2");
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("layer board: 1 more"); }));
  Decide("renewal by dirk", "certflow.dev/approve.3");
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
}

TEST_F(ApprovalFlowTest, WhoAskedForTheRunMayNotApproveIt) {
  world.Install(true);
  json patch = Gate("deployment", json::array({Layer("board", {"dora", "dirk"})}));
  patch["metadata"]["annotations"]["certflow.dev/renew"] = "ticket 1 by dora";
  IssueWith(patch);
  Decide("deployment by dora");
  ASSERT_TRUE(world.Until([&] { return !Refusal().empty(); }));
  EXPECT_NE(Refusal().find("may not decide"), std::string::npos) << Refusal();
  EXPECT_TRUE(world.Until([&] { return HasEvent("DecisionRefused", "dora"); }));
  world.Pass(kHour);
  EXPECT_TRUE(RunWaitsFor("approval"));
  Decide("deployment by dirk", "certflow.dev/approve.2");
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
}

TEST_F(ApprovalFlowTest, StrangersAndNonsenseAreRefusedWithTheRemedy) {
  world.Install(true);
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  Decide("deployment by mallory");
  ASSERT_TRUE(world.Until([&] { return Refusal().find("not among") != std::string::npos; }));
  Decide("yes please", "certflow.dev/approve.2");
  ASSERT_TRUE(world.Until([&] { return Refusal().find("GATE by USER") != std::string::npos; }));
  Decide("deployment by dora for sha256:" + std::string(64, '0'), "certflow.dev/approve.3");
  ASSERT_TRUE(world.Until([&] { return Refusal().find("this run's plan") != std::string::npos; }));
  EXPECT_TRUE(RunWaitsFor("approval"));
  EXPECT_EQ(Live(), "");
}

TEST_F(ApprovalFlowTest, NothingCountsWithoutThePolicy) {
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  Decide("deployment by dora");
  ASSERT_TRUE(world.Until([&] { return !Refusal().empty(); })) << RunStatus().dump(1);
  EXPECT_NE(Refusal().find("is not installed"), std::string::npos) << Refusal();
  EXPECT_NE(Refusal().find("manifests/install"), std::string::npos) << Refusal();
  world.Pass(kHour);
  EXPECT_EQ(Live(), "");
}

TEST_F(ApprovalFlowTest, NothingCountsUnderAnEditedPolicy) {
  world.Install(true);
  world.Patch("validatingadmissionpolicybindings", "certflow-approvals",
              {{"spec", {{"validationActions", {"Audit"}}}}});
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  Decide("deployment by dora");
  ASSERT_TRUE(world.Until([&] { return !Refusal().empty(); }));
  EXPECT_NE(Refusal().find("not as it was shipped"), std::string::npos) << Refusal();
}

TEST_F(ApprovalFlowTest, NothingCountsWhereTheApiServerDoesNotEnforceIt) {
  world.Install(true);
  world.process.Enforce(false);
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  Decide("deployment by dora");
  ASSERT_TRUE(world.Until([&] { return !Refusal().empty(); }));
  EXPECT_NE(Refusal().find("forged"), std::string::npos) << Refusal();
}

// The policy was gone for a while, and what came then cannot be told from what comes now: the
// server's record of the writer moves with other fields.
TEST_F(ApprovalFlowTest, AfterAGapInThePolicyNothingThatStandsThereCounts) {
  world.Install(true);
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  // The controller is down while the policy is gone and dora's name is forged.
  world.Kill();
  world.Install(false);
  Decide("deployment by dora");
  world.Install(true);
  world.clock.Advance(std::chrono::seconds(60));
  // The forger writes something else by the same manager: the record says that it was just now.
  world.process.Touch("workflowruns", "web", Run()["metadata"]["name"]);
  world.Start();
  ASSERT_TRUE(world.Until([&] { return !Refusal().empty(); })) << RunStatus().dump(1);
  EXPECT_NE(Refusal().find("written anew while this run was under way"), std::string::npos)
      << Refusal();
  world.Pass(kHour);
  EXPECT_EQ(Live(), "");
  // What is written from now on is proved.
  Decide("deployment by dora because CHG7", "certflow.dev/approve.2");
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); })) << RunStatus().dump(1);
}

// No answer is kept: the binding is looked at when a decision is to count.
TEST_F(ApprovalFlowTest, ABindingThatWentAwayAMomentAgoProvesNothing) {
  world.Install(true);
  IssueWith(Gate("renewal", json::array({Layer("owner", {"olga"}), Layer("board", {"dora"})})));
  Decide("renewal by olga");
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("layer board: 1 more"); }));
  world.Delete("validatingadmissionpolicybindings", "certflow-approvals");
  Decide("renewal by dora", "certflow.dev/approve.2");
  ASSERT_TRUE(world.Until([&] { return !Refusal().empty(); })) << RunStatus().dump(1);
  EXPECT_NE(Refusal().find("is not installed"), std::string::npos) << Refusal();
  EXPECT_EQ(RunStatus()["approvals"].size(), 1u);
}

// Who may write policies can also clear the record of who wrote them; the generation tells.
TEST_F(ApprovalFlowTest, APolicyThatWasEditedAndPutBackWithoutARecordIsAsNewAsTheLook) {
  world.Install(true);
  IssueWith(Gate("renewal", json::array({Layer("owner", {"olga"}), Layer("board", {"dora"})})));
  Decide("renewal by olga");
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("layer board: 1 more"); }));
  const json binding = world.Get("validatingadmissionpolicybindings", "certflow-approvals", "");
  const json actions = binding["spec"]["validationActions"];
  world.process.FreezeSpecTimes(true);
  for (const json& put : {json({"Audit"}), actions}) {
    world.Patch("validatingadmissionpolicybindings", "certflow-approvals",
                {{"spec", {{"validationActions", put}}}});
  }
  Decide("renewal by dora", "certflow.dev/approve.2");
  ASSERT_TRUE(world.Until([&] { return !Refusal().empty(); })) << RunStatus().dump(1);
  EXPECT_NE(Refusal().find("before the admission policy was in force"), std::string::npos)
      << Refusal();
  EXPECT_TRUE(RunWaitsFor("layer board: 1 more"));
}

TEST_F(ApprovalFlowTest, SpecChangedBeforeTheFirstLiveChangeMakesAnotherRun) {
  world.Install(true);
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  const std::string old = Run()["metadata"]["name"];
  world.Patch("certificateworkflows", "site",
              {{"spec", {{"certificate", {{"dnsNames", {"www.example.test", "c.test"}}}}}}});
  ASSERT_TRUE(world.Until([&] { return Runs() == 2 && RunWaitsFor("approval"); }, kDay));
  EXPECT_EQ(world.Get("workflowruns", old)["status"]["reason"], "Superseded");
  // The old approval cannot be used for the new plan.
  world.Annotate("workflowruns", old, "certflow.dev/approve", "deployment by dora");
  world.Pass(kHour);
  EXPECT_EQ(Live(), "");
  Decide("deployment by dora");
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
}

TEST_F(ApprovalFlowTest, SuspensionHoldsARunThatTouchedNothing) {
  world.Install(true);
  IssueWith(Gate("deployment", json::array({Layer("board", {"dora"})})));
  world.Patch("certificateworkflows", "site", {{"spec", {{"suspend", true}}}});
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("spec.suspend"); }));
  Decide("deployment by dora");
  world.Pass(kHour);
  EXPECT_EQ(Live(), "");
  world.Patch("certificateworkflows", "site", {{"spec", {{"suspend", false}}}});
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); })) << RunStatus().dump(1);
}

}  // namespace
}  // namespace certflow
