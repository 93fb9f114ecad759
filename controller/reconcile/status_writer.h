#pragma once

#include "controller/base/context.h"
#include "controller/kube/client.h"
#include "controller/reconcile/world.h"

namespace certflow::reconcile {

// Writes status conditionally on the resourceVersion that was read, and tells the stores the
// result, so that the next reconcile is not older than this one's write. kConflict: somebody was
// faster, read again.
class StatusWriter {
 public:
  StatusWriter(kube::Client& client, World& world) : client_(client), world_(world) {}
  // On success the object carries its new resourceVersion.
  Result<void> Write(const Context& ctx, api::Run& run);
  Result<void> Write(const Context& ctx, api::Workflow& workflow);
  Result<void> Write(const Context& ctx, api::ProviderObject& object,
                     const kube::Resource& resource, runtime::Store<api::ProviderObject>& store);

 private:
  kube::Client& client_;
  World& world_;
};

}  // namespace certflow::reconcile
