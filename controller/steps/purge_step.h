#pragma once

#include "controller/steps/step.h"

namespace certflow::steps {

// Lets a cache in front of the targets forget what it holds. Nobody can look that up, so it is done
// at least once. Its errors are tried on without end and take nothing back (workflow/ledger.h).
class PurgeStep : public Step {
 public:
  explicit PurgeStep(const StepParts& parts) : parts_(parts) {}
  seams::Party Party(const StepScope& scope) const override;
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;
  Result<ActResult> Act(const Context& ctx, const StepScope& scope,
                        const workflow::Needed& needed) override;

 private:
  StepParts parts_;
};

}  // namespace certflow::steps
