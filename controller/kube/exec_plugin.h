#pragma once

// For .cc files of this folder: client.authentication.k8s.io exec credential plugins.

#include <optional>
#include <string>

#include "controller/base/context.h"
#include "controller/base/secret.h"
#include "controller/kube/kubeconfig.h"

namespace certflow::kube {

struct ExecCredential {
  SecretBytes token;
  std::string certificate_pem;
  SecretBytes key_pem;
  std::optional<WallTime> expires;
};

// Runs the plugin once, without a shell, for at most a minute. kUnauthorized,
// "CredentialPluginFailed" when it does not give a credential.
Result<ExecCredential> RunExecPlugin(const Context& ctx, const ExecSpec& spec,
                                     const ClusterEntry& cluster);

}  // namespace certflow::kube
