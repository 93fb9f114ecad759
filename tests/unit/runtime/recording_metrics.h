#pragma once

#include <map>
#include <string>

#include "controller/base/metrics.h"
#include "controller/base/mutex.h"

namespace certflow::runtime {

// Remembers the value of each series, as "name{label=value,...}"; of histograms the count.
class RecordingMetrics : public Metrics {
 public:
  void Add(std::string_view counter, std::string_view, MetricLabels labels, double by) override {
    MutexLock lock(mutex_);
    values_[Series(counter, labels)] += by;
  }
  void Set(std::string_view gauge, std::string_view, MetricLabels labels, double value) override {
    MutexLock lock(mutex_);
    values_[Series(gauge, labels)] = value;
  }
  void Observe(std::string_view histogram, std::string_view, MetricLabels labels,
               double seconds) override {
    MutexLock lock(mutex_);
    values_[Series(histogram, labels)] += 1;
    last_[Series(histogram, labels)] = seconds;
  }
  double Value(const std::string& series) const {
    MutexLock lock(mutex_);
    const auto found = values_.find(series);
    return found == values_.end() ? 0 : found->second;
  }
  double Last(const std::string& series) const {
    MutexLock lock(mutex_);
    const auto found = last_.find(series);
    return found == last_.end() ? 0 : found->second;
  }

 private:
  static std::string Series(std::string_view name, MetricLabels labels) {
    std::string series(name);
    for (const auto& [label, value] : labels) {
      series += series.size() == name.size() ? "{" : ",";
      series.append(label).append("=").append(value);
    }
    return labels.size() > 0 ? series + "}" : series;
  }

  mutable Mutex mutex_;
  std::map<std::string, double> values_ CF_GUARDED_BY(mutex_);
  std::map<std::string, double> last_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::runtime
