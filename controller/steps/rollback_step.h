#pragma once

#include "controller/steps/step.h"
#include "controller/steps/target_access.h"

namespace certflow::steps {

// Puts one target back to what stood there before this run (the memo of its deployment), or takes
// the certificate out where nothing stood. Never onto a certificate that has expired: kRefused,
// "PreviousExpired", and a person decides.
class RollbackStep : public Step {
 public:
  explicit RollbackStep(const StepParts& parts) : parts_(parts) {}
  seams::Party Party(const StepScope& scope) const override;
  bool ActsNext(const StepScope& scope) const override { return !IsActivated(scope.entry.memo); }
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;
  Result<ActResult> Act(const Context& ctx, const StepScope& scope,
                        const workflow::Needed& needed) override;

 private:
  StepParts parts_;
};

}  // namespace certflow::steps
