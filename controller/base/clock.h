#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "controller/base/result.h"

namespace certflow {

using WallTime = std::chrono::system_clock::time_point;    // certificates, windows, approvals
using SteadyTime = std::chrono::steady_clock::time_point;  // deadlines and intervals

// The only source of time and the only way to wait.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Now() const = 0;
  virtual SteadyTime Steady() const = 0;
  // Blocks until `until` or until `stop` is requested; true when the time was reached.
  virtual bool WaitUntil(SteadyTime until, std::stop_token stop) = 0;
};

// The machine's clocks.
std::unique_ptr<Clock> MakeSystemClock();

// RFC 3339 in UTC with whole seconds, as metav1.Time ("2026-11-21T02:46:00Z").
std::string FormatTime(WallTime time);
// With exactly six fraction digits, as metav1.MicroTime.
std::string FormatMicroTime(WallTime time);
// Accepts both, and offsets; kInvalid otherwise.
Result<WallTime> ParseTime(std::string_view text);

// Durations of specs: a sequence of integer and unit, units d, h, m, s ("15d", "1h30m").
// kInvalid for anything else, for zero length and above ten years.
Result<std::chrono::seconds> ParseDuration(std::string_view text);
// The shortest such form; for messages as well ("15d", "1h30m", "0s").
std::string FormatDuration(std::chrono::seconds duration);

}  // namespace certflow
