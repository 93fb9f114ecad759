#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/seams/issuer.h"
#include "controller/seams/notifier.h"
#include "controller/seams/purger.h"
#include "controller/seams/target.h"
#include "controller/seams/validator.h"

namespace certflow::seams {

// One CertificateAuthority, DeploymentTarget or NotificationChannel as a provider sees it: the
// vendor's own fields as JSON text, and where its credentials live.
struct ProviderRef {
  std::string type;  // the union's member: "acme", "ca", ...
  std::string ns;
  std::string name;
  std::string uid;
  std::string settings;
  std::string trust_pem;    // authorities: roots that its certificates chain to, where declared
  std::string account_url;  // authorities: what EnsureReady returned before, from status
};

struct TargetRef {
  ProviderRef provider;
  Binding binding;
};

// Whom a provider object talks to ("ssh/10.0.0.7:22"), and how many may do so at once; an empty
// name stands for nobody that could be crowded.
struct Party {
  std::string name;
  int actions = 1;
  int reads = 2;
  // One call may take as long as its timeout: what is asked of it stands in the run before.
  bool may_hang = true;
};

// What was found out about a provider object, for its status.
struct Readiness {
  std::string message;      // for the Ready condition
  std::string warning;      // usable, but not as it should be: what would fail, and why
  std::string account_url;  // an ACME account that was made or found
  std::string ca_subject, ca_fingerprint;
  std::optional<WallTime> ca_not_after;
};

// Turns a spec and its credentials into a seam, for one reconcile. Thread-safe. Credentials are
// read when asked for and live as long as the returned object, which reconciles that run at the
// same time with the same credentials may share where it is thread-safe. Errors name the field or
// the Secret and the remedy; Retry::kNever means that the object has to change first.
class Connector {
 public:
  virtual ~Connector() = default;

  // `targets` are those of the plan, for challenges that a web server answers.
  virtual Result<std::shared_ptr<Issuer>> ConnectIssuer(const Context& ctx,
                                                        const ProviderRef& authority,
                                                        const std::vector<TargetRef>& targets) = 0;
  virtual Result<std::unique_ptr<Target>> ConnectTarget(const Context& ctx,
                                                        const TargetRef& target) = 0;
  virtual Result<std::unique_ptr<Notifier>> ConnectNotifier(const Context& ctx,
                                                            const ProviderRef& channel) = 0;
  // kInvalid, "NotAPurger", for a channel that tells people.
  virtual Result<std::unique_ptr<Purger>> ConnectPurger(const Context& ctx,
                                                        const ProviderRef& channel) = 0;
  virtual Validator& validator() = 0;

  // Roots that the authority's certificates chain to; empty when it does not say.
  virtual Result<std::string> TrustRoots(const Context& ctx, const ProviderRef& authority) = 0;

  // Whether the object can be used: credentials there and fitting, the other side answering. For an
  // authority also does what has to be done once (an account).
  virtual Result<Readiness> EnsureAuthorityReady(const Context& ctx,
                                                 const ProviderRef& authority) = 0;
  virtual Result<Readiness> CheckTargetReady(const Context& ctx, const ProviderRef& target) = 0;
  virtual Result<Readiness> CheckChannelReady(const Context& ctx, const ProviderRef& channel) = 0;

  // The outside party that the object stands for, for gates and breakers.
  virtual Party PartyOf(const ProviderRef& object) const = 0;
};

}  // namespace certflow::seams
