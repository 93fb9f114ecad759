#pragma once

#include "controller/steps/step.h"

namespace certflow::steps {

// Policy checks before anything is changed, each recorded with the value seen and the verdict. Runs
// at the start, again before the renewal when somebody was asked, and before the deployment. A
// failed check is an error that names it; what may mend itself (an authority that is not ready)
// backs off.
class ChecksStep : public Step {
 public:
  seams::Party Party(const StepScope&) const override { return {}; }
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;
  Result<ActResult> Act(const Context& ctx, const StepScope& scope,
                        const workflow::Needed& needed) override;
};

}  // namespace certflow::steps
