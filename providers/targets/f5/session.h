#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/mutex.h"
#include "controller/base/secret.h"
#include "controller/net/http_client.h"

namespace certflow::providers::f5 {

// Who logs in; read anew for every reconcile and held no longer.
struct Credentials {
  std::string user;
  SecretBytes password;
  std::string provider;  // loginProviderName
};

// One request to a unit. `what` is for errors ("profile /Common/www").
struct Call {
  std::string what;
  std::string path;  // from "/mgmt" on
  std::string method = "GET";
  std::string body = {};
  SecretBytes secret_body = {};
  bool secret = false;  // what comes back is not repeated anywhere
  std::optional<std::int64_t> transaction = std::nullopt;
  std::string content_type = "application/json";
  std::string content_range = {};
  Duration limit{60'000};
};

// One management address with one token at most, shared by everybody who works there. Thread-safe;
// no lock is held across a request.
class Session {
 public:
  Session(net::HttpClient& http, std::string origin, std::shared_ptr<const net::TlsOptions> tls);

  const std::string& origin() const { return origin_; }

  // The body of a 2xx answer. Logs in where there is no token, extends one that is about to expire,
  // and logs in again, once, where the device does not know it any more. Errors of faults.h and
  // net/http_client.h.
  Result<std::string> Do(const Context& ctx, const Credentials& who, const Call& call)
      CF_EXCLUDES(mutex_);
  // Gives the token back, best effort.
  void End(const Context& ctx) CF_EXCLUDES(mutex_);
  bool has_token() const CF_EXCLUDES(mutex_);

 private:
  using Token = std::shared_ptr<const SecretBytes>;
  Result<Token> TokenFor(const Context& ctx, const Credentials& who) CF_EXCLUDES(mutex_);
  Result<void> LogIn(const Context& ctx, const Credentials& who) CF_EXCLUDES(mutex_);
  bool Extend(const Context& ctx, const Token& token) CF_EXCLUDES(mutex_);
  void Delete(const Context& ctx, const Token& token);
  void Forget(const Token& token) CF_EXCLUDES(mutex_);
  Result<net::HttpResponse> Send(const Context& ctx, const Call& call, const Token& token);

  net::HttpClient& http_;
  const std::string origin_;
  const std::shared_ptr<const net::TlsOptions> tls_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool busy_ CF_GUARDED_BY(mutex_) = false;  // somebody logs in or extends
  Token token_ CF_GUARDED_BY(mutex_);
  SteadyTime born_ CF_GUARDED_BY(mutex_);
  SteadyTime until_ CF_GUARDED_BY(mutex_);
  // A refused login is not tried again at once: that would lock the account.
  std::optional<Error> refused_ CF_GUARDED_BY(mutex_);
  SteadyTime refused_until_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::providers::f5
