#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/net/http_client.h"
#include "controller/seams/purger.h"

namespace certflow::providers::cloudflare {

inline constexpr std::string_view kDefaultBaseUrl = "https://api.cloudflare.com/client/v4";
// Free plans take 30 URLs a request where others take 100 operations.
inline constexpr std::size_t kMaxBatch = 30;

// One zone of Cloudflare: by host name, by URL, or everything
// (https://developers.cloudflare.com/cache/how-to/purge-cache/,
// https://developers.cloudflare.com/api/resources/cache/methods/purge/). The API answers 200 with
// "success": true; a purge is in force within seconds, everywhere. Limits are a token bucket for
// each account, told by 429 with Retry-After.
//
// `settings` is {"zoneID", "baseURL"?}. Needs a token with Zone > Cache Purge > Purge.
Result<std::unique_ptr<seams::Purger>> MakeCloudflarePurger(
    std::string_view settings, SecretBytes token, std::shared_ptr<const net::TlsOptions> tls,
    net::HttpClient& client);

// Asks the API about the token (/user/tokens/verify) and says what it found; a token that is
// disabled, expired or unknown is "TokenRefused". Account-owned tokens (they begin with "cfat_")
// cannot be asked about there.
Result<std::string> CheckCloudflare(const Context& ctx, std::string_view settings,
                                    SecretBytes token, std::shared_ptr<const net::TlsOptions> tls,
                                    net::HttpClient& client);

}  // namespace certflow::providers::cloudflare
