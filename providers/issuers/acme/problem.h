#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/net/http_client.h"

namespace certflow::providers::acme {

// RFC 7807 as ACME uses it (RFC 8555 section 6.7). Everything in it is the server's text: bounded,
// and sanitized before it reaches an error.
struct SubProblem {
  std::string type;  // without the prefix urn:ietf:params:acme:error:
  std::string detail;
  std::string identifier;
};
struct Problem {
  std::string type;
  std::string detail;
  std::string instance;
  std::vector<SubProblem> subproblems;
};

// Empty when the text is no JSON object; absent members stay empty.
std::optional<Problem> ParseProblem(std::string_view json);

// `unauthorized` means a failed validation inside a challenge and a refused account elsewhere.
enum class Where { kChallenge, kElsewhere };

// The type decides first, because servers differ in the HTTP status; an unknown type is judged by
// the status. Reasons are "Acme" and the type, but AcmeUnavailable, AcmeChallengeFailed and
// AcmeRefused for their classes.
Error ProblemError(const Problem& problem, int http_status, std::optional<Duration> retry_after,
                   Where where);

// The error of an answer that is no success; `now` is for Retry-After as a date.
Error ResponseError(const net::HttpResponse& response, WallTime now);

// "domain: detail" for people, sub-problems with their identifiers; sanitized.
std::string DescribeProblem(const Problem& problem);

}  // namespace certflow::providers::acme
