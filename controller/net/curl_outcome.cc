#include <cstring>

#include "controller/net/curl_transfer.h"
#include "controller/net/curl_url.h"

namespace certflow::net {
namespace {

// What libcurl's code says about our own input, or about the server's identity. Everything else is
// a connection that did not work out.
struct Meaning {
  ErrorCode code;
  std::string_view reason;
};

Meaning MeaningOf(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED:
      return {ErrorCode::kInvalid, "InvalidUrl"};
    case CURLE_SSL_CACERT_BADFILE:
      return {ErrorCode::kInvalid, "InvalidCaBundle"};
    case CURLE_SSL_CERTPROBLEM:
      return {ErrorCode::kInvalid, "InvalidClientCertificate"};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return {ErrorCode::kUntrusted, "ServerNotTrusted"};
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {ErrorCode::kUnavailable, "NameNotResolved"};
    case CURLE_COULDNT_CONNECT:
      return {ErrorCode::kUnavailable, "ConnectFailed"};
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorCode::kUnavailable, "ConnectTimeout"};
    case CURLE_SSL_CONNECT_ERROR:
      return {ErrorCode::kUnavailable, "TlsFailed"};
    default:
      return {ErrorCode::kUnavailable, "ConnectionLost"};
  }
}

}  // namespace

Error Transfer::Failure(ErrorCode code, std::string_view reason, std::string_view message) const {
  // Scheme, host and port only: a path can be a secret (web hooks).
  return MakeError(
      code, reason,
      request_.method + " " + AuthorityOf(request_.url).origin + ": " + std::string(message));
}

std::string Transfer::CurlMessage(CURLcode code) const {
  return error_[0] != '\0' ? std::string(error_.data()) : std::string(curl_easy_strerror(code));
}

Result<void> Transfer::Conclude(const Ending& ending) const {
  if (ending.cause != Ending::Cause::kFinished) return ConcludeTakenOff(ending.cause);
  if (sink_ended_) return {};
  // libcurl takes a connection that ends between two header lines for a whole answer.
  if (ending.code == CURLE_OK && !headers_complete_) return ConcludeFailure(CURLE_PARTIAL_FILE);
  if (ending.code == CURLE_OK) return {};
  return ConcludeFailure(ending.code);
}

Result<void> Transfer::ConcludeTakenOff(Ending::Cause cause) const {
  const bool stopped = cause == Ending::Cause::kStopped;
  if (!IsRead() && Left()) {
    return Failure(ErrorCode::kUnknownOutcome, stopped ? "Stopped" : "AnswerTimeout",
                   stopped ? "stopped before the answer came" : "no answer within the time limit");
  }
  if (stopped) return Failure(ErrorCode::kCancelled, "Cancelled", "stopped");
  return Failure(ErrorCode::kTimeout, "DeadlineExceeded", "no answer within the time limit");
}

Result<void> Transfer::ConcludeFailure(CURLcode code) const {
  if (too_large_ || code == CURLE_FILESIZE_EXCEEDED) {
    return Failure(ErrorCode::kRefused, "ResponseTooLarge", "the answer is larger than allowed");
  }
  if (address_refused_ && !Left()) {
    return Failure(ErrorCode::kRefused, "AddressRefused", "this address may not be used");
  }
  if (!IsRead() && (resend_refused_ || Left())) {
    return Failure(ErrorCode::kUnknownOutcome, "AnswerLost",
                   "the connection broke before the answer was complete: " + CurlMessage(code));
  }
  const Meaning meaning = MeaningOf(code);
  return Failure(meaning.code, meaning.reason, CurlMessage(code));
}

}  // namespace certflow::net
