#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/base/mutex.h"
#include "controller/seams/connector.h"
#include "controller/seams/secret_store.h"
#include "providers/issuers/acme/account_cache.h"
#include "providers/issuers/acme/solver_choice.h"
#include "providers/registry.h"
#include "providers/settings.h"

namespace certflow::providers {

// Puts authorities together: account keys and CA key pairs from their Secrets, solvers with their
// credentials, and the state that runs of one ACME account share. Thread-safe.
class Authorities {
 public:
  // Opens a shell to a host target, for challenges that its web server answers.
  using ShellOf =
      std::function<Result<std::unique_ptr<net::Shell>>(const Context&, const seams::ProviderRef&)>;
  Authorities(const RegistryParts& parts, ShellOf shell_of)
      : parts_(parts), shell_of_(std::move(shell_of)) {}

  Result<std::shared_ptr<seams::Issuer>> ConnectAcme(const Context& ctx,
                                                     const seams::ProviderRef& authority,
                                                     const std::vector<seams::TargetRef>& targets);
  // Makes the account key where its Secret does not exist, and the account.
  Result<seams::Readiness> EnsureAcme(const Context& ctx, const seams::ProviderRef& authority);

  Result<std::shared_ptr<seams::Issuer>> ConnectCa(const Context& ctx,
                                                   const seams::ProviderRef& authority);
  Result<seams::Readiness> CheckCa(const Context& ctx, const seams::ProviderRef& authority);
  // The root that the internal CA's certificates chain to.
  Result<std::string> CaTrust(const Context& ctx, const seams::ProviderRef& authority);

 private:
  struct CaPair {
    std::string version;  // of the Secret: another one may hold another pair
    std::string chain_pem, ca_pem;
    SecretBytes key_pem;
  };
  Result<CaPair> LoadCa(const Context& ctx, const seams::ProviderRef& authority);
  Result<pki::PrivateKey> LoadAccountKey(const Context& ctx, const seams::ProviderRef& authority);
  Result<pki::PrivateKey> MakeAccountKey(const Context& ctx, const seams::ProviderRef& authority);
  std::shared_ptr<acme::AcmeAccountCache> CacheOf(const seams::ProviderRef& authority,
                                                  const pki::PrivateKey& key);
  Result<acme::AcmeSolver> MakeSolver(const Context& ctx, const seams::ProviderRef& authority,
                                      const nlohmann::json& solver,
                                      const std::vector<seams::TargetRef>& targets);
  Result<std::shared_ptr<seams::ChallengeSolver>> MakeHttpSolver(
      const Context& ctx, const seams::ProviderRef& authority, const std::string& via,
      const std::vector<seams::TargetRef>& targets);

  RegistryParts parts_;
  ShellOf shell_of_;
  Mutex mutex_;
  // Internal CAs that somebody is using right now, by authority, settings and version of the
  // Secret. A key goes with the last reconcile that uses it.
  std::map<std::string, std::weak_ptr<seams::Issuer>> cas_ CF_GUARDED_BY(mutex_);
  // By authority, server and key, so that a change of any of them begins anew.
  std::map<std::string, std::shared_ptr<acme::AcmeAccountCache>> caches_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::providers
