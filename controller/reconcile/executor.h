#pragma once

#include <functional>

#include "controller/base/metrics.h"
#include "controller/kube/events.h"
#include "controller/reconcile/approval_desk.h"
#include "controller/reconcile/status_writer.h"
#include "controller/runtime/gate.h"
#include "controller/runtime/worker_pool.h"
#include "controller/steps/step.h"
#include "controller/workflow/ledger.h"

namespace certflow::reconcile {

struct ExecutorParts {
  StatusWriter& writer;
  const steps::StepSet& steps;
  const steps::Directory& directory;
  runtime::GateKeeper& gates;
  ApprovalDesk& desk;
  kube::EventRecorder& events;
  Metrics& metrics;
  std::function<bool()> may_act;  // the lease is fresh
};

// What stands against going on before anything live was changed.
struct Standing {
  const api::Workflow* workflow = nullptr;  // null: deleted
  bool suspended = false;
  bool superseded = false;  // the spec makes another plan now
};

// Carries one run on as far as it goes in one reconcile: next step, observe, judge, intend, act,
// record. Keeps no state between calls; everything is in the run's status.
class Executor {
 public:
  explicit Executor(ExecutorParts parts) : parts_(std::move(parts)) {}
  Result<runtime::Outcome> CarryOn(const Context& ctx, const Standing& standing,
                                   const api::Plan& plan, api::Run run);

 private:
  struct Work;
  using Ended = std::optional<Result<runtime::Outcome>>;  // nothing: go on

  Ended Stand(const Context& ctx, Work& work);
  Ended TakeStep(const Context& ctx, Work& work, std::size_t index);
  Ended Apply(const Context& ctx, Work& work, std::size_t index, workflow::Observation seen);
  Ended Act(const Context& ctx, Work& work, std::size_t index, const workflow::Needed& needed);
  Ended Fail(const Context& ctx, Work& work, std::size_t index, const Error& error);
  Result<runtime::Outcome> Wait(const Context& ctx, Work& work, const std::string& waiting_for,
                                std::optional<WallTime> until, Duration look_again);
  Result<runtime::Outcome> Finish(const Context& ctx, Work& work, const workflow::Finish& end);
  Result<void> Persist(const Context& ctx, Work& work);
  void Abandon(const Context& ctx, Work& work);
  void Close(Work& work, std::size_t index, api::EntryState state, workflow::Done done);

  ExecutorParts parts_;
};

}  // namespace certflow::reconcile
