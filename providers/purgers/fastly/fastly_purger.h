#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/net/http_client.h"
#include "controller/seams/purger.h"

namespace certflow::providers::fastly {

inline constexpr std::string_view kDefaultBaseUrl = "https://api.fastly.com";
inline constexpr std::size_t kMaxKeys = 256;  // of one batch

// One service of Fastly (https://www.fastly.com/documentation/reference/api/purging/): by URL
// (POST /purge/URL), by surrogate key in batches (POST /service/ID/purge), or everything
// (POST /service/ID/purge_all, never soft).
//
// Fastly knows no purge by host name. Where the service tags its objects with one surrogate key for
// each host, `hostSurrogateKeyPrefix` says what stands before the host in it, and hosts are purged
// by these keys; without it a purge by host is refused ("PurgeNotPossible").
//
// `settings` is {"serviceID", "soft"?, "hostSurrogateKeyPrefix"?, "baseURL"?}.
Result<std::unique_ptr<seams::Purger>> MakeFastlyPurger(std::string_view settings,
                                                        SecretBytes token,
                                                        std::shared_ptr<const net::TlsOptions> tls,
                                                        net::HttpClient& client);

// Asks the API about the token (/tokens/self); one that it does not know is "TokenRefused".
Result<std::string> CheckFastly(const Context& ctx, std::string_view settings, SecretBytes token,
                                std::shared_ptr<const net::TlsOptions> tls,
                                net::HttpClient& client);

}  // namespace certflow::providers::fastly
