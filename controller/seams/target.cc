#include "controller/seams/target.h"

#include <algorithm>

namespace certflow::seams {
namespace {

constexpr std::string_view kOriginal = "original-";
constexpr std::size_t kFingerprintDigits = 8;
constexpr std::size_t kMaxVersion = 63;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

std::string OriginalVersion(std::string_view fingerprint) {
  return std::string(kOriginal) + std::string(fingerprint.substr(0, kFingerprintDigits));
}

bool IsOriginal(std::string_view version) { return version.starts_with(kOriginal); }

Result<void> CheckNotOriginal(std::string_view version) {
  if (!IsOriginal(version)) return {};
  return MakeError(ErrorCode::kInvalid, "InvalidVersion", "\"original-\" is not a run's name");
}

bool IsVersionName(std::string_view version) {
  return !version.empty() && version.size() <= kMaxVersion && IsLetter(version.front()) &&
         std::all_of(version.begin(), version.end(),
                     [](char c) { return IsLetter(c) || c == '-'; });
}

}  // namespace certflow::seams
