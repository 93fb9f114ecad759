#include "controller/steps/target_access.h"

#include <algorithm>

#include "controller/base/clock.h"
#include "controller/workflow/ledger.h"

namespace certflow::steps {

namespace {

constexpr std::string_view kWayBackPrefix = "back.";
constexpr Duration kSettlePoll{3'000};

std::string Describe(const seams::Placement& placement) {
  std::string out = placement.device;
  auto add = [&](const std::string& text) {
    if (!text.empty()) out += " " + text;
  };
  add(placement.virtual_host);
  add(placement.server_name);
  add(placement.side);
  add(placement.profile);
  add(placement.location);
  return Sanitize(out, 300);
}

}  // namespace

Result<seams::Target*> ConnectOnce(const Context& ctx, const StepScope& scope,
                                   seams::Connector& connector, const seams::TargetRef& target) {
  auto& kept = scope.scratch.TargetSlot(target.binding.id);
  if (!kept) {
    CF_ASSIGN_OR_RETURN(kept, connector.ConnectTarget(ctx, target));
  }
  return kept.get();
}

Result<ConnectedTarget> ConnectTargetOf(const Context& ctx, const StepScope& scope,
                                        seams::Connector& connector,
                                        const api::LedgerEntry& entry) {
  const api::PlannedTarget* target = workflow::TargetOf(scope.plan, entry);
  if (target == nullptr) {
    return MakeError(ErrorCode::kInvalid, "TargetNotInPlan",
                     "the plan has no target " + entry.target);
  }
  CF_ASSIGN_OR_RETURN(auto resolved, ResolveTarget(scope, *target));
  CF_ASSIGN_OR_RETURN(seams::Target * connected, ConnectOnce(ctx, scope, connector, resolved));
  return ConnectedTarget{connected, std::move(resolved.binding)};
}

seams::Party PartyOfTarget(const StepScope& scope, const seams::Connector& connector) {
  const api::PlannedTarget* target = workflow::TargetOf(scope.plan, scope.entry);
  if (target == nullptr) return {};
  auto resolved = ResolveTarget(scope, *target);
  return resolved.ok() ? connector.PartyOf(resolved->provider) : seams::Party();
}

Result<void> NoteWayBack(workflow::StepMemo& memo, const seams::WayBack& way_back) {
  if (way_back.size() > seams::kMaxWayBack) {
    return MakeError(ErrorCode::kRefused, "WayBackTooLarge",
                     "the binding touches more than can be put back in one step: name fewer places "
                     "in it, and the rest in another one");
  }
  for (const auto& [key, value] : way_back) {
    if (value.size() > seams::kMaxWayBackBytes) {
      return MakeError(ErrorCode::kRefused, "WayBackTooLarge",
                       "what stands at " + Sanitize(key, 200) + " is too long to be recorded");
    }
    memo[std::string(kWayBackPrefix) + key] = value;
  }
  return {};
}

seams::WayBack WayBackOf(const workflow::StepMemo& memo) {
  seams::WayBack out;
  for (const auto& [key, value] : memo) {
    if (key.starts_with(kWayBackPrefix)) out[key.substr(kWayBackPrefix.size())] = value;
  }
  return out;
}

Result<workflow::Observation> JudgeSwitch(const Context& ctx, const seams::Target& target,
                                          const seams::TargetState& state,
                                          const workflow::StepMemo& memo,
                                          std::string_view version) {
  using workflow::Observation;
  auto activated = memo.find(workflow::kMemoActivated);
  bool finished = target.remembers_previous() || activated != memo.end();
  if (state.active != version || !state.running || !finished) {
    return Observation(workflow::Needed{});
  }
  if (state.settling.empty()) return Observation(workflow::Done{});
  // Where a crash lost when it was switched, waiting begins now.
  workflow::StepMemo noted = memo;
  if (activated == memo.end()) NoteActivated(noted, ctx.clock.Now());
  auto since = ParseTime(noted[workflow::kMemoActivated]);
  WallTime until = since.ok() ? *since + kSettleLimit : ctx.clock.Now();
  if (state.idle_for) until = std::max(until, ctx.clock.Now() - *state.idle_for + kSettleLimit);
  if (ctx.clock.Now() >= until) {
    return MakeError(ErrorCode::kRefused, "NotSettled", "still " + Sanitize(state.settling, 300));
  }
  return Observation(
      workflow::InProgress{Sanitize(state.settling, 300), kSettlePoll, until, std::move(noted)});
}

void NoteActivated(workflow::StepMemo& memo, WallTime now) {
  memo[workflow::kMemoActivated] = FormatTime(now);
}

bool IsActivated(const workflow::StepMemo& memo) { return memo.contains(workflow::kMemoActivated); }

void RecordPlacements(const Context& ctx, const StepScope& scope, const seams::TargetState& state,
                      std::string_view what, const std::string& previous) {
  const api::PlannedTarget* planned = workflow::TargetOf(scope.plan, scope.entry);
  if (planned == nullptr) return;
  std::size_t count = 0;
  for (const seams::Placement& placement : state.placements) {
    if (count == seams::kMaxPlacements) break;
    api::DeploymentRecord record;
    record.id = planned->id + "." + std::to_string(count++);
    record.target = planned->id;
    record.type = planned->type;
    record.wave = planned->wave;
    record.device = Sanitize(placement.device, 253);
    record.address = Sanitize(placement.address, 253);
    record.port = placement.port;
    record.virtual_host = Sanitize(placement.virtual_host, 253);
    record.server_name = Sanitize(placement.server_name, 253);
    record.side = placement.side;
    record.profile = Sanitize(placement.profile, 253);
    record.location = Sanitize(placement.location, 512);
    record.state = what;
    record.version = state.active;
    record.previous = previous;
    record.fingerprint = state.fingerprint;
    record.time = ctx.clock.Now();
    scope.findings.deployments.push_back(std::move(record));
  }
}

std::string DescribePlacements(const seams::TargetState& state) {
  std::string out;
  for (const seams::Placement& placement : state.placements) {
    out += (out.empty() ? "" : ", ") + Describe(placement);
  }
  return out;
}

}  // namespace certflow::steps
