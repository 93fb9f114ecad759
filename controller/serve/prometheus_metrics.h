#pragma once

#include <functional>
#include <memory>
#include <string>

#include "controller/base/metrics.h"

namespace certflow::serve {

// Metrics over prometheus-cpp, and their text exposition. Thread-safe.
class PrometheusMetrics : public Metrics {
 public:
  PrometheusMetrics();
  ~PrometheusMetrics() override;
  void Add(std::string_view counter, std::string_view help, MetricLabels labels,
           double by) override;
  void Set(std::string_view gauge, std::string_view help, MetricLabels labels,
           double value) override;
  void Observe(std::string_view histogram, std::string_view help, MetricLabels labels,
               double seconds) override;

  // Called before each exposition, for gauges that are counted rather than kept.
  void BeforeExposition(std::function<void()> refresh);
  std::string Expose();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::serve
