#include "controller/runtime/worker_pool.h"

#include <pthread.h>

#include <atomic>
#include <exception>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

namespace certflow::runtime {
namespace {

constexpr std::int64_t kIdle = std::numeric_limits<std::int64_t>::max();

Duration Age(SteadyTime now, std::int64_t since) {
  return std::chrono::duration_cast<Duration>(now.time_since_epoch() - SteadyTime::duration(since));
}

}  // namespace

struct WorkerPool::Impl {
  Impl(std::string pool_name, int size, Duration its_limit, Workqueue& its_queue, Clock& its_clock,
       Metrics& its_metrics, Logger its_log, ReconcileFn fn)
      : name(std::move(pool_name)),
        limit(its_limit),
        queue(its_queue),
        clock(its_clock),
        metrics(its_metrics),
        log(its_log.With({{"queue", name}})),
        reconcile(std::move(fn)),
        started(static_cast<std::size_t>(size)) {
    for (auto& since : started) since.store(kIdle, std::memory_order_relaxed);
  }

  void Work(std::atomic<std::int64_t>& since) {
    while (const std::optional<std::string> key = queue.Get()) {
      const SteadyTime now = clock.Steady();
      since.store(now.time_since_epoch().count(), std::memory_order_relaxed);
      Count(Handle({clock, now + limit, cancel.get_token(), log.With({{"key", *key}})}, *key));
      since.store(kIdle, std::memory_order_relaxed);
      queue.Done(*key);
    }
  }

  // Returns the label of what happened.
  std::string_view Handle(const Context& ctx, std::string_view key) {
    // The only catch-all of the program: one bad object must not take the others down.
    try {
      return Settle(ctx, key, reconcile(ctx, key));
    } catch (const std::exception& thrown) {
      return SettlePanic(ctx, key, Sanitize(thrown.what()));
    } catch (...) {
      return SettlePanic(ctx, key, "not a std::exception");
    }
  }

  std::string_view Settle(const Context& ctx, std::string_view key, const Result<Outcome>& result) {
    if (!result.ok()) return SettleError(ctx, key, result.error());
    queue.Forget(key);
    if (!result->again_after) return "success";
    queue.AddAfter(key, *result->again_after);
    return "again";
  }

  std::string_view SettleError(const Context& ctx, std::string_view key, const Error& error) {
    if (error.code == ErrorCode::kCancelled && ctx.stopped()) return "cancelled";
    if (error.code == ErrorCode::kConflict) {
      // Somebody else wrote first; the next read tells.
      queue.AddWithBackoff(key);
      return "conflict";
    }
    ctx.log.Error(
        "reconcile failed",
        {{"code", ErrorCodeName(error.code)}, {"reason", error.reason}, {"error", error.message}});
    switch (error.retry) {
      case Retry::kNever:
        queue.Forget(key);
        return "terminal";
      case Retry::kAfter:
        if (error.retry_after && *error.retry_after > Duration::zero()) {
          queue.AddAfter(key, *error.retry_after);
          return "error";
        }
        break;
      case Retry::kBackoff:
        break;
    }
    queue.AddWithBackoff(key);
    return "error";
  }

  std::string_view SettlePanic(const Context& ctx, std::string_view key, std::string_view what) {
    metrics.Add("certflow_reconcile_panics_total", "Reconciles that ended in an exception.",
                {{"queue", name}});
    ctx.log.Error("reconcile threw", {{"error", what}});
    queue.AddWithBackoff(key);
    return "panic";
  }

  void Count(std::string_view result) {
    metrics.Add("certflow_reconcile_total", "Reconciles by how they ended.",
                {{"queue", name}, {"result", result}});
  }

  const std::string name;
  const Duration limit;
  Workqueue& queue;
  Clock& clock;
  Metrics& metrics;
  const Logger log;
  const ReconcileFn reconcile;
  std::stop_source cancel;
  std::vector<std::atomic<std::int64_t>> started;  // steady ticks, one a worker
  std::vector<std::thread> threads;
};

WorkerPool::WorkerPool(std::string name, int size, Duration limit, Workqueue& queue, Clock& clock,
                       Metrics& metrics, Logger log, ReconcileFn reconcile)
    : impl_(std::make_unique<Impl>(std::move(name), size, limit, queue, clock, metrics,
                                   std::move(log), std::move(reconcile))) {}

WorkerPool::~WorkerPool() { Stop(impl_->clock.Steady()); }

void WorkerPool::Start() {
  if (!impl_->threads.empty()) return;
  impl_->threads.reserve(impl_->started.size());
  for (auto& since : impl_->started) {
    impl_->threads.emplace_back([impl = impl_.get(), &since] {
      pthread_setname_np(pthread_self(), "worker");
      impl->Work(since);
    });
  }
}

void WorkerPool::Stop(SteadyTime deadline) {
  if (impl_->threads.empty()) return;
  impl_->queue.ShutDown();
  if (!impl_->queue.Drain(deadline)) impl_->cancel.request_stop();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

Duration WorkerPool::LongestRunning() const {
  std::int64_t oldest = kIdle;
  for (const auto& since : impl_->started) {
    oldest = std::min(oldest, since.load(std::memory_order_relaxed));
  }
  return oldest == kIdle ? Duration::zero() : Age(impl_->clock.Steady(), oldest);
}

}  // namespace certflow::runtime
