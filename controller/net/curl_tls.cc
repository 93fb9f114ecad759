#include "controller/net/curl_tls.h"

#include <utility>

namespace certflow::net {
namespace {

// Nothing is copied: the key stays in the one SecretBytes that its owner wipes. curl's type is
// older than const; it does not write there.
curl_blob BlobOf(std::string_view bytes) {
  char* data = const_cast<char*>(bytes.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  return curl_blob{data, bytes.size(), CURL_BLOB_NOCOPY};
}

// libcurl's own form; it is compared even where nothing else of the certificate is.
std::string PinsOf(const TlsOptions& options) {
  std::string pins;
  for (const std::string& pin : options.public_key_pins) {
    pins += (pins.empty() ? "sha256//" : ";sha256//") + pin;
  }
  return pins;
}

void ApplyIdentity(CURL* easy, const PreparedTls& tls) {
  if (tls.client_cert_pem.empty()) return;
  curl_blob cert = BlobOf(tls.client_cert_pem);
  curl_blob key = BlobOf(tls.options->client_key_pem.Reveal());
  curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
  curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &cert);
  curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
  curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
}

}  // namespace

std::uint64_t TlsCache::NumberOf(const std::shared_ptr<const TlsOptions>& options) {
  if (const auto known = numbers_.find(options); known != numbers_.end()) {
    return known->second;
  }
  std::erase_if(numbers_, [](const auto& entry) { return entry.first.expired(); });
  return numbers_.emplace(options, next_++).first->second;
}

std::shared_ptr<const PreparedTls> TlsCache::Prepare(
    const std::shared_ptr<const TlsOptions>& options) {
  if (!options) return nullptr;
  std::uint64_t number = 0;
  {
    MutexLock lock(mutex_);
    number = NumberOf(options);
  }
  const std::string mark = "# certflow " + std::to_string(number) + "\n";
  auto prepared = std::make_shared<PreparedTls>();
  prepared->options = options;
  if (!options->ca_pem.empty()) prepared->ca_pem = mark + options->ca_pem;
  if (!options->client_cert_pem.empty())
    prepared->client_cert_pem = mark + options->client_cert_pem;
  return prepared;
}

void ApplyTls(CURL* easy, const PreparedTls* tls) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  if (tls == nullptr) return;
  if (!tls->ca_pem.empty()) {
    curl_blob ca = BlobOf(tls->ca_pem);
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
    // The blob replaces the system's file, not its folder, which would stay trusted beside it.
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  const bool pinned = !tls->options->public_key_pins.empty();
  if (pinned) curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, PinsOf(*tls->options).c_str());
  if (pinned || tls->options->insecure_skip_verify) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  ApplyIdentity(easy, *tls);
}

}  // namespace certflow::net
