#include "controller/base/clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "controller/base/context.h"

namespace certflow {
namespace {

using std::chrono::seconds;

WallTime At(std::int64_t unix_seconds) { return WallTime(seconds(unix_seconds)); }

TEST(TimeTextTest, FormatsAsTheApiServerDoes) {
  EXPECT_EQ(FormatTime(At(1795229160)), "2026-11-21T02:46:00Z");
  EXPECT_EQ(FormatTime(At(-1)), "1969-12-31T23:59:59Z");
  EXPECT_EQ(FormatMicroTime(At(0) + std::chrono::microseconds(42)), "1970-01-01T00:00:00.000042Z");
  EXPECT_EQ(FormatMicroTime(At(0) - std::chrono::microseconds(1)), "1969-12-31T23:59:59.999999Z");
}

TEST(TimeTextTest, ParsesSecondsFractionsAndOffsets) {
  EXPECT_EQ(*ParseTime("2026-11-21T02:46:00Z"), At(1795229160));
  EXPECT_EQ(*ParseTime("2026-11-21T05:46:00+03:00"), At(1795229160));
  EXPECT_EQ(*ParseTime("2026-11-20T21:16:00-05:30"), At(1795229160));
  EXPECT_EQ(*ParseTime("1970-01-01T00:00:00.000042Z"), At(0) + std::chrono::microseconds(42));
  EXPECT_EQ(*ParseTime("2024-02-29T00:00:00Z"), At(1709164800));
}

TEST(TimeTextTest, RefusesWhatIsNotATime) {
  for (const char* text :
       {"", "2026-11-21", "2026-11-21T02:46:00", "2026-11-21 02:46:00Z", "2026-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T02:60:00Z",
        "2026-11-21T02:46:00.Z", "2026-11-21T02:46:00Zx", "2026-11-21T02:46:00+0300",
        "-026-11-21T02:46:00Z", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "+1"}) {
    const auto time = ParseTime(text);
    ASSERT_FALSE(time.ok()) << text;
    EXPECT_EQ(time.error().code, ErrorCode::kInvalid);
  }
}

TEST(DurationTest, ParsesAndFormatsTheShortestForm) {
  EXPECT_EQ(*ParseDuration("15d"), seconds(15 * 86400));
  EXPECT_EQ(*ParseDuration("1h30m"), seconds(5400));
  EXPECT_EQ(*ParseDuration("3650d"), seconds(3650LL * 86400));
  EXPECT_EQ(FormatDuration(seconds(15 * 86400)), "15d");
  EXPECT_EQ(FormatDuration(seconds(5400)), "1h30m");
  EXPECT_EQ(FormatDuration(seconds(0)), "0s");
  EXPECT_EQ(FormatDuration(seconds(-61)), "-1m1s");
  EXPECT_EQ(FormatDuration(seconds::min()).substr(0, 1), "-");
}

TEST(DurationTest, RefusesZeroNonsenseAndMoreThanTenYears) {
  for (const char* text : {"", "0s", "0d0h", "15", "d", "1.5h", "-1h", "+1h", "1w", "1 h", "1h ",
                           "3650d1s", "99999999999999999999s", "87601h"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
}

TEST(SystemClockTest, WaitEndsWhenTheTimeIsReached) {
  auto clock = MakeSystemClock();
  EXPECT_TRUE(clock->WaitUntil(clock->Steady() + std::chrono::milliseconds(5), {}));
}

TEST(SystemClockTest, WaitEndsAtOnceWhenStopped) {
  auto clock = MakeSystemClock();
  std::stop_source source;
  bool reached = true;
  std::jthread waiter([&] { reached = clock->WaitUntil(SteadyTime::max(), source.get_token()); });
  source.request_stop();
  waiter.join();
  EXPECT_FALSE(reached);
}

TEST(ContextTest, ChildIsNeverLaterThanItsParent) {
  auto clock = MakeSystemClock();
  Context parent{*clock};
  parent.deadline = clock->Steady() + seconds(5);
  EXPECT_EQ(parent.WithTimeout(seconds(60)).deadline, parent.deadline);
  EXPECT_LT(parent.WithTimeout(seconds(1)).deadline, parent.deadline);
}

TEST(ContextTest, CheckTellsStoppedFromLate) {
  auto clock = MakeSystemClock();
  Context ctx{*clock};
  EXPECT_TRUE(ctx.Check().ok());
  ctx.deadline = clock->Steady() - seconds(1);
  EXPECT_EQ(ctx.Check().error().code, ErrorCode::kTimeout);
  std::stop_source source;
  source.request_stop();
  EXPECT_EQ(ctx.WithStop(source.get_token()).Check().error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace certflow
