#include "controller/steps/deployment_step.h"

#include <algorithm>

#include "controller/workflow/ledger.h"

namespace certflow::steps {

namespace {

constexpr const char* kActionStage = "Stage";
constexpr const char* kActionActivate = "Activate";
constexpr const char* kActionDeploy = "Deploy";  // both, where the target remembers the way back
constexpr const char* kMemoStaged = "staged";

// Keeps what an earlier intent recorded: after a crash in the middle the target may already show
// the new version as active.
workflow::StepMemo ActivationMemo(workflow::StepMemo memo, const seams::TargetState& state,
                                  const std::string& version) {
  if (!memo.contains(workflow::kMemoPrevious)) {
    memo[workflow::kMemoPrevious] =
        state.active == version ? state.previous.value_or("") : state.active;
  }
  memo[workflow::kMemoTouched] = "true";
  return memo;
}

std::string Describe(const seams::TargetState& state) {
  std::string out;
  for (const auto& [key, value] : state.details) {
    out += (out.empty() ? "" : ", ") + key + " " + Sanitize(value, 200);
  }
  return out;
}

}  // namespace

seams::Party DeploymentStep::Party(const StepScope& scope) const {
  const api::PlannedTarget* target = workflow::TargetOf(scope.plan, scope.entry);
  if (target == nullptr) return {};
  auto resolved = ResolveTarget(scope, *target);
  return resolved.ok() ? parts_.connector.PartyOf(resolved->provider) : seams::Party();
}

Result<seams::Target*> DeploymentStep::Connect(const Context& ctx, const StepScope& scope,
                                               seams::Binding& binding) const {
  const api::PlannedTarget* target = workflow::TargetOf(scope.plan, scope.entry);
  if (target == nullptr) {
    return MakeError(ErrorCode::kInvalid, "TargetNotInPlan",
                     "the plan has no target " + scope.entry.target);
  }
  CF_ASSIGN_OR_RETURN(auto resolved, ResolveTarget(scope, *target));
  binding = resolved.binding;
  auto& kept = scope.scratch.targets[target->id];
  if (!kept) {
    CF_ASSIGN_OR_RETURN(kept, parts_.connector.ConnectTarget(ctx, resolved));
  }
  return kept.get();
}

Result<workflow::Observation> DeploymentStep::Observe(const Context& ctx, const StepScope& scope) {
  using workflow::Effect;
  using workflow::Observation;
  seams::Binding binding;
  CF_ASSIGN_OR_RETURN(auto target, Connect(ctx, scope, binding));
  CF_ASSIGN_OR_RETURN(auto state, target->Observe(ctx, binding));
  const std::string& version = scope.run.meta.name;
  const workflow::StepMemo& memo = scope.entry.memo;
  bool same = scope.run.status.certificate &&
              state.fingerprint == scope.run.status.certificate->fingerprint;
  if (state.active == version && state.running && same) {
    return Observation(
        workflow::Done{"Deployed", Describe(state), ActivationMemo(memo, state, version)});
  }
  bool staged = memo.contains(kMemoStaged) ||
                std::find(state.staged.begin(), state.staged.end(), version) != state.staged.end();
  if (target->remembers_previous()) {
    return Observation(
        workflow::Needed{kActionDeploy, Effect::kRepeatable, ActivationMemo(memo, state, version)});
  }
  if (!staged) return Observation(workflow::Needed{kActionStage, Effect::kRepeatable, memo});
  return Observation(
      workflow::Needed{kActionActivate, Effect::kGuarded, ActivationMemo(memo, state, version)});
}

Result<const seams::Bundle*> DeploymentStep::LoadBundle(const Context& ctx,
                                                        const StepScope& scope) const {
  if (scope.scratch.bundle) return &*scope.scratch.bundle;
  std::string name = VersionSecretName(scope.plan.spec, scope.run.meta.name);
  CF_ASSIGN_OR_RETURN(auto secret, parts_.secrets.Get(ctx, scope.run.meta.ns, name));
  seams::Bundle bundle;
  bundle.version = scope.run.meta.name;
  for (auto& [key, value] : secret.data) {
    if (key == "tls.crt") {
      bundle.chain_pem = value.Reveal();
    } else if (key == "ca.crt") {
      bundle.ca_pem = value.Reveal();
    } else if (key == "tls.key") {
      bundle.key_pem = std::move(value);
    }
  }
  if (bundle.key_pem.empty() || bundle.chain_pem.empty()) {
    return MakeError(ErrorCode::kInvalid, "SecretKeyMissing",
                     "Secret " + name +
                         " has no tls.key or tls.crt; start a new run with the "
                         "annotation certflow.dev/renew");
  }
  scope.scratch.bundle = std::move(bundle);
  return &*scope.scratch.bundle;
}

Result<ActResult> DeploymentStep::Act(const Context& ctx, const StepScope& scope,
                                      const workflow::Needed& needed) {
  seams::Binding binding;
  CF_ASSIGN_OR_RETURN(auto target, Connect(ctx, scope, binding));
  workflow::StepMemo memo = needed.memo;
  if (needed.action != kActionActivate) {
    CF_ASSIGN_OR_RETURN(auto bundle, LoadBundle(ctx, scope));
    CF_RETURN_IF_ERROR(target->Stage(ctx, binding, *bundle));
    memo[kMemoStaged] = "true";
  }
  if (needed.action != kActionStage) {
    CF_RETURN_IF_ERROR(target->Activate(ctx, binding, {scope.run.meta.name, false}));
  }
  ActResult result;
  result.memo = std::move(memo);
  return result;
}

}  // namespace certflow::steps
