#include "controller/kube/answer.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>

#include "controller/kube/document_json.h"

namespace certflow::kube {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxQuotedBody = 256;
constexpr std::chrono::seconds kMaxRetryAfter{3600};

// What an answer says about itself, wherever it was found.
struct Failure {
  int code = 0;
  bool write = false;
  bool is_status = false;  // a Status of the API, not somebody else's text
  bool ahead = false;      // the resourceVersion asked for is newer than the server
  std::string reason;
  std::string message;
  std::optional<Duration> retry_after;
};

std::string Text(const json& object, const char* field) {
  const auto it = object.find(field);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

bool ContainsAny(std::string_view text, std::initializer_list<std::string_view> needles) {
  return std::any_of(needles.begin(), needles.end(), [&](std::string_view needle) {
    return text.find(needle) != std::string_view::npos;
  });
}

void SetRetryAfter(Failure& failure, long seconds) {
  if (seconds <= 0) return;
  failure.retry_after = std::min(std::chrono::seconds(seconds), kMaxRetryAfter);
}

void ReadStatus(const json& status, Failure& failure) {
  failure.is_status = true;
  failure.reason = Text(status, "reason");
  failure.message = Text(status, "message");
  const auto details = status.find("details");
  if (details == status.end() || !details->is_object()) return;
  const auto seconds = details->find("retryAfterSeconds");
  if (seconds != details->end() && seconds->is_number_integer()) {
    SetRetryAfter(failure, seconds->get<long>());
  }
  const auto causes = details->find("causes");
  if (causes == details->end() || !causes->is_array()) return;
  for (const json& cause : *causes) {
    if (cause.is_object() && Text(cause, "reason") == "ResourceVersionTooLarge") {
      failure.ahead = true;
    }
  }
}

void ReadHeaders(const std::vector<net::Header>& headers, Failure& failure) {
  for (const net::Header& header : headers) {
    if (header.name != "retry-after") continue;
    long seconds = 0;
    const auto parsed =
        std::from_chars(header.value.data(), header.value.data() + header.value.size(), seconds);
    if (parsed.ec == std::errc()) SetRetryAfter(failure, seconds);
  }
}

// 500 says little. Storage trouble leaves a write's outcome open; a request that etcd finds too
// large, or a field that the schema does not have, fails every time.
ErrorCode CodeOf500(const Failure& failure) {
  if (ContainsAny(failure.message,
                  {"request is too large", "larger than max", "field not declared in schema"})) {
    return ErrorCode::kInvalid;
  }
  if (!failure.write || ContainsAny(failure.message, {"failed calling webhook"})) {
    return ErrorCode::kUnavailable;
  }
  const bool lost =
      failure.reason.empty() || failure.reason == "Timeout" || failure.reason == "ServerTimeout" ||
      ContainsAny(failure.message,
                  {"timed out", "timeout", "deadline exceeded", "etcdserver:", "connection"});
  return lost ? ErrorCode::kUnknownOutcome : ErrorCode::kUnavailable;
}

ErrorCode CodeOf(const Failure& failure) {
  switch (failure.code) {
    case 401:
      return ErrorCode::kUnauthorized;
    case 403:
      return ErrorCode::kForbidden;
    case 404:
      return ErrorCode::kNotFound;
    case 409:
      return failure.reason == "AlreadyExists" ? ErrorCode::kAlreadyExists : ErrorCode::kConflict;
    case 410:
      return ErrorCode::kExpired;
    case 429:
      return ErrorCode::kRateLimited;
    case 500:
      return CodeOf500(failure);
    case 503:
      return ErrorCode::kUnavailable;
    default:
      if (failure.code >= 400 && failure.code < 500) return ErrorCode::kInvalid;
      return failure.write ? ErrorCode::kUnknownOutcome : ErrorCode::kUnavailable;
  }
}

bool IsToken(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text[0] >= 'A' && text[0] <= 'Z' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
         });
}

std::string ReasonOf(const Failure& failure, ErrorCode code) {
  if (failure.ahead) return "ResourceVersionTooLarge";
  if (IsToken(failure.reason)) return failure.reason;
  // "404 page not found" as text: the API itself is not there, a CRD is not installed.
  if (failure.code == 404) return "ApiNotServed";
  if (code == ErrorCode::kRateLimited) return "TooManyRequests";
  return "Http" + std::to_string(failure.code);
}

Error MakeAnswerError(const Failure& failure) {
  const ErrorCode code = CodeOf(failure);
  const std::string reason = ReasonOf(failure, code);
  std::string message = "the API server answered " + std::to_string(failure.code);
  if (!failure.message.empty()) message += ": " + Sanitize(failure.message);
  if (failure.retry_after) return MakeErrorAfter(code, reason, message, *failure.retry_after);
  return MakeError(code, reason, message);
}

}  // namespace

Error AnswerError(bool write, int code, const std::vector<net::Header>& headers,
                  std::string_view body) {
  Failure failure;
  failure.code = code;
  failure.write = write;
  if (body.starts_with('{')) {
    if (auto parsed = ParseDocument(body); parsed.ok()) ReadStatus(Json(*parsed), failure);
  }
  if (!failure.is_status) failure.message = Sanitize(body, kMaxQuotedBody);
  ReadHeaders(headers, failure);
  return MakeAnswerError(failure);
}

Error StatusError(const json& status) {
  Failure failure;
  const auto code = status.find("code");
  failure.code = code != status.end() && code->is_number_integer() ? code->get<int>() : 500;
  ReadStatus(status, failure);
  return MakeAnswerError(failure);
}

}  // namespace certflow::kube
