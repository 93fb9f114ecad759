#include "providers/targets/f5/faults.h"

#include <array>

#include "providers/targets/f5/answers.h"

namespace certflow::providers::f5 {
namespace {

constexpr std::size_t kMaxQuoted = 300;
constexpr std::int64_t kAbsent = 1;
constexpr std::int64_t kTaskActive = 32'964'609;
constexpr std::int64_t kMcpdLost = 32'768'001;
constexpr std::int64_t kFileError = 26'214'401;
constexpr Duration kBusyPause{10'000};
constexpr Duration kRestartPause{30'000};
constexpr Duration kTokenPause = std::chrono::minutes(5);

struct Row {
  std::string_view mcpd;
  ErrorCode code;
  std::string_view reason;
  std::string_view text;
};

// mcpd's codes that mean something to the caller; the others are a refusal for good.
constexpr std::array kRows = {
    Row{"01020036", ErrorCode::kNotFound, "ObjectMissing", "there is no such object"},
    Row{"01020066", ErrorCode::kAlreadyExists, "ObjectExists", "the name is taken"},
    Row{"0107134a", ErrorCode::kNotFound, "VersionMissing", "a file object is not there"},
    Row{"01070277", ErrorCode::kNotFound, "VersionMissing", "a key is not there"},
    Row{"01071349", ErrorCode::kRefused, "ObjectInUse", "a file object is in use"},
    Row{"01070265", ErrorCode::kRefused, "ObjectInUse", "a profile is in use"},
    Row{"01070317", ErrorCode::kRefused, "DeviceRefused", "key and certificate do not match"},
};

// Only what mcpd says is quoted: other texts may repeat what was sent.
std::string Quoted(const Fault& fault, const Asked& asked, std::string_view text, int status) {
  std::string out(text);
  if (!fault.code.empty()) out += " (" + fault.code + ")";
  const bool quotable = !asked.secret && !fault.worker && fault.api_error != 0;
  if (quotable && !fault.message.empty()) return out + ": " + Sanitize(fault.message, kMaxQuoted);
  return fault.code.empty() ? out + " (HTTP status " + std::to_string(status) + ")" : out;
}

// The request may have been carried out, and nobody knows.
Error NoOutcome(const Asked& asked, std::string_view text) {
  if (asked.reads) return MakeError(ErrorCode::kTimeout, "DeviceTimeout", text);
  return MakeError(ErrorCode::kUnknownOutcome, "DeviceTimeout", text);
}

Error Unauthorized(const net::HttpResponse& response) {
  if (IsTokenRefused(response)) {
    return MakeError(ErrorCode::kUnauthorized, "TokenRefused",
                     "the device does not accept the token that it gave out");
  }
  return MakeError(ErrorCode::kForbidden, "RoleTooLow",
                   "the user may not do this: give it the role administrator on all partitions "
                   "(BIG-IP lets no other role upload files by REST)");
}

Error Coded(const Fault& fault, const Asked& asked, int status) {
  for (const Row& row : kRows) {
    if (row.mcpd == fault.code) {
      return MakeError(row.code, row.reason, Quoted(fault, asked, row.text, status));
    }
  }
  return MakeError(ErrorCode::kRefused, "DeviceRefused",
                   Quoted(fault, asked, "the device refused it", status));
}

bool IsHtml(const net::HttpResponse& response) {
  return response.body.find_first_not_of(" \t\r\n") != std::string::npos &&
         response.body[response.body.find_first_not_of(" \t\r\n")] == '<';
}

Error NotServing(const net::HttpResponse& response, const Fault& fault) {
  if (fault.api_error == kTaskActive) {
    return MakeErrorAfter(ErrorCode::kUnavailable, "DeviceBusy",
                          "another task holds the configuration", kBusyPause);
  }
  return MakeErrorAfter(ErrorCode::kUnavailable, "DeviceRestarting",
                        "the device's REST service does not serve now (HTTP status " +
                            std::to_string(response.status) + ")",
                        kRestartPause);
}

// Java's own names of what went wrong between the device's daemons; there is no code for them.
bool IsBehindTimeout(std::string_view message) {
  return message.find("java.util.concurrent.TimeoutException") != message.npos;
}
bool IsBehindDown(std::string_view message) {
  return message.find("java.net.ConnectException") != message.npos;
}

}  // namespace

bool IsTokenRefused(const net::HttpResponse& response) {
  if (response.status != 401) return false;
  const Fault fault = ParseFault(response.body);
  // 401 has no code; the only text that tells of rights names the user and the resource.
  return !fault.message.starts_with("Authorization failed: user=");
}

Error ErrorOfAnswer(const net::HttpResponse& response, const Asked& asked) {
  const Fault fault = ParseFault(response.body);
  const int status = response.status;
  if (status == 401) return Unauthorized(response);
  if (status == 503) return NotServing(response, fault);
  if (IsBehindDown(fault.message)) return NotServing(response, fault);
  if (IsBehindTimeout(fault.message) || status == 502 || status == 504) {
    return NoOutcome(asked, "the device gave up waiting for itself");
  }
  if (fault.api_error == kMcpdLost && asked.reads) return NotServing(response, fault);
  if (status >= 500)
    return NoOutcome(asked, "the device failed (HTTP status " + std::to_string(status) + ")");
  if (!fault.code.empty()) return Coded(fault, asked, status);
  if (status == 404 && fault.api_error == kAbsent && !fault.worker) {
    return MakeError(ErrorCode::kNotFound, "ObjectMissing",
                     Quoted(fault, asked, "there is no such object", status));
  }
  if (status == 404) {
    return MakeErrorAfter(ErrorCode::kUnavailable, "ServiceNotReady",
                          "the device does not offer this service, or not yet", kRestartPause);
  }
  if (fault.api_error == kFileError) {
    return MakeError(ErrorCode::kConflict, "UploadMissing",
                     "the device could not read the uploaded file");
  }
  if (status == 403) {
    return MakeError(ErrorCode::kForbidden, "RoleTooLow", "the user may not do this");
  }
  if (status < 400 || IsHtml(response)) {
    return MakeError(ErrorCode::kUnavailable, "AnswerUnreadable",
                     "this is no answer of iControl REST (HTTP status " + std::to_string(status) +
                         "); is the address that of the management interface?");
  }
  return MakeError(ErrorCode::kRefused, "DeviceRefused",
                   Quoted(fault, asked, "the device refused it", status));
}

Error ErrorOfLogin(const net::HttpResponse& response) {
  const Fault fault = ParseFault(response.body);
  if (response.status == 401) {
    return MakeError(ErrorCode::kUnauthorized, "LoginRefused",
                     "the device refused user or password");
  }
  // Neither has a code.
  if (response.status == 400 &&
      fault.message.find("maximum active login tokens") != std::string::npos) {
    return MakeErrorAfter(ErrorCode::kRateLimited, "TokenLimit",
                          "the user has as many tokens as the device allows: give certflow a user "
                          "of its own, or wait until they expire",
                          kTokenPause);
  }
  const Asked login{true, true};
  if (response.status == 400 && !IsBehindDown(fault.message) && !IsBehindTimeout(fault.message)) {
    return MakeError(ErrorCode::kUnauthorized, "LoginRefused",
                     "the device refused the login: check loginProviderName and the user's role");
  }
  return ErrorOfAnswer(response, login);
}

}  // namespace certflow::providers::f5
