#include "controller/runtime/gate.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/fakes/clock/simulated_clock.h"
#include "tests/unit/runtime/recording_metrics.h"

namespace certflow::runtime {
namespace {

using Access = GateKeeper::Access;
using Refusal = GateKeeper::Refusal;
using std::chrono::seconds;

class GateTest : public testing::Test {
 protected:
  std::optional<GateKeeper::Pass> Enter(Access access = Access::kRead,
                                        const char* name = "ssh/10.0.0.7:22") {
    return gate_.Enter(name, access, &denied_);
  }
  void Fail(int times) {
    for (int i = 0; i < times; ++i) Enter()->Leave(false);
  }
  double Open() { return metrics_.Value("certflow_gate_open_breakers"); }

  fakes::SimulatedClock clock_;
  RecordingMetrics metrics_;
  GateKeeper gate_{clock_, metrics_};
  GateKeeper::Denied denied_{};
};

TEST_F(GateTest, OneActionAndTwoReadsAtATime) {
  auto act = Enter(Access::kAct);
  auto read1 = Enter(), read2 = Enter();
  ASSERT_TRUE(act && read1 && read2);
  EXPECT_FALSE(Enter(Access::kAct));
  EXPECT_EQ(denied_.why, Refusal::kFull);
  EXPECT_EQ(denied_.again_after, GateKeeper::kRetryFull);
  EXPECT_FALSE(Enter());
  EXPECT_TRUE(Enter(Access::kAct, "ssh/10.0.0.8:22")) << "another party";
  act->Leave(true);
  EXPECT_TRUE(Enter(Access::kAct)) << "the pass was not kept: its place is free again";
  EXPECT_TRUE(Enter(Access::kAct));
  read1.reset();
  EXPECT_TRUE(Enter());
  EXPECT_EQ(metrics_.Value("certflow_gate_denied_total{why=full}"), 2);
}

TEST_F(GateTest, EmptyNameIsAlwaysLetIn) {
  std::vector<GateKeeper::Pass> passes;
  for (int i = 0; i < 10; ++i) passes.push_back(*Enter(Access::kAct, ""));
  passes[0].Leave(false);
}

TEST_F(GateTest, PassMovesWithItsPlace) {
  auto act = Enter(Access::kAct);
  GateKeeper::Pass moved = std::move(*act);
  act.reset();
  EXPECT_FALSE(Enter(Access::kAct));
  moved.Leave(true);
  moved.Leave(true);  // harmless
  EXPECT_TRUE(Enter(Access::kAct));
}

TEST_F(GateTest, BreakerOpensAfterFailuresInARowOnly) {
  Fail(2);
  Enter()->Leave(true);
  Fail(2);
  Enter().reset();  // says nothing
  EXPECT_TRUE(Enter());
  Fail(1);
  EXPECT_FALSE(Enter());
  EXPECT_EQ(denied_.why, Refusal::kOpen);
  EXPECT_EQ(denied_.again_after, GateKeeper::kFirstPause);
  EXPECT_EQ(Open(), 1);
  EXPECT_TRUE(Enter(Access::kRead, "other"));
}

TEST_F(GateTest, AfterThePauseOneTriesAndASuccessCloses) {
  Fail(3);
  clock_.Advance(seconds(10));
  EXPECT_FALSE(Enter());
  EXPECT_EQ(denied_.again_after, seconds(5));
  clock_.Advance(seconds(5));
  auto trial = Enter();
  ASSERT_TRUE(trial);
  EXPECT_FALSE(Enter(Access::kAct));
  EXPECT_EQ(denied_.why, Refusal::kOpen);
  trial->Leave(true);
  EXPECT_EQ(Open(), 0);
  EXPECT_TRUE(Enter(Access::kAct));
}

TEST_F(GateTest, FailedTrialsDoubleThePauseUpToItsLimit) {
  Fail(3);
  Duration pause = GateKeeper::kFirstPause;
  for (int i = 0; i < 8; ++i) {
    EXPECT_FALSE(Enter());
    EXPECT_EQ(denied_.again_after, pause) << i;
    clock_.Advance(pause);
    Fail(1);
    pause = std::min(pause * 2, GateKeeper::kLongestPause);
  }
  EXPECT_EQ(pause, GateKeeper::kLongestPause);
}

TEST_F(GateTest, TrialWithoutVerdictLetsTheNextOneTry) {
  Fail(3);
  clock_.Advance(GateKeeper::kFirstPause);
  Enter().reset();
  EXPECT_TRUE(Enter());
}

TEST_F(GateTest, WhoWasInBeforeTheBreakerOpenedChangesNothing) {
  auto slow = Enter();
  auto slower = Enter(Access::kAct);
  Fail(3);
  slow->Leave(true);
  slower->Leave(false);
  EXPECT_FALSE(Enter());
  EXPECT_EQ(denied_.again_after, GateKeeper::kFirstPause);
}

TEST_F(GateTest, PartiesThatNobodyAsksAboutAreForgotten) {
  for (int i = 0; i < 1000; ++i) {
    for (int failure = 0; failure < 3; ++failure) {
      Enter(Access::kRead, ("gone/" + std::to_string(i)).c_str())->Leave(false);
    }
  }
  EXPECT_EQ(Open(), 1000);
  clock_.Advance(std::chrono::hours(2));
  for (int i = 0; i < 1100; ++i) {
    Enter(Access::kRead, ("new/" + std::to_string(i)).c_str())->Leave(false);
  }
  EXPECT_EQ(Open(), 0);
}

TEST_F(GateTest, ManyThreadsNeverExceedThePlaces) {
  std::atomic<int> acting = 0;
  std::atomic<bool> crowded = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      GateKeeper::Denied denied;
      for (int i = 0; i < 2000; ++i) {
        auto pass = gate_.Enter("one", Access::kAct, &denied);
        if (!pass) continue;
        if (acting.fetch_add(1) != 0) crowded = true;
        acting.fetch_sub(1);
        pass->Leave(true);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(crowded);
}

TEST_F(GateTest, TellsWhenABreakerOpensAndWhenItCloses) {
  std::vector<std::string> told;
  GateKeeper gate(clock_, metrics_, [&](std::string_view name) { told.emplace_back(name); });
  auto enter = [&] { return gate.Enter("acme/a", Access::kRead, &denied_); };
  for (int i = 0; i < GateKeeper::kFailuresToOpen - 1; ++i) enter()->Leave(false);
  EXPECT_TRUE(told.empty());
  enter()->Leave(false);
  EXPECT_EQ(told, std::vector<std::string>{"acme/a"});
  clock_.Advance(GateKeeper::kFirstPause);
  enter()->Leave(false);  // still open
  EXPECT_EQ(told.size(), 1u);
  clock_.Advance(GateKeeper::kLongestPause);
  enter()->Leave(true);
  EXPECT_EQ(told.size(), 2u);
}

}  // namespace
}  // namespace certflow::runtime
