#include "controller/runtime/workqueue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <thread>
#include <vector>

#include "tests/fakes/clock/simulated_clock.h"
#include "tests/unit/runtime/recording_metrics.h"
#include "tests/unit/runtime/soon.h"

namespace certflow::runtime {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class WorkqueueTest : public testing::Test {
 protected:
  std::string TakeAndFinish() {
    const std::string key = queue_.Get().value_or("<shut down>");
    queue_.Done(key);
    return key;
  }

  fakes::SimulatedClock clock_;
  RecordingMetrics metrics_;
  Workqueue queue_{"test", clock_, metrics_, BackoffPolicy{seconds(1), 2.0, seconds(60), 0.0}};
};

TEST_F(WorkqueueTest, KeyAddedManyTimesIsHandedOutOnce) {
  for (int i = 0; i < 10; ++i) queue_.Add("a");
  queue_.Add("b");
  EXPECT_EQ(queue_.depth(), 2u);
  EXPECT_EQ(TakeAndFinish(), "a");
  EXPECT_EQ(TakeAndFinish(), "b");
  EXPECT_EQ(queue_.depth(), 0u);
}

TEST_F(WorkqueueTest, LiveChangesGoBeforeTheInitialList) {
  queue_.Add("i1", Priority::kInitial);
  queue_.Add("i2", Priority::kInitial);
  queue_.Add("live");
  EXPECT_EQ(TakeAndFinish(), "live");
  EXPECT_EQ(TakeAndFinish(), "i1");
  EXPECT_EQ(TakeAndFinish(), "i2");
}

TEST_F(WorkqueueTest, LiveChangeLiftsAKeyOfTheInitialList) {
  queue_.Add("i1", Priority::kInitial);
  queue_.Add("i2", Priority::kInitial);
  queue_.Add("i3", Priority::kInitial);
  queue_.Add("i2");
  queue_.Add("i2", Priority::kInitial);  // does not put it back
  EXPECT_EQ(queue_.depth(), 3u);
  EXPECT_EQ(TakeAndFinish(), "i2");
  EXPECT_EQ(TakeAndFinish(), "i1");
  EXPECT_EQ(TakeAndFinish(), "i3");
}

TEST_F(WorkqueueTest, KeyAddedWhileProcessingRunsOnceMore) {
  queue_.Add("a");
  ASSERT_EQ(queue_.Get(), "a");
  queue_.Add("a");
  queue_.Add("a", Priority::kInitial);
  EXPECT_EQ(queue_.depth(), 0u) << "never with two workers";
  EXPECT_EQ(queue_.processing(), 1u);
  queue_.Done("a");
  EXPECT_EQ(queue_.depth(), 1u);
  EXPECT_EQ(TakeAndFinish(), "a");
  EXPECT_EQ(queue_.depth(), 0u);
}

TEST_F(WorkqueueTest, DelayedKeyComesWhenItsTimeHasCome) {
  queue_.AddAfter("a", minutes(5));
  auto got = std::async(std::launch::async, [&] { return queue_.Get(); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  EXPECT_EQ(*clock_.earliest() - clock_.Steady(), minutes(5));
  clock_.Advance(minutes(5));
  EXPECT_EQ(got.get(), "a");
}

TEST_F(WorkqueueTest, EarliestOfSeveralDelaysWins) {
  queue_.AddAfter("a", hours(1));
  queue_.AddAfter("a", minutes(1));
  queue_.AddAfter("a", hours(2));
  clock_.Advance(minutes(1));
  EXPECT_EQ(TakeAndFinish(), "a");
  queue_.AddAfter("b", hours(10));
  auto got = std::async(std::launch::async, [&] { return queue_.Get(); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  EXPECT_EQ(*clock_.earliest() - clock_.Steady(), hours(10)) << "no trace of the later delays";
  queue_.ShutDown();
  EXPECT_EQ(got.get(), std::nullopt);
}

TEST_F(WorkqueueTest, AddDoesNotCancelADelay) {
  queue_.AddAfter("a", minutes(1));
  queue_.Add("a");
  EXPECT_EQ(TakeAndFinish(), "a");
  clock_.Advance(minutes(1));
  EXPECT_EQ(TakeAndFinish(), "a");
}

TEST_F(WorkqueueTest, ShorterDelayWakesTheWaitingWorkerEarlier) {
  queue_.AddAfter("late", hours(1));
  auto got = std::async(std::launch::async, [&] { return queue_.Get(); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  queue_.AddAfter("soon", seconds(1));
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  EXPECT_EQ(*clock_.earliest() - clock_.Steady(), seconds(1));
  clock_.Advance(seconds(1));
  EXPECT_EQ(got.get(), "soon");
}

TEST_F(WorkqueueTest, AddWakesAWorkerThatWaitsForADelay) {
  queue_.AddAfter("late", hours(1));
  auto got = std::async(std::launch::async, [&] { return queue_.Get(); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  queue_.Add("now");
  EXPECT_EQ(got.get(), "now");
}

TEST_F(WorkqueueTest, DelayOfDaysAndOfForeverIsHeld) {
  queue_.AddAfter("days", hours(24 * 300));
  queue_.AddAfter("forever", Duration::max());
  clock_.Advance(hours(24 * 300));
  EXPECT_EQ(TakeAndFinish(), "days");
  EXPECT_EQ(queue_.depth(), 0u);
}

TEST_F(WorkqueueTest, DelayThatIsOverAddsAtOnce) {
  queue_.AddAfter("a", seconds(0));
  queue_.AddAfter("b", seconds(-5));
  EXPECT_EQ(queue_.depth(), 2u);
}

TEST_F(WorkqueueTest, BackoffGrowsPerKeyAndForgetResetsIt) {
  const auto delay_of_next = [&](const char* key) {
    queue_.AddWithBackoff(key);
    auto got = std::async(std::launch::async, [&] { return TakeAndFinish(); });
    EXPECT_TRUE(clock_.AwaitWaiters(1));
    const auto delay = *clock_.earliest() - clock_.Steady();
    clock_.AdvanceToNext();
    EXPECT_EQ(got.get(), key);
    return delay;
  };
  EXPECT_EQ(delay_of_next("a"), seconds(1));
  EXPECT_EQ(delay_of_next("a"), seconds(2));
  EXPECT_EQ(delay_of_next("b"), seconds(1));
  EXPECT_EQ(delay_of_next("a"), seconds(4));
  queue_.Forget("a");
  EXPECT_EQ(delay_of_next("a"), seconds(1));
}

TEST_F(WorkqueueTest, ShutDownDropsWhatWaitsAndRefusesMore) {
  queue_.Add("working");
  ASSERT_EQ(queue_.Get(), "working");
  queue_.Add("working");
  queue_.Add("waiting");
  queue_.AddAfter("delayed", seconds(1));
  queue_.ShutDown();
  queue_.Add("more");
  queue_.AddAfter("more", seconds(1));
  queue_.AddWithBackoff("more");
  EXPECT_EQ(queue_.depth(), 0u);
  EXPECT_EQ(queue_.Get(), std::nullopt);
  queue_.Done("working");
  clock_.Advance(minutes(10));
  EXPECT_EQ(queue_.depth(), 0u);
  EXPECT_EQ(queue_.Get(), std::nullopt);
}

TEST_F(WorkqueueTest, ShutDownWakesEveryWaiter) {
  std::vector<std::future<std::optional<std::string>>> waiting;
  queue_.AddAfter("delayed", hours(1));
  for (int i = 0; i < 4; ++i) {
    waiting.push_back(std::async(std::launch::async, [&] { return queue_.Get(); }));
  }
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  queue_.ShutDown();
  for (auto& got : waiting) EXPECT_EQ(got.get(), std::nullopt);
}

TEST_F(WorkqueueTest, GetGivesUpAtItsDeadline) {
  auto got =
      std::async(std::launch::async, [&] { return queue_.Get(clock_.Steady() + seconds(30)); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  clock_.Advance(seconds(30));
  EXPECT_EQ(got.get(), std::nullopt);
  queue_.Add("a");
  EXPECT_EQ(queue_.Get(clock_.Steady()), "a") << "a key that is there is taken";
}

TEST_F(WorkqueueTest, AddAndShutDownWakeAGetWithDeadline) {
  const auto get = [&] { return queue_.Get(clock_.Steady() + seconds(30)); };
  auto first = std::async(std::launch::async, get);
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  queue_.Add("a");
  EXPECT_EQ(first.get(), "a");
  auto second = std::async(std::launch::async, get);
  auto third = std::async(std::launch::async, get);
  ASSERT_TRUE(clock_.AwaitWaiters(2));
  queue_.ShutDown();
  EXPECT_EQ(second.get(), std::nullopt);
  EXPECT_EQ(third.get(), std::nullopt);
}

TEST_F(WorkqueueTest, GetThatGivesUpLeavesTheDelayedKeysToAnother) {
  queue_.AddAfter("a", seconds(60));
  auto limited =
      std::async(std::launch::async, [&] { return queue_.Get(clock_.Steady() + seconds(30)); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  auto patient = std::async(std::launch::async, [&] { return queue_.Get(); });
  clock_.Advance(seconds(30));
  EXPECT_EQ(limited.get(), std::nullopt);
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  clock_.Advance(seconds(30));
  EXPECT_EQ(patient.get(), "a");
}

TEST_F(WorkqueueTest, StarvedWhenMoreKeysWaitThanThreads) {
  auto starved = std::async(std::launch::async, [&] { return queue_.AwaitStarved(); });
  auto got = std::async(std::launch::async, [&] { return queue_.Get(clock_.Steady() + hours(1)); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  queue_.Add("a");
  EXPECT_EQ(got.get(), "a");
  EXPECT_EQ(queue_.starved(), 0u);
  queue_.Add("b");
  EXPECT_TRUE(starved.get());
  EXPECT_EQ(queue_.starved(), 1u);
  queue_.ShutDown();
  EXPECT_FALSE(queue_.AwaitStarved());
}

TEST_F(WorkqueueTest, DelayThatEndsWhileNobodyIsInGetStarves) {
  auto starved = std::async(std::launch::async, [&] { return queue_.AwaitStarved(); });
  queue_.AddAfter("late", hours(1));
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  queue_.AddAfter("soon", seconds(1));
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  EXPECT_EQ(*clock_.earliest() - clock_.Steady(), seconds(1));
  clock_.Advance(seconds(1));
  EXPECT_TRUE(starved.get());
  EXPECT_EQ(TakeAndFinish(), "soon");
}

TEST_F(WorkqueueTest, DrainWaitsForTheKeysBeingWorkedOn) {
  queue_.Add("a");
  queue_.Add("b");
  queue_.Get();
  queue_.Get();
  queue_.ShutDown();
  auto drained =
      std::async(std::launch::async, [&] { return queue_.Drain(clock_.Steady() + seconds(30)); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  queue_.Done("a");
  queue_.Done("b");
  EXPECT_TRUE(drained.get());
}

TEST_F(WorkqueueTest, DrainGivesUpAtItsDeadline) {
  queue_.Add("a");
  queue_.Get();
  auto drained =
      std::async(std::launch::async, [&] { return queue_.Drain(clock_.Steady() + seconds(30)); });
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  clock_.Advance(seconds(30));
  EXPECT_FALSE(drained.get());
  queue_.Done("a");
  EXPECT_TRUE(queue_.Drain(clock_.Steady()));
}

TEST_F(WorkqueueTest, MetricsTellDepthAddsAndDurations) {
  queue_.Add("a");
  queue_.Add("a");
  queue_.Add("b");
  EXPECT_EQ(metrics_.Value("certflow_workqueue_depth{name=test}"), 2);
  EXPECT_EQ(metrics_.Value("certflow_workqueue_adds_total{name=test}"), 2);
  clock_.Advance(seconds(3));
  queue_.Get();
  EXPECT_EQ(metrics_.Last("certflow_workqueue_queue_duration_seconds{name=test}"), 3);
  clock_.Advance(seconds(4));
  queue_.Done("a");
  EXPECT_EQ(metrics_.Last("certflow_workqueue_work_duration_seconds{name=test}"), 4);
  EXPECT_EQ(metrics_.Value("certflow_workqueue_depth{name=test}"), 1);
}

// Many producers and workers: each key that was added is worked on after its last Add, and never by
// two workers at once.
TEST_F(WorkqueueTest, ManyThreadsNeverShareAKeyAndLoseNothing) {
  constexpr int kKeys = 20;
  constexpr int kRounds = 300;
  std::vector<std::atomic<int>> added(kKeys), seen(kKeys), inside(kKeys);
  std::atomic<bool> shared = false;
  std::vector<std::thread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      while (const auto key = queue_.Get()) {
        const auto k = static_cast<std::size_t>(std::stoi(*key));
        if (inside[k].fetch_add(1) != 0) shared = true;
        seen[k] = added[k].load();
        inside[k].fetch_sub(1);
        queue_.Done(*key);
      }
    });
  }
  std::vector<std::thread> producers;
  for (int p = 0; p < 2; ++p) {
    producers.emplace_back([&, p] {
      for (int i = 0; i < kRounds * kKeys; ++i) {
        const auto k = static_cast<std::size_t>(i % kKeys);
        added[k].fetch_add(1);
        if (i % 7 == p) {
          queue_.AddAfter(std::to_string(k), Duration(1));
          clock_.Advance(Duration(1));
        }
        queue_.Add(std::to_string(k), i % 3 == 0 ? Priority::kInitial : Priority::kLive);
      }
    });
  }
  for (auto& producer : producers) producer.join();
  clock_.Advance(seconds(1));
  EXPECT_TRUE(Soon([&] { return queue_.depth() == 0 && queue_.processing() == 0; }));
  queue_.ShutDown();
  for (auto& worker : workers) worker.join();
  EXPECT_FALSE(shared);
  for (std::size_t k = 0; k < kKeys; ++k) EXPECT_EQ(seen[k], added[k]) << k;
}

// The cold start of a large installation: cheap enough not to be noticed beside reading the list.
TEST_F(WorkqueueTest, HundredThousandKeysPassThrough) {
  constexpr int kKeys = 100'000;
  const auto system = MakeSystemClock();
  Workqueue queue("test", *system, NoMetrics(), BackoffPolicy{});
  const SteadyTime begin = system->Steady();
  for (int i = 0; i < kKeys; ++i) queue.Add("namespace/workflow-" + std::to_string(i));
  for (int i = 0; i < kKeys; ++i) {
    const auto key = queue.Get();
    queue.AddAfter(*key, std::chrono::seconds(1000 + i % 100));
    queue.Done(*key);
  }
  const auto took = std::chrono::duration_cast<Duration>(system->Steady() - begin);
  EXPECT_EQ(queue.depth(), 0u);
  EXPECT_EQ(queue.processing(), 0u);
  RecordProperty("milliseconds", std::to_string(took.count()));
}

}  // namespace
}  // namespace certflow::runtime
