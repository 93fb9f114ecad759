#include "controller/steps/confirmation_step.h"

#include "controller/workflow/approval.h"

namespace certflow::steps {

Result<workflow::Observation> ConfirmationStep::Observe(const Context& ctx,
                                                        const StepScope& scope) {
  auto gate = workflow::GateOf(scope.plan.spec, gate_);
  if (!gate) {
    return workflow::Observation(workflow::Done{"NoGate", "the plan asks nobody", {}});
  }
  const auto& decisions = scope.run.status.approvals;
  workflow::GateState state = workflow::EvaluateGate(*gate, gate_, decisions);
  if (!state.rejected_by.empty()) {
    return MakeError(ErrorCode::kRefused, "ApprovalRejected",
                     state.rejected_by + " refused the gate " + gate_);
  }
  if (state.approved) {
    std::string by;
    for (const api::Decision& decision : decisions) {
      if (decision.gate == gate_) by += (by.empty() ? "" : ", ") + decision.user;
    }
    return workflow::Observation(workflow::Done{"Approved", "approved by " + by, {}});
  }
  WallTime until = scope.entry.started_at.value_or(ctx.clock.Now()) + gate->timeout;
  if (until <= ctx.clock.Now()) {
    return MakeError(
        ErrorCode::kRefused, "ApprovalTimedOut",
        "no decision on the gate " + gate_ + " within " + FormatDuration(gate->timeout));
  }
  workflow::Blocked blocked;
  blocked.waiting_for = "approval " + gate_ + ", layer " + state.open_layer + ": " +
                        std::to_string(state.still_needed) + " more";
  blocked.until = until;
  blocked.look_again = std::chrono::duration_cast<Duration>(until - ctx.clock.Now());
  return workflow::Observation(std::move(blocked));
}

}  // namespace certflow::steps
