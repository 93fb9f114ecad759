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
// record. Targets of a wave that may go at the same time are observed together and acted upon
// together, each on a thread of its own; what is written is written once for all of them. Keeps no
// state between calls; everything is in the run's status.
class Executor {
 public:
  explicit Executor(ExecutorParts parts) : parts_(std::move(parts)) {}
  Result<runtime::Outcome> CarryOn(const Context& ctx, const Standing& standing,
                                   const api::Plan& plan, api::Run run);

 private:
  struct Work;
  struct Lane;
  struct Rest;
  using Ended = std::optional<Result<runtime::Outcome>>;  // nothing: go on

  Ended Stand(const Context& ctx, Work& work);
  Ended TakeTurn(const Context& ctx, Work& work, const std::vector<std::size_t>& entries);
  template <typename Call>
  void AtParty(Work& work, Lane& lane, runtime::GateKeeper::Access access, const Call& call) const;
  static void Leave(Lane& lane, bool healthy);
  void KeepPlaces(Work& work, const std::vector<Lane*>& lanes) const;
  steps::StepScope ScopeOf(Work& work, Lane& lane) const;
  void Look(const Context& ctx, Work& work, Lane& lane) const;
  void Act(const Context& ctx, Work& work, Lane& lane) const;
  Ended Judge(const Context& ctx, Work& work, Lane& lane);
  Ended Intend(const Context& ctx, Work& work, const std::vector<Lane*>& lanes);
  Ended Record(const Context& ctx, Work& work, Lane& lane);
  Ended Fail(const Context& ctx, Work& work, std::size_t index, const Error& error);
  void GiveUpPurges(const Context& ctx, Work& work);
  void GiveUp(const Context& ctx, Work& work, const api::LedgerEntry& entry);
  void RestUntil(const Context& ctx, Work& work, std::size_t index, std::string waiting_for,
                 std::optional<WallTime> until, Duration look_again) const;
  void RestToTryAgain(const Context& ctx, Work& work, std::size_t index) const;
  void RestForPlace(const Context& ctx, Work& work, const Lane& lane) const;
  Result<runtime::Outcome> Wait(const Context& ctx, Work& work,
                                const std::vector<std::size_t>& entries);
  Result<runtime::Outcome> KeepProgress(const Context& ctx, Work& work,
                                        Result<runtime::Outcome> ended);
  Result<runtime::Outcome> Finish(const Context& ctx, Work& work, const workflow::Finish& end);
  Result<void> Persist(const Context& ctx, Work& work);
  void Abandon(const Context& ctx, Work& work);
  void Close(Work& work, std::size_t index, workflow::Done done);

  ExecutorParts parts_;
};

}  // namespace certflow::reconcile
