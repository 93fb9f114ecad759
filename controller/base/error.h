#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace certflow {

using Duration = std::chrono::milliseconds;

// What went wrong, in the few classes that callers tell apart.
enum class ErrorCode {
  kInvalid,         // the request itself is wrong; repeating it changes nothing
  kNotFound,        // what was asked for does not exist
  kAlreadyExists,   // a create found the name taken
  kConflict,        // a conditional write lost: read again
  kExpired,         // a resourceVersion or continue token is too old: list again (HTTP 410)
  kForbidden,       // authenticated, not allowed
  kUnauthorized,    // credential missing, wrong or expired
  kRateLimited,     // the other side asks to wait (HTTP 429)
  kUnavailable,     // could not be reached, or says that it cannot serve now
  kTimeout,         // the deadline passed before the request left, or on a read
  kUnknownOutcome,  // a write left and no answer came: observe before acting again
  kRefused,         // the other side understood and says no, for good
  kCancelled,       // the context was stopped
  kUntrusted,       // a certificate or host key is not the expected one
  kInternal,        // our own mistake
};

enum class Retry { kBackoff, kAfter, kNever };

// Who failed. The API server is what everything here leans on: that it cannot serve says nothing
// about the device or authority that a step is about.
enum class Origin { kParty, kApiServer };

// An error is a value. `reason` is a PascalCase token, used as condition reason and metric label;
// `message` is for people: no secrets, no timestamps, no newlines (see Sanitize).
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  Retry retry = Retry::kBackoff;
  std::string reason;
  std::string message;
  std::optional<Duration> retry_after;  // with Retry::kAfter
  Origin origin = Origin::kParty;       // set where the answer is read: kube::Client
};

// The API server did not serve, or somebody else wrote first: the same again later may pass. What
// it answers for good (not there, not allowed, wrong) is no such trouble.
bool IsApiServerTrouble(const Error& error);
// A device, authority or server did not answer.
bool IsPartyTrouble(const Error& error);

std::string_view ErrorCodeName(ErrorCode code);

// Shorthands. The retry class follows from the code: kUnavailable, kTimeout, kUnknownOutcome,
// kConflict, kExpired, kRateLimited and kInternal back off; the rest never retry.
Error MakeError(ErrorCode code, std::string_view reason, std::string_view message);
Error MakeErrorAfter(ErrorCode code, std::string_view reason, std::string_view message,
                     Duration retry_after);

// The same error with "what: " before its message; said once a layer.
Error Annotate(Error error, std::string_view what);

// Bounds and cleans text that came from outside before it enters a message, log, status or mail:
// control characters (newlines among them) and invalid UTF-8 become '?', and the text is cut to
// `max_bytes` on a character boundary with "..." at the end.
inline constexpr std::size_t kMaxMessageBytes = 1024;
std::string Sanitize(std::string_view text, std::size_t max_bytes = kMaxMessageBytes);

}  // namespace certflow
