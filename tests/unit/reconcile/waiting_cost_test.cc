// What a run that waits for others costs the API server.
#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

class WaitingCostTest : public ReconcileTest {
 protected:
  // A run that proves its name by a host's web server.
  void CreateSlowSite() {
    fakes::FakeHost& host = world.AddHost("one", "www.example.test");
    world.AddAcme("acme");
    world.Start();
    ASSERT_TRUE(world.Until([&] {
      return Condition(world.Get("certificateauthorities", "acme"), "Ready").starts_with("True") &&
             TargetIsReady("one");
    }));
    json workflow = fakes::WorkflowObject("site", "www.example.test", "acme");
    workflow["spec"]["deployment"]["waves"] =
        json::array({{{"name", "w"},
                      {"targets", json::array({{{"targetRef", {{"name", "one"}}},
                                                {"nginx", json::parse(host.binding())}}})}}});
    world.Create(workflow);
  }
  std::size_t Count(const std::string& what) const {
    const auto counts = world.api.Counts();
    const auto found = counts.find(what);
    return found == counts.end() ? 0 : found->second;
  }
};

TEST_F(WaitingCostTest, OwnWritesDoNotBringARunBack) {
  world.acme.AnswerWith({"/new-order", 429, "rateLimited", 7200, 1});
  CreateSlowSite();
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("Renewal"); })) << RunStatus().dump(1);
  world.Pass(seconds(60));  // its workflow mentions it
  world.api.ResetCounts();
  const int asked = world.acme.requests();
  world.Pass(kHour);
  EXPECT_EQ(world.acme.requests(), asked);
  EXPECT_EQ(Count("get secrets"), 0u);
  EXPECT_EQ(world.TotalWrites(), 0u);
}

TEST_F(WaitingCostTest, WorkflowMentionsARunThatTakesLongNowAndThen) {
  CreateSlowSite();
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); })) << RunStatus().dump(1);
  ASSERT_TRUE(world.Until([&] { return Status().value("phase", "") == "Idle"; }));
  const json run = RunStatus();
  const auto took = ParseTime(run["endedAt"].get<std::string>()).value() -
                    ParseTime(run["startedAt"].get<std::string>()).value();
  // The first after ten seconds, then one every fifteen, and the end.
  const auto most = static_cast<std::size_t>(took / seconds(15)) + 2;
  EXPECT_LE(Count("update certificateworkflows/status"), most) << took / seconds(1) << " s";
}

}  // namespace
}  // namespace certflow
