#include "tests/fakes/world/activity.h"

namespace certflow::fakes {

bool Activity::Busy(int hanging) const {
  MutexLock lock(mutex_);
  return busy_ > hanging;
}

std::uint64_t Activity::changes() const {
  MutexLock lock(mutex_);
  return changes_;
}

bool Activity::AwaitChange(std::uint64_t seen, std::chrono::milliseconds limit) {
  MutexLock lock(mutex_);
  return changed_.wait_for(mutex_, limit,
                           [&]() CF_NO_THREAD_SAFETY_ANALYSIS { return changes_ != seen; });
}

void Activity::TouchLocked() {
  ++changes_;
  changed_.notify_all();
}

void Activity::Touch() {
  MutexLock lock(mutex_);
  TouchLocked();
}

void Activity::Reset() {
  MutexLock lock(mutex_);
  busy_ = 0;
}

std::vector<std::string> Activity::log() const {
  MutexLock lock(mutex_);
  return log_;
}

double Activity::counter(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = counters_.find(name);
  return found == counters_.end() ? 0 : found->second;
}

void Activity::Add(std::string_view counter, std::string_view, MetricLabels, double by) {
  MutexLock lock(mutex_);
  counters_[std::string(counter)] += by;
  TouchLocked();
}

void Activity::Set(std::string_view, std::string_view, MetricLabels, double) { Touch(); }

// A key taken by a worker is told by one histogram, a key done with by the other.
void Activity::Observe(std::string_view histogram, std::string_view, MetricLabels, double) {
  const bool taken = histogram == "certflow_workqueue_queue_duration_seconds";
  const bool done = histogram == "certflow_workqueue_work_duration_seconds";
  if (!taken && !done) return;
  MutexLock lock(mutex_);
  busy_ += taken ? 1 : -1;
  TouchLocked();
}

void Activity::Write(LogLevel, std::string_view message, const std::vector<LogField>& context,
                     std::initializer_list<LogField> fields) {
  std::string line(message);
  for (const LogField& field : context) line += " " + field.key + "=" + field.value;
  for (const LogField& field : fields) line += " " + field.key + "=" + field.value;
  MutexLock lock(mutex_);
  log_.push_back(std::move(line));
}

}  // namespace certflow::fakes
