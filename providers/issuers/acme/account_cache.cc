#include "providers/issuers/acme/account_cache.h"

#include <algorithm>

namespace certflow::providers::acme {
namespace {

constexpr std::size_t kMaxNonceLength = 512;

// RFC 8555 section 6.5.1: anything but base64url is to be ignored.
bool IsNonce(std::string_view nonce) {
  return !nonce.empty() && nonce.size() <= kMaxNonceLength &&
         std::all_of(nonce.begin(), nonce.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; });
}

}  // namespace

// The one who works is bounded by its own deadline, so waiting for it needs no limit but the stop.
void AcmeAccountCache::AwaitTurn(const Context& ctx, const bool& busy) {
  changed_.wait(mutex_, ctx.stop, [&busy] { return !busy; });
}

Result<Directory> AcmeAccountCache::GetDirectory(const Context& ctx,
                                                 const std::function<Result<Directory>()>& fetch) {
  {
    MutexLock lock(mutex_);
    AwaitTurn(ctx, fetching_directory_);
    CF_RETURN_IF_ERROR(ctx.Check());
    if (directory_ && ctx.clock.Steady() < directory_until_) return *directory_;
    fetching_directory_ = true;
  }
  Result<Directory> fetched = fetch();
  MutexLock lock(mutex_);
  fetching_directory_ = false;
  if (fetched.ok()) {
    directory_ = *fetched;
    directory_until_ = ctx.clock.Steady() + kDirectoryLife;
  }
  changed_.notify_all();
  return fetched;
}

Result<std::string> AcmeAccountCache::GetAccountUrl(
    const Context& ctx, const std::function<Result<std::string>()>& find) {
  {
    MutexLock lock(mutex_);
    AwaitTurn(ctx, finding_account_);
    CF_RETURN_IF_ERROR(ctx.Check());
    if (!account_url_.empty()) return account_url_;
    finding_account_ = true;
  }
  Result<std::string> found = find();
  MutexLock lock(mutex_);
  finding_account_ = false;
  if (found.ok()) account_url_ = *found;
  changed_.notify_all();
  return found;
}

void AcmeAccountCache::SeedAccountUrl(std::string_view url) {
  MutexLock lock(mutex_);
  if (account_url_.empty()) account_url_ = url;
}

void AcmeAccountCache::ForgetAccountUrl(std::string_view url) {
  MutexLock lock(mutex_);
  if (account_url_ == url) account_url_.clear();
}

std::optional<std::string> AcmeAccountCache::TakeNonce() {
  MutexLock lock(mutex_);
  if (nonces_.empty()) return std::nullopt;
  std::string nonce = std::move(nonces_.back());
  nonces_.pop_back();
  return nonce;
}

void AcmeAccountCache::PutNonce(std::string_view nonce) {
  if (!IsNonce(nonce)) return;
  MutexLock lock(mutex_);
  if (nonces_.size() == kMaxNonces) nonces_.pop_front();
  nonces_.emplace_back(nonce);
}

void AcmeAccountCache::DropNonces() {
  MutexLock lock(mutex_);
  nonces_.clear();
}

std::shared_ptr<const net::TlsOptions> AcmeAccountCache::Tls(std::string_view ca_pem) {
  MutexLock lock(mutex_);
  if (!tls_ || tls_->ca_pem != ca_pem) {
    auto options = std::make_shared<net::TlsOptions>();
    options->ca_pem = ca_pem;
    tls_ = std::move(options);
  }
  return tls_;
}

}  // namespace certflow::providers::acme
