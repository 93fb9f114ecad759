#include "controller/base/context.h"

namespace certflow {

Result<void> Context::Check() const {
  if (stopped()) return MakeError(ErrorCode::kCancelled, "Cancelled", "stopped");
  if (clock.Steady() >= deadline) {
    return MakeError(ErrorCode::kTimeout, "DeadlineExceeded", "the time for this was used up");
  }
  return {};
}

}  // namespace certflow
