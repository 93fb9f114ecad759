#pragma once

#include "controller/steps/step.h"

namespace certflow::steps {

// Clears away versions that are neither active nor the way back. A target that cannot be cleaned
// now does not fail the run: the message says so, and the next run tries again.
class CompleteStep : public Step {
 public:
  explicit CompleteStep(const StepParts& parts) : parts_(parts) {}
  seams::Party Party(const StepScope&) const override { return {}; }
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;
  Result<ActResult> Act(const Context& ctx, const StepScope& scope,
                        const workflow::Needed& needed) override;

 private:
  StepParts parts_;
};

}  // namespace certflow::steps
