#pragma once

#include "controller/steps/step.h"
#include "controller/steps/target_access.h"

namespace certflow::steps {

// Brings the run's certificate to one target: staged under a name with the run in it, then switched
// to and loaded. What stood there before is in the memo before the switch, unless the target keeps
// that in the same step.
class DeploymentStep : public Step {
 public:
  explicit DeploymentStep(const StepParts& parts) : parts_(parts) {}
  seams::Party Party(const StepScope& scope) const override;
  bool ActsNext(const StepScope& scope) const override { return !IsActivated(scope.entry.memo); }
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;
  Result<ActResult> Act(const Context& ctx, const StepScope& scope,
                        const workflow::Needed& needed) override;
  // What is staged and not in place is of no use to anybody.
  Result<void> Abandon(const Context& ctx, const StepScope& scope) override;

 private:
  Result<std::shared_ptr<const seams::Bundle>> LoadBundle(const Context& ctx,
                                                          const StepScope& scope) const;

  StepParts parts_;
};

}  // namespace certflow::steps
