#pragma once

#include <functional>
#include <memory>
#include <string>

#include "controller/base/context.h"
#include "controller/base/metrics.h"
#include "controller/kube/client.h"

namespace certflow::runtime {

struct LeaderOptions {
  std::string ns;
  std::string name = "certflow";
  std::string identity;  // host name and a UUID
  Duration lease_duration{15'000};
  Duration renew_deadline{10'000};
  Duration retry_period{2'000};
};

// A Lease of coordination.k8s.io/v1, renewed on a thread of its own ("leader"). Times inside the
// record are never compared with a clock: a record is stale when it has not changed for its
// duration as seen from here. Losing the lease is final: `on_lost` is called once and the process
// is to end.
class LeaderElector {
 public:
  LeaderElector(kube::Client& client, LeaderOptions options, Clock& clock, Metrics& metrics,
                const Logger& log);
  ~LeaderElector();
  // `on_elected` and `on_lost` are called on the elector's thread.
  void Start(std::function<void()> on_elected, std::function<void()> on_lost);
  // Stops renewing; with `release`, gives the lease back if we still hold it (the holder is
  // compared first), so that the next one need not wait. Only after all guarded work has ended.
  void Stop(bool release);

  // True while the last renewal is younger than the renew deadline: checked right before each
  // action towards the outside.
  bool MayAct() const;
  bool leading() const;
  // leaseTransitions of the record we hold.
  int epoch() const;
  // For /livez: leading, but overdue by more than the lease.
  bool Overdue() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::runtime
