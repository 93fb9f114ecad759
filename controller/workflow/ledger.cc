#include "controller/workflow/ledger.h"

#include <algorithm>
#include <limits>

#include "controller/base/backoff.h"

namespace certflow::workflow {

bool WavesNameEndpoints(const api::WorkflowSpec& spec) {
  return std::any_of(spec.waves.begin(), spec.waves.end(),
                     [](const api::Wave& wave) { return !wave.endpoints.empty(); });
}

bool HasEndpoints(const api::WorkflowSpec& spec) {
  return !spec.endpoints.empty() || WavesNameEndpoints(spec);
}

namespace {

using api::EntryState;
using api::LedgerEntry;
using api::RunState;

LedgerEntry Entry(std::string id, std::string_view step, std::string target = "") {
  LedgerEntry entry;
  entry.id = std::move(id);
  entry.step = step;
  entry.target = std::move(target);
  return entry;
}

LedgerEntry Skipped(std::string id, std::string_view step, std::string_view reason,
                    std::string_view message) {
  LedgerEntry entry = Entry(std::move(id), step);
  entry.state = EntryState::kSkipped;
  entry.reason = reason;
  entry.message = message;
  return entry;
}

void AddTargets(const api::Plan& plan, int wave, std::vector<LedgerEntry>& out) {
  for (const api::PlannedTarget& target : plan.targets) {
    if (target.wave != wave) continue;
    out.push_back(Entry("deploy/" + target.id, kStepDeployment, target.id));
  }
}

void AddValidation(const api::Plan& plan, std::string id, std::string_view step,
                   std::vector<LedgerEntry>& out) {
  out.push_back(HasEndpoints(plan.spec)
                    ? Entry(std::move(id), step)
                    : Skipped(std::move(id), step, "NoEndpoints",
                              "the plan names no endpoints; each target was read back instead"));
}

// `before`: "renewal" or "deployment".
void AddGate(bool asked, const std::string& before, std::string_view step,
             std::vector<LedgerEntry>& out) {
  std::string id = "confirmation/" + before;
  out.push_back(
      asked ? Entry(std::move(id), step)
            : Skipped(std::move(id), step, "NoGate", "the plan asks nobody before the " + before));
}

void AddDeploymentGate(const api::Plan& plan, std::vector<LedgerEntry>& out) {
  AddGate(plan.spec.deployment_gate.has_value(), "deployment", kStepDeploymentConfirmation, out);
}

void AddPurges(const api::Plan& plan, std::vector<LedgerEntry>& out) {
  if (plan.spec.purges.empty()) {
    out.push_back(Skipped("purge", kStepPurge, "NoPurge", "the plan names no cache"));
  }
  for (std::size_t i = 0; i < plan.spec.purges.size(); ++i) {
    out.push_back(Entry("purge/" + std::to_string(i), kStepPurge));
  }
}

// Takes back what an ended run did; nothing is issued, and no time of day is waited for.
std::vector<LedgerEntry> MakeRollbackLedger(const api::Plan& plan) {
  std::vector<LedgerEntry> out;
  out.push_back(Entry("checks/start", kStepChecks));
  AddDeploymentGate(plan, out);
  for (const api::RollbackPlan::Item& item : plan.rollback->items) {
    out.push_back(Entry("rollback/" + item.target, kStepRollback, item.target));
    out.back().memo = item.memo;
  }
  AddValidation(plan, "rollback-validation", kStepRollbackValidation, out);
  return out;
}

}  // namespace

std::vector<LedgerEntry> MakeLedger(const api::Plan& plan) {
  if (plan.rollback) return MakeRollbackLedger(plan);
  std::vector<LedgerEntry> out;
  out.push_back(Entry("checks/start", kStepChecks));
  AddGate(plan.spec.renewal_gate.has_value(), "renewal", kStepRenewalConfirmation, out);
  if (plan.spec.renewal_gate) out.push_back(Entry("checks/renewal", kStepChecks));
  out.push_back(Entry("renewal", kStepRenewal));
  AddDeploymentGate(plan, out);
  if (plan.spec.deploy_at) out.push_back(Entry("deployment-time", kStepDeploymentTime));
  out.push_back(Entry("checks/deployment", kStepChecks));
  int waves = 0;
  for (const auto& target : plan.targets) waves = std::max(waves, target.wave + 1);
  for (int wave = 0; wave < waves; ++wave) {
    AddTargets(plan, wave, out);
    if (wave == waves - 1) AddPurges(plan, out);
    AddValidation(plan, "validation/" + std::to_string(wave), kStepValidation, out);
  }
  out.push_back(Entry("complete", kStepComplete));
  return out;
}

namespace {

bool IsOpen(const LedgerEntry& entry) {
  return entry.state == EntryState::kPending || entry.state == EntryState::kIntended;
}

bool IsRollbackStep(const LedgerEntry& entry) {
  return entry.step == kStepRollback || entry.step == kStepRollbackValidation ||
         entry.step == kStepRollbackConfirmation;
}

const LedgerEntry* Find(const api::RunStatus& status, std::string_view id) {
  auto it = std::find_if(status.ledger.begin(), status.ledger.end(),
                         [&](const LedgerEntry& entry) { return entry.id == id; });
  return it == status.ledger.end() ? nullptr : &*it;
}

// What the run failed at; a purge that was given up is no reason to take anything back. A
// deployment that failed and was put back shows as Reverted; it is the last one of those, because
// steps follow each other.
const LedgerEntry* FirstFailure(const api::RunStatus& status) {
  const LedgerEntry* reverted = nullptr;
  for (const LedgerEntry& entry : status.ledger) {
    if (IsRollbackStep(entry) || entry.step == kStepPurge) continue;
    if (entry.state == EntryState::kFailed) return &entry;
    if (entry.state == EntryState::kReverted) reverted = &entry;
  }
  return reverted;
}

std::string FailureText(const LedgerEntry& failure) {
  std::string where = failure.step + (failure.target.empty() ? "" : " of " + failure.target);
  return where + ": " + failure.message;
}

std::optional<Next> FirstOpenRollback(const api::RunStatus& status) {
  for (std::size_t i = 0; i < status.ledger.size(); ++i) {
    const LedgerEntry& entry = status.ledger[i];
    if (IsRollbackStep(entry) && IsOpen(entry)) return Proceed{{i}};
  }
  return std::nullopt;
}

// The open targets of the wave that begins at `first`, as many as may go at once.
Proceed TargetsAtOnce(const api::Plan& plan, const api::RunStatus& status, std::size_t first) {
  const int wave = WaveOf(status.ledger[first]);
  const bool known = wave >= 0 && wave < static_cast<int>(plan.spec.waves.size());
  const int limit = known ? std::max(plan.spec.waves[wave].parallelism, 1) : 1;
  Proceed out;
  for (std::size_t i = first; i < status.ledger.size(); ++i) {
    const LedgerEntry& entry = status.ledger[i];
    if (static_cast<int>(out.entries.size()) == limit) break;
    if (entry.step == kStepDeployment && WaveOf(entry) == wave && IsOpen(entry)) {
      out.entries.push_back(i);
    }
  }
  return out;
}

// A purge that failed does not hold up the proof, only the end.
std::optional<Next> FirstOpen(const api::Plan& plan, const api::RunStatus& status) {
  Proceed failing;
  for (std::size_t i = 0; i < status.ledger.size(); ++i) {
    const LedgerEntry& entry = status.ledger[i];
    if (IsRollbackStep(entry) || !IsOpen(entry)) continue;
    if (entry.step == kStepPurge && entry.attempts > 0) {
      failing.entries.push_back(i);
    } else if (entry.step == kStepDeployment) {
      return TargetsAtOnce(plan, status, i);
    } else if (entry.step != kStepComplete || failing.entries.empty()) {
      return Proceed{{i}};
    }
  }
  if (failing.entries.empty()) return std::nullopt;
  return failing;
}

void AppendRollback(const api::Plan& plan, api::RunStatus& status) {
  std::vector<LedgerEntry> add;
  for (const LedgerEntry* touched : TouchedTargets(status)) {
    LedgerEntry entry = Entry("rollback/" + touched->target, kStepRollback, touched->target);
    entry.memo = touched->memo;
    entry.memo.erase(kMemoActivated);
    add.push_back(std::move(entry));
  }
  if (HasEndpoints(plan.spec)) {
    add.push_back(Entry("rollback-validation", kStepRollbackValidation));
  }
  std::move(add.begin(), add.end(), std::back_inserter(status.ledger));
}

Finish RollbackEnd(const api::RunStatus& status, const LedgerEntry& failure) {
  for (const LedgerEntry& entry : status.ledger) {
    if (IsRollbackStep(entry) && entry.state == EntryState::kFailed) {
      bool held = entry.reason == "PreviousExpired";
      return {held ? RunState::kHeld : RunState::kFailed, held ? "RollbackHeld" : "RollbackFailed",
              FailureText(failure) + "; " + FailureText(entry) + "; a person has to look"};
    }
  }
  return {RunState::kRolledBack, "RolledBack",
          FailureText(failure) + "; what this run had changed is back as it was"};
}

Next AfterFailure(const api::Plan& plan, api::RunStatus& status, const LedgerEntry& failure) {
  bool begun = std::any_of(status.ledger.begin(), status.ledger.end(), IsRollbackStep);
  if (!begun && TouchedTargets(status).empty()) {
    return Finish{RunState::kFailed, failure.reason, FailureText(failure)};
  }
  bool planned = std::any_of(status.ledger.begin(), status.ledger.end(),
                             [](const auto& entry) { return entry.step == kStepRollback; });
  if (!planned) {
    switch (plan.spec.rollback) {
      case api::RollbackPolicy::kHold:
        return Finish{RunState::kHeld, failure.reason,
                      FailureText(failure) + "; rollback.policy is Hold: nothing was put back"};
      case api::RollbackPolicy::kManual: {
        const LedgerEntry* asked = Find(status, "rollback-confirmation");
        if (asked == nullptr) {
          status.ledger.push_back(Entry("rollback-confirmation", kStepRollbackConfirmation));
          return Proceed{{status.ledger.size() - 1}};
        }
        if (asked->state == EntryState::kFailed) {
          return Finish{RunState::kHeld, failure.reason,
                        FailureText(failure) + "; the rollback was declined: " + asked->message};
        }
        if (IsOpen(*asked)) return *FirstOpenRollback(status);
        break;
      }
      case api::RollbackPolicy::kAutomatic:
        break;
    }
    AppendRollback(plan, status);
  }
  if (auto open = FirstOpenRollback(status)) return *open;
  return RollbackEnd(status, failure);
}

// Of a run that takes back an ended one: its steps in their order; where one fails a person looks.
Next NextOfRollback(const api::RunStatus& status) {
  for (std::size_t i = 0; i < status.ledger.size(); ++i) {
    const LedgerEntry& entry = status.ledger[i];
    if (entry.state == EntryState::kFailed) {
      return Finish{RunState::kFailed, entry.reason, FailureText(entry)};
    }
    if (IsOpen(entry)) return Proceed{{i}};
  }
  return Finish{RunState::kSucceeded, "RolledBack", ""};
}

}  // namespace

Next NextStep(const api::Plan& plan, api::RunStatus& status) {
  if (plan.rollback) return NextOfRollback(status);
  if (const LedgerEntry* failure = FirstFailure(status)) {
    return AfterFailure(plan, status, LedgerEntry(*failure));
  }
  if (auto open = FirstOpen(plan, status)) return *open;
  for (const LedgerEntry& entry : status.ledger) {
    if (entry.step == kStepPurge && entry.state == EntryState::kFailed) {
      return Finish{RunState::kHeld, entry.reason, FailureText(entry)};
    }
  }
  return Finish{RunState::kSucceeded, "Completed", ""};
}

std::string WhatFailed(const api::RunStatus& status) {
  const LedgerEntry* failure = FirstFailure(status);
  return failure == nullptr ? "" : FailureText(*failure);
}

bool IsMitigating(const api::RunStatus& status) {
  bool failing = false;
  for (const LedgerEntry& entry : status.ledger) {
    if (!IsOpen(entry) || entry.step == kStepComplete) continue;
    if (entry.step != kStepPurge) return false;
    failing |= entry.attempts >= kPurgeQuietAttempts;
  }
  return failing;
}

bool HasTouchedLive(const api::RunStatus& status) {
  return std::any_of(status.ledger.begin(), status.ledger.end(),
                     [](const LedgerEntry& entry) { return entry.memo.contains(kMemoTouched); });
}

std::vector<const LedgerEntry*> TouchedTargets(const api::RunStatus& status) {
  std::vector<const LedgerEntry*> out;
  for (auto it = status.ledger.rbegin(); it != status.ledger.rend(); ++it) {
    if (it->step == kStepDeployment && it->memo.contains(kMemoTouched) &&
        it->state != EntryState::kReverted) {
      out.push_back(&*it);
    }
  }
  return out;
}

namespace {

Error RefuseRollback(std::string_view reason, const std::string& message) {
  return MakeError(ErrorCode::kRefused, reason, message);
}

}  // namespace

Result<api::RollbackPlan> PlanRollback(const api::Run& run,
                                       const std::optional<api::CertificateStatus>& live,
                                       std::string_view annotation, WallTime now) {
  api::RollbackPlan plan;
  plan.run = run.meta.name;
  plan.force = annotation.starts_with("force ");
  plan.certificate = run.status.previous;
  bool went_live = run.status.state == RunState::kSucceeded || run.status.state == RunState::kHeld;
  if (!went_live || !live || live->version != run.meta.name) {
    return RefuseRollback("NotLive", "the certificate of " + run.DisplayName() +
                                         " is not what is live" +
                                         (live ? ": annotate the run " + live->version : ""));
  }
  for (const LedgerEntry* touched : TouchedTargets(run.status)) {
    api::RollbackPlan::Item item{touched->target, touched->memo};
    for (const char* key : {kMemoTouched, kMemoActivated}) item.memo.erase(key);
    plan.items.push_back(std::move(item));
  }
  if (plan.items.empty())
    return RefuseRollback("NothingToTakeBack", "the run has changed no target");
  if (plan.force) return plan;
  if (!plan.certificate) {
    return RefuseRollback(
        "NothingBefore",
        "no certificate of this workflow was live before: rolling back would take the "
        "certificate away, or put back what is not known; begin the text with force if "
        "that is what you want");
  }
  if (plan.certificate->not_after <= now) {
    return RefuseRollback("PreviousExpired",
                          "the certificate before expired at " +
                              FormatTime(plan.certificate->not_after) +
                              ": begin the text with force if you want it all the same");
  }
  return plan;
}

const api::PlannedTarget* TargetOf(const api::Plan& plan, const LedgerEntry& entry) {
  auto it = std::find_if(plan.targets.begin(), plan.targets.end(),
                         [&](const api::PlannedTarget& t) { return t.id == entry.target; });
  return it == plan.targets.end() ? nullptr : &*it;
}

int WaveOf(const LedgerEntry& entry) {
  std::size_t slash = entry.id.find('/');
  return slash == std::string::npos ? 0 : std::atoi(entry.id.c_str() + slash + 1);
}

namespace {

struct StepRule {
  int limit;
  BackoffPolicy backoff;
};

StepRule RuleOf(const api::Plan& plan, const LedgerEntry& entry) {
  constexpr double kJitter = 0.2;
  if (entry.step == kStepRenewal) return {8, {Duration{30'000}, 2, Duration{1'800'000}, kJitter}};
  if (entry.step == kStepDeployment) {
    const api::PlannedTarget* target = TargetOf(plan, entry);
    const api::RetryRule& rule = target ? target->retry : plan.spec.retry;
    const Duration first = std::chrono::duration_cast<Duration>(rule.backoff);
    return {rule.limit, {first, 2, std::max(first, Duration{120'000}), kJitter}};
  }
  if (entry.step == kStepPurge) {
    return {std::numeric_limits<int>::max(), {Duration{5'000}, 2, Duration{600'000}, kJitter}};
  }
  if (entry.step == kStepRollback) return {10, {Duration{5'000}, 2, Duration{120'000}, kJitter}};
  return {20, {Duration{2'000}, 2, Duration{60'000}, kJitter}};
}

}  // namespace

void BookFailure(const api::Plan& plan, LedgerEntry& entry, const Error& error, WallTime now,
                 std::uint64_t random) {
  StepRule rule = RuleOf(plan, entry);
  entry.attempts += 1;
  entry.reason = error.reason;
  entry.message = Sanitize(error.message);
  bool given_up = error.retry == Retry::kNever && entry.step != kStepPurge;
  if (given_up || entry.attempts > rule.limit) {
    entry.state = EntryState::kFailed;
    entry.ended_at = now;
    entry.not_before.reset();
    return;
  }
  Duration delay = BackoffDelay(rule.backoff, entry.attempts, random);
  if (error.retry == Retry::kAfter && error.retry_after) delay = *error.retry_after;
  entry.not_before = now + delay;
}

}  // namespace certflow::workflow
