#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace certflow {

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// What the program measures about itself. Names are complete ("certflow_runs_finished_total");
// labels come from closed sets, never a workflow, host or message. Thread-safe; the first use of a
// name fixes its help text and kind. Implemented over prometheus-cpp in serve/.
class Metrics {
 public:
  virtual ~Metrics() = default;
  virtual void Add(std::string_view counter, std::string_view help, MetricLabels labels,
                   double by = 1) = 0;
  virtual void Set(std::string_view gauge, std::string_view help, MetricLabels labels,
                   double value) = 0;
  virtual void Observe(std::string_view histogram, std::string_view help, MetricLabels labels,
                       double seconds) = 0;
};

// Keeps nothing.
Metrics& NoMetrics();

}  // namespace certflow
