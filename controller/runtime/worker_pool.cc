#include "controller/runtime/worker_pool.h"

#include <pthread.h>

#include <atomic>
#include <exception>
#include <limits>
#include <list>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "controller/base/mutex.h"

namespace certflow::runtime {
namespace {

constexpr Duration kPauseWithoutThreads = std::chrono::seconds(1);
constexpr std::int64_t kIdle = std::numeric_limits<std::int64_t>::max();

Duration Age(SteadyTime now, std::int64_t since) {
  return std::chrono::duration_cast<Duration>(now.time_since_epoch() - SteadyTime::duration(since));
}

struct Worker {
  std::thread thread;
  std::atomic<std::int64_t> since = kIdle;  // steady ticks, while it works on a key
};

}  // namespace

struct WorkerPool::Impl {
  Impl(std::string pool_name, PoolSize its_size, Duration its_limit, Workqueue& its_queue,
       Clock& its_clock, Metrics& its_metrics, const Logger& its_log, ReconcileFn fn)
      : name(std::move(pool_name)),
        size(its_size),
        limit(its_limit),
        queue(its_queue),
        clock(its_clock),
        metrics(its_metrics),
        log(its_log.With({{"queue", name}})),
        reconcile(std::move(fn)) {}

  void StartWorker(bool for_ever) CF_REQUIRES(mutex) {
    Worker& worker = workers.emplace_back();
    TellWorkers();
    try {
      worker.thread = std::thread([this, &worker, for_ever] {
        pthread_setname_np(pthread_self(), "worker");
        Work(worker, for_ever);
        if (!for_ever) Leave(worker);
      });
    } catch (const std::system_error&) {
      workers.pop_back();
      TellWorkers();
      throw;
    }
  }

  void Work(Worker& worker, bool for_ever) {
    for (;;) {
      const std::optional<std::string> key =
          for_ever ? queue.Get() : queue.Get(clock.Steady() + kIdleLimit);
      if (!key) return;
      const SteadyTime now = clock.Steady();
      worker.since.store(now.time_since_epoch().count(), std::memory_order_relaxed);
      Count(Handle({clock, now + limit, cancel.get_token(), log.With({{"key", *key}})}, *key));
      worker.since.store(kIdle, std::memory_order_relaxed);
      finished.fetch_add(1, std::memory_order_relaxed);  // first: a queue at rest means all counted
      queue.Done(*key);
    }
  }

  // Each thread that leaves joins the one that left before it, so that at most one is unjoined.
  void Leave(Worker& worker) {
    std::thread before;
    {
      MutexLock lock(mutex);
      if (stopping) return;  // Stop joins it
      before = std::exchange(last_left, std::move(worker.thread));
      workers.remove_if([&](const Worker& other) { return &other == &worker; });
      TellWorkers();
      room.notify_one();
    }
    if (before.joinable()) before.join();
  }

  // The thread "pool".
  void Tend() {
    std::size_t step = 1;
    SteadyTime end{};
    while (AwaitRoom() && queue.AwaitStarved()) {
      const SteadyTime begin = clock.Steady();
      if (begin - end > kPatience) step = 1;
      const std::uint64_t before = finished.load(std::memory_order_relaxed);
      clock.WaitUntil(begin + kPatience, stop_tending.get_token());
      end = clock.Steady();
      const bool hang = finished.load(std::memory_order_relaxed) == before;
      const std::size_t starved = hang ? queue.starved() : 0;
      if (starved > 0) Grow(std::min(step, starved));
      step = starved > 0 ? std::min(step * 2, static_cast<std::size_t>(size.max)) : 1;
    }
  }

  // At `max` nothing can be done for starved keys until a worker has left; false when stopping.
  bool AwaitRoom() {
    MutexLock lock(mutex);
    while (!stopping && workers.size() >= static_cast<std::size_t>(size.max)) room.wait(mutex);
    return !stopping;
  }

  void Grow(std::size_t count) {
    try {
      MutexLock lock(mutex);
      const std::size_t space = static_cast<std::size_t>(size.max) - workers.size();
      for (std::size_t n = std::min(count, space); n > 0 && !stopping; --n) StartWorker(false);
    } catch (const std::system_error& refused) {
      // A limit on threads; those that are there go on.
      log.Error("cannot start one more worker", {{"error", Sanitize(refused.what())}});
      clock.WaitUntil(clock.Steady() + kPauseWithoutThreads, stop_tending.get_token());
    }
  }

  void TellWorkers() CF_REQUIRES(mutex) {
    metrics.Set("certflow_workers", "Threads that work on keys.", {{"queue", name}},
                static_cast<double>(workers.size()));
  }

  // With `stopping` set nobody else takes workers out.
  void JoinAll() {
    std::vector<std::thread> threads;
    {
      MutexLock lock(mutex);
      for (Worker& worker : workers) threads.push_back(std::move(worker.thread));
      threads.push_back(std::move(last_left));
    }
    for (std::thread& thread : threads) {
      if (thread.joinable()) thread.join();
    }
    MutexLock lock(mutex);
    workers.clear();
    TellWorkers();
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
  const PoolSize size;
  const Duration limit;
  Workqueue& queue;
  Clock& clock;
  Metrics& metrics;
  const Logger log;
  const ReconcileFn reconcile;
  std::stop_source cancel;
  std::stop_source stop_tending;
  std::atomic<std::uint64_t> finished = 0;

  mutable Mutex mutex;
  CondVar room;
  std::list<Worker> workers CF_GUARDED_BY(mutex);
  std::thread last_left CF_GUARDED_BY(mutex);
  bool stopping CF_GUARDED_BY(mutex) = false;
  std::thread tender;
};

WorkerPool::WorkerPool(std::string name, PoolSize size, Duration limit, Workqueue& queue,
                       Clock& clock, Metrics& metrics, const Logger& log, ReconcileFn reconcile)
    : impl_(std::make_unique<Impl>(std::move(name), size, limit, queue, clock, metrics, log,
                                   std::move(reconcile))) {}

WorkerPool::~WorkerPool() { Stop(impl_->clock.Steady()); }

void WorkerPool::Start() {
  MutexLock lock(impl_->mutex);
  if (!impl_->workers.empty() || impl_->stopping) return;
  for (int i = 0; i < impl_->size.initial; ++i) impl_->StartWorker(true);
  if (impl_->size.initial == impl_->size.max) return;
  impl_->tender = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "pool");
    impl->Tend();
  });
}

void WorkerPool::Stop(SteadyTime deadline) {
  {
    MutexLock lock(impl_->mutex);
    if (impl_->workers.empty() || impl_->stopping) return;
    impl_->stopping = true;
    impl_->room.notify_all();
  }
  impl_->queue.ShutDown();
  impl_->stop_tending.request_stop();
  if (impl_->tender.joinable()) impl_->tender.join();
  if (!impl_->queue.Drain(deadline)) impl_->cancel.request_stop();
  impl_->JoinAll();
}

Duration WorkerPool::LongestRunning() const {
  std::int64_t oldest = kIdle;
  {
    MutexLock lock(impl_->mutex);
    for (const Worker& worker : impl_->workers) {
      oldest = std::min(oldest, worker.since.load(std::memory_order_relaxed));
    }
  }
  return oldest == kIdle ? Duration::zero() : Age(impl_->clock.Steady(), oldest);
}

}  // namespace certflow::runtime
