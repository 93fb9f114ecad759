#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "controller/kube/client.h"
#include "controller/net/http_client.h"

namespace certflow::controlplane {

// One engine, and a client for each kubeconfig.
class Clients {
 public:
  kube::Client& For(const std::string& kubeconfig);

 private:
  std::mutex mutex_;
  std::unique_ptr<net::HttpClient> engine_;
  std::map<std::string, std::unique_ptr<kube::Client>> clients_;
};

}  // namespace certflow::controlplane
