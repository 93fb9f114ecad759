#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/log.h"
#include "controller/base/metrics.h"
#include "controller/base/mutex.h"

namespace certflow::fakes {

// What a program is doing, as its metrics, its log and its requests tell. Thread-safe.
class Activity : public Metrics, public LogSink {
 public:
  // More workers are busy than those `hanging` ones that only time sets free.
  bool Busy(int hanging) const;
  // Blocks until something happens; false when nothing did for that long.
  bool AwaitChange(std::uint64_t seen, std::chrono::milliseconds limit);
  std::uint64_t changes() const;
  void Touch();
  // The process is gone, and its workers are.
  void Reset();

  std::vector<std::string> log() const;
  double counter(const std::string& name) const;

  void Add(std::string_view counter, std::string_view help, MetricLabels labels,
           double by = 1) override;
  void Set(std::string_view gauge, std::string_view help, MetricLabels labels,
           double value) override;
  void Observe(std::string_view histogram, std::string_view help, MetricLabels labels,
               double seconds) override;
  bool Enabled(LogLevel) const override { return true; }
  void Write(LogLevel level, std::string_view message, const std::vector<LogField>& context,
             std::initializer_list<LogField> fields) override;

 private:
  void TouchLocked() CF_REQUIRES(mutex_);
  mutable Mutex mutex_;
  CondVar changed_;
  std::uint64_t changes_ CF_GUARDED_BY(mutex_) = 0;
  int busy_ CF_GUARDED_BY(mutex_) = 0;
  std::map<std::string, double, std::less<>> counters_ CF_GUARDED_BY(mutex_);
  std::vector<std::string> log_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::fakes
