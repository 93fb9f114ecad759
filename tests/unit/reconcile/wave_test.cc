// Waves, the time of day, and ended runs that are taken back, with the real program in its world.
#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

class WaveTest : public ReconcileTest {
 protected:
  WaveTest() {
    for (const char* name : {"a", "b", "c", "d"}) {
      hosts_.push_back(&world.AddHost(name, "www.example.test"));
    }
  }

  fakes::FakeHost& host(std::size_t i) { return *hosts_[i]; }
  json Use(std::size_t i) {
    return {{"targetRef", {{"name", host(i).name()}}}, {"nginx", json::parse(host(i).binding())}};
  }
  json Endpoints(std::initializer_list<std::size_t> which) {
    json out = json::array();
    for (std::size_t i : which) out.push_back(host(i).endpoint());
    return out;
  }
  // Hosts a and b, then c and d, each wave with its own endpoints.
  json TwoWaves(int parallelism = 1) {
    json first = {{"name", "first"},
                  {"parallelism", parallelism},
                  {"endpoints", Endpoints({0, 1})},
                  {"targets", json::array({Use(0), Use(1)})}};
    json second = {{"name", "second"},
                   {"parallelism", parallelism},
                   {"endpoints", Endpoints({2, 3})},
                   {"targets", json::array({Use(2), Use(3)})}};
    return {{"spec",
             {{"deployment", {{"retryLimit", 1}, {"waves", json::array({first, second})}}},
              {"validation",
               {{"serverName", "www.example.test"}, {"trust", "Authority"}, {"timeout", "1m"}}}}}};
  }
  void ExpectEverywhere(const std::string& fingerprint) {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      EXPECT_EQ(host(i).Loaded().fingerprint, fingerprint) << host(i).name();
      EXPECT_TRUE(host(i).Live().fits);
    }
  }

  std::vector<fakes::FakeHost*> hosts_;
};

//
TEST_F(WaveTest, TargetsOfAWaveGoAtTheSameTimeAndWavesOneAfterTheOther) {
  StartWithCa();
  Issue(TwoWaves(2));
  ExpectEverywhere(Live());
  // every place is on record.
  const json deployments = RunStatus()["deployments"];
  ASSERT_EQ(deployments.size(), 5u) << deployments.dump(1);
  for (const json& one : deployments) {
    EXPECT_EQ(one["state"], "Deployed");
    EXPECT_EQ(one["fingerprint"], Live());
  }
  EXPECT_EQ(RunStatus()["evidence"].size(), 6u) << "two after the first wave, four in the end";
}

// stop at the first failed wave; what was not touched stays untouched.
TEST_F(WaveTest, AFailedWaveIsTakenBackAndTheNextOneNeverBegins) {
  host(1).BreakConfiguration(true);
  StartWithCa();
  Issue(TwoWaves(3), "RolledBack");
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(host(i).Loaded().fingerprint, host(i).original()) << host(i).name();
  }
  EXPECT_EQ(host(2).versions(), 0u);
  EXPECT_EQ(host(3).versions(), 0u);
  EXPECT_EQ(Live(), "");
  const json deployments = RunStatus()["deployments"];
  EXPECT_GE(deployments.size(), 2u);
  for (const json& one : deployments) EXPECT_EQ(one["state"], "Reverted");
}

TEST_F(WaveTest, AWaveThatIsNotProvedStopsTheNextOne) {
  StartWithCa();
  json patch = TwoWaves();
  // Nobody puts the new certificate there.
  fakes::FakeHost& other = world.AddHost("other", "www.example.test");
  patch["spec"]["deployment"]["waves"][0]["endpoints"].push_back(other.endpoint());
  Issue(patch, "RolledBack");
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(host(i).Loaded().fingerprint, host(i).original()) << host(i).name();
  }
  EXPECT_EQ(host(2).versions(), 0u);
}

// by label.
TEST_F(WaveTest, ASelectorMeansWhatHasTheLabelsWhenTheRunIsMade) {
  for (std::size_t i : {0, 2}) {
    world.Patch("deploymenttargets", host(i).name(),
                {{"metadata", {{"labels", {{"tier", "web"}}}}}});
  }
  StartWithCa();
  json patch = TwoWaves();
  // The fake hosts have files of their own, so the label stands for one host here.
  json use = {{"targetSelector", {{"matchLabels", {{"tier", "web"}, {"only", "a"}}}}},
              {"nginx", json::parse(host(0).binding())}};
  patch["spec"]["deployment"]["waves"] = json::array({{{"name", "all"}, {"targets", {use}}}});
  patch["spec"]["validation"]["endpoints"] = Endpoints({0});
  CreateSite(patch);
  ASSERT_TRUE(world.Until([&] { return Condition(Workflow(), "Stalled").starts_with("True"); }));
  EXPECT_NE(Condition(Workflow(), "Stalled").find("NoTargetMatches"), std::string::npos)
      << Condition(Workflow(), "Stalled");
  world.Patch("deploymenttargets", "a", {{"metadata", {{"labels", {{"only", "a"}}}}}});
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(host(0).Loaded().fingerprint, Live());
  EXPECT_EQ(Run()["spec"]["plan"]["targets"][1]["name"], "a");
}

// HH:MM in a time zone.
TEST_F(WaveTest, ADeploymentWaitsForItsTimeOfDayAndSaysSo) {
  StartWithCa();
  json patch = TwoWaves();
  const auto now = std::chrono::floor<std::chrono::minutes>(world.clock.Now());
  const auto later = FormatTime(now + std::chrono::hours(3));
  patch["spec"]["deployment"]["at"] = later.substr(11, 5);
  patch["spec"]["deployment"]["timeZone"] = "UTC";
  CreateSite(patch);
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("the time of the deployment"); }));
  EXPECT_EQ(Live(), "");
  EXPECT_EQ(RunStatus()["until"], FormatTime(now + std::chrono::hours(3)));
  world.Pass(std::chrono::hours(2));
  EXPECT_EQ(Live(), "");
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }, std::chrono::hours(2)));
  ExpectEverywhere(Live());
}

// ----

class TakenBackTest : public WaveTest {
 protected:
  // Two certificates, one after the other; the second is live.
  void IssueTwice(json patch) {
    StartWithCa();
    Issue(patch);
    first_ = Live();
    world.Annotate("certificateworkflows", "site", "certflow.dev/renew", "again by dora");
    ASSERT_TRUE(world.Until([&] { return Runs() == 2 && world.RunIs("site", "Succeeded"); }));
    second_ = Live();
    ASSERT_NE(first_, second_);
    ended_ = Run()["metadata"]["name"];
  }
  void AskBack(const std::string& text, const std::string& run = "") {
    world.Annotate("workflowruns", run.empty() ? ended_ : run, "certflow.dev/rollback", text);
  }
  std::string first_, second_, ended_;
};

TEST_F(TakenBackTest, AnEndedRunIsTakenBackByAnnotationAndProved) {
  IssueTwice(TwoWaves());
  AskBack("old clients fail by dora");
  ASSERT_TRUE(world.Until([&] { return Runs() == 3 && world.RunIs("site", "Succeeded"); }))
      << RunStatus().dump(1);
  EXPECT_EQ(Live(), first_);
  ExpectEverywhere(first_);
  EXPECT_EQ(RunStatus()["reason"], "RolledBack");
  EXPECT_EQ(Run()["spec"]["trigger"]["reason"], "RollbackRequested");
  EXPECT_EQ(RunStatus()["evidence"].size(), 4u);
  EXPECT_EQ(world.Get("workflowruns", ended_)["status"]["rollback"]["run"],
            Run()["metadata"]["name"]);
  ASSERT_TRUE(world.Until([&] { return Status()["certificate"]["fingerprint"] == first_; }));
  EXPECT_NE(Condition(Workflow(), "Ready").find("went back to it"), std::string::npos);
  world.Pass(kDay);
  EXPECT_EQ(Runs(), 3u) << "answered once, and nothing starts by itself";
  ExpectNoKeyShown();
}

TEST_F(TakenBackTest, WhatCannotBeTakenBackIsRefusedOnTheRun) {
  IssueTwice(TwoWaves());
  std::string older;
  for (const json& run : world.Runs("site")) {
    if (run["metadata"]["name"] != ended_) older = run["metadata"]["name"];
  }
  AskBack("please by dora", older);
  ASSERT_TRUE(world.Until([&] {
    return HasEvent("RollbackRefused") &&
           world.Get("workflowruns", older)["status"].contains("refusals");
  }));
  const json refusals = world.Get("workflowruns", older)["status"]["refusals"];
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_NE(refusals[0]["message"].get<std::string>().find(ended_), std::string::npos);
  EXPECT_EQ(Live(), second_);
  world.Pass(kDay);
  EXPECT_EQ(Runs(), 2u);
}

TEST_F(TakenBackTest, ItNeedsTheApprovalOfADeployment) {
  world.Install(true);
  json patch = TwoWaves();
  IssueTwice(patch);
  world.Patch(
      "certificateworkflows", "site",
      {{"spec",
        {{"approval",
          {{"requester", "Allowed"},
           {"deployment",
            {{"layers",
              json::array({{{"name", "ops"}, {"approvers", {{"users", {"erin"}}}}}})}}}}}}}});
  world.Annotate("certificateworkflows", "site", "certflow.dev/renew", "third by dora");
  ASSERT_TRUE(world.Until([&] { return Runs() == 3 && RunWaitsFor("approval deployment"); }));
  world.Annotate("workflowruns", Run()["metadata"]["name"], "certflow.dev/approve",
                 "deployment by erin");
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  AskBack("no by dora", Run()["metadata"]["name"]);
  ASSERT_TRUE(world.Until([&] { return Runs() == 4 && RunWaitsFor("approval deployment"); }));
  EXPECT_NE(Live(), second_);
  world.Annotate("workflowruns", Run()["metadata"]["name"], "certflow.dev/approve",
                 "deployment by erin");
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(Live(), second_);
  ExpectEverywhere(second_);
}

}  // namespace
}  // namespace certflow
