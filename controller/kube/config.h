#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/net/http_client.h"

namespace certflow::kube {

// What is sent with a request right now.
struct Credential {
  std::shared_ptr<const net::TlsOptions> tls;
  SecretBytes bearer_token;  // empty: none
};

// Where the API server is and who we are. Thread-safe: files are read again when they change,
// service account tokens every 60 s, exec plugins when their credential ends or was refused.
class ClientConfig {
 public:
  virtual ~ClientConfig() = default;
  virtual const std::string& server() const = 0;  // "https://host:port/prefix", no final slash
  virtual const std::string& default_namespace() const = 0;
  virtual const std::string& proxy() const = 0;  // empty: the environment's
  virtual Result<Credential> Current(const Context& ctx) = 0;
  // The server answered 401: forget what is cached and was obtained before now.
  virtual void Refused() = 0;
};

// KUBECONFIG's list (the first file wins per entry and for current-context), or
// ~/.kube/config. `explicit_path` replaces both and must exist. `context` empty: current-context.
Result<std::shared_ptr<ClientConfig>> LoadKubeconfig(std::string_view explicit_path,
                                                     std::string_view context);
// KUBERNETES_SERVICE_HOST and the mounted service account below `root`.
Result<std::shared_ptr<ClientConfig>> LoadInCluster(
    std::string_view root = "/var/run/secrets/kubernetes.io/serviceaccount");
// In-cluster when KUBERNETES_SERVICE_HOST is set and no explicit path was given, else kubeconfig.
Result<std::shared_ptr<ClientConfig>> LoadConfig(std::string_view explicit_path,
                                                 std::string_view context);

}  // namespace certflow::kube
