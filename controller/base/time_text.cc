#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "controller/base/clock.h"

namespace certflow {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using std::chrono::sys_days;

constexpr seconds kLongestDuration = std::chrono::days(3650);

// Calendar date and time of day, as "2026-11-21T02:46:00".
std::string FormatSecond(std::chrono::sys_seconds time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 48> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  return std::string(text.data(), static_cast<std::size_t>(length));
}

// Eats a fixed layout from the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool Skip(char wanted) {
    if (text_.empty() || text_[0] != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }
  // Exactly `digits` digits, at most `highest`.
  std::optional<int> Number(std::size_t digits, int highest) {
    if (text_.size() < digits) return std::nullopt;
    int value = 0;
    for (char c : text_.substr(0, digits)) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    if (value > highest) return std::nullopt;
    text_.remove_prefix(digits);
    return value;
  }
  // Digits after the dot, as nanoseconds; further digits are cut.
  std::optional<std::int64_t> Fraction() {
    std::int64_t value = 0;
    int digits = 0;
    while (!text_.empty() && text_[0] >= '0' && text_[0] <= '9') {
      if (digits < 9) value = value * 10 + (text_[0] - '0');
      ++digits;
      text_.remove_prefix(1);
    }
    if (digits == 0) return std::nullopt;
    for (int i = digits; i < 9; ++i) value *= 10;
    return value;
  }
  char Sign() {
    const char sign = text_.empty() ? '\0' : text_[0];
    if (sign != '+' && sign != '-') return '\0';
    text_.remove_prefix(1);
    return sign;
  }
  bool AtEnd() const { return text_.empty(); }

 private:
  std::string_view text_;
};

std::optional<sys_days> ScanDate(Scanner& scan) {
  const auto year = scan.Number(4, 9999);
  if (!year || !scan.Skip('-')) return std::nullopt;
  const auto month = scan.Number(2, 12);
  if (!month || !scan.Skip('-')) return std::nullopt;
  const auto day = scan.Number(2, 31);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  // Nanoseconds in 64 bits reach from 1677 to 2262.
  if (!date.ok() || *year < 1678 || *year > 2261) return std::nullopt;
  return sys_days(date);
}

std::optional<seconds> ScanTimeOfDay(Scanner& scan) {
  const auto hour = scan.Number(2, 23);
  if (!hour || !scan.Skip(':')) return std::nullopt;
  const auto minute = scan.Number(2, 59);
  if (!minute || !scan.Skip(':')) return std::nullopt;
  const auto second = scan.Number(2, 59);
  if (!second) return std::nullopt;
  return seconds(*hour * 3600 + *minute * 60 + *second);
}

std::optional<seconds> ScanOffset(Scanner& scan) {
  if (scan.Skip('Z')) return seconds(0);
  const char sign = scan.Sign();
  if (sign == '\0') return std::nullopt;
  const auto hour = scan.Number(2, 23);
  if (!hour || !scan.Skip(':')) return std::nullopt;
  const auto minute = scan.Number(2, 59);
  if (!minute) return std::nullopt;
  const seconds offset(*hour * 3600 + *minute * 60);
  return sign == '-' ? -offset : offset;
}

std::optional<WallTime> ScanTime(std::string_view text) {
  Scanner scan(text);
  const auto date = ScanDate(scan);
  if (!date || !scan.Skip('T')) return std::nullopt;
  const auto time = ScanTimeOfDay(scan);
  if (!time) return std::nullopt;
  std::int64_t nanoseconds = 0;
  if (scan.Skip('.')) {
    const auto fraction = scan.Fraction();
    if (!fraction) return std::nullopt;
    nanoseconds = *fraction;
  }
  const auto offset = ScanOffset(scan);
  if (!offset || !scan.AtEnd()) return std::nullopt;
  return WallTime(*date + *time - *offset) + std::chrono::nanoseconds(nanoseconds);
}

struct Unit {
  char letter;
  std::int64_t seconds;
};
constexpr Unit kUnits[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

// Zero for a letter that is no unit.
std::int64_t SecondsOfUnit(char letter) {
  for (const Unit& unit : kUnits) {
    if (unit.letter == letter) return unit.seconds;
  }
  return 0;
}

Error BadDuration(std::string_view text) {
  return MakeError(ErrorCode::kInvalid, "InvalidDuration",
                   "\"" + Sanitize(text, 64) +
                       "\" is not a duration above zero and up to ten years: write whole numbers "
                       "with d, h, m or s, for example 15d or 1h30m");
}

}  // namespace

std::string FormatTime(WallTime time) {
  return FormatSecond(std::chrono::floor<seconds>(time)) + "Z";
}

std::string FormatMicroTime(WallTime time) {
  const auto whole = std::chrono::floor<seconds>(time);
  const auto micros = std::chrono::floor<microseconds>(time - whole).count();
  std::array<char, 16> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%06dZ", static_cast<int>(micros));
  return FormatSecond(whole) + fraction.data();
}

Result<WallTime> ParseTime(std::string_view text) {
  if (const auto time = ScanTime(text)) return *time;
  return MakeError(
      ErrorCode::kInvalid, "InvalidTime",
      "\"" + Sanitize(text, 64) + "\" is not a time like 2026-11-21T02:46:00Z (RFC 3339)");
}

Result<seconds> ParseDuration(std::string_view text) {
  std::int64_t total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::int64_t number = 0;
    std::size_t digits = 0;
    while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9') {
      number = number * 10 + (rest[digits] - '0');
      if (number > kLongestDuration.count()) return BadDuration(text);
      ++digits;
    }
    if (digits == 0 || digits == rest.size()) return BadDuration(text);
    const std::int64_t unit = SecondsOfUnit(rest[digits]);
    if (unit == 0) return BadDuration(text);
    total += number * unit;
    if (total > kLongestDuration.count()) return BadDuration(text);
    rest.remove_prefix(digits + 1);
  }
  if (total == 0) return BadDuration(text);
  return seconds(total);
}

std::string FormatDuration(seconds duration) {
  // Through unsigned, because the smallest number has no positive counterpart.
  std::uint64_t left = static_cast<std::uint64_t>(duration.count());
  std::string text;
  if (duration.count() < 0) {
    left = 0 - left;
    text = "-";
  }
  if (left == 0) return "0s";
  for (const Unit& unit : kUnits) {
    const auto size = static_cast<std::uint64_t>(unit.seconds);
    if (left >= size) text += std::to_string(left / size) + unit.letter;
    left %= size;
  }
  return text;
}

}  // namespace certflow
