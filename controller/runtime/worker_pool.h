#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/metrics.h"
#include "controller/runtime/workqueue.h"

namespace certflow::runtime {

// What a reconcile wants next. An error backs off, or waits as the error says (Retry::kAfter), or
// ends here (Retry::kNever: logged and counted; the next change of the object brings it back).
struct Outcome {
  std::optional<Duration> again_after;  // nothing: when something changes
};
using ReconcileFn = std::function<Result<Outcome>(const Context&, std::string_view key)>;

// Threads of a pool: `initial`, at least one, at Start and for ever, up to `max` when they hang.
// Never more than `max`, whatever `initial` says.
struct PoolSize {
  PoolSize(int fixed) : PoolSize(fixed, fixed) {}  // NOLINT(google-explicit-constructor): a size
  PoolSize(int its_initial, int its_max) : initial(std::min(its_initial, its_max)), max(its_max) {}
  int initial;
  int max;
};

// Threads that take keys and call `reconcile`, each with a deadline of `limit`. Has the program's
// only catch-all: an exception is counted, logged and backed off. kConflict is silent.
//
// Hosts that hang must not make the others wait. So, where the size allows growth, one more thread
// ("pool") sleeps until the queue is starved (more keys wait than workers are free, which an Add, a
// delay that ends and a worker that takes a key can all bring about) and then for kPatience. When
// no worker finished a key in that time it starts one more, and up to twice as many each time that
// this repeats without a pause, but no more than keys wait; workers that are just busy finish keys,
// so nothing grows. A worker beyond `initial` that got no key for kIdleLimit ends.
class WorkerPool {
 public:
  // Longer than workers need that share a busy API server: more of them would only wait there, each
  // with a tenth of a megabyte.
  static constexpr Duration kPatience = std::chrono::milliseconds(100);
  static constexpr Duration kIdleLimit = std::chrono::seconds(30);

  WorkerPool(std::string name, PoolSize size, Duration limit, Workqueue& queue, Clock& clock,
             Metrics& metrics, const Logger& log, ReconcileFn reconcile);
  ~WorkerPool();  // Stop with no grace
  // Once.
  void Start();
  // Shuts the queue down, waits for the workers until `deadline`, then cancels what is left. All
  // threads have ended when it returns.
  void Stop(SteadyTime deadline);
  // The age of the oldest reconcile under way, for /livez.
  Duration LongestRunning() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::runtime
