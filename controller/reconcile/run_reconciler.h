#pragma once

#include "controller/reconcile/executor.h"
#include "controller/reconcile/world.h"

namespace certflow::reconcile {

// Brings one WorkflowRun to its end: reads it, checks its digest, carries it on, and when it has
// ended answers what came too late and lets it go (finalizer).
class RunReconciler {
 public:
  RunReconciler(World& world, kube::Client& client, StatusWriter& writer, ApprovalDesk& desk,
                Executor& executor)
      : world_(world), client_(client), writer_(writer), desk_(desk), executor_(executor) {}
  Result<runtime::Outcome> Reconcile(const Context& ctx, std::string_view key);

 private:
  Result<runtime::Outcome> AfterTheEnd(const Context& ctx, api::Run run);
  Result<void> RemoveFinalizer(const Context& ctx, const api::Run& run);

  World& world_;
  kube::Client& client_;
  StatusWriter& writer_;
  ApprovalDesk& desk_;
  Executor& executor_;
};

}  // namespace certflow::reconcile
