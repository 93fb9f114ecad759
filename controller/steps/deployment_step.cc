#include "controller/steps/deployment_step.h"

#include <algorithm>

#include "controller/steps/target_access.h"
#include "controller/workflow/ledger.h"

namespace certflow::steps {

namespace {

constexpr const char* kActionStage = "Stage";
constexpr const char* kActionActivate = "Activate";
constexpr const char* kActionDeploy = "Deploy";  // both, where the target remembers the way back
constexpr const char* kMemoStaged = "staged";
constexpr Duration kDiscardLimit{60'000};

// Keeps what an earlier intent recorded: after a crash in the middle the target may already show
// the new version as active.
Result<workflow::StepMemo> ActivationMemo(workflow::StepMemo memo, const seams::TargetState& state,
                                          const std::string& version) {
  if (!memo.contains(workflow::kMemoPrevious)) {
    memo[workflow::kMemoPrevious] =
        state.active == version ? state.previous.value_or("") : state.active;
    if (state.active != version) {
      CF_RETURN_IF_ERROR(NoteWayBack(memo, state.way_back));
      if (!state.fingerprint.empty()) {
        memo[workflow::kMemoPreviousFingerprint] = state.fingerprint;
      }
    }
  }
  memo[workflow::kMemoTouched] = "true";
  return memo;
}

}  // namespace

seams::Party DeploymentStep::Party(const StepScope& scope) const {
  return PartyOfTarget(scope, parts_.connector);
}

Result<workflow::Observation> DeploymentStep::Observe(const Context& ctx, const StepScope& scope) {
  using workflow::Effect;
  using workflow::Observation;
  CF_ASSIGN_OR_RETURN(auto at, ConnectTargetOf(ctx, scope, parts_.connector, scope.entry));
  CF_ASSIGN_OR_RETURN(auto state, at.target->Observe(ctx, at.binding));
  const std::string& version = scope.run.meta.name;
  const workflow::StepMemo& memo = scope.entry.memo;
  CF_ASSIGN_OR_RETURN(auto after, ActivationMemo(memo, state, version));
  bool same = scope.run.status.certificate &&
              state.fingerprint == scope.run.status.certificate->fingerprint;
  if (same) {
    CF_ASSIGN_OR_RETURN(auto judged, JudgeSwitch(ctx, *at.target, state, after, version));
    if (std::holds_alternative<workflow::Done>(judged)) {
      RecordPlacements(ctx, scope, state, "Deployed", after[workflow::kMemoPrevious]);
      return Observation(workflow::Done{"Deployed", DescribePlacements(state), std::move(after)});
    }
    if (std::holds_alternative<workflow::InProgress>(judged)) return judged;
  }
  if (at.target->remembers_previous()) {
    return Observation(workflow::Needed{kActionDeploy, Effect::kRepeatable, std::move(after)});
  }
  bool staged = memo.contains(kMemoStaged) ||
                std::find(state.staged.begin(), state.staged.end(), version) != state.staged.end();
  if (!staged) return Observation(workflow::Needed{kActionStage, Effect::kRepeatable, memo});
  return Observation(workflow::Needed{kActionActivate, Effect::kGuarded, std::move(after)});
}

Result<std::shared_ptr<const seams::Bundle>> DeploymentStep::LoadBundle(
    const Context& ctx, const StepScope& scope) const {
  if (auto kept = scope.scratch.bundle()) return kept;
  std::string name = VersionSecretName(scope.plan.spec, scope.run.meta.name);
  CF_ASSIGN_OR_RETURN(auto secret, parts_.secrets.Get(ctx, scope.run.meta.ns, name));
  CF_ASSIGN_OR_RETURN(auto bundle, BundleOf(std::move(secret), scope.run.meta.name));
  auto kept = std::make_shared<const seams::Bundle>(std::move(bundle));
  scope.scratch.Keep(kept);
  return kept;
}

Result<ActResult> DeploymentStep::Act(const Context& ctx, const StepScope& scope,
                                      const workflow::Needed& needed) {
  CF_ASSIGN_OR_RETURN(auto at, ConnectTargetOf(ctx, scope, parts_.connector, scope.entry));
  workflow::StepMemo memo = needed.memo;
  const auto stage = [&]() -> Result<void> {
    CF_ASSIGN_OR_RETURN(auto bundle, LoadBundle(ctx, scope));
    CF_RETURN_IF_ERROR(at.target->Stage(ctx, at.binding, *bundle));
    memo[kMemoStaged] = "true";
    return {};
  };
  if (needed.action != kActionActivate) CF_RETURN_IF_ERROR(stage());
  if (needed.action != kActionStage) {
    auto active = at.target->Activate(ctx, at.binding, {scope.run.meta.name});
    // What was staged has gone: another unit has taken over, or somebody removed it.
    if (!active.ok() && active.error().reason == "VersionMissing") {
      CF_RETURN_IF_ERROR(stage());
      active = at.target->Activate(ctx, at.binding, {scope.run.meta.name});
    }
    CF_RETURN_IF_ERROR(std::move(active));
    NoteActivated(memo, ctx.clock.Now());
  }
  ActResult result;
  result.memo = std::move(memo);
  return result;
}

Result<void> DeploymentStep::Abandon(const Context& ctx, const StepScope& scope) {
  if (scope.entry.state == api::EntryState::kDone) return {};
  const seams::Party party = Party(scope);
  runtime::GateKeeper::Denied denied;
  auto pass = parts_.gates.Enter(party.name, runtime::GateKeeper::Access::kAct, &denied,
                                 {party.actions, party.reads});
  if (!pass) {
    return MakeError(ErrorCode::kUnavailable, "PartyLeftAlone",
                     "what was staged stays for the next run to remove: no place at " + party.name);
  }
  const auto discard = [&]() -> Result<void> {
    CF_ASSIGN_OR_RETURN(auto at, ConnectTargetOf(ctx, scope, parts_.connector, scope.entry));
    return at.target->Discard(ctx.WithTimeout(kDiscardLimit), at.binding, scope.run.meta.name);
  };
  auto done = discard();
  pass->Leave(done.ok() || !IsPartyTrouble(done.error()));
  return done;
}

}  // namespace certflow::steps
