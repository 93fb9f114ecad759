// The life of a workflow with an internal CA and its Secret.
#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

class LifecycleTest : public ReconcileTest {};

TEST_F(LifecycleTest, FirstIssueFillsTheSecretWithFewWrites) {
  StartWithCa();
  world.api.ResetCounts();
  Issue();
  world.Pass(seconds(60));
  EXPECT_EQ(Runs(), 1u);
  EXPECT_EQ(Live().size(), 64u) << Live();
  EXPECT_EQ(Status()["certificate"]["fingerprint"], Live());
  EXPECT_TRUE(Condition(Workflow(), "Ready").starts_with("True"));
  EXPECT_TRUE(Condition(Run(), "Ready").starts_with("True"));
  EXPECT_EQ(Condition(Workflow(), "Reconciling"), "");
  ExpectNoKeyShown();
  // The version and the live one, the run, its status, the workflow's; one is the person's create.
  const std::map<std::string, std::size_t> expected = {{"create certificateworkflows", 1},
                                                       {"create secrets", 2},
                                                       {"create workflowruns", 1},
                                                       {"update workflowruns/status", 1},
                                                       {"update certificateworkflows/status", 1}};
  EXPECT_EQ(world.Writes(), expected);
}

TEST_F(LifecycleTest, RenewsAtTheThresholdAndStaysReady) {
  StartWithCa("30d");
  Issue();
  const std::string first = Live();
  world.Pass(14 * kDay);
  EXPECT_EQ(Runs(), 1u);
  bool unready = false;
  ASSERT_TRUE(world.Until(
      [&] {
        unready = unready || !Condition(Workflow(), "Ready").starts_with("True");
        return Runs() == 2 && world.RunIs("site", "Succeeded") &&
               Status()["certificate"]["fingerprint"] != first;
      },
      2 * kDay));
  EXPECT_FALSE(unready);
  EXPECT_NE(Live(), first);
  EXPECT_EQ(Run()["spec"]["trigger"]["reason"], "Threshold");
  EXPECT_EQ(Status()["certificate"]["fingerprint"], Live());
}

TEST_F(LifecycleTest, RenewsWhatExpiredWhileNobodyLooked) {
  StartWithCa("30d");
  Issue();
  world.Kill();
  world.clock.Advance(std::chrono::hours(24 * 40));
  world.Start();
  ASSERT_TRUE(world.Until([&] { return Runs() == 2 && world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(Run()["spec"]["trigger"]["reason"], "Expired");
}

TEST_F(LifecycleTest, IdleMakesNoRequest) {
  StartWithCa("365d");
  Issue();
  world.Pass(kHour);
  world.api.ResetCounts();
  world.Pass(12 * kHour);
  EXPECT_EQ(world.TotalWrites(), 0u);
  for (const auto& [what, count] : world.api.Counts()) {
    EXPECT_TRUE(what.starts_with("watch ")) << what << " " << count;
  }
}

TEST_F(LifecycleTest, RequestMakesOneRunOnly) {
  StartWithCa();
  Issue();
  world.Annotate("certificateworkflows", "site", "certflow.dev/renew", "ticket 7 by dora");
  ASSERT_TRUE(world.Until([&] { return Runs() == 2 && world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(Run()["spec"]["trigger"]["reason"], "Requested");
  world.Pass(2 * kDay);
  world.Start();
  world.Pass(kDay);
  EXPECT_EQ(Runs(), 2u);
}

TEST_F(LifecycleTest, SuspendedDoesNothingUntilItIsNot) {
  StartWithCa();
  CreateSite({{"spec", {{"suspend", true}}}});
  world.Pass(kDay);
  EXPECT_EQ(Runs(), 0u);
  EXPECT_EQ(Status()["phase"], "Suspended");
  world.Patch("certificateworkflows", "site", {{"spec", {{"suspend", false}}}});
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
}

TEST_F(LifecycleTest, ChangedNamesMakeAnotherCertificate) {
  StartWithCa();
  Issue();
  const std::string first = Live();
  world.Patch(
      "certificateworkflows", "site",
      {{"spec", {{"certificate", {{"dnsNames", {"www.example.test", "b.example.test"}}}}}}});
  ASSERT_TRUE(world.Until([&] { return Runs() == 2 && world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(Run()["spec"]["trigger"]["reason"], "SpecChanged");
  EXPECT_NE(Live(), first);
  world.Pass(kDay);
  EXPECT_EQ(Runs(), 2u);
}

TEST_F(LifecycleTest, HistoryIsKeptShort) {
  StartWithCa();
  Issue({{"spec", {{"historyLimit", {{"successful", 2}, {"failed", 1}}}}}});
  for (int i = 0; i < 5; ++i) {
    const std::string before = Run()["metadata"]["name"];
    world.Annotate("certificateworkflows", "site", "certflow.dev/renew",
                   "ticket " + std::to_string(i) + " by dora");
    ASSERT_TRUE(world.Until(
        [&] { return Run()["metadata"]["name"] != before && world.RunIs("site", "Succeeded"); }));
    world.Pass(kDay);
  }
  world.Pass(kHour);
  EXPECT_LE(Runs(), 3u);  // the newest may not be counted in yet
  EXPECT_EQ(Run()["spec"]["number"], 6);
}

TEST_F(LifecycleTest, BreakerStopsReissuingWithoutEnd) {
  StartWithCa();
  Issue();
  for (int i = 0; i < 4; ++i) {
    world.Patch("certificateworkflows", "site",
                {{"spec",
                  {{"certificate",
                    {{"dnsNames", {"www.example.test", "n" + std::to_string(i) + ".test"}}}}}}});
    world.Pass(kHour / 2);
  }
  EXPECT_EQ(Runs(), 3u);
  EXPECT_TRUE(Condition(Workflow(), "Stalled").starts_with("True: ReissueBreaker"))
      << Condition(Workflow(), "Stalled");
  EXPECT_TRUE(world.Until([&] { return HasEvent("ReissueBreaker", "certflow.dev/renew"); }));
  world.Annotate("certificateworkflows", "site", "certflow.dev/renew", "fixed by dora");
  EXPECT_TRUE(world.Until([&] { return Runs() == 4 && world.RunIs("site", "Succeeded"); }));
}

TEST_F(LifecycleTest, FailedRenewalBacksOffAndReadyStays) {
  StartWithCa("30d");
  Issue();
  // The run is made, and the CA's key is gone when it comes to sign.
  world.Patch("secrets", "company-pair",
              {{"metadata", {{"labels", {{"certflow.dev/allow", nullptr}}}}}});
  ASSERT_TRUE(world.Until([&] { return Runs() >= 2 && world.RunIs("site", "Failed"); }, 20 * kDay));
  const std::size_t after_first = Runs();
  world.Pass(kDay);
  EXPECT_TRUE(Condition(Workflow(), "Ready").starts_with("True")) << Condition(Workflow(), "Ready");
  EXPECT_NE(Condition(Workflow(), "Stalled"), "");
  EXPECT_LE(Runs(), after_first + 10);
  world.Patch("secrets", "company-pair",
              {{"metadata", {{"labels", {{"certflow.dev/allow", "true"}}}}}});
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }, kDay));
}

TEST_F(LifecycleTest, DeletedWorkflowLeavesTheCertificateAndSaysSo) {
  StartWithCa();
  Issue();
  world.Delete("certificateworkflows", "site");
  world.Pass(seconds(60));
  EXPECT_EQ(Runs(), 0u);
  EXPECT_EQ(Live().size(), 64u);
  EXPECT_TRUE(world.Until([&] { return HasEvent("AutomationStopped"); }));
}

}  // namespace
}  // namespace certflow
