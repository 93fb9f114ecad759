// a time of day in a declared zone, with both edges of daylight saving.
#include "controller/workflow/deploy_time.h"

#include <gmock/gmock.h>

#include "tests/unit/workflow/build.h"

namespace certflow::workflow {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

struct TimeCase {
  const char* why;
  minutes of_day;
  const char* zone;
  const char* after;
  const char* at;
};

TEST(DeployTimeTest, IsTheNextOneInTheDeclaredZone) {
  const TimeCase cases[] = {
      {"later today", hours(1), "UTC", "2026-11-21T00:30:00Z", "2026-11-21T01:00:00Z"},
      {"right now", hours(1), "UTC", "2026-11-21T01:00:00Z", "2026-11-21T01:00:00Z"},
      {"a little late is still today", hours(1), "UTC", "2026-11-21T01:59:59Z",
       "2026-11-21T01:00:00Z"},
      {"too late is tomorrow", hours(1), "UTC", "2026-11-21T02:00:00Z", "2026-11-22T01:00:00Z"},
      {"a little late over midnight", hours(23) + minutes(30), "UTC", "2026-11-21T00:10:00Z",
       "2026-11-20T23:30:00Z"},
      {"01:00 in Istanbul is 22:00 of the day before", hours(1), "Europe/Istanbul",
       "2026-11-21T20:00:00Z", "2026-11-21T22:00:00Z"},
      {"west of Greenwich", hours(1), "America/New_York", "2026-11-21T00:00:00Z",
       "2026-11-21T06:00:00Z"},
      {"a zone with half hours", hours(1), "Asia/Kolkata", "2026-11-21T00:00:00Z",
       "2026-11-21T19:30:00Z"},
      // 2026-03-29 in Berlin: 02:00 to 03:00 does not exist.
      {"a time in the gap is taken at its end", hours(2) + minutes(30), "Europe/Berlin",
       "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
      {"the day after the gap is as usual", hours(2) + minutes(30), "Europe/Berlin",
       "2026-03-29T12:00:00Z", "2026-03-30T00:30:00Z"},
      // 2026-10-25 in Berlin: 02:00 to 03:00 comes twice.
      {"a time that comes twice is taken the first time", hours(2) + minutes(30), "Europe/Berlin",
       "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
      {"and not the second time", hours(2) + minutes(30), "Europe/Berlin", "2026-10-25T01:30:00Z",
       "2026-10-26T01:30:00Z"},
  };
  for (const TimeCase& c : cases) {
    auto at = NextDeployTime(c.of_day, c.zone, At(c.after));
    ASSERT_TRUE(at.ok()) << c.why << ": " << at.error().message;
    EXPECT_EQ(FormatTime(*at), c.at) << c.why;
  }
}

TEST(DeployTimeTest, AnUnknownZoneIsNamed) {
  auto at = NextDeployTime(hours(1), "Europe/Atlantis", At("2026-11-21T00:00:00Z"));
  ASSERT_FALSE(at.ok());
  EXPECT_EQ(at.error().reason, "TimeZoneUnknown");
  EXPECT_THAT(at.error().message, testing::HasSubstr("Europe/Atlantis"));
}

}  // namespace
}  // namespace certflow::workflow
