// Hosts: deployment, proof from outside, and the way back.
#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

class DeploymentTest : public ReconcileTest {
 protected:
  DeploymentTest()
      : one_(world.AddHost("one", "www.example.test")),
        two_(world.AddHost("two", "www.example.test")) {}

  static json Use(const fakes::FakeHost& host) {
    return {{"targetRef", {{"name", host.name()}}}, {"nginx", json::parse(host.binding())}};
  }
  json OnHosts(const std::string& rollback = "Automatic", bool both = true) const {
    json targets = json::array({Use(one_)});
    if (both) targets.push_back(Use(two_));
    json endpoints = json::array({one_.endpoint()});
    if (both) endpoints.push_back(two_.endpoint());
    return {{"spec",
             {{"deployment",
               {{"retryLimit", 1},
                {"waves", json::array({{{"name", "first"}, {"targets", targets}}})}}},
              {"validation",
               {{"endpoints", endpoints},
                {"serverName", "www.example.test"},
                {"trust", "Authority"},
                {"timeout", "1m"}}},
              {"rollback", {{"policy", rollback}}}}}};
  }
  void ExpectOriginals() const {
    EXPECT_EQ(one_.Live().fingerprint, one_.original());
    EXPECT_EQ(one_.Loaded().fingerprint, one_.original());
    EXPECT_EQ(two_.Live().fingerprint, two_.original());
    EXPECT_EQ(Live(), "");
  }
  void Decide(const std::string& value) {
    world.Annotate("workflowruns", Run()["metadata"]["name"], "certflow.dev/approve", value);
  }

  fakes::FakeHost& one_;
  fakes::FakeHost& two_;
};

TEST_F(DeploymentTest, BothHostsServeTheNewCertificateAndTheProofIsOnRecord) {
  StartWithCa();
  Issue(OnHosts());
  EXPECT_EQ(one_.Loaded().fingerprint, Live());
  EXPECT_EQ(two_.Loaded().fingerprint, Live());
  const json evidence = RunStatus()["evidence"];
  ASSERT_EQ(evidence.size(), 2u) << evidence.dump(1);
  for (const json& one : evidence) EXPECT_EQ(one["fingerprint"], Live());
  ExpectNoKeyShown();
}

TEST_F(DeploymentTest, SecondTargetThatFailsTakesTheFirstBack) {
  two_.BreakConfiguration(true);
  StartWithCa();
  Issue(OnHosts(), "RolledBack");
  EXPECT_EQ(Entry("Deployment", "0/1-one"), "Reverted") << RunStatus()["ledger"].dump(1);
  ExpectOriginals();
  EXPECT_NE(RunStatus()["message"].get<std::string>().find("two"), std::string::npos);
  EXPECT_TRUE(Condition(Run(), "Stalled").starts_with("True"));
  EXPECT_TRUE(world.Until([&] { return HasEvent("RolledBack"); }));
}

TEST_F(DeploymentTest, HostThatRefusesTheReloadIsPutBack) {
  one_.RefuseReload(true);
  StartWithCa();
  CreateSite(OnHosts("Automatic", false));
  ASSERT_TRUE(world.Until(
      [&] { return world.RunIs("site", "RolledBack") || world.RunIs("site", "Failed"); }));
  EXPECT_EQ(one_.Loaded().fingerprint, one_.original());
  EXPECT_TRUE(one_.Live().fits);
  EXPECT_EQ(one_.Live().fingerprint, one_.original());
  EXPECT_EQ(Live(), "");
}

TEST_F(DeploymentTest, FailedProofTakesEverythingBack) {
  StartWithCa();
  json patch = OnHosts();
  // Nobody serves there what the run has put in place.
  fakes::FakeHost& other = world.AddHost("other", "www.example.test");
  patch["spec"]["validation"]["endpoints"] = json::array({other.endpoint()});
  Issue(patch, "RolledBack");
  ExpectOriginals();
}

TEST_F(DeploymentTest, ManualRollbackAsksFirst) {
  world.Install(true);
  two_.BreakConfiguration(true);
  StartWithCa();
  CreateSite(OnHosts("Manual"));
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("approval rollback"); })) << RunStatus().dump(1);
  world.Pass(kHour);
  EXPECT_NE(one_.Live().fingerprint, one_.original());
  Decide("rollback by dora");
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "RolledBack"); }))
      << RunStatus().dump(1);
  ExpectOriginals();
}

TEST_F(DeploymentTest, HoldLeavesEverythingForAPerson) {
  two_.BreakConfiguration(true);
  StartWithCa();
  Issue(OnHosts("Hold"), "Held");
  world.Pass(kHour / 2);
  EXPECT_NE(one_.Live().fingerprint, one_.original());
  EXPECT_EQ(two_.Live().fingerprint, two_.original());
}

TEST_F(DeploymentTest, HostThatIsDownForAWhileIsTriedAgain) {
  StartWithCa();
  ASSERT_TRUE(world.Until([&] { return TargetIsReady("one"); }));
  json patch = OnHosts("Automatic", false);
  patch["spec"]["deployment"]["retryLimit"] = 10;
  world.shells.SetDown("one", true);
  CreateSite(patch);
  world.Pass(seconds(40));
  EXPECT_FALSE(world.RunIs("site", "Failed")) << RunStatus().dump(1);
  EXPECT_EQ(one_.Live().fingerprint, one_.original());
  world.shells.SetDown("one", false);
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
}

// The call may hang as long as its timeout, and people have to see where.
TEST_F(DeploymentTest, RunSaysWhereItIsBeforeAHostIsAsked) {
  StartWithCa();
  // So that nobody but the run asks them.
  for (const char* host : {"one", "two"}) {
    ASSERT_TRUE(world.Until([&] { return TargetIsReady(host); }));
  }
  Mutex mutex;
  json shown;
  world.shells.BeforeCommand([&](const std::string&) {
    MutexLock lock(mutex);
    if (shown.is_null()) shown = RunStatus();
  });
  Issue(OnHosts("Automatic", false));
  world.Kill();  // before what it calls
  MutexLock lock(mutex);
  EXPECT_EQ(shown.value("state", ""), "Running") << shown.dump(1);
  EXPECT_EQ(shown.value("step", ""), "Checks") << shown.dump(1);
}

TEST_F(DeploymentTest, RunDeletedInTheMiddlePutsBackWhatItChanged) {
  StartWithCa();
  world.shells.SetDown("two", true);
  json patch = OnHosts();
  patch["spec"]["deployment"]["retryLimit"] = 10;
  CreateSite(patch);
  ASSERT_TRUE(world.Until([&] {
    return one_.Live().fingerprint != one_.original() && Entry("Deployment", "0/1-one") == "Done";
  })) << RunStatus()["ledger"].dump(1);
  world.Patch("certificateworkflows", "site", {{"spec", {{"suspend", true}}}});
  const std::string run = Run()["metadata"]["name"];
  world.Delete("workflowruns", run);
  EXPECT_TRUE(world.Until([&] { return world.Get("workflowruns", run).is_null(); }))
      << world.Get("workflowruns", run).dump(1);
  ExpectOriginals();
}

TEST_F(DeploymentTest, WorkflowDeletedInTheMiddlePutsBackWhatItChanged) {
  StartWithCa();
  world.shells.SetDown("two", true);
  json patch = OnHosts();
  patch["spec"]["deployment"]["retryLimit"] = 10;
  CreateSite(patch);
  ASSERT_TRUE(world.Until([&] { return Entry("Deployment", "0/1-one") == "Done"; }));
  world.Delete("certificateworkflows", "site");
  EXPECT_TRUE(world.Until([&] { return Runs() == 0; })) << Run().dump(1);
  ExpectOriginals();
  EXPECT_TRUE(world.Until([&] { return HasEvent("AutomationStopped", "under way"); }));
}

TEST_F(DeploymentTest, SpecChangedAfterTheFirstLiveChangeLetsTheRunFinish) {
  StartWithCa();
  world.shells.SetDown("two", true);
  json patch = OnHosts();
  patch["spec"]["deployment"]["retryLimit"] = 10;
  CreateSite(patch);
  ASSERT_TRUE(world.Until([&] { return Entry("Deployment", "0/1-one") == "Done"; }));
  const std::string first = Run()["metadata"]["name"];
  world.Patch("certificateworkflows", "site",
              {{"spec", {{"certificate", {{"dnsNames", {"www.example.test", "d.test"}}}}}}});
  world.Pass(seconds(30));
  EXPECT_EQ(Runs(), 1u);
  world.shells.SetDown("two", false);
  ASSERT_TRUE(world.Until([&] { return Runs() == 2 && world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(world.Get("workflowruns", first)["status"]["state"], "Succeeded");
  EXPECT_EQ(two_.Loaded().fingerprint, Live());
}

TEST_F(DeploymentTest, RenewalKeepsTheVersionBeforeAndRemovesOlderOnes) {
  StartWithCa();
  Issue(OnHosts());
  for (int i = 0; i < 3; ++i) {
    const std::string before = Run()["metadata"]["name"];
    world.Annotate("certificateworkflows", "site", "certflow.dev/renew",
                   "n" + std::to_string(i) + " by dora");
    ASSERT_TRUE(world.Until(
        [&] { return Run()["metadata"]["name"] != before && world.RunIs("site", "Succeeded"); }));
  }
  world.Pass(seconds(60));
  EXPECT_EQ(one_.versions(), 2u);
  EXPECT_EQ(one_.Loaded().fingerprint, Live());
}

}  // namespace
}  // namespace certflow
