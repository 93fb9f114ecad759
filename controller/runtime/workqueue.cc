#include "controller/runtime/workqueue.h"

#include <algorithm>
#include <cassert>
#include <list>
#include <set>
#include <unordered_map>
#include <utility>

#include "controller/base/mutex.h"

namespace certflow::runtime {
namespace {

// Keeps `now + delay` within what a clock can hold; everything further away is read again anyway.
constexpr Duration kLongestDelay = std::chrono::hours(24 * 365);

struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
};

// What is known of one key. It is forgotten when nothing of it is left: not queued, not being
// worked on, not delayed, no failures.
struct Entry {
  const std::string* key = nullptr;
  Entry* previous = nullptr;  // in the list of its priority, while queued
  Entry* next = nullptr;
  SteadyTime since{};     // queued, or taken by a worker
  SteadyTime ready_at{};  // while delayed
  int failures = 0;
  Priority priority = Priority::kInitial;
  bool queued = false;
  bool again = false;  // added while being worked on
  bool processing = false;
  bool delayed = false;

  bool Idle() const { return !queued && !processing && !delayed && failures == 0; }
};

// First in, first out, with removal from the middle.
class Fifo {
 public:
  bool empty() const { return first_ == nullptr; }
  Entry* front() const { return first_; }

  void Push(Entry& entry) {
    entry.previous = last_;
    entry.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &entry;
    last_ = &entry;
  }

  void Remove(Entry& entry) {
    (entry.previous != nullptr ? entry.previous->next : first_) = entry.next;
    (entry.next != nullptr ? entry.next->previous : last_) = entry.previous;
    entry.previous = entry.next = nullptr;
  }

 private:
  Entry* first_ = nullptr;
  Entry* last_ = nullptr;
};

struct EarlierFirst {
  bool operator()(const Entry* a, const Entry* b) const {
    return a->ready_at != b->ready_at ? a->ready_at < b->ready_at : std::less<>{}(a, b);
  }
};

double Seconds(SteadyTime::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

// Of the threads inside Get at most one waits on the clock, for the next delayed key; the others
// wait on the condition variable and take that duty over when it leaves with a key. So a delay that
// ends wakes one thread, not all. Those with a deadline of their own sleep on the clock as well,
// each with its own alarm. The thread in AwaitStarved has the duty while nobody is inside Get.
struct Workqueue::Impl {
  Impl(std::string queue_name, Clock& its_clock, Metrics& its_metrics, BackoffPolicy policy)
      : name(std::move(queue_name)), clock(its_clock), metrics(its_metrics), backoff(policy) {}

  Entry& Find(std::string_view key) CF_REQUIRES(mutex) {
    auto found = entries.find(key);
    if (found == entries.end()) {
      found = entries.emplace(std::string(key), Entry{}).first;
      found->second.key = &found->first;
    }
    return found->second;
  }

  void DropIfIdle(Entry& entry) CF_REQUIRES(mutex) {
    if (entry.Idle()) entries.erase(entries.find(*entry.key));
  }

  Fifo& ListOf(Priority priority) CF_REQUIRES(mutex) {
    return priority == Priority::kLive ? live : initial;
  }

  void Enqueue(Entry& entry, Priority priority) CF_REQUIRES(mutex) {
    if (entry.processing) {
      entry.priority = entry.again ? std::min(entry.priority, priority) : priority;
      if (!std::exchange(entry.again, true)) CountAdd();
    } else if (!entry.queued) {
      PushReady(entry, priority);
      CountAdd();
    } else if (priority < entry.priority) {
      ListOf(entry.priority).Remove(entry);
      entry.priority = priority;
      ListOf(priority).Push(entry);
    }
  }

  void PushReady(Entry& entry, Priority priority) CF_REQUIRES(mutex) {
    entry.queued = true;
    entry.priority = priority;
    entry.since = clock.Steady();
    ListOf(priority).Push(entry);
    ++ready;
    TellDepth();
    WakeOne();
    WakeWatcher();
  }

  void Delay(Entry& entry, SteadyTime ready_at) CF_REQUIRES(mutex) {
    if (entry.delayed) {
      if (entry.ready_at <= ready_at) return;
      delays.erase(&entry);
    }
    entry.delayed = true;
    entry.ready_at = ready_at;
    delays.insert(&entry);
    if (*delays.begin() != &entry) return;
    if (timing) {
      timer.request_stop();
    } else {
      WakeOne();
    }
    WakeWatcher();
  }

  void MoveDue() CF_REQUIRES(mutex) {
    if (delays.empty()) return;
    const SteadyTime now = clock.Steady();
    while (!delays.empty() && (*delays.begin())->ready_at <= now) {
      Entry& entry = **delays.begin();
      delays.erase(delays.begin());
      entry.delayed = false;
      Enqueue(entry, Priority::kLive);
    }
  }

  std::string Take() CF_REQUIRES(mutex) {
    Fifo& list = live.empty() ? initial : live;
    Entry& entry = *list.front();
    list.Remove(entry);
    --ready;
    ++processing;
    entry.queued = false;
    entry.processing = true;
    const SteadyTime now = clock.Steady();
    metrics.Observe("certflow_workqueue_queue_duration_seconds", "How long keys wait for a worker.",
                    {{"name", name}}, Seconds(now - entry.since));
    entry.since = now;
    TellDepth();
    if (ready > 0 || (!delays.empty() && !timing)) WakeOne();
    return *entry.key;
  }

  void WakeOne() CF_REQUIRES(mutex) {
    if (idle > 0) {
      wake.notify_one();
    } else if (timing && !timer.stop_requested()) {
      timer.request_stop();
    } else {
      const auto asleep = std::find_if(sleepers.rbegin(), sleepers.rend(),
                                       [](const auto& s) { return !s.stop_requested(); });
      if (asleep != sleepers.rend()) asleep->request_stop();
    }
  }

  // Waits for a key, for the next delayed one to be due, or for the deadline.
  void Wait(SteadyTime deadline) CF_REQUIRES(mutex) {
    const bool duty = !delays.empty() && !timing;
    if (!duty && deadline == SteadyTime::max()) {
      ++idle;
      wake.wait(mutex);
      --idle;
      return;
    }
    const auto place = sleepers.emplace(sleepers.end());
    SteadyTime until = deadline;
    if (duty) {
      timing = true;
      timer = *place;
      until = std::min(until, (*delays.begin())->ready_at);
    }
    SleepUntil(until, place->get_token());
    if (duty) timing = false;
    sleepers.erase(place);
  }

  void SleepUntil(SteadyTime until, const std::stop_token& alarm) CF_REQUIRES(mutex) {
    mutex.unlock();
    clock.WaitUntil(until, alarm);
    mutex.lock();
  }

  std::optional<std::string> TakeBefore(SteadyTime deadline) CF_REQUIRES(mutex) {
    while (!down) {
      MoveDue();
      if (ready > 0) return Take();
      if (clock.Steady() >= deadline) {
        if (!delays.empty() && !timing) WakeOne();  // takes the duty over
        return std::nullopt;
      }
      Wait(deadline);
    }
    return std::nullopt;
  }

  std::size_t Starved() const CF_REQUIRES(mutex) { return ready > inside ? ready - inside : 0; }

  void WaitStarved() CF_REQUIRES(mutex) {
    const bool duty = inside == 0 && !delays.empty();
    watched_until = duty ? (*delays.begin())->ready_at : SteadyTime::max();
    watching = true;
    if (duty) {
      watcher = std::stop_source();
      SleepUntil(watched_until, watcher.get_token());
    } else {
      starving.wait(mutex);
    }
    watching = false;
  }

  void WakeWatcher() CF_REQUIRES(mutex) {
    if (!watching) return;
    const bool duty = inside == 0 && !delays.empty() && (*delays.begin())->ready_at < watched_until;
    if (Starved() == 0 && !duty && !down) return;
    watching = false;
    starving.notify_one();
    watcher.request_stop();
  }

  void CountAdd() {
    metrics.Add("certflow_workqueue_adds_total", "Keys that were queued.", {{"name", name}});
  }
  // Under the lock, so that the last value told is the last one that was.
  void TellDepth() CF_REQUIRES(mutex) {
    metrics.Set("certflow_workqueue_depth", "Keys that wait for a worker.", {{"name", name}},
                static_cast<double>(ready));
  }

  const std::string name;
  Clock& clock;
  Metrics& metrics;
  const BackoffPolicy backoff;

  mutable Mutex mutex;
  CondVar wake;
  std::unordered_map<std::string, Entry, KeyHash, std::equal_to<>> entries CF_GUARDED_BY(mutex);
  Fifo live CF_GUARDED_BY(mutex);
  Fifo initial CF_GUARDED_BY(mutex);
  std::set<Entry*, EarlierFirst> delays CF_GUARDED_BY(mutex);
  std::size_t ready CF_GUARDED_BY(mutex) = 0;
  std::size_t processing CF_GUARDED_BY(mutex) = 0;
  int idle CF_GUARDED_BY(mutex) = 0;         // threads on the condition variable
  bool timing CF_GUARDED_BY(mutex) = false;  // a thread waits on the clock, until `timer`
  std::stop_source timer CF_GUARDED_BY(mutex);
  std::list<std::stop_source> sleepers CF_GUARDED_BY(mutex);  // on the clock, the latest last
  std::size_t inside CF_GUARDED_BY(mutex) = 0;                // threads in Get
  CondVar starving;
  bool watching CF_GUARDED_BY(mutex) = false;  // a thread waits in AwaitStarved, not yet woken
  SteadyTime watched_until CF_GUARDED_BY(mutex){};
  std::stop_source watcher CF_GUARDED_BY(mutex);
  std::list<std::stop_source> drains CF_GUARDED_BY(mutex);
  bool down CF_GUARDED_BY(mutex) = false;
};

Workqueue::Workqueue(std::string name, Clock& clock, Metrics& metrics, BackoffPolicy backoff)
    : impl_(std::make_unique<Impl>(std::move(name), clock, metrics, backoff)) {}

Workqueue::~Workqueue() = default;

void Workqueue::Add(std::string_view key, Priority priority) {
  MutexLock lock(impl_->mutex);
  if (impl_->down) return;
  impl_->Enqueue(impl_->Find(key), priority);
}

void Workqueue::AddAfter(std::string_view key, Duration delay) {
  if (delay <= Duration::zero()) return Add(key);
  MutexLock lock(impl_->mutex);
  if (impl_->down) return;
  impl_->Delay(impl_->Find(key), impl_->clock.Steady() + std::min(delay, kLongestDelay));
}

void Workqueue::AddWithBackoff(std::string_view key) {
  MutexLock lock(impl_->mutex);
  if (impl_->down) return;
  Entry& entry = impl_->Find(key);
  const Duration delay = BackoffDelay(impl_->backoff, ++entry.failures, JitterWord());
  impl_->metrics.Add("certflow_workqueue_retries_total", "Keys that came back after a failure.",
                     {{"name", impl_->name}});
  impl_->Delay(entry, impl_->clock.Steady() + std::min(delay, kLongestDelay));
}

void Workqueue::Forget(std::string_view key) {
  MutexLock lock(impl_->mutex);
  const auto found = impl_->entries.find(key);
  if (found == impl_->entries.end()) return;
  found->second.failures = 0;
  impl_->DropIfIdle(found->second);
}

std::optional<std::string> Workqueue::Get() { return Get(SteadyTime::max()); }

std::optional<std::string> Workqueue::Get(SteadyTime deadline) {
  MutexLock lock(impl_->mutex);
  ++impl_->inside;
  std::optional<std::string> key = impl_->TakeBefore(deadline);
  --impl_->inside;
  impl_->WakeWatcher();
  return key;
}

bool Workqueue::AwaitStarved() {
  MutexLock lock(impl_->mutex);
  while (!impl_->down) {
    impl_->MoveDue();
    if (impl_->Starved() > 0) return true;
    impl_->WaitStarved();
  }
  return false;
}

void Workqueue::Done(std::string_view key) {
  MutexLock lock(impl_->mutex);
  const auto found = impl_->entries.find(key);
  assert(found != impl_->entries.end() && found->second.processing);
  Entry& entry = found->second;
  entry.processing = false;
  --impl_->processing;
  impl_->metrics.Observe("certflow_workqueue_work_duration_seconds",
                         "How long a worker is busy with a key.", {{"name", impl_->name}},
                         Seconds(impl_->clock.Steady() - entry.since));
  if (std::exchange(entry.again, false) && !impl_->down) {
    impl_->PushReady(entry, entry.priority);
  }
  impl_->DropIfIdle(entry);
  if (impl_->processing == 0) {
    for (std::stop_source& drain : impl_->drains) drain.request_stop();
  }
}

void Workqueue::ShutDown() {
  MutexLock lock(impl_->mutex);
  impl_->down = true;
  impl_->live = Fifo();
  impl_->initial = Fifo();
  impl_->delays.clear();
  impl_->ready = 0;
  std::erase_if(impl_->entries, [](const auto& item) { return !item.second.processing; });
  for (auto& [key, entry] : impl_->entries) entry.again = entry.delayed = false;
  impl_->TellDepth();
  impl_->wake.notify_all();
  for (std::stop_source& sleeper : impl_->sleepers) sleeper.request_stop();
  impl_->WakeWatcher();
}

bool Workqueue::Drain(SteadyTime deadline) {
  std::stop_token empty;
  std::list<std::stop_source>::iterator place;
  {
    MutexLock lock(impl_->mutex);
    if (impl_->processing == 0) return true;
    place = impl_->drains.emplace(impl_->drains.end());
    empty = place->get_token();
  }
  impl_->clock.WaitUntil(deadline, empty);
  MutexLock lock(impl_->mutex);
  impl_->drains.erase(place);
  return impl_->processing == 0;
}

std::size_t Workqueue::starved() const {
  MutexLock lock(impl_->mutex);
  return impl_->Starved();
}

std::size_t Workqueue::depth() const {
  MutexLock lock(impl_->mutex);
  return impl_->ready;
}

std::size_t Workqueue::processing() const {
  MutexLock lock(impl_->mutex);
  return impl_->processing;
}

}  // namespace certflow::runtime
