#pragma once

#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/net/http_client.h"
#include "controller/pki/key.h"
#include "providers/issuers/acme/account_cache.h"
#include "providers/issuers/acme/messages.h"

namespace certflow::providers::acme {

// The media type of certificate downloads (RFC 8555 section 9.1).
inline constexpr std::string_view kChainType = "application/pem-certificate-chain";

struct ServerSettings {
  std::string directory_url;
  std::string email;   // may be empty
  std::string ca_pem;  // empty: the system's roots
};

// Whether a missing account may be registered, or only looked up.
enum class AccountUse { kFind, kRegister };

// Signed requests to one server (RFC 8555 section 6). Lives for one call of the issuer; what lasts
// is in the cache. Errors of the transport: AcmeUnavailable (no answer; nothing is lost by asking
// again, except where kUnknownOutcome says so), else as HttpClient gives them.
class AcmeClient {
 public:
  AcmeClient(net::HttpClient& http, AcmeAccountCache& cache, const pki::PrivateKey& key,
             const ServerSettings& settings, AccountUse account_use)
      : http_(http), cache_(cache), key_(key), settings_(settings), account_use_(account_use) {}

  // The account's URL: known, found, or registered. kNotFound ("AcmeAccountDoesNotExist") when
  // there is none and this client may only look.
  Result<std::string> AccountUrl(const Context& ctx);

  // POST-as-GET. Success is a 2xx answer, 404 is kNotFound ("AcmeNotFound"); an account that the
  // server lost is registered again.
  Result<net::HttpResponse> Read(const Context& ctx, std::string_view url,
                                 std::string_view accept = {});
  // A signed POST that may be repeated.
  Result<net::HttpResponse> Post(const Context& ctx, std::string_view url,
                                 std::string_view payload);
  // newOrder, which must not be: kUnknownOutcome when it left without an answer.
  Result<net::HttpResponse> PostOrder(const Context& ctx, std::string_view payload);

  // token "." thumbprint (RFC 8555 section 8.1).
  std::string KeyAuthorization(std::string_view token) const;

 private:
  struct Signed {
    std::string_view url;
    std::string_view payload;
    std::string_view accept;
    std::string account_url;  // empty: signed with the key itself
  };
  Result<Directory> GetDirectory(const Context& ctx);
  Result<std::string> FindAccount(const Context& ctx);
  Result<net::HttpResponse> WithAccount(const Context& ctx, Signed request);
  Result<net::HttpResponse> Send(const Context& ctx, const Signed& request);
  Result<net::HttpResponse> SendSigned(const Context& ctx, const Signed& request,
                                       const std::string& nonce);
  Result<std::string> Nonce(const Context& ctx);
  Result<net::HttpResponse> Plain(const Context& ctx, std::string_view method,
                                  std::string_view url);
  net::HttpRequest Request(std::string_view method, std::string_view url) const;

  net::HttpClient& http_;
  AcmeAccountCache& cache_;
  const pki::PrivateKey& key_;
  const ServerSettings& settings_;
  AccountUse account_use_;
};

}  // namespace certflow::providers::acme
