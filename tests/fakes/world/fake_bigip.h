#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/mutex.h"
#include "controller/net/http_client.h"
#include "tests/fakes/tls/tls_server.h"

namespace certflow::fakes {

// One BIG-IP in no device group, behind the HttpClient: the part of iControl REST that a deployment
// into an existing client-ssl profile needs, "site" or "shop". What "site" names is served with TLS
// on loopback. (tests/simulators/f5 is the faithful one; this one costs nothing and can be in a
// sweep.) Outlives the processes that use it. Thread-safe.
class FakeBigIp {
 public:
  // Serves a pair of somebody else for `dns_name` at first.
  FakeBigIp(std::string name, const std::string& dns_name, WallTime now);

  const std::string& name() const { return name_; }
  std::string host() const { return name_ + ".f5.test"; }
  // spec.f5 of its DeploymentTarget, and of a workflow's target.
  nlohmann::json settings() const;
  nlohmann::json binding(const std::string& profile = "site") const;
  std::string endpoint() const { return server_->endpoint(); }

  // What the profile names now.
  struct Pair {
    std::string fingerprint;
    bool fits = false;
  };
  Pair Live() const;
  // The fingerprints that were live, one after the other; a write that changes nothing is none.
  std::vector<std::string> history() const;
  // Clients that have been served what is live.
  int served() const;
  std::string profile() const;  // as JSON
  // Certificates and keys, and files that were uploaded and not removed, by name.
  std::vector<std::string> objects() const;
  std::vector<std::string> uploads() const;
  // Called before each change of a certificate, a key or the profile. Before the process starts.
  std::function<void()> before_change;

  Result<net::HttpResponse> Do(const net::HttpRequest& request);

 private:
  struct File {
    std::string content, source;
  };
  net::HttpResponse Answer(const net::HttpRequest& request, std::string path) CF_REQUIRES(mutex_);
  net::HttpResponse OnFiles(const net::HttpRequest& request, const std::string& path)
      CF_REQUIRES(mutex_);
  net::HttpResponse CreateFile(const std::string& kind, const std::string& body)
      CF_REQUIRES(mutex_);
  net::HttpResponse OnProfile(const net::HttpRequest& request, std::string name)
      CF_REQUIRES(mutex_);
  nlohmann::json FileJson(const std::string& id) const CF_REQUIRES(mutex_);
  bool Fits(const nlohmann::json& entry) const CF_REQUIRES(mutex_);
  std::string Content(const char* kind, const nlohmann::json& path) const CF_REQUIRES(mutex_);
  Pair Read() const CF_REQUIRES(mutex_);
  void Serve() CF_REQUIRES(mutex_);

  const std::string name_;
  std::unique_ptr<TlsServer> server_;
  mutable Mutex mutex_;
  std::map<std::string, File> files_ CF_GUARDED_BY(mutex_);  // "ssl-cert/Common/site.crt"
  std::map<std::string, std::string> uploads_ CF_GUARDED_BY(mutex_);
  std::map<std::string, nlohmann::json> chains_ CF_GUARDED_BY(mutex_);  // certKeyChain
  std::vector<std::string> history_ CF_GUARDED_BY(mutex_);
  int accepted_before_ CF_GUARDED_BY(mutex_) = 0;
};

}  // namespace certflow::fakes
