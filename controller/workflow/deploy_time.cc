#include "controller/workflow/deploy_time.h"

#include <date/tz.h>

namespace certflow::workflow {

namespace {

using std::chrono::seconds;

// When the clocks of the zone show that minute of that day.
date::sys_seconds Resolve(const date::time_zone& zone, date::local_seconds local) {
  const date::local_info info = zone.get_info(local);
  // In a gap: the moment at which it ends. In an overlap: the earlier of the two.
  if (info.result == date::local_info::nonexistent) return info.first.end;
  return date::sys_seconds((local - info.first.offset).time_since_epoch());
}

// The library reports what it does not know by exceptions.
const date::time_zone* FindZone(std::string_view name) {
  try {
    return date::locate_zone(std::string(name));
  } catch (const std::runtime_error&) {
    return nullptr;
  }
}

}  // namespace

Result<WallTime> NextDeployTime(std::chrono::minutes of_day, std::string_view zone_name,
                                WallTime after) {
  const date::time_zone* zone = FindZone(zone_name);
  if (zone == nullptr) {
    return MakeError(ErrorCode::kInvalid, "TimeZoneUnknown",
                     "deployment.timeZone \"" + Sanitize(zone_name, 64) +
                         "\" is not known here: write an IANA name such as Europe/Istanbul");
  }
  const WallTime earliest = after - kDeployLatitude;
  const auto start = std::chrono::floor<seconds>(earliest);
  // Days of the zone's own calendar; the day before covers what is left of it.
  date::local_days day = date::floor<date::days>(zone->to_local(start)) - date::days(1);
  while (true) {
    const WallTime at = Resolve(*zone, day + of_day);
    if (at > earliest) return at;
    day += date::days(1);
  }
}

}  // namespace certflow::workflow
