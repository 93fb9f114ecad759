#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "controller/base/metrics.h"
#include "controller/base/mutex.h"
#include "controller/kube/events.h"
#include "controller/reconcile/status_writer.h"
#include "controller/reconcile/world.h"
#include "controller/runtime/gate.h"
#include "controller/runtime/worker_pool.h"
#include "controller/seams/connector.h"

namespace certflow::reconcile {

// Keeps the Ready condition of one kind of provider object (authority, target, channel):
// credentials there, other side answering. Looks when the object changes, regularly (the outside
// tells nobody), and sooner while it is not ready. The status is written only when it says
// something else than before.
class ProviderReconciler {
 public:
  using Check = std::function<Result<seams::Readiness>(const Context&, const seams::ProviderRef&)>;
  ProviderReconciler(const kube::Resource& resource, runtime::Store<api::ProviderObject>& store,
                     StatusWriter& writer, runtime::GateKeeper& gates,
                     const seams::Connector& connector, kube::EventRecorder& events,
                     Metrics& metrics, Duration interval, Check check)
      : resource_(resource),
        store_(store),
        writer_(writer),
        gates_(gates),
        connector_(connector),
        events_(events),
        metrics_(metrics),
        interval_(interval),
        check_(std::move(check)) {}
  Result<runtime::Outcome> Reconcile(const Context& ctx, std::string_view key);
  // The party's breaker opened or closed: objects that stand for it, which are due now.
  std::vector<std::string> MakeDue(std::string_view party);

 private:
  // When an object is looked at next; of this process only, as a restart may look again.
  struct Plan {
    std::string uid, party;
    std::int64_t generation = 0;
    SteadyTime next{};
    int failures = 0;  // in a row
    bool ready = false;
  };
  std::optional<Duration> NotYet(const Context& ctx, const std::string& key,
                                 const api::ProviderObject& object);
  Result<runtime::Outcome> Record(const Context& ctx, const std::string& key,
                                  const api::ProviderObject& stored,
                                  const Result<seams::Readiness>& found);
  Duration PlanNext(const Context& ctx, const std::string& key,
                    const Result<seams::Readiness>& found);

  const kube::Resource& resource_;
  runtime::Store<api::ProviderObject>& store_;
  StatusWriter& writer_;
  runtime::GateKeeper& gates_;
  const seams::Connector& connector_;
  kube::EventRecorder& events_;
  Metrics& metrics_;
  const Duration interval_;  // while ready; up to half of it more, so that objects spread
  Check check_;
  Mutex mutex_;
  std::map<std::string, Plan> plans_ CF_GUARDED_BY(mutex_);  // one for each object
};

}  // namespace certflow::reconcile
