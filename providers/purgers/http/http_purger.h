#pragma once

#include <memory>
#include <string_view>

#include "controller/base/result.h"
#include "controller/net/http_client.h"
#include "controller/seams/purger.h"
#include "providers/http/request.h"

namespace certflow::providers::http {

// A cache with an HTTP API of its own. spec.httpPurge.steps says which requests purge `everything`,
// one `host` ({{ .host }}) and one `url` ({{ .url }}); {{ .id }} is the key by which the receiver
// tells repeats. What a channel has no step for is refused ("PurgeNotPossible") before anything is
// sent.
Result<std::unique_ptr<seams::Purger>> MakeHttpPurger(std::string_view settings,
                                                      ServerSettings server, Login login,
                                                      net::HttpClient& client);

}  // namespace certflow::providers::http
