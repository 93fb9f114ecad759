#include "controller/reconcile/executor.h"

#include <algorithm>

#include "controller/base/backoff.h"
#include "controller/workflow/approval.h"
#include "controller/workflow/outbox.h"
#include "controller/workflow/trigger.h"

namespace certflow::reconcile {

namespace {

using api::EntryState;
using workflow::Effect;

// More steps than that in one reconcile would be a loop.
constexpr int kMaxTurns = 400;

bool IsPartyTrouble(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout ||
         error.code == ErrorCode::kUnknownOutcome;
}

std::string_view GateOfStep(std::string_view step) {
  if (step == workflow::kStepRenewalConfirmation) return workflow::kGateRenewal;
  if (step == workflow::kStepDeploymentConfirmation) return workflow::kGateDeployment;
  if (step == workflow::kStepRollbackConfirmation) return workflow::kGateRollback;
  return "";
}

bool IsRollback(std::string_view step) {
  return step == workflow::kStepRollback || step == workflow::kStepRollbackValidation ||
         step == workflow::kStepRollbackConfirmation;
}

std::string_view FailureEvent(std::string_view step) {
  if (!GateOfStep(step).empty()) return workflow::kEventConfirmationFailed;
  if (step == workflow::kStepDeployment) return workflow::kEventDeploymentFailed;
  if (step == workflow::kStepValidation) return workflow::kEventValidationFailed;
  return workflow::kEventRenewalFailed;
}

kube::EventRegarding Regarding(const api::Run& run) {
  return {std::string(api::kApiVersion), "WorkflowRun", run.meta.ns, run.meta.name, run.meta.uid};
}

std::string GoodText(const api::Plan& plan) {
  return plan.spec.endpoints.empty()
             ? "the certificate is on every target, read back; no endpoint to prove it at"
             : "the certificate is live and proved from outside";
}

// Half of the time between the planned renewal and the end is gone, and the run is not through.
bool IsGettingLate(const api::Plan& plan, const api::RunStatus& status, WallTime now) {
  if (!status.previous) return false;
  const api::CertificateStatus& last = *status.previous;
  WallTime due = workflow::WhenToRenew(plan.spec, last.not_before, last.not_after).at;
  return now > due + (last.not_after - due) / 2;
}

void MergeFindings(api::RunStatus& status, steps::Findings findings) {
  auto append = [](auto& to, auto& from, std::size_t limit) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
    if (to.size() > limit) to.erase(to.begin(), to.end() - static_cast<long>(limit));
  };
  // A repeated look replaces the one before.
  if (!findings.checks.empty()) {
    const std::string phase = findings.checks.front().phase;
    std::erase_if(status.checks, [&](const auto& check) { return check.phase == phase; });
  }
  append(status.checks, findings.checks, api::kMaxChecks);
  append(status.evidence, findings.evidence, api::kMaxEvidence);
  if (findings.certificate) status.certificate = std::move(findings.certificate);
  if (findings.challenges) status.challenges = std::move(*findings.challenges);
}

}  // namespace

struct Executor::Work {
  const Standing& standing;
  const api::Plan& plan;
  api::Run& run;
  std::string written;  // the status as the API server has it
  steps::Scratch scratch;
};

Result<void> Executor::Persist(const Context& ctx, Work& work) {
  std::string now = api::EncodeRunStatus(work.run);
  if (now == work.written) return {};
  CF_RETURN_IF_ERROR(parts_.writer.Write(ctx, work.run));
  work.written = api::EncodeRunStatus(work.run);
  return {};
}

Result<runtime::Outcome> Executor::Wait(const Context& ctx, Work& work,
                                        const std::string& waiting_for,
                                        std::optional<WallTime> until, Duration look_again) {
  api::RunStatus& status = work.run.status;
  status.state = api::RunState::kWaiting;
  status.waiting_for = Sanitize(waiting_for, 256);
  status.until = until;
  CF_RETURN_IF_ERROR(Persist(ctx, work));
  return runtime::Outcome{std::max(look_again, Duration{100})};
}

Result<runtime::Outcome> Executor::Finish(const Context& ctx, Work& work,
                                          const workflow::Finish& end) {
  api::Run& run = work.run;
  api::RunStatus& status = run.status;
  WallTime now = ctx.clock.Now();
  status.state = end.state;
  status.reason = end.reason;
  bool good = end.state == api::RunState::kSucceeded;
  status.message = good ? GoodText(work.plan) : Sanitize(end.message);
  status.ended_at = now;
  status.waiting_for.clear();
  status.until.reset();
  if (!good && end.state != api::RunState::kHeld) Abandon(ctx, work);
  status.challenges.clear();
  api::SetCondition(status.conditions, api::kReady,
                    good ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse, end.reason,
                    status.message, run.meta.generation, now);
  api::RemoveCondition(status.conditions, api::kReconciling);
  if (!good) {
    api::SetCondition(status.conditions, api::kStalled, api::ConditionStatus::kTrue, end.reason,
                      status.message, run.meta.generation, now);
  }
  if (good) workflow::Tell(work.plan, run, workflow::kEventCompleted, "");
  if (end.state == api::RunState::kRolledBack) {
    workflow::Tell(work.plan, run, workflow::kEventRolledBack, "");
  }
  CF_RETURN_IF_ERROR(Persist(ctx, work));
  parts_.metrics.Add("certflow_runs_finished_total", "Runs that ended, by how.",
                     {{"state", api::RunStateName(end.state)}});
  if (status.started_at) {
    parts_.metrics.Observe("certflow_run_duration_seconds", "From a run's start to its end.", {},
                           std::chrono::duration<double>(now - *status.started_at).count());
  }
  ctx.log.Info("run ended", {{"state", api::RunStateName(end.state)},
                             {"reason", end.reason},
                             {"message", status.message}});
  if (!good) parts_.events.Record({Regarding(run), true, end.reason, "Run", status.message});
  return runtime::Outcome{};
}

void Executor::Abandon(const Context& ctx, Work& work) {
  for (const api::LedgerEntry& entry : work.run.status.ledger) {
    steps::Step* step = entry.started_at ? parts_.steps.Find(entry.step) : nullptr;
    if (step == nullptr) continue;
    steps::Findings findings;
    steps::StepScope scope{work.run, work.plan, entry, parts_.directory, findings, work.scratch};
    if (auto done = step->Abandon(ctx, scope); !done.ok()) {
      ctx.log.Warning("something is left outside",
                      {{"step", entry.step}, {"error", done.error().message}});
    }
  }
}

void Executor::Close(Work& work, std::size_t index, EntryState state, workflow::Done done) {
  api::LedgerEntry& entry = work.run.status.ledger[index];
  entry.state = state;
  entry.reason = std::move(done.reason);
  entry.message = Sanitize(done.message);
  entry.not_before.reset();
  if (!done.memo.empty()) entry.memo = std::move(done.memo);
  if (entry.step != workflow::kStepRollback) return;
  // The deployment of this target is taken back.
  for (api::LedgerEntry& other : work.run.status.ledger) {
    if (other.step == workflow::kStepDeployment && other.target == entry.target) {
      other.state = EntryState::kReverted;
    }
  }
}

Executor::Ended Executor::Fail(const Context& ctx, Work& work, std::size_t index,
                               const Error& error) {
  if (error.code == ErrorCode::kCancelled || ctx.stopped()) return Result<runtime::Outcome>(error);
  api::RunStatus& status = work.run.status;
  api::LedgerEntry& entry = status.ledger[index];
  WallTime now = ctx.clock.Now();
  workflow::BookFailure(work.plan, entry, error, now, JitterWord());
  parts_.metrics.Add("certflow_step_errors_total", "Attempts that failed, by step.",
                     {{"step", entry.step}});
  if (entry.state == EntryState::kFailed) {
    ctx.log.Error("step failed", {{"step", entry.step},
                                  {"target", entry.target},
                                  {"reason", entry.reason},
                                  {"error", entry.message}});
    if (!IsRollback(entry.step)) {
      workflow::Tell(work.plan, work.run, FailureEvent(entry.step), entry.id);
    }
    parts_.events.Record({Regarding(work.run), true, entry.reason,
                          entry.step.substr(0, entry.step.find('-')),
                          entry.step + " failed: " + entry.message});
    return std::nullopt;
  }
  ctx.log.Warning("step will be tried again", {{"step", entry.step},
                                               {"target", entry.target},
                                               {"attempts", entry.attempts},
                                               {"reason", entry.reason},
                                               {"error", entry.message}});
  auto wait = std::chrono::duration_cast<Duration>(*entry.not_before - now);
  return Wait(ctx, work, entry.step + " to be tried again: " + entry.message, entry.not_before,
              wait);
}

Executor::Ended Executor::Act(const Context& ctx, Work& work, std::size_t index,
                              const workflow::Needed& needed) {
  api::RunStatus& status = work.run.status;
  api::LedgerEntry& entry = status.ledger[index];
  bool once = needed.effect == Effect::kOnce;
  if (once || needed.effect == Effect::kGuarded) {
    entry.state = EntryState::kIntended;
    entry.memo = needed.memo;
    entry.message = needed.action;
    if (auto written = Persist(ctx, work); !written.ok()) return written.error();
  }
  if (!parts_.may_act()) {
    return Result<runtime::Outcome>(MakeError(ErrorCode::kCancelled, "LeaseOverdue",
                                              "the lease is not fresh: nothing is done"));
  }
  steps::Findings findings;
  steps::StepScope scope{work.run, work.plan, entry, parts_.directory, findings, work.scratch};
  steps::Step* step = parts_.steps.Find(entry.step);
  runtime::GateKeeper::Denied denied;
  seams::Party party = step->Party(scope);
  auto pass = parts_.gates.Enter(party.name, runtime::GateKeeper::Access::kAct, &denied,
                                 {party.actions, party.reads});
  if (!pass) {
    return Wait(ctx, work, "a place at " + party.name, std::nullopt, denied.again_after);
  }
  auto acted = step->Act(ctx, scope, needed);
  pass->Leave(acted.ok() || !IsPartyTrouble(acted.error()));
  if (!acted.ok()) {
    // A guarded switch may have happened: the memo says what to go back to.
    if (needed.memo.contains(workflow::kMemoTouched)) entry.memo = needed.memo;
    return Fail(ctx, work, index, acted.error());
  }
  ctx.log.Debug("action taken", {{"step", entry.step}, {"action", needed.action}});
  MergeFindings(status, std::move(findings));
  entry.memo = std::move(acted->memo);
  if (entry.state == EntryState::kIntended) entry.state = EntryState::kPending;
  entry.message.clear();
  entry.reason.clear();
  if (acted->done) {
    Close(work, index, EntryState::kDone, std::move(*acted->done));
    entry.ended_at = ctx.clock.Now();
    return std::nullopt;
  }
  if (acted->wait) {
    return Wait(ctx, work, acted->wait->waiting_for, acted->wait->until, acted->wait->poll_after);
  }
  // What was done once is on record before anything else is done.
  if (once || acted->record) {
    if (auto written = Persist(ctx, work); !written.ok()) return written.error();
  }
  return std::nullopt;
}

Executor::Ended Executor::Apply(const Context& ctx, Work& work, std::size_t index,
                                workflow::Observation seen) {
  api::LedgerEntry& entry = work.run.status.ledger[index];
  if (auto* done = std::get_if<workflow::Done>(&seen)) {
    Close(work, index, EntryState::kDone, std::move(*done));
    entry.ended_at = ctx.clock.Now();
    // What people decided is on record before anything is done because of it.
    if (!GateOfStep(entry.step).empty()) {
      if (auto written = Persist(ctx, work); !written.ok()) return written.error();
    }
    return std::nullopt;
  }
  if (auto* needed = std::get_if<workflow::Needed>(&seen)) return Act(ctx, work, index, *needed);
  if (auto* progress = std::get_if<workflow::InProgress>(&seen)) {
    if (!progress->memo.empty()) entry.memo = std::move(progress->memo);
    return Wait(ctx, work, progress->waiting_for, progress->until, progress->poll_after);
  }
  auto& blocked = std::get<workflow::Blocked>(seen);
  work.run.status.until = blocked.until;
  if (auto gate = GateOfStep(entry.step); !gate.empty()) {
    workflow::Tell(work.plan, work.run, workflow::kEventApprovalRequested, gate);
  }
  return Wait(ctx, work, blocked.waiting_for, blocked.until, blocked.look_again);
}

Executor::Ended Executor::TakeStep(const Context& ctx, Work& work, std::size_t index) {
  api::RunStatus& status = work.run.status;
  WallTime now = ctx.clock.Now();
  {
    api::LedgerEntry& entry = status.ledger[index];
    if (entry.not_before && *entry.not_before > now) {
      auto wait = std::chrono::duration_cast<Duration>(*entry.not_before - now);
      return Wait(ctx, work, status.waiting_for, status.until, wait);
    }
    if (!entry.started_at) entry.started_at = now;
    status.step = entry.step;
    status.state = api::RunState::kRunning;
  }
  auto gate = GateOfStep(status.ledger[index].step);
  auto taken = parts_.desk.TakeIn(ctx, work.standing.workflow, work.plan, gate, work.run);
  if (!taken.ok()) return Result<runtime::Outcome>(taken.error());
  steps::Findings findings;
  steps::StepScope scope{work.run,         work.plan, status.ledger[index],
                         parts_.directory, findings,  work.scratch};
  steps::Step* step = parts_.steps.Find(status.ledger[index].step);
  if (step == nullptr) {
    return Fail(ctx, work, index,
                MakeError(ErrorCode::kInvalid, "StepUnknown",
                          "this version of certflow has no step " + status.ledger[index].step));
  }
  seams::Party party = step->Party(scope);
  runtime::GateKeeper::Denied denied;
  auto pass = parts_.gates.Enter(party.name, runtime::GateKeeper::Access::kRead, &denied,
                                 {party.actions, party.reads});
  if (!pass) {
    return Wait(ctx, work, "a place at " + party.name, std::nullopt, denied.again_after);
  }
  auto seen = step->Observe(ctx, scope);
  pass->Leave(seen.ok() || !IsPartyTrouble(seen.error()));
  MergeFindings(status, std::move(findings));
  if (!seen.ok()) return Fail(ctx, work, index, seen.error());
  return Apply(ctx, work, index, std::move(*seen));
}

// Deletion, suspension and a changed spec stop a run that has not changed anything live; afterwards
// it is carried out, or taken back when it is being deleted.
Executor::Ended Executor::Stand(const Context& ctx, Work& work) {
  api::RunStatus& status = work.run.status;
  bool gone = work.standing.workflow == nullptr || work.run.meta.deleting;
  bool touched = workflow::HasTouchedLive(status);
  if (!touched && (gone || work.standing.superseded)) {
    return Finish(ctx, work,
                  {api::RunState::kCancelled, gone ? "Deleted" : "Superseded",
                   gone ? "the workflow or the run was deleted before anything live was changed"
                        : "the workflow's spec changed before anything live was changed"});
  }
  if (gone && touched) {
    bool failed = std::any_of(status.ledger.begin(), status.ledger.end(),
                              [](const auto& entry) { return entry.state == EntryState::kFailed; });
    for (api::LedgerEntry& entry : status.ledger) {
      bool open = entry.state == EntryState::kPending || entry.state == EntryState::kIntended;
      if (failed || !open || IsRollback(entry.step) || entry.step == workflow::kStepComplete) {
        continue;
      }
      entry.state = EntryState::kFailed;
      entry.reason = "Deleted";
      entry.message = "the workflow or the run was deleted in the middle of the deployment";
      entry.ended_at = ctx.clock.Now();
      failed = true;
    }
  }
  if (work.standing.suspended && !touched) {
    return Wait(ctx, work, "spec.suspend to be false again", std::nullopt, Duration{600'000});
  }
  return std::nullopt;
}

Result<runtime::Outcome> Executor::CarryOn(const Context& ctx, const Standing& standing,
                                           const api::Plan& plan, api::Run run) {
  Work work{standing, plan, run, api::EncodeRunStatus(run), {}};
  api::RunStatus& status = run.status;
  if (status.ledger.empty()) {
    status.ledger = workflow::MakeLedger(plan);
    status.state = api::RunState::kRunning;
    status.started_at = ctx.clock.Now();
    if (standing.workflow != nullptr) status.previous = standing.workflow->status.certificate;
    api::SetCondition(status.conditions, api::kReady, api::ConditionStatus::kUnknown, "Running",
                      "the run is under way", run.meta.generation, ctx.clock.Now());
    api::SetCondition(status.conditions, api::kReconciling, api::ConditionStatus::kTrue, "Running",
                      "the run is under way", run.meta.generation, ctx.clock.Now());
  }
  if (IsGettingLate(plan, status, ctx.clock.Now())) {
    workflow::Tell(plan, run, workflow::kEventExpiring, "");
  }
  if (Ended ended = Stand(ctx, work)) return *std::move(ended);
  for (int turn = 0; turn < kMaxTurns; ++turn) {
    CF_RETURN_IF_ERROR(ctx.Check());
    workflow::Next next = workflow::NextStep(plan, status);
    if (auto* end = std::get_if<workflow::Finish>(&next)) return Finish(ctx, work, *end);
    if (Ended ended = TakeStep(ctx, work, std::get<workflow::Proceed>(next).entry)) {
      return *std::move(ended);
    }
  }
  return MakeError(ErrorCode::kInternal, "TooManyTurns", "the run does not come to rest");
}

}  // namespace certflow::reconcile
