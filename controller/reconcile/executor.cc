#include "controller/reconcile/executor.h"

#include <algorithm>
#include <future>

#include "controller/base/backoff.h"
#include "controller/reconcile/regarding.h"
#include "controller/workflow/approval.h"
#include "controller/workflow/outbox.h"
#include "controller/workflow/trigger.h"

namespace certflow::reconcile {

namespace {

using api::EntryState;
using workflow::Effect;

// More steps than that in one reconcile would be a loop.
constexpr int kMaxTurns = 400;
// Trouble with the API server is mostly over by then; a write that tells of it would add to it.
constexpr Duration kSilentTrouble{30'000};

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
  if (step == workflow::kStepDeployment || step == workflow::kStepDeploymentTime ||
      step == workflow::kStepRollback) {
    return workflow::kEventDeploymentFailed;
  }
  if (step == workflow::kStepValidation || step == workflow::kStepRollbackValidation) {
    return workflow::kEventValidationFailed;
  }
  return workflow::kEventRenewalFailed;
}

std::string GoodText(const api::Plan& plan) {
  if (plan.rollback) {
    return "what " + plan.rollback->run + " had changed is back as it was before";
  }
  return workflow::HasEndpoints(plan.spec)
             ? "the certificate is live and proved from outside"
             : "the certificate is on every target, read back; no endpoint to prove it at";
}

// Half of the time between the planned renewal and the end is gone, and the run is not through.
bool IsGettingLate(const api::Plan& plan, const api::RunStatus& status, WallTime now) {
  if (!status.previous) return false;
  const api::CertificateStatus& last = *status.previous;
  WallTime due = workflow::WhenToRenew(plan.spec, last.not_before, last.not_after).at;
  return now > due + (last.not_after - due) / 2;
}

api::RunState WaitingState(const api::RunStatus& status) {
  return workflow::IsMitigating(status) ? api::RunState::kMitigating : api::RunState::kWaiting;
}

std::string AgainText(const api::LedgerEntry& entry) {
  return entry.step + (entry.target.empty() ? "" : " of " + entry.target) +
         " to be tried again: " + entry.message;
}

// Calls `each` for all lanes at the same time, and returns when all are through.
template <typename Lane, typename Each>
void AtOnce(const std::vector<Lane*>& lanes, const Each& each) {
  std::vector<std::future<void>> others;
  for (std::size_t i = 1; i < lanes.size(); ++i) {
    others.push_back(std::async(std::launch::async, [&each, lane = lanes[i]] { each(*lane); }));
  }
  if (!lanes.empty()) each(*lanes.front());
  for (auto& other : others) other.get();
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
  for (api::DeploymentRecord& record : findings.deployments) {
    std::erase_if(status.deployments, [&](const auto& old) { return old.id == record.id; });
  }
  append(status.deployments, findings.deployments, api::kMaxDeployments);
  if (findings.certificate) status.certificate = std::move(findings.certificate);
  if (findings.challenges) status.challenges = std::move(*findings.challenges);
}

}  // namespace

// An entry that waits, and what for.
struct Executor::Rest {
  std::string waiting_for;
  std::optional<WallTime> until;
  SteadyTime look_again;
};

struct Executor::Work {
  const Standing& standing;
  const api::Plan& plan;
  api::Run& run;
  std::string written;  // the status as the API server has it
  bool started;         // it shows that the run is under way
  steps::Scratch scratch;
  std::map<std::size_t, Rest> rests;  // by ledger entry
  // Places for actions, of entries that go on in the next turn: looking, staging, switching and
  // reading back are one visit, and nobody comes in between.
  std::map<std::size_t, runtime::GateKeeper::Pass> places;
  bool progress = false;  // an entry was closed that is not on record
};

// One entry in one turn: what was seen of it, and what was done.
struct Executor::Lane {
  std::size_t index = 0;
  steps::Step* step = nullptr;
  seams::Party party;
  std::optional<runtime::GateKeeper::Denied> denied;
  std::optional<runtime::GateKeeper::Pass> place;
  bool visit = false;  // the place is for looking and acting
  steps::Findings findings;
  std::optional<Result<workflow::Observation>> seen;
  std::optional<workflow::Needed> needed;
  std::optional<Result<steps::ActResult>> acted;
};

Result<void> Executor::Persist(const Context& ctx, Work& work) {
  std::string now = api::EncodeRunStatus(work.run);
  if (now == work.written) return {};
  CF_RETURN_IF_ERROR(parts_.writer.Write(ctx, work.run));
  work.written = api::EncodeRunStatus(work.run);
  work.started = true;
  work.progress = false;
  return {};
}

void Executor::RestUntil(const Context& ctx, Work& work, std::size_t index, std::string waiting_for,
                         std::optional<WallTime> until, Duration look_again) const {
  work.rests[index] = {std::move(waiting_for), until,
                       ctx.clock.Steady() + std::max(look_again, Duration{100})};
}

// The entry's last attempt failed: its time is on record.
void Executor::RestToTryAgain(const Context& ctx, Work& work, std::size_t index) const {
  const api::LedgerEntry& entry = work.run.status.ledger[index];
  RestUntil(ctx, work, index, AgainText(entry), entry.not_before,
            std::chrono::duration_cast<Duration>(*entry.not_before - ctx.clock.Now()));
}

void Executor::RestForPlace(const Context& ctx, Work& work, const Lane& lane) const {
  RestUntil(ctx, work, lane.index, "a place at " + lane.party.name, std::nullopt,
            lane.denied->again_after);
}

steps::StepScope Executor::ScopeOf(Work& work, Lane& lane) const {
  return {work.run,         work.plan,     work.run.status.ledger[lane.index],
          parts_.directory, lane.findings, work.scratch};
}

// All of these entries wait: the queue brings the run back for the first of them.
Result<runtime::Outcome> Executor::Wait(const Context& ctx, Work& work,
                                        const std::vector<std::size_t>& entries) {
  api::RunStatus& status = work.run.status;
  status.state = WaitingState(status);
  status.waiting_for.clear();
  status.until.reset();
  SteadyTime first = SteadyTime::max();
  for (std::size_t index : entries) {
    const Rest& rest = work.rests.at(index);
    status.waiting_for += (status.waiting_for.empty() ? "" : "; ") + rest.waiting_for;
    if (rest.until) status.until = std::min(status.until.value_or(*rest.until), *rest.until);
    first = std::min(first, rest.look_again);
  }
  status.waiting_for = Sanitize(status.waiting_for, 256);
  CF_RETURN_IF_ERROR(Persist(ctx, work));
  auto wait = std::chrono::duration_cast<Duration>(first - ctx.clock.Steady());
  return runtime::Outcome{std::max(wait, Duration{100})};
}

// The API server failed in the middle: what is done is put on record, so that a long run gets on
// under constant faults, and trouble that lasts is told.
Result<runtime::Outcome> Executor::KeepProgress(const Context& ctx, Work& work,
                                                Result<runtime::Outcome> ended) {
  if (ended.ok() || !IsApiServerTrouble(ended.error())) return ended;
  const Error& error = ended.error();
  bool no_write = error.code == ErrorCode::kRateLimited || error.code == ErrorCode::kConflict;
  bool lasting = ctx.clock.Now() - work.run.meta.created > kSilentTrouble;
  if (no_write || (!work.progress && !lasting)) return ended;
  api::RunStatus& status = work.run.status;
  status.state = WaitingState(status);
  status.waiting_for = Sanitize("the API server: " + error.message, 256);
  status.until.reset();
  // Best effort: the error that is returned tells of it too.
  if (auto written = Persist(ctx, work); !written.ok()) {
    ctx.log.Debug("progress is not on record", {{"error", written.error().message}});
  }
  return ended;
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
  if (good && !work.plan.rollback) workflow::Tell(work.plan, run, workflow::kEventCompleted, "");
  if (end.state == api::RunState::kRolledBack || (good && work.plan.rollback)) {
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
  if (!good) {
    parts_.events.Record(
        {Regarding(api::RunResource(), run.meta), true, end.reason, "Run", status.message});
  }
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

void Executor::Close(Work& work, std::size_t index, workflow::Done done) {
  api::LedgerEntry& entry = work.run.status.ledger[index];
  entry.state = done.skipped ? EntryState::kSkipped : EntryState::kDone;
  work.progress = true;
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

// The entry is given up: who wants to know is told.
void Executor::GiveUp(const Context& ctx, Work& work, const api::LedgerEntry& entry) {
  ctx.log.Error("step failed", {{"step", entry.step},
                                {"target", entry.target},
                                {"reason", entry.reason},
                                {"error", entry.message}});
  if (!IsRollback(entry.step) || work.plan.rollback) {
    workflow::Tell(work.plan, work.run, FailureEvent(entry.step), entry.id);
  }
  parts_.events.Record({Regarding(api::RunResource(), work.run.meta), true, entry.reason,
                        entry.step.substr(0, entry.step.find('-')),
                        entry.step + " failed: " + entry.message});
}

Executor::Ended Executor::Fail(const Context& ctx, Work& work, std::size_t index,
                               const Error& error) {
  if (error.code == ErrorCode::kCancelled || ctx.stopped()) return Result<runtime::Outcome>(error);
  // Not what the step is about has failed: no attempt is booked, and the queue tries again with
  // back-off, as after a crash at this place.
  if (IsApiServerTrouble(error)) return Result<runtime::Outcome>(error);
  api::LedgerEntry& entry = work.run.status.ledger[index];
  WallTime now = ctx.clock.Now();
  workflow::BookFailure(work.plan, entry, error, now, JitterWord());
  parts_.metrics.Add("certflow_step_errors_total", "Attempts that failed, by step.",
                     {{"step", entry.step}});
  if (entry.state == EntryState::kFailed) {
    GiveUp(ctx, work, entry);
    return std::nullopt;
  }
  ctx.log.Warning("step will be tried again", {{"step", entry.step},
                                               {"target", entry.target},
                                               {"attempts", entry.attempts},
                                               {"reason", entry.reason},
                                               {"error", entry.message}});
  if (entry.step == workflow::kStepPurge && entry.attempts == workflow::kPurgeQuietAttempts) {
    workflow::Tell(work.plan, work.run, workflow::kEventMitigating, entry.id);
    parts_.events.Record({Regarding(api::RunResource(), work.run.meta), true, entry.reason, "Purge",
                          "a cache still serves the old content: " + entry.message});
  }
  RestToTryAgain(ctx, work, index);
  return std::nullopt;
}

// Calls the step with a place at its party, or notes that there is none. The place stays with the
// lane, unless there was trouble.
template <typename Call>
void Executor::AtParty(Work& work, Lane& lane, runtime::GateKeeper::Access access,
                       const Call& call) const {
  const steps::StepScope scope = ScopeOf(work, lane);
  if (!lane.place) {
    runtime::GateKeeper::Denied denied;
    lane.place = parts_.gates.Enter(lane.party.name, access, &denied,
                                    {lane.party.actions, lane.party.reads});
    if (!lane.place) {
      lane.denied = denied;
      return;
    }
  }
  const auto& answer = call(scope);
  if (!answer.ok()) Leave(lane, !IsPartyTrouble(answer.error()));
}

void Executor::Leave(Lane& lane, bool healthy) {
  if (lane.place) lane.place->Leave(healthy);
  lane.place.reset();
}

void Executor::Look(const Context& ctx, Work& work, Lane& lane) const {
  using enum runtime::GateKeeper::Access;
  lane.visit = lane.place || lane.step->ActsNext(ScopeOf(work, lane));
  AtParty(work, lane, lane.visit ? kAct : kRead, [&](const steps::StepScope& scope) -> const auto& {
    return lane.seen.emplace(lane.step->Observe(ctx, scope));
  });
  const bool goes_on =
      lane.seen && lane.seen->ok() && std::holds_alternative<workflow::Needed>(**lane.seen);
  if (!lane.visit || !goes_on) Leave(lane, true);
}

void Executor::Act(const Context& ctx, Work& work, Lane& lane) const {
  AtParty(work, lane, runtime::GateKeeper::Access::kAct,
          [&](const steps::StepScope& scope) -> const auto& {
            return lane.acted.emplace(lane.step->Act(ctx, scope, *lane.needed));
          });
}

// Of the visits that go on; the other places are free.
void Executor::KeepPlaces(Work& work, const std::vector<Lane*>& lanes) const {
  for (Lane* lane : lanes) {
    const EntryState state = work.run.status.ledger[lane->index].state;
    const bool open = state == EntryState::kPending || state == EntryState::kIntended;
    if (!lane->place) continue;
    if (lane->visit && open && !work.rests.contains(lane->index)) {
      work.places.emplace(lane->index, *std::exchange(lane->place, std::nullopt));
    } else {
      Leave(*lane, true);
    }
  }
}

// What was seen: the entry is through, waits, or needs its action.
Executor::Ended Executor::Judge(const Context& ctx, Work& work, Lane& lane) {
  if (lane.denied) {
    RestForPlace(ctx, work, lane);
    return std::nullopt;
  }
  MergeFindings(work.run.status, std::exchange(lane.findings, {}));
  if (!lane.seen->ok()) return Fail(ctx, work, lane.index, lane.seen->error());
  workflow::Observation& seen = **lane.seen;
  api::LedgerEntry& entry = work.run.status.ledger[lane.index];
  if (auto* done = std::get_if<workflow::Done>(&seen)) {
    Close(work, lane.index, std::move(*done));
    entry.ended_at = ctx.clock.Now();
    // What people decided is on record before anything is done because of it.
    if (!GateOfStep(entry.step).empty()) {
      if (auto written = Persist(ctx, work); !written.ok()) return written.error();
    }
  } else if (auto* needed = std::get_if<workflow::Needed>(&seen)) {
    lane.needed = std::move(*needed);
  } else if (auto* progress = std::get_if<workflow::InProgress>(&seen)) {
    if (!progress->memo.empty()) entry.memo = std::move(progress->memo);
    RestUntil(ctx, work, lane.index, progress->waiting_for, progress->until, progress->poll_after);
  } else {
    auto& blocked = std::get<workflow::Blocked>(seen);
    work.run.status.until = blocked.until;
    if (auto gate = GateOfStep(entry.step); !gate.empty()) {
      workflow::Tell(work.plan, work.run, workflow::kEventApprovalRequested, gate);
    }
    RestUntil(ctx, work, lane.index, blocked.waiting_for, blocked.until, blocked.look_again);
  }
  return std::nullopt;
}

// What the actions need to be told apart or taken back is on record before the first of them.
Executor::Ended Executor::Intend(const Context& ctx, Work& work, const std::vector<Lane*>& lanes) {
  bool any = false;
  for (const Lane* lane : lanes) {
    const workflow::Needed& needed = *lane->needed;
    if (needed.effect != Effect::kOnce && needed.effect != Effect::kGuarded) continue;
    api::LedgerEntry& entry = work.run.status.ledger[lane->index];
    entry.state = EntryState::kIntended;
    entry.memo = needed.memo;
    entry.message = needed.action;
    any = true;
  }
  if (any) {
    if (auto written = Persist(ctx, work); !written.ok()) return written.error();
  }
  if (parts_.may_act()) return std::nullopt;
  return Result<runtime::Outcome>(
      MakeError(ErrorCode::kCancelled, "LeaseOverdue", "the lease is not fresh: nothing is done"));
}

Executor::Ended Executor::Record(const Context& ctx, Work& work, Lane& lane) {
  if (!lane.acted) {
    RestForPlace(ctx, work, lane);
    return std::nullopt;
  }
  api::RunStatus& status = work.run.status;
  api::LedgerEntry& entry = status.ledger[lane.index];
  const workflow::Needed& needed = *lane.needed;
  auto& acted = *lane.acted;
  if (!acted.ok()) {
    // A guarded switch may have happened: the memo says what to go back to.
    if (needed.memo.contains(workflow::kMemoTouched)) entry.memo = needed.memo;
    return Fail(ctx, work, lane.index, acted.error());
  }
  ctx.log.Debug("action taken", {{"step", entry.step}, {"action", needed.action}});
  MergeFindings(status, std::exchange(lane.findings, {}));
  entry.memo = std::move(acted->memo);
  if (entry.state == EntryState::kIntended) entry.state = EntryState::kPending;
  entry.message.clear();
  entry.reason.clear();
  if (acted->done) {
    Close(work, lane.index, std::move(*acted->done));
    entry.ended_at = ctx.clock.Now();
  } else if (acted->wait) {
    RestUntil(ctx, work, lane.index, acted->wait->waiting_for, acted->wait->until,
              acted->wait->poll_after);
  } else if (needed.effect == Effect::kOnce || acted->record) {
    // What was done once is on record before anything else is done.
    if (auto written = Persist(ctx, work); !written.ok()) return written.error();
  }
  return std::nullopt;
}

Executor::Ended Executor::TakeTurn(const Context& ctx, Work& work,
                                   const std::vector<std::size_t>& entries) {
  api::RunStatus& status = work.run.status;
  std::vector<std::unique_ptr<Lane>> lanes;
  for (std::size_t index : entries) {
    api::LedgerEntry& entry = status.ledger[index];
    auto rest = work.rests.find(index);
    if (rest != work.rests.end() && rest->second.look_again > ctx.clock.Steady()) continue;
    const WallTime now = ctx.clock.Now();
    if (entry.not_before && *entry.not_before > now) {
      RestToTryAgain(ctx, work, index);
      continue;
    }
    if (!entry.started_at) entry.started_at = now;
    auto lane = std::make_unique<Lane>();
    lane->index = index;
    lane->step = parts_.steps.Find(entry.step);
    if (lane->step == nullptr) {
      return Fail(ctx, work, index,
                  MakeError(ErrorCode::kInvalid, "StepUnknown",
                            "this version of certflow has no step " + entry.step));
    }
    lane->party = lane->step->Party(ScopeOf(work, *lane));
    if (auto kept = work.places.extract(index)) lane->place = std::move(kept.mapped());
    work.rests.erase(index);
    lanes.push_back(std::move(lane));
  }
  status.step = status.ledger[entries.front()].step;
  if (lanes.empty()) return Wait(ctx, work, entries);
  status.state = api::RunState::kRunning;
  auto taken =
      parts_.desk.TakeIn(ctx, work.standing.workflow, work.plan, GateOfStep(status.step), work.run);
  if (!taken.ok()) return Result<runtime::Outcome>(taken.error());

  std::vector<Lane*> all, acting;
  for (const auto& lane : lanes) all.push_back(lane.get());
  // A run that hangs in its first reconcile has to say where. Others need no such write.
  const bool may_hang = !work.started && std::any_of(all.begin(), all.end(), [&](Lane* lane) {
    return lane->step->MayHang(ScopeOf(work, *lane));
  });
  if (may_hang) {
    if (auto written = Persist(ctx, work); !written.ok()) return written.error();
  }
  AtOnce(all, [&](Lane& lane) { Look(ctx, work, lane); });
  for (Lane* lane : all) {
    if (Ended ended = Judge(ctx, work, *lane)) return ended;
    if (lane->needed) acting.push_back(lane);
  }
  if (!acting.empty()) {
    if (Ended ended = Intend(ctx, work, acting)) return ended;
    AtOnce(acting, [&](Lane& lane) { Act(ctx, work, lane); });
  }
  // All of them are booked before anything ends the reconcile: what was done is known here only.
  Ended ended;
  for (Lane* lane : acting) {
    if (Ended one = Record(ctx, work, *lane); one && !ended) ended = std::move(one);
  }
  if (ended) return ended;
  KeepPlaces(work, acting);
  bool all_rest = std::all_of(entries.begin(), entries.end(),
                              [&](std::size_t index) { return work.rests.contains(index); });
  return all_rest ? Ended(Wait(ctx, work, entries)) : std::nullopt;
}

// The next renewal must not wait for a cache: a person has to look after that one.
void Executor::GiveUpPurges(const Context& ctx, Work& work) {
  api::RunStatus& status = work.run.status;
  if (!workflow::IsMitigating(status) || !status.certificate) return;
  const api::CertificateStatus& made = *status.certificate;
  const WallTime now = ctx.clock.Now();
  if (workflow::WhenToRenew(work.plan.spec, made.not_before, made.not_after).at > now) return;
  for (api::LedgerEntry& entry : status.ledger) {
    bool open = entry.state == EntryState::kPending || entry.state == EntryState::kIntended;
    if (entry.step != workflow::kStepPurge || !open) continue;
    entry.state = EntryState::kFailed;
    entry.reason = "PurgeGivenUp";
    entry.message = Sanitize("given up, the next renewal is due; " + entry.message);
    entry.ended_at = now;
    entry.not_before.reset();
  }
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
    RestUntil(ctx, work, 0, "spec.suspend to be false again", std::nullopt, Duration{600'000});
    return Wait(ctx, work, {0});
  }
  GiveUpPurges(ctx, work);
  return std::nullopt;
}

Result<runtime::Outcome> Executor::CarryOn(const Context& ctx, const Standing& standing,
                                           const api::Plan& plan, api::Run run) {
  Work work{.standing = standing,
            .plan = plan,
            .run = run,
            .written = api::EncodeRunStatus(run),
            .started = !run.status.ledger.empty()};
  api::RunStatus& status = run.status;
  if (status.ledger.empty()) {
    status.ledger = workflow::MakeLedger(plan);
    status.state = api::RunState::kRunning;
    status.started_at = ctx.clock.Now();
    if (standing.workflow != nullptr) status.previous = standing.workflow->status.certificate;
    if (plan.rollback) status.certificate = plan.rollback->certificate;
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
    if (Ended ended = TakeTurn(ctx, work, std::get<workflow::Proceed>(next).entries)) {
      return KeepProgress(ctx, work, *std::move(ended));
    }
  }
  return MakeError(ErrorCode::kInternal, "TooManyTurns", "the run does not come to rest");
}

}  // namespace certflow::reconcile
