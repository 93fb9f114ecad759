#pragma once

#include <optional>

#include "controller/base/clock.h"
#include "controller/net/http_client.h"

namespace certflow::net {

// How long the server asks to wait (RFC 9110 section 10.2.3, seconds or a date), between a second
// and a day; empty where it does not say.
std::optional<Duration> RetryAfter(const HttpResponse& response, WallTime now);

}  // namespace certflow::net
