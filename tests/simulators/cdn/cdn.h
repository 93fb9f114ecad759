#pragma once

#include <map>
#include <string>
#include <vector>

#include "controller/base/mutex.h"
#include "tests/fakes/net/raw_http_server.h"

namespace certflow::test {

// A content delivery network with objects in its cache, over real sockets. It speaks the purge
// parts of two public APIs (Cloudflare's below /client/v4, Fastly's below /) with their limits and
// their ways to say no, and remembers what was purged.
class Cdn {
 public:
  enum class State { kFresh, kStale, kGone };

  explicit Cdn(const fakes::RawTls* tls = nullptr);

  std::string url() const { return server_.url(""); }
  std::string cloudflare_url() const { return url() + "/client/v4"; }
  static constexpr const char* kZone = "023e105f4ecef8ad9ca31a8372d0c353";
  static constexpr const char* kService = "SU1Z0isxPaozGVKXdv0eY";
  static constexpr const char* kToken = "a-token-of-the-cdn";

  // An object in the cache, with the surrogate keys that its server gave it.
  void Cache(const std::string& url, std::vector<std::string> keys = {});
  State StateOf(const std::string& url) const;
  // The next requests are answered so: 0 passes on, -1 cuts the connection before, -2 after.
  void Script(std::vector<int> statuses);
  int requests() const;
  void SetTokenStatus(const std::string& status);

 private:
  struct Object {
    std::vector<std::string> keys;
    State state = State::kFresh;
  };
  fakes::RawReply Serve(const fakes::RawRequest& request);
  fakes::RawReply Handle(const fakes::RawRequest& request) CF_REQUIRES(mutex_);
  fakes::RawReply Cloudflare(const fakes::RawRequest& request) CF_REQUIRES(mutex_);
  fakes::RawReply Fastly(const fakes::RawRequest& request) CF_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Object> cache_ CF_GUARDED_BY(mutex_);
  std::vector<int> script_ CF_GUARDED_BY(mutex_);
  std::string token_status_ CF_GUARDED_BY(mutex_) = "active";
  int count_ CF_GUARDED_BY(mutex_) = 0;
  fakes::RawHttpServer server_;  // last: its threads use what stands above
};

}  // namespace certflow::test
