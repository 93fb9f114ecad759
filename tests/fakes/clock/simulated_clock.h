#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <stop_token>

#include "controller/base/clock.h"
#include "controller/base/mutex.h"

namespace certflow::fakes {

// A clock that stands still until a test moves it. Thread-safe. Threads in WaitUntil really block;
// moving the clock wakes those whose time has come.
class SimulatedClock : public Clock {
 public:
  // 2026-01-01T00:00:00Z.
  static constexpr WallTime kStart{std::chrono::seconds(1'767'225'600)};

  explicit SimulatedClock(WallTime start = kStart) : wall_(start) {}

  WallTime Now() const override;
  SteadyTime Steady() const override;
  // (The lock is released inside of the wait, which the analysis cannot follow.)
  bool WaitUntil(SteadyTime until, std::stop_token stop) override CF_NO_THREAD_SAFETY_ANALYSIS;

  // Moves both clocks forward.
  void Advance(Duration by);
  // Moves to the earliest time that somebody waits for; false when nobody waits for one.
  bool AdvanceToNext();
  // Lets the wall clock jump, as an administrator or NTP does.
  void SetWall(WallTime now);

  // Threads that wait now, and the earliest time that one of them waits for.
  std::size_t waiters() const;
  std::optional<SteadyTime> earliest() const;
  // Blocks until at least `count` threads wait, so that a test moves the clock only after the code
  // under test has come to rest. False after ten real seconds: the test has failed.
  [[nodiscard]] bool AwaitWaiters(std::size_t count) CF_NO_THREAD_SAFETY_ANALYSIS;

 private:
  struct Wait {
    SteadyTime until;
    std::stop_token stop;
  };
  // Those that have not been woken, whether they run already or not.
  template <typename Fn>
  void ForEachWait(Fn fn) const CF_REQUIRES(mutex_) {
    for (const Wait& wait : waits_) {
      if (wait.until > steady_ && !wait.stop.stop_requested()) fn(wait.until);
    }
  }
  std::size_t Waiting() const CF_REQUIRES(mutex_);
  std::optional<SteadyTime> Earliest() const CF_REQUIRES(mutex_);
  void MoveTo(SteadyTime steady) CF_REQUIRES(mutex_);

  mutable Mutex mutex_;
  CondVar moved_;
  CondVar arrived_;
  WallTime wall_ CF_GUARDED_BY(mutex_);
  SteadyTime steady_ CF_GUARDED_BY(mutex_){std::chrono::hours(1000)};
  std::list<Wait> waits_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::fakes
