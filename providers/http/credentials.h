#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/net/http_client.h"
#include "providers/http/sigv4.h"

namespace certflow::providers::http {

struct BasicLogin {
  std::string username;
  SecretBytes password;
};

struct TokenLogin {
  std::string header = "Authorization";
  std::string scheme = "Bearer";  // empty: the token alone
  SecretBytes token;
};

// RFC 6749 section 4.4.
struct OAuth2Login {
  std::string token_url;
  std::string client_id;
  SecretBytes client_secret;
  std::vector<std::string> scopes;
  std::string audience;
  bool secret_in_body = false;  // client_secret_post; else client_secret_basic
};

struct SigV4Login {
  std::string region;
  std::string service;
  SigV4Keys keys;
};

// One of them, or none: then the client certificate of TlsOptions has to do.
struct Login {
  std::optional<BasicLogin> basic;
  std::optional<TokenLogin> token;
  std::optional<OAuth2Login> oauth2;
  std::optional<SigV4Login> sigv4;
};

// Proves who we are to one server. Lives as long as a seam, that is for one reconcile; a token is
// asked for once in it. Not thread-safe.
class Authenticator {
 public:
  Authenticator(net::HttpClient& http, Login login, std::shared_ptr<const net::TlsOptions> tls);
  // The last thing that is done to a request; `service` replaces the login's own one. Errors of the
  // token endpoint: "TokenRefused", kNever, when it says no; "TokenUnavailable" otherwise.
  Result<void> Apply(const Context& ctx, std::string_view service, net::HttpRequest& request);
  // The server did not accept the token: the next request asks for another one.
  void Forget() { access_token_.reset(); }
  // Whether a secret of this login stands in `text`.
  bool Shows(std::string_view text) const;

 private:
  Result<void> FetchToken(const Context& ctx);

  net::HttpClient& http_;
  Login login_;
  std::shared_ptr<const net::TlsOptions> tls_;
  std::optional<SecretBytes> access_token_;
  SteadyTime token_until_{};
};

}  // namespace certflow::providers::http
