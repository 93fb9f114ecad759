#include "controller/steps/deployment_time_step.h"

#include "controller/workflow/deploy_time.h"

namespace certflow::steps {

Result<workflow::Observation> DeploymentTimeStep::Observe(const Context& ctx,
                                                          const StepScope& scope) {
  using workflow::Observation;
  const api::WorkflowSpec& spec = scope.plan.spec;
  if (!spec.deploy_at) return Observation(workflow::Done{"NoTime", "the plan names no time", {}});
  const WallTime now = ctx.clock.Now();
  const WallTime begun = scope.entry.started_at.value_or(now);
  CF_ASSIGN_OR_RETURN(WallTime at,
                      workflow::NextDeployTime(*spec.deploy_at, spec.time_zone, begun));
  // Begun long ago, and nobody was here at the time: the next day's.
  if (at <= now - workflow::kDeployLatitude) {
    CF_ASSIGN_OR_RETURN(at, workflow::NextDeployTime(*spec.deploy_at, spec.time_zone, now));
  }
  const std::string when = FormatTime(at) + " (" + spec.time_zone + ")";
  if (at <= now) return Observation(workflow::Done{"TimeCame", when, {}});
  const auto& previous = scope.run.status.previous;
  if (previous && previous->not_after <= at) {
    return Observation(workflow::Done{"ExpiresBefore",
                                      "not waited for " + when +
                                          ": the certificate in force ends before, at " +
                                          FormatTime(previous->not_after),
                                      {}});
  }
  workflow::Blocked blocked;
  blocked.waiting_for = "the time of the deployment, " + when;
  blocked.until = at;
  blocked.look_again = std::chrono::duration_cast<Duration>(at - now) + Duration{1};
  return Observation(std::move(blocked));
}

}  // namespace certflow::steps
