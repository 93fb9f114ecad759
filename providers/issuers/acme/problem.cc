#include "providers/issuers/acme/problem.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "controller/net/retry_after.h"

namespace certflow::providers::acme {
namespace {

using nlohmann::json;

constexpr std::string_view kPrefix = "urn:ietf:params:acme:error:";
constexpr std::size_t kMaxSubProblems = 100;
constexpr std::size_t kMaxShownSubProblems = 5;
constexpr std::size_t kMaxDetail = 600;
constexpr Duration kDefaultRateLimitWait = std::chrono::hours(1);

// Sorted by how much it takes to get over it, so that the worst part of a compound decides.
enum class Class { kTransient, kConflict, kRateLimited, kChallengeFailed, kPermanent };

struct Row {
  std::string_view type;
  Class kind;
  ErrorCode code;
  std::string_view reason;
};

constexpr std::array kRows = {
    Row{"badNonce", Class::kTransient, ErrorCode::kUnavailable, "AcmeBadNonce"},
    Row{"serverInternal", Class::kTransient, ErrorCode::kUnavailable, "AcmeUnavailable"},
    Row{"orderNotReady", Class::kConflict, ErrorCode::kConflict, "AcmeOrderNotReady"},
    Row{"rateLimited", Class::kRateLimited, ErrorCode::kRateLimited, "AcmeRateLimited"},
    Row{"connection", Class::kChallengeFailed, ErrorCode::kRefused, "AcmeChallengeFailed"},
    Row{"dns", Class::kChallengeFailed, ErrorCode::kRefused, "AcmeChallengeFailed"},
    Row{"tls", Class::kChallengeFailed, ErrorCode::kRefused, "AcmeChallengeFailed"},
    Row{"incorrectResponse", Class::kChallengeFailed, ErrorCode::kRefused, "AcmeChallengeFailed"},
    Row{"caa", Class::kChallengeFailed, ErrorCode::kRefused, "AcmeChallengeFailed"},
    Row{"unauthorized", Class::kPermanent, ErrorCode::kForbidden, "AcmeUnauthorized"},
    Row{"malformed", Class::kPermanent, ErrorCode::kInvalid, "AcmeMalformed"},
    Row{"badCSR", Class::kPermanent, ErrorCode::kInvalid, "AcmeBadCsr"},
    Row{"badPublicKey", Class::kPermanent, ErrorCode::kInvalid, "AcmeBadPublicKey"},
    Row{"badSignatureAlgorithm", Class::kPermanent, ErrorCode::kInvalid,
        "AcmeBadSignatureAlgorithm"},
    Row{"rejectedIdentifier", Class::kPermanent, ErrorCode::kRefused, "AcmeRejectedIdentifier"},
    Row{"unsupportedIdentifier", Class::kPermanent, ErrorCode::kRefused,
        "AcmeUnsupportedIdentifier"},
    Row{"invalidProfile", Class::kPermanent, ErrorCode::kInvalid, "AcmeInvalidProfile"},
    Row{"unsupportedContact", Class::kPermanent, ErrorCode::kInvalid, "AcmeUnsupportedContact"},
    Row{"invalidContact", Class::kPermanent, ErrorCode::kInvalid, "AcmeInvalidContact"},
    Row{"badRevocationReason", Class::kPermanent, ErrorCode::kInvalid, "AcmeBadRevocationReason"},
    Row{"externalAccountRequired", Class::kPermanent, ErrorCode::kRefused,
        "AcmeExternalAccountRequired"},
    Row{"userActionRequired", Class::kPermanent, ErrorCode::kRefused, "AcmeUserActionRequired"},
    Row{"accountDoesNotExist", Class::kPermanent, ErrorCode::kNotFound, "AcmeAccountDoesNotExist"},
    Row{"alreadyRevoked", Class::kPermanent, ErrorCode::kAlreadyExists, "AcmeAlreadyRevoked"},
    Row{"alreadyReplaced", Class::kPermanent, ErrorCode::kAlreadyExists, "AcmeAlreadyReplaced"},
};

constexpr Row kUnavailable{"", Class::kTransient, ErrorCode::kUnavailable, "AcmeUnavailable"};
constexpr Row kRateLimited{"", Class::kRateLimited, ErrorCode::kRateLimited, "AcmeRateLimited"};
constexpr Row kRefused{"", Class::kPermanent, ErrorCode::kRefused, "AcmeRefused"};
constexpr Row kFailed{"", Class::kChallengeFailed, ErrorCode::kRefused, "AcmeChallengeFailed"};

Row RowOfStatus(int status) {
  if (status == 429) return kRateLimited;
  if (status >= 500 || status == 408) return kUnavailable;
  return kRefused;
}

Row RowOf(std::string_view type, int status, Where where) {
  if (where == Where::kChallenge && type == "unauthorized") return kFailed;
  for (const Row& row : kRows) {
    if (row.type == type) return row;
  }
  return where == Where::kChallenge ? kFailed : RowOfStatus(status);
}

// RFC 8555 section 6.7.1: a compound says nothing itself, its worst part decides.
Row WorstRow(const Problem& problem, int status, Where where) {
  if (problem.type != "compound" || problem.subproblems.empty()) {
    return RowOf(problem.type, status, where);
  }
  Row worst = RowOf(problem.subproblems.front().type, status, where);
  for (const SubProblem& part : problem.subproblems) {
    const Row row = RowOf(part.type, status, where);
    if (row.kind > worst.kind) worst = row;
  }
  return worst;
}

std::string Text(const json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_string()) return {};
  return Sanitize(it->get_ref<const std::string&>(), kMaxDetail);
}

std::string Type(const json& object) {
  std::string type = Text(object, "type");
  if (type.starts_with(kPrefix)) type.erase(0, kPrefix.size());
  return type;
}

SubProblem ParseSubProblem(const json& node) {
  SubProblem part{Type(node), Text(node, "detail"), {}};
  const auto identifier = node.find("identifier");
  if (identifier != node.end() && identifier->is_object()) {
    part.identifier = Text(*identifier, "value");
  }
  return part;
}

}  // namespace

std::optional<Problem> ParseProblem(std::string_view text) {
  const json node = json::parse(text, nullptr, false);
  if (!node.is_object()) return std::nullopt;
  Problem problem{Type(node), Text(node, "detail"), Text(node, "instance"), {}};
  const auto parts = node.find("subproblems");
  if (parts != node.end() && parts->is_array()) {
    for (const json& part : *parts) {
      if (problem.subproblems.size() == kMaxSubProblems) break;
      if (part.is_object()) problem.subproblems.push_back(ParseSubProblem(part));
    }
  }
  return problem;
}

std::string DescribeProblem(const Problem& problem) {
  std::string text = problem.detail.empty() ? problem.type : problem.detail;
  std::size_t shown = 0;
  for (const SubProblem& part : problem.subproblems) {
    if (++shown > kMaxShownSubProblems) break;
    text += "; " + part.identifier + ": " + (part.detail.empty() ? part.type : part.detail);
  }
  // Changed terms of service are agreed to by a person at this address (RFC 8555 section 7.3.3).
  if (problem.type == "userActionRequired" && !problem.instance.empty()) {
    text += " (see " + problem.instance + ")";
  }
  return Sanitize(text);
}

Error ProblemError(const Problem& problem, int http_status, std::optional<Duration> retry_after,
                   Where where) {
  const Row row = WorstRow(problem, http_status, where);
  const std::string message = DescribeProblem(problem);
  switch (row.kind) {
    case Class::kTransient:
    case Class::kConflict:
      if (retry_after) return MakeErrorAfter(row.code, row.reason, message, *retry_after);
      return MakeError(row.code, row.reason, message);
    case Class::kRateLimited:
      return MakeErrorAfter(row.code, row.reason, message,
                            retry_after.value_or(kDefaultRateLimitWait));
    case Class::kChallengeFailed:
    case Class::kPermanent:
      break;
  }
  Error error = MakeError(row.code, row.reason, message);
  error.retry = Retry::kNever;
  return error;
}

Error ResponseError(const net::HttpResponse& response, WallTime now) {
  Problem problem = ParseProblem(response.body).value_or(Problem{});
  if (problem.type.empty() && problem.detail.empty()) {
    problem.detail = "HTTP status " + std::to_string(response.status);
  }
  return ProblemError(problem, response.status, RetryAfter(response, now), Where::kElsewhere);
}

}  // namespace certflow::providers::acme
