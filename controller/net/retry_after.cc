#include "controller/net/retry_after.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace certflow::net {
namespace {

using std::chrono::seconds;

constexpr Duration kShortest = seconds(1);
constexpr Duration kLongest = std::chrono::hours(24);
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::optional<int> Number(std::string_view digits) {
  int value = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc() || result.ptr != end || value < 0) return std::nullopt;
  return value;
}

// IMF-fixdate, the one form that servers may send: "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<WallTime> HttpDate(std::string_view text) {
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT") {
    return std::nullopt;
  }
  const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  const auto day = Number(text.substr(5, 2)), year = Number(text.substr(12, 4));
  const auto hour = Number(text.substr(17, 2)), minute = Number(text.substr(20, 2));
  const auto second = Number(text.substr(23, 2));
  if (month == kMonths.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year(*year),
      std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
      std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         seconds(*second);
}

// A number of any length; what does not fit is longer than we ever wait.
std::optional<Duration> DeltaSeconds(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  const std::optional<int> value = Number(text);
  return value ? std::min<Duration>(seconds(*value), kLongest) : kLongest;
}

}  // namespace

std::optional<Duration> RetryAfter(const HttpResponse& response, WallTime now) {
  const std::string_view text = response.header("retry-after");
  if (const auto delta = DeltaSeconds(text)) return std::clamp(*delta, kShortest, kLongest);
  const std::optional<WallTime> at = HttpDate(text);
  if (!at) return std::nullopt;
  // Against the server's own clock the wait is right even where ours is not.
  const WallTime from = HttpDate(response.header("date")).value_or(now);
  const auto wait = std::chrono::floor<Duration>(*at - from);
  return std::clamp<Duration>(wait, kShortest, kLongest);
}

}  // namespace certflow::net
