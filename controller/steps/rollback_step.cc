#include "controller/steps/rollback_step.h"

#include "controller/steps/target_access.h"
#include "controller/workflow/ledger.h"

namespace certflow::steps {

namespace {

std::string PreviousOf(const StepScope& scope) {
  auto it = scope.entry.memo.find(workflow::kMemoPrevious);
  return it == scope.entry.memo.end() ? "" : it->second;
}

// The version that is taken back: this run's own, or that of the ended run.
const std::string& TakenBack(const StepScope& scope) {
  return scope.plan.rollback ? scope.plan.rollback->run : scope.run.meta.name;
}

// Known for what a run of this workflow put there; an original that others put there is not judged.
bool IsExpired(const StepScope& scope, const std::string& version, WallTime now) {
  if (scope.plan.rollback && scope.plan.rollback->force) return false;
  const auto& previous =
      scope.plan.rollback ? scope.plan.rollback->certificate : scope.run.status.previous;
  return previous && previous->version == version && previous->not_after <= now;
}

}  // namespace

seams::Party RollbackStep::Party(const StepScope& scope) const {
  return PartyOfTarget(scope, parts_.connector);
}

Result<workflow::Observation> RollbackStep::Observe(const Context& ctx, const StepScope& scope) {
  using workflow::Effect;
  using workflow::Observation;
  const workflow::StepMemo& memo = scope.entry.memo;
  std::string previous = PreviousOf(scope);
  CF_ASSIGN_OR_RETURN(auto at, ConnectTargetOf(ctx, scope, parts_.connector, scope.entry));
  CF_ASSIGN_OR_RETURN(auto state, at.target->Observe(ctx, at.binding));
  // Somebody else has put something there since; that is not ours to overwrite.
  if (!state.active.empty() && state.active != previous && state.active != TakenBack(scope)) {
    return Observation(
        workflow::Done{"NotOurs", "left alone: " + state.active + " stands there now", memo});
  }
  CF_ASSIGN_OR_RETURN(auto judged, JudgeSwitch(ctx, *at.target, state, memo, previous));
  if (std::holds_alternative<workflow::InProgress>(judged)) return judged;
  if (std::holds_alternative<workflow::Done>(judged)) {
    RecordPlacements(ctx, scope, state, "Reverted", TakenBack(scope));
    return Observation(workflow::Done{
        "PutBack", previous.empty() ? "nothing stands there, as before" : "back to " + previous,
        memo});
  }
  workflow::StepMemo after = memo;
  after[workflow::kMemoTouched] = "true";
  if (previous.empty()) {
    return Observation(workflow::Needed{"Deactivate", Effect::kRepeatable, std::move(after)});
  }
  if (IsExpired(scope, previous, ctx.clock.Now())) {
    return MakeError(ErrorCode::kRefused, "PreviousExpired",
                     "the certificate of " + previous + " has expired; the new one stays in place");
  }
  return Observation(workflow::Needed{"Activate", Effect::kRepeatable, std::move(after)});
}

Result<ActResult> RollbackStep::Act(const Context& ctx, const StepScope& scope,
                                    const workflow::Needed& needed) {
  CF_ASSIGN_OR_RETURN(auto at, ConnectTargetOf(ctx, scope, parts_.connector, scope.entry));
  seams::WayBack way_back = WayBackOf(scope.entry.memo);
  if (needed.action == "Deactivate") {
    CF_RETURN_IF_ERROR(at.target->Deactivate(ctx, at.binding, way_back));
  } else {
    CF_RETURN_IF_ERROR(
        at.target->Activate(ctx, at.binding, {PreviousOf(scope), true, std::move(way_back)}));
  }
  ActResult result;
  result.memo = needed.memo;
  NoteActivated(result.memo, ctx.clock.Now());
  return result;
}

}  // namespace certflow::steps
