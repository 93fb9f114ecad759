#pragma once

#include "controller/base/metrics.h"
#include "controller/kube/events.h"
#include "controller/reconcile/approval_guard.h"
#include "controller/reconcile/expected_runs.h"
#include "controller/reconcile/status_writer.h"
#include "controller/reconcile/store_directory.h"
#include "controller/reconcile/world.h"
#include "controller/runtime/worker_pool.h"
#include "controller/workflow/trigger.h"

namespace certflow::reconcile {

// How long a workflow's status may lag behind what its run is at, so that what happens meanwhile is
// one write; people who are asked, and the end, show at once.
inline constexpr Duration kMentionEvery{15'000};

// Whether the run is at a gate.
bool AsksPeople(const api::Run& run);

// Watches over one CertificateWorkflow: folds the results of its runs into its status, starts the
// next run when one is due or an ended one is to be rolled back, and keeps the history short.
class WorkflowReconciler {
 public:
  WorkflowReconciler(World& world, kube::Client& client, StatusWriter& writer,
                     const StoreDirectory& directory, ApprovalGuard& guard,
                     kube::EventRecorder& events, Metrics& metrics)
      : world_(world),
        client_(client),
        writer_(writer),
        directory_(directory),
        guard_(guard),
        events_(events),
        metrics_(metrics) {}
  Result<runtime::Outcome> Reconcile(const Context& ctx, std::string_view key);
  // The informer saw the object go away.
  void Deleted(const api::Workflow& workflow);

 private:
  using Runs = std::vector<std::shared_ptr<const api::Run>>;
  Result<workflow::TriggerVerdict> DecideNow(const Context& ctx, const api::Workflow& workflow,
                                             const api::WorkflowSpec& spec, const Runs& runs);
  Result<void> StartRun(const Context& ctx, const api::Workflow& workflow,
                        const api::WorkflowSpec& spec, const api::Trigger& trigger,
                        std::int64_t number);
  Result<void> CreateRun(const Context& ctx, api::NewRun run);
  // Whether a request was answered: then what follows from it is looked at anew.
  struct RollbackRequest;
  static std::optional<RollbackRequest> OpenRollbackRequest(const Runs& runs);
  Result<bool> AnswerRollback(const Context& ctx, const api::Workflow& workflow, const Runs& runs,
                              std::int64_t number);
  Result<void> TrimHistory(const Context& ctx, const api::WorkflowSpec& spec, const Runs& runs,
                           std::int64_t folded);
  Result<void> WriteIfChanged(const Context& ctx, api::Workflow& workflow,
                              const std::string& before);

  World& world_;
  kube::Client& client_;
  StatusWriter& writer_;
  const StoreDirectory& directory_;
  ApprovalGuard& guard_;
  kube::EventRecorder& events_;
  Metrics& metrics_;
  ExpectedRuns expected_;
};

}  // namespace certflow::reconcile
