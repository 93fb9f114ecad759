#pragma once

#include <string>

#include "controller/steps/step.h"

namespace certflow::steps {

// Waits until the gate's layers have decided. Decisions reach the run's status by the approval desk
// (reconcile/approval_desk.h), which proves them; this step only counts. Errors: kRefused,
// "ApprovalRejected" or "ApprovalTimedOut".
class ConfirmationStep : public Step {
 public:
  explicit ConfirmationStep(std::string_view gate) : gate_(gate) {}
  seams::Party Party(const StepScope&) const override { return {}; }
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;

 private:
  std::string gate_;
};

}  // namespace certflow::steps
