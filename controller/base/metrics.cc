#include "controller/base/metrics.h"

namespace certflow {
namespace {

class NullMetrics final : public Metrics {
 public:
  void Add(std::string_view, std::string_view, MetricLabels, double) override {}
  void Set(std::string_view, std::string_view, MetricLabels, double) override {}
  void Observe(std::string_view, std::string_view, MetricLabels, double) override {}
};

}  // namespace

Metrics& NoMetrics() {
  static NullMetrics metrics;
  return metrics;
}

}  // namespace certflow
