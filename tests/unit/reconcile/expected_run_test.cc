// A run that was created and that the informer has not told of yet.
#include "controller/reconcile/expected_runs.h"

#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

using reconcile::ExpectedRuns;

class ExpectedRunTest : public ReconcileTest {
 protected:
  // The run is stored, and its informer does not see it.
  void CreateUnseen() {
    StartWithCa();
    world.Pass(kHour);
    world.api.HoldWatches(true, "workflowruns");
    world.api.ResetCounts();
    CreateSite();
    ASSERT_TRUE(world.Until([&] { return Runs() == 1; }));
  }
  // Brings the workflow to its reconciler once more, at the same moment.
  void Look() {
    const double before = world.activity->counter("certflow_reconcile_total");
    world.Annotate("certificateworkflows", "site", "example.test/note", std::to_string(++looks_));
    ASSERT_TRUE(world.Until(
        [&] { return world.activity->counter("certflow_reconcile_total") > before; }, seconds(1)));
  }
  std::size_t Created() const { return world.api.Count("create", "workflowruns"); }

 private:
  int looks_ = 0;
};

TEST_F(ExpectedRunTest, IsNotCreatedAgainWhileTheInformerIsBehind) {
  CreateUnseen();
  for (int i = 0; i < 3; ++i) Look();
  EXPECT_EQ(Created(), 1u);
  world.api.HoldWatches(false);
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded") && !Live().empty(); }));
  EXPECT_TRUE(world.Until([&] { return Status().value("phase", "") == "Idle"; }));
  world.Pass(kHour);
  EXPECT_EQ(Created(), 1u);
  EXPECT_EQ(Runs(), 1u);
}

// What is remembered holds nothing up: not the one that takes the run's place, nor the next
// process.
TEST_F(ExpectedRunTest, ThatSomebodyDeletedBeforeItWasSeenIsMadeAnew) {
  CreateUnseen();
  world.Delete("workflowruns", Run()["metadata"]["name"]);
  EXPECT_TRUE(world.Until([&] { return Runs() == 1; }, seconds(20)));
  EXPECT_EQ(Created(), 2u);
  world.api.HoldWatches(false);
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(Runs(), 1u);
}

TEST_F(ExpectedRunTest, ThatIsForgottenByARestartStaysTheOnlyOne) {
  CreateUnseen();
  world.Start();
  world.api.HoldWatches(false);
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  world.Pass(kHour);
  EXPECT_EQ(Runs(), 1u);
}

TEST(ExpectedRunsTest, CountsUntilItIsSeenOrLate) {
  const SteadyTime now{std::chrono::hours(1)};
  const SteadyTime until = now + std::chrono::seconds(10);
  const kube::ObjectKey site{"web", "site"};
  ExpectedRuns expected;
  EXPECT_FALSE(expected.Awaited(site, "u1", 0, now));
  expected.Expect(site, "u1", 3, until);
  EXPECT_EQ(expected.Awaited(site, "u1", 2, now), until);
  EXPECT_FALSE(expected.Awaited(site, "u1", 3, now)) << "seen";
  EXPECT_FALSE(expected.Awaited(site, "u1", 2, now)) << "and done with";
  expected.Expect(site, "u1", 3, until);
  EXPECT_FALSE(expected.Awaited(site, "u1", 2, until)) << "late";
  expected.Expect(site, "u1", 3, until);
  EXPECT_FALSE(expected.Awaited(site, "u2", 0, now)) << "another workflow of that name";
  expected.Expect(site, "u1", 3, until);
  expected.Forget(site);
  EXPECT_FALSE(expected.Awaited(site, "u1", 2, now)) << "the workflow is gone";
}

}  // namespace
}  // namespace certflow
