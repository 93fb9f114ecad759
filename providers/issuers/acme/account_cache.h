#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controller/base/context.h"
#include "controller/base/mutex.h"
#include "controller/net/http_client.h"
#include "providers/issuers/acme/messages.h"

namespace certflow::providers::acme {

// What all runs of one authority share: directory, nonces, account URL, TLS options. Thread-safe;
// no lock is held across a request. Losing it costs a few requests, nothing else. One cache belongs
// to one server and one account key: a changed authority takes a new one.
class AcmeAccountCache {
 public:
  static constexpr std::size_t kMaxNonces = 64;
  static constexpr Duration kDirectoryLife = std::chrono::hours(1);

  // The directory, fetched by one caller while the others wait for it. A waiter whose fetcher
  // failed fetches itself.
  Result<Directory> GetDirectory(const Context& ctx,
                                 const std::function<Result<Directory>()>& fetch)
      CF_EXCLUDES(mutex_);

  // The account URL, in the same way; `find` runs only where none is known.
  Result<std::string> GetAccountUrl(const Context& ctx,
                                    const std::function<Result<std::string>()>& find)
      CF_EXCLUDES(mutex_);
  // The URL that the authority's status holds; a URL that is already known stays.
  void SeedAccountUrl(std::string_view url) CF_EXCLUDES(mutex_);
  // The server does not know it any more.
  void ForgetAccountUrl(std::string_view url) CF_EXCLUDES(mutex_);

  // Nonces are used newest first, because servers let the old ones go.
  std::optional<std::string> TakeNonce() CF_EXCLUDES(mutex_);
  void PutNonce(std::string_view nonce) CF_EXCLUDES(mutex_);
  void DropNonces() CF_EXCLUDES(mutex_);

  // The same object for the same bundle, so that connections are shared.
  std::shared_ptr<const net::TlsOptions> Tls(std::string_view ca_pem) CF_EXCLUDES(mutex_);

 private:
  void AwaitTurn(const Context& ctx, const bool& busy) CF_REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  bool fetching_directory_ CF_GUARDED_BY(mutex_) = false;
  bool finding_account_ CF_GUARDED_BY(mutex_) = false;
  std::optional<Directory> directory_ CF_GUARDED_BY(mutex_);
  SteadyTime directory_until_ CF_GUARDED_BY(mutex_);
  std::string account_url_ CF_GUARDED_BY(mutex_);
  std::deque<std::string> nonces_ CF_GUARDED_BY(mutex_);
  std::shared_ptr<const net::TlsOptions> tls_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::providers::acme
