#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "controller/base/mutex.h"
#include "controller/net/http_client.h"

namespace certflow::net {

// A TlsOptions object in the form that libcurl takes. Must outlive the transfer.
struct PreparedTls {
  std::shared_ptr<const TlsOptions> options;
  std::string ca_pem;
  std::string client_cert_pem;
};

// Gives every TlsOptions object texts of its own. libcurl shares a connection between requests
// whose trust and certificate are equal byte by byte; a number in a comment before the PEM makes
// those of two objects differ, so that a connection never outlives the object that it was made
// with.
class TlsCache {
 public:
  std::shared_ptr<const PreparedTls> Prepare(const std::shared_ptr<const TlsOptions>& options)
      CF_EXCLUDES(mutex_);

 private:
  std::uint64_t NumberOf(const std::shared_ptr<const TlsOptions>& options) CF_REQUIRES(mutex_);

  Mutex mutex_;
  // A weak_ptr keeps the control block, so that a new object can never be taken for an old one.
  std::map<std::weak_ptr<const TlsOptions>, std::uint64_t, std::owner_less<>> numbers_
      CF_GUARDED_BY(mutex_);
  std::uint64_t next_ CF_GUARDED_BY(mutex_) = 1;
};

// Verification, trust and identity on `easy`; `tls` may be null for the system's roots.
void ApplyTls(CURL* easy, const PreparedTls* tls);

}  // namespace certflow::net
