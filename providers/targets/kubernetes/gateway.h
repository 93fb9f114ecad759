#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/kube/client.h"
#include "controller/seams/target.h"

namespace certflow::providers::kubernetes {

// Listeners of one Gateway (gateway.networking.k8s.io/v1) that are to name a Secret beside it.
struct GatewayUse {
  std::string ns;
  std::string name;
  std::vector<std::string> listeners;
  std::string ToString() const { return "Gateway " + ns + "/" + name; }
};

// A Gateway as it was read; every write is conditional on that. Errors: kInvalid
// "ListenerUnusable", kNotFound "GatewayNotFound", kForbidden "GatewayForbidden", each with the
// remedy, and those of the client.
class Gateway {
 public:
  // Nothing where there is none.
  static Result<std::optional<Gateway>> Read(const Context& ctx, kube::Client& client,
                                             GatewayUse use);

  // Whether every listener names the Secret or can be made to: it terminates TLS and has at most
  // one certificateRef, to a Secret of its own namespace.
  Result<void> Check(std::string_view secret) const;
  // A place for each listener and address; a listener that is not there has none.
  std::vector<seams::Placement> Placements(std::string_view secret) const;
  // What the listeners that Attach would change refer to now.
  seams::WayBack WayBack(std::string_view secret) const;
  // What the Gateway's own controller has not taken in yet, or empty.
  std::string Settling() const;

  // Makes each listener name the Secret instead of what it names. No request where all do.
  Result<void> Attach(const Context& ctx, kube::Client& client, std::string_view secret) const;
  // Puts back what `way_back` tells, where a listener names the Secret alone still.
  Result<void> Detach(const Context& ctx, kube::Client& client, std::string_view secret,
                      const seams::WayBack& way_back) const;
  // Whether a change would be let through.
  Result<void> CheckRights(const Context& ctx, kube::Client& client) const;

 private:
  Gateway(GatewayUse use, kube::Document object)
      : use_(std::move(use)), object_(std::move(object)) {}

  GatewayUse use_;
  kube::Document object_;
};

Error GatewayNotFound(const GatewayUse& use);

}  // namespace certflow::providers::kubernetes
