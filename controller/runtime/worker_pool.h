#pragma once

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

// `size` threads that take keys and call `reconcile`, each with a deadline of `limit`. Has the
// program's only catch-all: an exception is counted, logged and backed off. kConflict is silent.
class WorkerPool {
 public:
  WorkerPool(std::string name, int size, Duration limit, Workqueue& queue, Clock& clock,
             Metrics& metrics, Logger log, ReconcileFn reconcile);
  ~WorkerPool();  // Stop with no grace
  void Start();
  // Shuts the queue down, waits for the workers until `deadline`, then cancels what is left.
  void Stop(SteadyTime deadline);
  // The age of the oldest reconcile under way, for /livez.
  Duration LongestRunning() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::runtime
