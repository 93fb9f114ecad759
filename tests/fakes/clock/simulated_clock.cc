#include "tests/fakes/clock/simulated_clock.h"

#include <algorithm>

namespace certflow::fakes {

WallTime SimulatedClock::Now() const {
  MutexLock lock(mutex_);
  return wall_;
}

SteadyTime SimulatedClock::Steady() const {
  MutexLock lock(mutex_);
  return steady_;
}

bool SimulatedClock::WaitUntil(SteadyTime until, std::stop_token stop) {
  std::unique_lock<Mutex> lock(mutex_);
  if (steady_ >= until) return true;
  const auto place = waits_.insert(waits_.end(), Wait{until, stop});
  arrived_.notify_all();
  moved_.wait(lock, stop, [&]() CF_NO_THREAD_SAFETY_ANALYSIS { return steady_ >= until; });
  waits_.erase(place);
  return steady_ >= until;
}

void SimulatedClock::Advance(Duration by) {
  MutexLock lock(mutex_);
  MoveTo(steady_ + by);
}

bool SimulatedClock::AdvanceToNext() {
  MutexLock lock(mutex_);
  const std::optional<SteadyTime> next = Earliest();
  if (!next || *next == SteadyTime::max()) return false;
  MoveTo(*next);
  return true;
}

void SimulatedClock::MoveTo(SteadyTime steady) {
  wall_ += std::chrono::duration_cast<WallTime::duration>(steady - steady_);
  steady_ = steady;
  moved_.notify_all();
}

void SimulatedClock::SetWall(WallTime now) {
  MutexLock lock(mutex_);
  wall_ = now;
}

std::size_t SimulatedClock::Waiting() const {
  std::size_t count = 0;
  ForEachWait([&](SteadyTime) { ++count; });
  return count;
}

std::optional<SteadyTime> SimulatedClock::Earliest() const {
  std::optional<SteadyTime> next;
  ForEachWait([&](SteadyTime until) { next = next ? std::min(*next, until) : until; });
  return next;
}

std::size_t SimulatedClock::waiters() const {
  MutexLock lock(mutex_);
  return Waiting();
}

std::optional<SteadyTime> SimulatedClock::earliest() const {
  MutexLock lock(mutex_);
  return Earliest();
}

bool SimulatedClock::AwaitWaiters(std::size_t count) {
  std::unique_lock<Mutex> lock(mutex_);
  return arrived_.wait_for(lock, std::chrono::seconds(10),
                           [&]() CF_NO_THREAD_SAFETY_ANALYSIS { return Waiting() >= count; });
}

}  // namespace certflow::fakes
