#pragma once

#include <functional>

#include "controller/kube/events.h"
#include "controller/reconcile/status_writer.h"
#include "controller/reconcile/world.h"
#include "controller/runtime/gate.h"
#include "controller/runtime/worker_pool.h"
#include "controller/seams/connector.h"

namespace certflow::reconcile {

// Keeps the Ready condition of one kind of provider object (authority, target, channel):
// credentials there, other side answering. Looks when the object changes, and again while it is not
// ready.
class ProviderReconciler {
 public:
  using Check = std::function<Result<seams::Readiness>(const Context&, const seams::ProviderRef&)>;
  ProviderReconciler(const kube::Resource& resource, runtime::Store<api::ProviderObject>& store,
                     StatusWriter& writer, runtime::GateKeeper& gates,
                     const seams::Connector& connector, kube::EventRecorder& events, Check check)
      : resource_(resource),
        store_(store),
        writer_(writer),
        gates_(gates),
        connector_(connector),
        events_(events),
        check_(std::move(check)) {}
  Result<runtime::Outcome> Reconcile(const Context& ctx, std::string_view key);

 private:
  const kube::Resource& resource_;
  runtime::Store<api::ProviderObject>& store_;
  StatusWriter& writer_;
  runtime::GateKeeper& gates_;
  const seams::Connector& connector_;
  kube::EventRecorder& events_;
  Check check_;
};

}  // namespace certflow::reconcile
