#include "controller/steps/rollback_step.h"

#include "controller/workflow/ledger.h"

namespace certflow::steps {

namespace {

std::string PreviousOf(const StepScope& scope) {
  auto it = scope.entry.memo.find(workflow::kMemoPrevious);
  return it == scope.entry.memo.end() ? "" : it->second;
}

// Known for what a run of this workflow put there; an original that others put there is not judged.
bool IsExpired(const StepScope& scope, const std::string& version, WallTime now) {
  const auto& previous = scope.run.status.previous;
  return previous && previous->version == version && previous->not_after <= now;
}

}  // namespace

seams::Party RollbackStep::Party(const StepScope& scope) const {
  const api::PlannedTarget* target = workflow::TargetOf(scope.plan, scope.entry);
  if (target == nullptr) return {};
  auto resolved = ResolveTarget(scope, *target);
  return resolved.ok() ? parts_.connector.PartyOf(resolved->provider) : seams::Party();
}

Result<std::unique_ptr<seams::Target>> RollbackStep::Connect(const Context& ctx,
                                                             const StepScope& scope,
                                                             seams::Binding& binding) const {
  const api::PlannedTarget* target = workflow::TargetOf(scope.plan, scope.entry);
  if (target == nullptr) {
    return MakeError(ErrorCode::kInvalid, "TargetNotInPlan",
                     "the plan has no target " + scope.entry.target);
  }
  CF_ASSIGN_OR_RETURN(auto resolved, ResolveTarget(scope, *target));
  binding = resolved.binding;
  return parts_.connector.ConnectTarget(ctx, resolved);
}

Result<workflow::Observation> RollbackStep::Observe(const Context& ctx, const StepScope& scope) {
  using workflow::Effect;
  using workflow::Observation;
  std::string previous = PreviousOf(scope);
  seams::Binding binding;
  CF_ASSIGN_OR_RETURN(auto target, Connect(ctx, scope, binding));
  CF_ASSIGN_OR_RETURN(auto state, target->Observe(ctx, binding));
  bool back = state.active == previous && state.running;
  // Somebody else has put something there since; that is not ours to overwrite.
  bool foreign =
      !state.active.empty() && state.active != previous && state.active != scope.run.meta.name;
  if (back || foreign) {
    std::string message = foreign            ? "left alone: " + state.active + " stands there now"
                          : previous.empty() ? "nothing stands there, as before"
                                             : "back to " + previous;
    return Observation(workflow::Done{foreign ? "NotOurs" : "PutBack", message, scope.entry.memo});
  }
  if (previous.empty()) {
    return Observation(workflow::Needed{"Deactivate", Effect::kRepeatable, scope.entry.memo});
  }
  if (IsExpired(scope, previous, ctx.clock.Now())) {
    return MakeError(ErrorCode::kRefused, "PreviousExpired",
                     "the certificate of " + previous + " has expired; the new one stays in place");
  }
  return Observation(workflow::Needed{"Activate", Effect::kRepeatable, scope.entry.memo});
}

Result<ActResult> RollbackStep::Act(const Context& ctx, const StepScope& scope,
                                    const workflow::Needed& needed) {
  seams::Binding binding;
  CF_ASSIGN_OR_RETURN(auto target, Connect(ctx, scope, binding));
  if (needed.action == "Deactivate") {
    CF_RETURN_IF_ERROR(target->Deactivate(ctx, binding));
  } else {
    CF_RETURN_IF_ERROR(target->Activate(ctx, binding, {PreviousOf(scope), true}));
  }
  return ActResult{needed.memo, false, std::nullopt, std::nullopt};
}

}  // namespace certflow::steps
