#include "controller/runtime/worker_pool.h"

#include <gtest/gtest.h>

#include <future>
#include <stdexcept>

#include "tests/fakes/clock/simulated_clock.h"
#include "tests/unit/runtime/recording_metrics.h"

namespace certflow::runtime {
namespace {

using std::chrono::seconds;

// Runs `script` for every key and waits for what it left behind.
class WorkerPoolTest : public testing::Test {
 protected:
  void Start(ReconcileFn script, int size = 1) {
    pool_.emplace("test", size, seconds(60), queue_, clock_, metrics_, Logger(), std::move(script));
    pool_->Start();
  }
  double Results(const std::string& result) {
    return metrics_.Value("certflow_reconcile_total{queue=test,result=" + result + "}");
  }
  Duration UntilNext() {
    return std::chrono::duration_cast<Duration>(*clock_.earliest() - clock_.Steady());
  }

  fakes::SimulatedClock clock_;
  RecordingMetrics metrics_;
  Workqueue queue_{"test", clock_, metrics_, BackoffPolicy{seconds(1), 2.0, seconds(60), 0.0}};
  std::optional<WorkerPool> pool_;
};

TEST_F(WorkerPoolTest, KeyThatAsksToComeBackComesBack) {
  std::promise<void> second;
  int calls = 0;
  Start([&](const Context& ctx, std::string_view key) -> Result<Outcome> {
    EXPECT_EQ(key, "a");
    EXPECT_EQ(ctx.deadline - clock_.Steady(), seconds(60));
    if (++calls == 1) return Outcome{seconds(30)};
    second.set_value();
    return Outcome{};
  });
  queue_.Add("a");
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  EXPECT_EQ(UntilNext(), seconds(30));
  clock_.AdvanceToNext();
  second.get_future().wait();
  pool_.reset();
  EXPECT_EQ(Results("again"), 1);
  EXPECT_EQ(Results("success"), 1);
}

struct ErrorCase {
  const char* name;
  Error error;
  std::optional<Duration> comes_back;
  const char* result;
};

class WorkerPoolErrorTest : public WorkerPoolTest, public testing::WithParamInterface<ErrorCase> {};

TEST_P(WorkerPoolErrorTest, IsRetriedAsItSays) {
  const ErrorCase& c = GetParam();
  std::promise<void> called;
  Start([&](const Context&, std::string_view key) -> Result<Outcome> {
    if (key == "marker") {
      called.set_value();
      return Outcome{};
    }
    return c.error;
  });
  queue_.Add("a");
  queue_.Add("marker");
  called.get_future().wait();
  if (c.comes_back) {
    ASSERT_TRUE(clock_.AwaitWaiters(1));
    EXPECT_EQ(UntilNext(), *c.comes_back);
  } else {
    EXPECT_EQ(queue_.depth(), 0u);
    EXPECT_EQ(clock_.earliest(), std::nullopt);
  }
  pool_.reset();
  EXPECT_EQ(Results(c.result), 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, WorkerPoolErrorTest,
    testing::Values(
        ErrorCase{"Backoff", MakeError(ErrorCode::kUnavailable, "Down", "down"), seconds(1),
                  "error"},
        ErrorCase{"After", MakeErrorAfter(ErrorCode::kRateLimited, "Slow", "slow", seconds(17)),
                  seconds(17), "error"},
        ErrorCase{"Never", MakeError(ErrorCode::kRefused, "No", "no"), std::nullopt, "terminal"},
        ErrorCase{"Conflict", MakeError(ErrorCode::kConflict, "Conflict", "409"), seconds(1),
                  "conflict"}),
    [](const auto& test) { return test.param.name; });

TEST_F(WorkerPoolTest, ExceptionIsCountedAndBackedOffAndTheWorkerLives) {
  std::promise<void> alive;
  Start([&](const Context&, std::string_view key) -> Result<Outcome> {
    if (key == "std") throw std::runtime_error("bang");
    if (key == "int") throw 42;
    alive.set_value();
    return Outcome{};
  });
  queue_.Add("std");
  queue_.Add("int");
  queue_.Add("good");
  alive.get_future().wait();
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  EXPECT_EQ(metrics_.Value("certflow_reconcile_panics_total{queue=test}"), 2);
  EXPECT_EQ(Results("panic"), 2);
  EXPECT_EQ(UntilNext(), seconds(1));
}

TEST_F(WorkerPoolTest, StopLetsWhatRunsFinish) {
  std::promise<void> running, finish;
  Start([&](const Context& ctx, std::string_view) -> Result<Outcome> {
    running.set_value();
    finish.get_future().wait();
    EXPECT_FALSE(ctx.stopped());
    return Outcome{};
  });
  queue_.Add("a");
  queue_.Add("never started");
  running.get_future().wait();
  auto stopped =
      std::async(std::launch::async, [&] { pool_->Stop(clock_.Steady() + seconds(20)); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  finish.set_value();
  stopped.get();
  EXPECT_EQ(Results("success"), 1);
}

TEST_F(WorkerPoolTest, StopCancelsWhatRunsOnAfterTheDeadline) {
  std::promise<void> running;
  Start([&](const Context& ctx, std::string_view) -> Result<Outcome> {
    running.set_value();
    ctx.clock.WaitUntil(SteadyTime::max(), ctx.stop);
    return MakeError(ErrorCode::kCancelled, "Cancelled", "stopped");
  });
  queue_.Add("a");
  running.get_future().wait();
  auto stopped =
      std::async(std::launch::async, [&] { pool_->Stop(clock_.Steady() + seconds(20)); });
  ASSERT_TRUE(clock_.AwaitWaiters(2));
  clock_.Advance(seconds(20));
  stopped.get();
  EXPECT_EQ(Results("cancelled"), 1);
}

TEST_F(WorkerPoolTest, LongestRunningIsTheOldestReconcileUnderWay) {
  std::promise<void> first, second, finish;
  const std::shared_future<void> finished = finish.get_future().share();
  Start(
      [&](const Context&, std::string_view key) -> Result<Outcome> {
        (key == "a" ? first : second).set_value();
        finished.wait();
        return Outcome{};
      },
      2);
  EXPECT_EQ(pool_->LongestRunning(), Duration(0));
  queue_.Add("a");
  first.get_future().wait();
  clock_.Advance(seconds(7));
  queue_.Add("b");
  second.get_future().wait();
  clock_.Advance(seconds(3));
  EXPECT_EQ(pool_->LongestRunning(), seconds(10));
  finish.set_value();
  pool_->Stop(clock_.Steady() + seconds(1));
  EXPECT_EQ(pool_->LongestRunning(), Duration(0));
}

}  // namespace
}  // namespace certflow::runtime
