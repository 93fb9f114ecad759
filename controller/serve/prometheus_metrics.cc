#include "controller/serve/prometheus_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>

#include "controller/base/mutex.h"

namespace certflow::serve {

namespace {

// Seconds: from a local call to an issuance that waits for people's DNS.
const prometheus::Histogram::BucketBoundaries kBuckets = {0.001, 0.005, 0.02, 0.1, 0.5,
                                                          2,     10,    60,   300, 1800};

prometheus::Labels Copy(MetricLabels labels) {
  prometheus::Labels out;
  for (const auto& [name, value] : labels) out.emplace(name, value);
  return out;
}

// The family of a name, made at its first use.
template <typename T, typename Build>
prometheus::Family<T>& FamilyOf(
    std::map<std::string, prometheus::Family<T>*, std::less<>>& families, std::string_view name,
    std::string_view help, prometheus::Registry& registry, Build build) {
  auto it = families.find(name);
  if (it == families.end()) {
    auto& family = build().Name(std::string(name)).Help(std::string(help)).Register(registry);
    it = families.emplace(std::string(name), &family).first;
  }
  return *it->second;
}

}  // namespace

struct PrometheusMetrics::Impl {
  Mutex mutex;
  prometheus::Registry registry;
  std::map<std::string, prometheus::Family<prometheus::Counter>*, std::less<>> counters
      CF_GUARDED_BY(mutex);
  std::map<std::string, prometheus::Family<prometheus::Gauge>*, std::less<>> gauges
      CF_GUARDED_BY(mutex);
  std::map<std::string, prometheus::Family<prometheus::Histogram>*, std::less<>> histograms
      CF_GUARDED_BY(mutex);
  std::function<void()> refresh;
};

PrometheusMetrics::PrometheusMetrics() : impl_(std::make_unique<Impl>()) {}
PrometheusMetrics::~PrometheusMetrics() = default;

void PrometheusMetrics::Add(std::string_view counter, std::string_view help, MetricLabels labels,
                            double by) {
  MutexLock lock(impl_->mutex);
  FamilyOf(impl_->counters, counter, help, impl_->registry, prometheus::BuildCounter)
      .Add(Copy(labels))
      .Increment(by);
}

void PrometheusMetrics::Set(std::string_view gauge, std::string_view help, MetricLabels labels,
                            double value) {
  MutexLock lock(impl_->mutex);
  FamilyOf(impl_->gauges, gauge, help, impl_->registry, prometheus::BuildGauge)
      .Add(Copy(labels))
      .Set(value);
}

void PrometheusMetrics::Observe(std::string_view histogram, std::string_view help,
                                MetricLabels labels, double seconds) {
  MutexLock lock(impl_->mutex);
  FamilyOf(impl_->histograms, histogram, help, impl_->registry, prometheus::BuildHistogram)
      .Add(Copy(labels), kBuckets)
      .Observe(seconds);
}

void PrometheusMetrics::BeforeExposition(std::function<void()> refresh) {
  impl_->refresh = std::move(refresh);
}

std::string PrometheusMetrics::Expose() {
  if (impl_->refresh) impl_->refresh();
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace certflow::serve
