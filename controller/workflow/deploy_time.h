#pragma once

#include <string_view>

#include "controller/base/clock.h"
#include "controller/base/result.h"

namespace certflow::workflow {

// A deployment that is due at a time of day may begin this much later, for example because the
// controller was away; after that it waits for the next day.
inline constexpr std::chrono::minutes kDeployLatitude{60};

// The first moment at or after `after` that is `of_day` (from midnight) in the IANA zone; also one
// that lies back less than kDeployLatitude. Daylight saving: a time that does not exist that day is
// taken at the next valid minute, one that comes twice is taken once, the first time. kInvalid,
// "TimeZoneUnknown".
Result<WallTime> NextDeployTime(std::chrono::minutes of_day, std::string_view zone, WallTime after);

}  // namespace certflow::workflow
