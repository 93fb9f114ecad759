#pragma once

// For the codec of WorkflowRun only: its status, whose parts are told field by field once, for
// reading and for writing.

#include "controller/api/fields.h"
#include "controller/api/run.h"

namespace certflow::api {

RunStatus ReadRunStatus(const Fields& fields);
// Lists are cut to their bounds (run.h).
Json WriteRunStatus(const RunStatus& status);

}  // namespace certflow::api
