#pragma once

#include <memory>
#include <string_view>

#include "controller/base/secret.h"
#include "controller/net/http_client.h"
#include "controller/seams/connector.h"
#include "controller/seams/target.h"

namespace certflow::providers::f5 {

class Devices;

// F5 BIG-IP by iControl REST (settings.h). Certificates, keys and chains are objects named after
// certificate, quarter and run; what is switched is which of them the profiles name, all profiles
// of a binding in one step; then the configuration is saved and passed on to the peer. What stood
// there before is told by Observe (way_back), never the key of it. Thread-safe; the targets are
// not.
class F5Targets {
 public:
  // No request is made before something is connected. The end of this object gives tokens back.
  explicit F5Targets(net::HttpClient& http);
  ~F5Targets();

  // What the object's usernameSecretRef (or nothing) and passwordSecretRef hold.
  struct Login {
    SecretBytes user, password;
  };
  Result<std::unique_ptr<seams::Target>> Connect(const seams::ProviderRef& target, Login login);
  // Login, version, the right to upload, which unit is active and in which group.
  Result<seams::Readiness> CheckReady(const Context& ctx, const seams::ProviderRef& target,
                                      Login login);
  // "f5/10.0.0.7,10.0.0.8": a pair is one party, whichever unit is active.
  static seams::Party PartyOf(const seams::ProviderRef& target);

 private:
  std::unique_ptr<Devices> devices_;
};

}  // namespace certflow::providers::f5
