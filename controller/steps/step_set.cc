#include "controller/steps/checks_step.h"
#include "controller/steps/complete_step.h"
#include "controller/steps/confirmation_step.h"
#include "controller/steps/deployment_step.h"
#include "controller/steps/deployment_time_step.h"
#include "controller/steps/purge_step.h"
#include "controller/steps/renewal_step.h"
#include "controller/steps/rollback_step.h"
#include "controller/steps/step.h"
#include "controller/steps/validation_step.h"
#include "controller/workflow/approval.h"
#include "controller/workflow/ledger.h"

namespace certflow::steps {

StepSet::StepSet(const StepParts& parts) {
  auto add = [&](std::string_view word, std::unique_ptr<Step> step) {
    steps_.emplace_back(word, std::move(step));
  };
  add(workflow::kStepChecks, std::make_unique<ChecksStep>(parts));
  add(workflow::kStepRenewalConfirmation,
      std::make_unique<ConfirmationStep>(workflow::kGateRenewal));
  add(workflow::kStepRenewal, std::make_unique<RenewalStep>(parts));
  add(workflow::kStepDeploymentConfirmation,
      std::make_unique<ConfirmationStep>(workflow::kGateDeployment));
  add(workflow::kStepDeploymentTime, std::make_unique<DeploymentTimeStep>());
  add(workflow::kStepPurge, std::make_unique<PurgeStep>(parts));
  add(workflow::kStepDeployment, std::make_unique<DeploymentStep>(parts));
  add(workflow::kStepValidation,
      std::make_unique<ValidationStep>(parts, ValidationStep::Expect::kNew));
  add(workflow::kStepComplete, std::make_unique<CompleteStep>(parts));
  add(workflow::kStepRollbackConfirmation,
      std::make_unique<ConfirmationStep>(workflow::kGateRollback));
  add(workflow::kStepRollback, std::make_unique<RollbackStep>(parts));
  add(workflow::kStepRollbackValidation,
      std::make_unique<ValidationStep>(parts, ValidationStep::Expect::kPrevious));
}

StepSet::~StepSet() = default;

Step* StepSet::Find(std::string_view word) const {
  for (const auto& [name, step] : steps_) {
    if (name == word) return step.get();
  }
  return nullptr;
}

Result<ActResult> Step::Act(const Context&, const StepScope&, const workflow::Needed& needed) {
  return MakeError(ErrorCode::kInternal, "NothingToDo", "no action " + needed.action);
}

std::string VersionSecretName(const api::WorkflowSpec& spec, std::string_view run) {
  return spec.secret_name + "." + std::string(run);
}

Result<seams::Bundle> BundleOf(seams::SecretObject secret, std::string_view version) {
  seams::Bundle bundle;
  bundle.version = version;
  for (auto& [key, value] : secret.data) {
    if (key == "tls.crt") {
      bundle.chain_pem = value.Reveal();
    } else if (key == "ca.crt") {
      bundle.ca_pem = value.Reveal();
    } else if (key == "tls.key") {
      bundle.key_pem = std::move(value);
    }
  }
  if (!bundle.key_pem.empty() && !bundle.chain_pem.empty()) return bundle;
  return MakeError(ErrorCode::kInvalid, "SecretKeyMissing",
                   "Secret " + secret.name +
                       " has no tls.key or tls.crt; start a new run with the "
                       "annotation certflow.dev/renew");
}

Result<seams::TargetRef> ResolveTarget(const StepScope& scope, const api::PlannedTarget& target) {
  seams::TargetRef out;
  if (target.target.name.empty()) {
    out.provider.type = target.type;
    out.provider.ns = scope.run.meta.ns;
    out.provider.settings = "{}";
  } else {
    CF_ASSIGN_OR_RETURN(out.provider, scope.directory.Target(target.target, scope.run.meta.ns));
    if (out.provider.type != target.type) {
      return MakeError(ErrorCode::kInvalid, "TargetTypeMismatch",
                       "target " + target.target.name + " is of type " + out.provider.type +
                           ", the workflow gives settings for " + target.type);
    }
  }
  out.binding.id = target.id;
  out.binding.workflow_ns = scope.run.meta.ns;
  out.binding.workflow_name = scope.run.workflow_name;
  out.binding.workflow_uid = scope.run.workflow_uid;
  out.binding.settings = target.settings;
  return out;
}

}  // namespace certflow::steps
