#pragma once

#include "controller/steps/step.h"

namespace certflow::steps {

// Waits for the plan's time of day (deployment.at in deployment.timeZone). Which day that is
// follows from when the step began (the entry's startedAt). A certificate in force that ends before
// that time is not waited for.
class DeploymentTimeStep : public Step {
 public:
  seams::Party Party(const StepScope&) const override { return {}; }
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;
};

}  // namespace certflow::steps
