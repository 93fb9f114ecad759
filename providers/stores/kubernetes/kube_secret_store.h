#pragma once

#include <memory>

#include "controller/kube/client.h"
#include "controller/seams/secret_store.h"

namespace certflow::providers::store {

// Secrets of the API server, one request a call; `client` outlives it. Thread-safe. Data is wiped
// wherever this code held it. Delete succeeds also when there is nothing (any more).
std::unique_ptr<seams::SecretStore> MakeKubeSecretStore(kube::Client& client);

}  // namespace certflow::providers::store
