#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "controller/base/backoff.h"
#include "controller/base/clock.h"
#include "controller/base/metrics.h"

namespace certflow::runtime {

enum class Priority { kLive, kInitial };  // live changes go before the initial list

// Keys that wait for a worker, as client-go's workqueue: a key is held once however often it is
// added, is never with two workers at the same time, and comes back once when it was added while
// being worked on. Thread-safe.
class Workqueue {
 public:
  Workqueue(std::string name, Clock& clock, Metrics& metrics, BackoffPolicy backoff);
  ~Workqueue();

  void Add(std::string_view key, Priority priority = Priority::kLive);
  // Once per key, the earliest wins; an Add before then does not cancel it.
  void AddAfter(std::string_view key, Duration delay);
  // AddAfter with the key's own growing delay; Forget resets it.
  void AddWithBackoff(std::string_view key);
  void Forget(std::string_view key);

  // Blocks; nothing after ShutDown. Every Get that gave a key is answered by one Done.
  std::optional<std::string> Get();
  // Nothing also when no key came before `deadline`. Threads in the other Get are served first, and
  // of those in this one the latest to come, so that those that are not needed see their deadline.
  std::optional<std::string> Get(SteadyTime deadline);
  void Done(std::string_view key);

  // Refuses new keys and drops those that wait (the world is read again at the next start). Wakes
  // every Get.
  void ShutDown();
  // Waits until no key is being worked on; false when the deadline came first.
  bool Drain(SteadyTime deadline);

  // Blocks while nothing is `starved`; false after ShutDown. Minds the delayed keys while no thread
  // is in Get. For one thread at a time.
  bool AwaitStarved();
  // How many more keys wait than threads in Get, which will take one each.
  std::size_t starved() const;

  std::size_t depth() const;
  std::size_t processing() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::runtime
