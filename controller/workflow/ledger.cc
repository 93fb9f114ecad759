#include "controller/workflow/ledger.h"

#include <algorithm>

#include "controller/base/backoff.h"

namespace certflow::workflow {

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

void AddWave(const api::Plan& plan, int wave, std::vector<LedgerEntry>& out) {
  for (const api::PlannedTarget& target : plan.targets) {
    if (target.wave != wave) continue;
    out.push_back(Entry("deploy/" + target.id, kStepDeployment, target.id));
  }
  std::string id = "validation/" + std::to_string(wave);
  if (plan.spec.endpoints.empty()) {
    out.push_back(Skipped(id, kStepValidation, "NoEndpoints",
                          "the plan names no endpoints; each target was read back instead"));
  } else {
    out.push_back(Entry(id, kStepValidation));
  }
}

}  // namespace

std::vector<LedgerEntry> MakeLedger(const api::Plan& plan) {
  std::vector<LedgerEntry> out;
  out.push_back(Entry("checks/start", kStepChecks));
  if (plan.spec.renewal_gate) {
    out.push_back(Entry("confirmation/renewal", kStepRenewalConfirmation));
    out.push_back(Entry("checks/renewal", kStepChecks));
  } else {
    out.push_back(Skipped("confirmation/renewal", kStepRenewalConfirmation, "NoGate",
                          "the plan asks nobody before the renewal"));
  }
  out.push_back(Entry("renewal", kStepRenewal));
  if (plan.spec.deployment_gate) {
    out.push_back(Entry("confirmation/deployment", kStepDeploymentConfirmation));
  } else {
    out.push_back(Skipped("confirmation/deployment", kStepDeploymentConfirmation, "NoGate",
                          "the plan asks nobody before the deployment"));
  }
  out.push_back(Entry("checks/deployment", kStepChecks));
  int waves = 0;
  for (const auto& target : plan.targets) waves = std::max(waves, target.wave + 1);
  for (int wave = 0; wave < waves; ++wave) AddWave(plan, wave, out);
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

// What the run failed at. A deployment that failed and was put back shows as Reverted; it is the
// last one of those, because steps follow each other.
const LedgerEntry* FirstFailure(const api::RunStatus& status) {
  const LedgerEntry* reverted = nullptr;
  for (const LedgerEntry& entry : status.ledger) {
    if (IsRollbackStep(entry)) continue;
    if (entry.state == EntryState::kFailed) return &entry;
    if (entry.state == EntryState::kReverted) reverted = &entry;
  }
  return reverted;
}

std::string FailureText(const LedgerEntry& failure) {
  std::string where = failure.step + (failure.target.empty() ? "" : " of " + failure.target);
  return where + ": " + failure.message;
}

std::optional<Next> FirstOpen(const api::RunStatus& status, bool rollback) {
  for (std::size_t i = 0; i < status.ledger.size(); ++i) {
    const LedgerEntry& entry = status.ledger[i];
    if (IsRollbackStep(entry) == rollback && IsOpen(entry)) return Proceed{i};
  }
  return std::nullopt;
}

void AppendRollback(const api::Plan& plan, api::RunStatus& status) {
  std::vector<LedgerEntry> add;
  for (const LedgerEntry* touched : TouchedTargets(status)) {
    LedgerEntry entry = Entry("rollback/" + touched->target, kStepRollback, touched->target);
    entry.memo = touched->memo;
    entry.memo.erase(kMemoActivated);
    add.push_back(std::move(entry));
  }
  if (!plan.spec.endpoints.empty()) {
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
          return Proceed{status.ledger.size() - 1};
        }
        if (asked->state == EntryState::kFailed) {
          return Finish{RunState::kHeld, failure.reason,
                        FailureText(failure) + "; the rollback was declined: " + asked->message};
        }
        if (IsOpen(*asked)) return *FirstOpen(status, true);
        break;
      }
      case api::RollbackPolicy::kAutomatic:
        break;
    }
    AppendRollback(plan, status);
  }
  if (auto open = FirstOpen(status, true)) return *open;
  return RollbackEnd(status, failure);
}

}  // namespace

Next NextStep(const api::Plan& plan, api::RunStatus& status) {
  if (const LedgerEntry* failure = FirstFailure(status)) {
    return AfterFailure(plan, status, LedgerEntry(*failure));
  }
  if (auto open = FirstOpen(status, false)) return *open;
  return Finish{RunState::kSucceeded, "Completed", ""};
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

struct RetryRule {
  int limit;
  BackoffPolicy backoff;
};

RetryRule RuleOf(const api::Plan& plan, const LedgerEntry& entry) {
  constexpr double kJitter = 0.2;
  if (entry.step == kStepRenewal) return {8, {Duration{30'000}, 2, Duration{1'800'000}, kJitter}};
  if (entry.step == kStepDeployment) {
    return {plan.spec.retry_limit, {Duration{5'000}, 2, Duration{120'000}, kJitter}};
  }
  if (entry.step == kStepRollback) return {10, {Duration{5'000}, 2, Duration{120'000}, kJitter}};
  return {20, {Duration{2'000}, 2, Duration{60'000}, kJitter}};
}

}  // namespace

void BookFailure(const api::Plan& plan, LedgerEntry& entry, const Error& error, WallTime now,
                 std::uint64_t random) {
  RetryRule rule = RuleOf(plan, entry);
  entry.attempts += 1;
  entry.reason = error.reason;
  entry.message = Sanitize(error.message);
  if (error.retry == Retry::kNever || entry.attempts > rule.limit) {
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
