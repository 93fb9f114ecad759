#include "controller/runtime/leader_elector.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/unit/runtime/recording_metrics.h"
#include "tests/unit/runtime/scripted_client.h"

namespace certflow::runtime {
namespace {

using std::chrono::seconds;

// One lease as a server keeps it: conditional on the resourceVersion, and sometimes out of order.
class LeaseHost {
 public:
  ScriptedClient::Answer Answer() {
    return [this](const Context&, const Asked& asked) { return Serve(asked); };
  }
  nlohmann::json Spec() {
    MutexLock lock(mutex_);
    return lease_.is_null() ? lease_ : lease_["spec"];
  }
  std::string Holder() {
    const nlohmann::json spec = Spec();
    return spec.is_null() ? "none" : spec["holderIdentity"].get<std::string>();
  }
  // As another process would write it, without asking.
  void Put(const std::string& holder, int transitions) {
    MutexLock lock(mutex_);
    lease_ = {{"spec",
               {{"holderIdentity", holder},
                {"leaseDurationSeconds", 15},
                {"acquireTime", "2001-01-01T00:00:00.000000Z"},
                {"renewTime", "2001-01-01T00:00:00.000000Z"},
                {"leaseTransitions", transitions}}}};
    Bump();
  }
  void FailWith(std::optional<ErrorCode> code) {
    MutexLock lock(mutex_);
    fail_ = code;
  }
  // The next write is carried out, but its answer is lost.
  void LoseNextAnswer() {
    MutexLock lock(mutex_);
    lose_answer_ = true;
  }

 private:
  Result<kube::Document> Serve(const Asked& asked) {
    MutexLock lock(mutex_);
    if (fail_) return MakeError(*fail_, "Injected", "injected");
    if (asked.verb == "get") {
      if (lease_.is_null()) return MakeError(ErrorCode::kNotFound, "NotFound", "no lease");
      return kube::MakeDocument(lease_);
    }
    const nlohmann::json body = nlohmann::json::parse(asked.body);
    if (asked.verb == "create") {
      if (!lease_.is_null()) return MakeError(ErrorCode::kAlreadyExists, "AlreadyExists", "taken");
      lease_ = body;
    } else {
      if (lease_.is_null()) return MakeError(ErrorCode::kNotFound, "NotFound", "no lease");
      if (body["metadata"]["resourceVersion"] != lease_["metadata"]["resourceVersion"]) {
        return MakeError(ErrorCode::kConflict, "Conflict", "changed");
      }
      lease_.merge_patch(body);
    }
    Bump();
    if (std::exchange(lose_answer_, false)) {
      return MakeError(ErrorCode::kUnknownOutcome, "Lost", "the answer was lost");
    }
    return kube::MakeDocument(lease_);
  }
  void Bump() CF_REQUIRES(mutex_) {
    lease_["metadata"]["resourceVersion"] = std::to_string(++version_);
  }

  Mutex mutex_;
  nlohmann::json lease_ CF_GUARDED_BY(mutex_);
  int version_ CF_GUARDED_BY(mutex_) = 100;
  std::optional<ErrorCode> fail_ CF_GUARDED_BY(mutex_);
  bool lose_answer_ CF_GUARDED_BY(mutex_) = false;
};

// One replica.
struct Candidate {
  Candidate(LeaseHost& host, Clock& clock, const std::string& identity)
      : elector(client, Options(identity), clock, metrics, Logger()) {
    client.SetAnswer(host.Answer());
  }
  static LeaderOptions Options(const std::string& identity) {
    LeaderOptions options;
    options.ns = "certflow-system";
    options.identity = identity;
    return options;
  }
  void Start() {
    elector.Start([this] { elected.set_value(); }, [this] { lost.set_value(); });
  }
  bool Elected() { return elected_future.wait_for(seconds(0)) == std::future_status::ready; }
  bool Lost() { return lost_future.wait_for(seconds(0)) == std::future_status::ready; }

  ScriptedClient client;
  RecordingMetrics metrics;
  std::promise<void> elected, lost;
  std::future<void> elected_future = elected.get_future();
  std::future<void> lost_future = lost.get_future();
  LeaderElector elector;
};

class LeaderElectorTest : public testing::Test {
 protected:
  // Moves from rest to rest, as many times as somebody waits within `time`.
  void Pass(Duration time, std::size_t waiters = 1) {
    const SteadyTime end = clock_.Steady() + time;
    while (true) {
      ASSERT_TRUE(clock_.AwaitWaiters(waiters));
      if (*clock_.earliest() > end) break;
      clock_.AdvanceToNext();
    }
    clock_.Advance(std::chrono::duration_cast<Duration>(end - clock_.Steady()));
  }

  fakes::SimulatedClock clock_;
  LeaseHost host_;
  Candidate a_{host_, clock_, "a"};
  Candidate b_{host_, clock_, "b"};
};

TEST_F(LeaderElectorTest, FirstOneCreatesTheLeaseAndRenewsItWithOneRequest) {
  EXPECT_FALSE(a_.elector.MayAct());
  a_.Start();
  a_.elected_future.wait();
  EXPECT_TRUE(a_.elector.MayAct());
  EXPECT_TRUE(a_.elector.leading());
  EXPECT_EQ(a_.elector.epoch(), 0);
  const nlohmann::json first = host_.Spec();
  EXPECT_EQ(first["holderIdentity"], "a");
  EXPECT_EQ(first["leaseDurationSeconds"], 15);
  EXPECT_EQ(first["leaseTransitions"], 0);
  EXPECT_EQ(first["renewTime"], FormatMicroTime(clock_.Now()));
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  const std::size_t before = a_.client.asked().size();
  Pass(seconds(20));
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  EXPECT_EQ(a_.client.asked().size() - before, 10u) << "every two seconds, no reads";
  const nlohmann::json later = host_.Spec();
  EXPECT_EQ(later["acquireTime"], first["acquireTime"]);
  EXPECT_NE(later["renewTime"], first["renewTime"]);
  EXPECT_EQ(a_.metrics.Value("certflow_leader"), 1);
}

TEST_F(LeaderElectorTest, CallsEndAtHalfTheRenewDeadline) {
  a_.Start();
  a_.elected_future.wait();
  EXPECT_EQ(a_.client.asked()[0].deadline - clock_.Steady(), seconds(5));
}

TEST_F(LeaderElectorTest, StandbyWaitsAWholeLeaseFromFirstSeeingTheRecord) {
  host_.Put("dead", 4);  // its times are of 2001: they say nothing
  a_.Start();
  Pass(seconds(14));
  EXPECT_FALSE(a_.Elected());
  Pass(seconds(6));
  a_.elected_future.wait();
  EXPECT_EQ(host_.Holder(), "a");
  EXPECT_EQ(a_.elector.epoch(), 5);
  EXPECT_EQ(host_.Spec()["leaseTransitions"], 5);
}

TEST_F(LeaderElectorTest, WallClockThatJumpsChangesNothing) {
  a_.Start();
  a_.elected_future.wait();
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  clock_.SetWall(clock_.Now() + std::chrono::hours(24 * 365));
  b_.Start();
  Pass(seconds(60), 2);
  EXPECT_TRUE(a_.elector.MayAct());
  EXPECT_FALSE(b_.Elected());
}

// The aim of a take-over below twenty seconds: at most 2.2 retry periods until the last renewal is
// seen, and one lease.
TEST_F(LeaderElectorTest, DeadLeaderIsReplacedWithinTwentySeconds) {
  a_.Start();
  a_.elected_future.wait();
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  b_.Start();
  Pass(seconds(10), 2);
  a_.elector.Stop(false);  // as kill -9: no release
  const SteadyTime died = clock_.Steady();
  while (!b_.Elected()) {
    ASSERT_TRUE(clock_.AwaitWaiters(1));
    clock_.AdvanceToNext();
    ASSERT_TRUE(clock_.AwaitWaiters(1));
  }
  EXPECT_LE(clock_.Steady() - died, seconds(20));
  EXPECT_EQ(host_.Holder(), "b");
}

TEST_F(LeaderElectorTest, LeaderThatCannotRenewStopsActingAtTheDeadlineAndIsLost) {
  a_.Start();
  a_.elected_future.wait();
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  host_.FailWith(ErrorCode::kUnavailable);
  Pass(Duration(9'999));
  EXPECT_TRUE(a_.elector.MayAct());
  EXPECT_FALSE(a_.Lost());
  clock_.Advance(Duration(1));
  EXPECT_FALSE(a_.elector.MayAct()) << "at once, not when its thread has noticed";
  a_.lost_future.wait();
  EXPECT_FALSE(a_.elector.leading());
  host_.FailWith(std::nullopt);
  const std::size_t requests = a_.client.asked().size();
  clock_.Advance(seconds(60));
  a_.elector.Stop(true);
  EXPECT_EQ(a_.client.asked().size(), requests) << "a lost lease is not released";
}

TEST_F(LeaderElectorTest, ShortOutageIsSurvived) {
  a_.Start();
  a_.elected_future.wait();
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  host_.FailWith(ErrorCode::kUnavailable);
  Pass(seconds(7));
  host_.FailWith(std::nullopt);
  Pass(seconds(7));
  EXPECT_TRUE(a_.elector.MayAct());
}

TEST_F(LeaderElectorTest, LeaderThatSeesAnotherHolderIsLostAtOnce) {
  a_.Start();
  a_.elected_future.wait();
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  host_.Put("usurper", 7);
  clock_.AdvanceToNext();
  a_.lost_future.wait();
  EXPECT_FALSE(a_.elector.MayAct());
  EXPECT_EQ(host_.Holder(), "usurper");
}

TEST_F(LeaderElectorTest, RenewalWhoseAnswerIsLostIsFoundAndGoesOn) {
  a_.Start();
  a_.elected_future.wait();
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  host_.LoseNextAnswer();
  Pass(seconds(12));
  EXPECT_TRUE(a_.elector.MayAct());
  EXPECT_FALSE(a_.Lost());
  EXPECT_EQ(a_.elector.epoch(), 0);
}

TEST_F(LeaderElectorTest, AcquisitionWhoseAnswerIsLostIsFound) {
  host_.LoseNextAnswer();
  a_.Start();
  Pass(seconds(5));
  a_.elected_future.wait();
  EXPECT_EQ(a_.elector.epoch(), 0) << "not taken twice";
}

TEST_F(LeaderElectorTest, ReleasedLeaseIsTakenOverWithoutWaiting) {
  a_.Start();
  a_.elected_future.wait();
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  a_.elector.Stop(true);
  EXPECT_FALSE(a_.elector.leading());
  EXPECT_EQ(host_.Holder(), "");
  EXPECT_EQ(host_.Spec()["leaseDurationSeconds"], 1);
  EXPECT_EQ(host_.Spec()["leaseTransitions"], 0);
  b_.Start();
  b_.elected_future.wait();
  EXPECT_EQ(host_.Holder(), "b");
  EXPECT_EQ(b_.elector.epoch(), 1);
  EXPECT_FALSE(a_.Lost()) << "given back, not lost";
}

TEST_F(LeaderElectorTest, ReleaseLeavesASuccessorsLeaseAlone) {
  a_.Start();
  a_.elected_future.wait();
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  host_.Put("successor", 3);
  a_.elector.Stop(true);
  EXPECT_EQ(host_.Holder(), "successor");
  EXPECT_EQ(host_.Spec()["leaseDurationSeconds"], 15);
}

TEST_F(LeaderElectorTest, StopWithoutReleaseKeepsTheLease) {
  a_.Start();
  a_.elected_future.wait();
  a_.elector.Stop(false);
  EXPECT_EQ(host_.Holder(), "a");
  EXPECT_FALSE(a_.elector.MayAct());
}

TEST_F(LeaderElectorTest, OverdueIsALeaderWhoseThreadHangs) {
  std::promise<void> hang;
  std::promise<void> elected;
  a_.elector.Start(
      [&] {
        elected.set_value();
        hang.get_future().wait();
      },
      [this] { a_.lost.set_value(); });
  elected.get_future().wait();
  clock_.Advance(seconds(15));
  EXPECT_FALSE(a_.elector.Overdue());
  clock_.Advance(Duration(1));
  EXPECT_TRUE(a_.elector.Overdue());
  EXPECT_FALSE(a_.elector.MayAct());
  hang.set_value();
  a_.lost_future.wait();
  EXPECT_FALSE(a_.elector.Overdue());
}

TEST_F(LeaderElectorTest, RecordOfStrangeShapeStopsNobody) {
  host_.Put("", 0);
  std::atomic<bool> strange = true;
  a_.client.SetAnswer([&](const Context& ctx, const Asked& asked) {
    if (asked.verb == "get" && strange.exchange(false)) {
      return Result<kube::Document>(
          kube::MakeDocument({{"metadata", {{"resourceVersion", "1"}}},
                              {"spec", {{"holderIdentity", 7}, {"leaseDurationSeconds", "x"}}}}));
    }
    return host_.Answer()(ctx, asked);
  });
  a_.Start();
  Pass(seconds(20));
  a_.elected_future.wait();
  EXPECT_EQ(host_.Holder(), "a");
}

}  // namespace
}  // namespace certflow::runtime
