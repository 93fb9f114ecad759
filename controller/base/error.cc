#include "controller/base/error.h"

#include "controller/base/utf8.h"

namespace certflow {
namespace {

Retry RetryOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
    case ErrorCode::kUnknownOutcome:
    case ErrorCode::kConflict:
    case ErrorCode::kExpired:
    case ErrorCode::kRateLimited:
    case ErrorCode::kInternal:
      return Retry::kBackoff;
    case ErrorCode::kInvalid:
    case ErrorCode::kNotFound:
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kForbidden:
    case ErrorCode::kUnauthorized:
    case ErrorCode::kRefused:
    case ErrorCode::kCancelled:
    case ErrorCode::kUntrusted:
      return Retry::kNever;
  }
  return Retry::kNever;
}

// C0, DEL and C1 controls, the Unicode line ends, and the marks that turn the reading direction
// around (they make a line say something else than it holds).
bool IsControl(std::uint32_t code) {
  if (code < 0x20 || (code >= 0x7F && code <= 0x9F)) return true;
  return (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

// Cuts to at most `max_bytes`, never inside a character; `text` is valid UTF-8.
void CutAtCharacter(std::string& text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return;
  while (max_bytes > 0 && (static_cast<unsigned char>(text[max_bytes]) & 0xC0) == 0x80) --max_bytes;
  text.resize(max_bytes);
}

}  // namespace

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "Invalid";
    case ErrorCode::kNotFound:
      return "NotFound";
    case ErrorCode::kAlreadyExists:
      return "AlreadyExists";
    case ErrorCode::kConflict:
      return "Conflict";
    case ErrorCode::kExpired:
      return "Expired";
    case ErrorCode::kForbidden:
      return "Forbidden";
    case ErrorCode::kUnauthorized:
      return "Unauthorized";
    case ErrorCode::kRateLimited:
      return "RateLimited";
    case ErrorCode::kUnavailable:
      return "Unavailable";
    case ErrorCode::kTimeout:
      return "Timeout";
    case ErrorCode::kUnknownOutcome:
      return "UnknownOutcome";
    case ErrorCode::kRefused:
      return "Refused";
    case ErrorCode::kCancelled:
      return "Cancelled";
    case ErrorCode::kUntrusted:
      return "Untrusted";
    case ErrorCode::kInternal:
      return "Internal";
  }
  return "Internal";
}

bool IsApiServerTrouble(const Error& error) {
  if (error.origin != Origin::kApiServer) return false;
  switch (error.code) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
    case ErrorCode::kUnknownOutcome:
    case ErrorCode::kConflict:
    case ErrorCode::kExpired:
    case ErrorCode::kRateLimited:
    case ErrorCode::kUnauthorized:
      return true;
    case ErrorCode::kInvalid:
    case ErrorCode::kNotFound:
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kForbidden:
    case ErrorCode::kRefused:
    case ErrorCode::kCancelled:
    case ErrorCode::kUntrusted:
    case ErrorCode::kInternal:
      return false;
  }
  return false;
}

bool IsPartyTrouble(const Error& error) {
  return error.origin == Origin::kParty &&
         (error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout ||
          error.code == ErrorCode::kUnknownOutcome);
}

Error MakeError(ErrorCode code, std::string_view reason, std::string_view message) {
  return Error{code,         RetryOf(code), std::string(reason), Sanitize(message),
               std::nullopt, Origin::kParty};
}

Error MakeErrorAfter(ErrorCode code, std::string_view reason, std::string_view message,
                     Duration retry_after) {
  return Error{code,        Retry::kAfter, std::string(reason), Sanitize(message),
               retry_after, Origin::kParty};
}

Error Annotate(Error error, std::string_view what) {
  error.message = Sanitize(std::string(what) + ": " + error.message);
  return error;
}

std::string Sanitize(std::string_view text, std::size_t max_bytes) {
  std::string clean;
  // One character beyond the limit is enough to know that the text is too long.
  while (!text.empty() && clean.size() <= max_bytes) {
    const Utf8Char next = DecodeUtf8(text);
    if (next.bytes == 0) {
      clean += '?';
      text.remove_prefix(1);
      continue;
    }
    if (IsControl(next.code)) {
      clean += '?';
    } else {
      clean += text.substr(0, next.bytes);
    }
    text.remove_prefix(next.bytes);
  }
  if (clean.size() <= max_bytes) return clean;
  constexpr std::string_view kDots = "...";
  if (max_bytes < kDots.size()) return std::string(kDots.substr(0, max_bytes));
  CutAtCharacter(clean, max_bytes - kDots.size());
  return clean += kDots;
}

}  // namespace certflow
