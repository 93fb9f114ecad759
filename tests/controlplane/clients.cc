#include "tests/controlplane/clients.h"

#include <cstdlib>
#include <iostream>

#include "tests/controlplane/controlplane.h"

namespace certflow::controlplane {

kube::Client& Clients::For(const std::string& kubeconfig) {
  std::lock_guard lock(mutex_);
  if (!engine_) engine_ = net::MakeCurlHttpClient("cp-http", {});
  auto& client = clients_[kubeconfig];
  if (!client) {
    auto config = kube::LoadKubeconfig(kubeconfig, "");
    if (!config.ok()) {
      std::cerr << "controlplane: " << config.error().message << std::endl;
      std::abort();
    }
    client = kube::MakeClient(*engine_, std::move(config).value(), NoMetrics());
  }
  return *client;
}

kube::Client& ControlPlane::ClientFor(std::string_view user) {
  return clients_->For(KubeconfigFor(user));
}

}  // namespace certflow::controlplane
