#pragma once

#include <memory>

#include "controller/seams/connector.h"
#include "providers/registry.h"

namespace certflow::providers {

// Objects whose other side speaks HTTP: the target of type http, and the channels that are caches
// (cloudflare, fastly, httpPurge). Reads the Secrets that they name, in their own namespace.
class HttpObjects {
 public:
  explicit HttpObjects(const RegistryParts& parts) : parts_(parts) {}

  Result<std::unique_ptr<seams::Target>> ConnectTarget(const Context& ctx,
                                                       const seams::ProviderRef& target);
  Result<seams::Readiness> CheckTarget(const Context& ctx, const seams::ProviderRef& target);

  static bool IsCache(const seams::ProviderRef& channel);
  Result<std::unique_ptr<seams::Purger>> ConnectPurger(const Context& ctx,
                                                       const seams::ProviderRef& channel);
  Result<seams::Readiness> CheckPurger(const Context& ctx, const seams::ProviderRef& channel);

  // By the host that is talked to; empty for types that are not of this class.
  static seams::Party PartyOf(const seams::ProviderRef& object);

 private:
  RegistryParts parts_;
};

}  // namespace certflow::providers
