#pragma once

#include <string_view>

#include "controller/base/error.h"
#include "controller/net/http_client.h"

namespace certflow::providers::f5 {

// What was asked, for telling what a refusal means.
struct Asked {
  bool reads = true;    // a GET: an answer that does not come has changed nothing
  bool secret = false;  // login, upload, key: nothing of the answer's text is repeated
};

// An answer that is no success, told apart by status, mcpd's code and apiError. kNotFound,
// "ObjectMissing", only for an object that the configuration does not have: a REST worker that is
// not there ("not registered") is kUnavailable.
Error ErrorOfAnswer(const net::HttpResponse& response, const Asked& asked);

// A 401 that says that the token is not known any more, so that logging in again helps; every other
// one is about rights.
bool IsTokenRefused(const net::HttpResponse& response);

// The answer to a login that is none. kUnauthorized "LoginRefused", kRateLimited "TokenLimit".
Error ErrorOfLogin(const net::HttpResponse& response);

}  // namespace certflow::providers::f5
