#include "controller/runtime/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>

#include "tests/fakes/clock/simulated_clock.h"
#include "tests/unit/runtime/recording_metrics.h"
#include "tests/unit/runtime/soon.h"

namespace certflow::runtime {
namespace {

using std::chrono::seconds;

// Runs `script` for every key and waits for what it left behind.
class WorkerPoolTest : public testing::Test {
 protected:
  void Start(ReconcileFn script, PoolSize size = 1) {
    pool_.emplace("test", size, seconds(60), queue_, clock_, metrics_, Logger(), std::move(script));
    pool_->Start();
  }
  double Results(const std::string& result) {
    return metrics_.Value("certflow_reconcile_total{queue=test,result=" + result + "}");
  }
  double Workers() { return metrics_.Value("certflow_workers{queue=test}"); }
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

TEST_F(WorkerPoolTest, FixedSizeNeverGrows) {
  std::promise<void> running, finish, second;
  Start([&](const Context&, std::string_view key) -> Result<Outcome> {
    if (key == "b") {
      second.set_value();
      return Outcome{};
    }
    running.set_value();
    finish.get_future().wait();
    return Outcome{};
  });
  queue_.Add("a");
  running.get_future().wait();
  queue_.Add("b");
  EXPECT_EQ(clock_.waiters(), 0u);
  EXPECT_EQ(Workers(), 1);
  finish.set_value();
  second.get_future().wait();
  pool_.reset();
  EXPECT_EQ(Workers(), 0);
}

TEST_F(WorkerPoolTest, InitialNeverExceedsTheBound) {
  Start([](const Context&, std::string_view) -> Result<Outcome> { return Outcome{}; }, {8, 2});
  EXPECT_EQ(Workers(), 2);
}

// Keys whose name begins with "hang" stay until they are let go; every key tells that it began.
class ElasticPoolTest : public WorkerPoolTest {
 protected:
  void StartElastic(PoolSize size) {
    Start(
        [this](const Context&, std::string_view key) -> Result<Outcome> {
          began_.release();
          if (key.starts_with("hang")) let_go_.acquire();
          return Outcome{};
        },
        size);
  }
  void AddHanging(int count) {
    for (int i = 0; i < count; ++i) queue_.Add("hang" + std::to_string(++added_));
  }
  void AwaitBegun(int count) {
    for (; count > 0; --count) {
      ASSERT_TRUE(began_.try_acquire_for(seconds(10))) << count << " more keys did not begin";
    }
  }
  void AwaitWorkers(int count) {
    ASSERT_TRUE(Soon([&] { return Workers() <= count; })) << Workers() << " workers are left";
  }
  // Every worker has told that it finished its key. One that did so a moment later would look like
  // progress to the pool, which then rightly does not grow.
  void AwaitRest() {
    ASSERT_TRUE(Soon([&] { return queue_.processing() == 0; }));
  }
  // The pool's patience passes without progress; `begun` more keys find a worker.
  void PassPatience(int begun) {
    ASSERT_TRUE(clock_.AwaitWaiters(1));
    EXPECT_EQ(UntilNext(), WorkerPool::kPatience);
    clock_.Advance(WorkerPool::kPatience);
    AwaitBegun(begun);
  }
  void TearDown() override {
    let_go_.release(1000);
    pool_.reset();
  }

  std::counting_semaphore<> began_{0};
  std::counting_semaphore<> let_go_{0};
  int added_ = 0;
};

TEST_F(ElasticPoolTest, GrowsToMaxWhenAllHang) {
  StartElastic({2, 7});
  EXPECT_EQ(Workers(), 2);
  AddHanging(9);
  AwaitBegun(2);
  PassPatience(1);
  PassPatience(2);
  PassPatience(2);
  EXPECT_EQ(Workers(), 7);
  EXPECT_EQ(queue_.depth(), 2u);
  EXPECT_EQ(clock_.waiters(), 0u) << "at its bound the pool does not poll";
  clock_.Advance(seconds(5));
  EXPECT_EQ(pool_->LongestRunning(), seconds(5) + 3 * WorkerPool::kPatience);
  let_go_.release(9);
  AwaitBegun(2);
}

TEST_F(ElasticPoolTest, HealthyKeyIsServedWhileAllWorkersHang) {
  StartElastic({3, 9});
  AddHanging(3);
  AwaitBegun(3);
  queue_.Add("healthy");
  PassPatience(1);
  EXPECT_EQ(Workers(), 4) << "one was enough";
}

TEST_F(ElasticPoolTest, DelayedKeyIsServedWhileAllWorkersHang) {
  StartElastic({3, 9});
  AddHanging(3);
  AwaitBegun(3);
  queue_.AddAfter("healthy", seconds(7));
  const SteadyTime due = clock_.Steady() + seconds(7);
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  if (*clock_.earliest() < due) {  // it saw keys before the workers were there to take them
    clock_.Advance(WorkerPool::kPatience);
    ASSERT_TRUE(clock_.AwaitWaiters(1));
  }
  EXPECT_EQ(*clock_.earliest(), due);
  clock_.Advance(seconds(7));
  PassPatience(1);
  EXPECT_EQ(Workers(), 4);
}

TEST_F(ElasticPoolTest, QuickWorkersDoNotMakeItGrow) {
  StartElastic({1, 8});
  AddHanging(6);
  AwaitBegun(1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(clock_.AwaitWaiters(1));
    let_go_.release();  // one key finished within the pool's patience
    AwaitBegun(1);
    clock_.Advance(WorkerPool::kPatience);
  }
  let_go_.release();
  pool_->Stop(clock_.Steady() + seconds(1));
  EXPECT_EQ(Results("success"), 6);
  EXPECT_EQ(Workers(), 0);
}

TEST_F(ElasticPoolTest, ShrinksAfterIdleAndGrowsAgain) {
  StartElastic({1, 3});
  for (int round = 0; round < 3; ++round) {
    AddHanging(3);
    AwaitBegun(1);
    PassPatience(1);
    PassPatience(1);
    EXPECT_EQ(Workers(), 3);
    let_go_.release(3);
    AwaitRest();
    ASSERT_TRUE(clock_.AwaitWaiters(2));
    clock_.Advance(WorkerPool::kIdleLimit - Duration(1));
    EXPECT_EQ(Workers(), 3);
    clock_.Advance(Duration(1));
    AwaitWorkers(1);
  }
}

TEST_F(ElasticPoolTest, StopWhileGrowingEndsEveryThread) {
  for (int round = 0; round < 50; ++round) {
    fakes::SimulatedClock clock;
    RecordingMetrics metrics;
    Workqueue queue("test", clock, metrics, BackoffPolicy{});
    std::atomic<int> inside = 0;
    const auto hang = [&](const Context& ctx, std::string_view) -> Result<Outcome> {
      ++inside;
      ctx.clock.WaitUntil(SteadyTime::max(), ctx.stop);
      --inside;
      return MakeError(ErrorCode::kCancelled, "Cancelled", "stopped");
    };
    WorkerPool pool("test", {1, 20}, seconds(60), queue, clock, metrics, Logger(), hang);
    pool.Start();
    for (int i = 0; i < 30; ++i) queue.Add(std::to_string(i));
    for (int window = 0; window <= round % 4; ++window) {
      ASSERT_TRUE(clock.AwaitWaiters(2));
      clock.Advance(WorkerPool::kPatience);
    }
    pool.Stop(clock.Steady());
    EXPECT_EQ(inside, 0);
    EXPECT_EQ(metrics.Value("certflow_workers{queue=test}"), 0);
  }
}

class StopWhileShrinkingTest : public ElasticPoolTest, public testing::WithParamInterface<int> {};

TEST_P(StopWhileShrinkingTest, EndsEveryThread) {
  StartElastic({1, 8});
  AddHanging(8);
  AwaitBegun(1);
  PassPatience(1);
  PassPatience(2);
  PassPatience(4);
  let_go_.release(8);
  ASSERT_TRUE(clock_.AwaitWaiters(7));
  clock_.Advance(WorkerPool::kIdleLimit);
  AwaitWorkers(GetParam());
  pool_.reset();
  EXPECT_EQ(Workers(), 0);
  EXPECT_EQ(Results("success"), 8);
}

INSTANTIATE_TEST_SUITE_P(WorkersLeft, StopWhileShrinkingTest, testing::Range(1, 9));

// R-90, on the machine's clock: 300 hosts hang at the same time, the 301st is healthy.
TEST(WorkerPoolScaleTest, ThreeHundredHangingKeysDoNotHoldUpTheNext) {
  const auto clock = MakeSystemClock();
  RecordingMetrics metrics;
  Workqueue queue("test", *clock, metrics, BackoffPolicy{});
  std::promise<void> served;
  const auto reconcile = [&](const Context& ctx, std::string_view key) -> Result<Outcome> {
    if (key == "healthy") {
      served.set_value();
      return Outcome{};
    }
    ctx.clock.WaitUntil(SteadyTime::max(), ctx.stop);
    return MakeError(ErrorCode::kCancelled, "Cancelled", "stopped");
  };
  WorkerPool pool("test", {8, 301}, seconds(600), queue, *clock, metrics, Logger(), reconcile);
  pool.Start();
  const SteadyTime begin = clock->Steady();
  for (int i = 0; i < 300; ++i) queue.Add("host" + std::to_string(i));
  queue.Add("healthy", Priority::kInitial);  // behind all others
  served.get_future().wait();
  const auto took = std::chrono::duration_cast<Duration>(clock->Steady() - begin);
  RecordProperty("milliseconds", std::to_string(took.count()));
  EXPECT_EQ(metrics.Value("certflow_workers{queue=test}"), 301);
  pool.Stop(clock->Steady());
  EXPECT_EQ(metrics.Value("certflow_reconcile_total{queue=test,result=cancelled}"), 300);
}

}  // namespace
}  // namespace certflow::runtime
