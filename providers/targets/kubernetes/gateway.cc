#include "providers/targets/kubernetes/gateway.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/kube/document_json.h"
#include "providers/targets/kubernetes/kube_object.h"

namespace certflow::providers::kubernetes {
namespace {

using nlohmann::json;

constexpr std::string_view kWayBackPrefix = "listener.";

const kube::Resource& Gateways() {
  static const kube::Resource kGateways{"gateway.networking.k8s.io", "v1", "gateways", "Gateway",
                                        true};
  return kGateways;
}

Error Explain(Error error, const GatewayUse& use) {
  if (error.code != ErrorCode::kForbidden) return error;
  return MakeError(ErrorCode::kForbidden, "GatewayForbidden",
                   WithRemedy(error.message, "certflow-gateways", use.ns, "gateways.yaml"));
}

json ListenersOf(const kube::Document& gateway) {
  return ListAt(ObjectAt(kube::Json(gateway), "spec"), "listeners");
}

// Nothing where there is none of that name.
const json* Named(const json& list, std::string_view name) {
  const auto found = std::find_if(list.begin(), list.end(),
                                  [&](const json& one) { return TextAt(one, "name") == name; });
  return found == list.end() ? nullptr : &*found;
}

json RefsOf(const json& listener) { return ListAt(ObjectAt(listener, "tls"), "certificateRefs"); }

bool IsSecret(const json& ref) {
  const std::string kind = TextAt(ref, "kind");
  return TextAt(ref, "group").empty() && (kind.empty() || kind == "Secret");
}

bool IsElsewhere(const json& ref, const std::string& ns) {
  const std::string at = TextAt(ref, "namespace");
  return !at.empty() && at != ns;
}

bool Names(const json& listener, std::string_view secret, const std::string& ns) {
  const json refs = RefsOf(listener);
  return std::any_of(refs.begin(), refs.end(), [&](const json& ref) {
    return IsSecret(ref) && !IsElsewhere(ref, ns) && TextAt(ref, "name") == secret;
  });
}

json RefTo(std::string_view secret) {
  return {{"group", ""}, {"kind", "Secret"}, {"name", std::string(secret)}};
}

void SetRefs(json& listener, json refs) {
  if (refs.empty()) {
    listener["tls"].erase("certificateRefs");
  } else {
    listener["tls"]["certificateRefs"] = std::move(refs);
  }
}

// Why the one certificate of a listener cannot be replaced; empty where it can.
std::string ObstacleOf(const json& listener, const GatewayUse& use) {
  const json tls = ObjectAt(listener, "tls");
  const std::string protocol = TextAt(listener, "protocol");
  if ((protocol != "HTTPS" && protocol != "TLS") || tls.empty()) {
    return "has protocol " + protocol + " and no certificate: name one of protocol HTTPS or TLS";
  }
  if (TextAt(tls, "mode") == "Passthrough") {
    return "passes TLS through and has no certificate: name one with tls.mode Terminate";
  }
  const json refs = RefsOf(listener);
  for (const json& ref : refs) {
    if (!IsSecret(ref)) {
      return "has a certificateRef of kind " + TextAt(ref, "kind") +
             ", and only one to a Secret is replaced: remove it from the Gateway";
    }
    if (IsElsewhere(ref, use.ns)) {
      return "has a certificateRef to a Secret of namespace " + TextAt(ref, "namespace") +
             ", which needs a ReferenceGrant and is not replaced: remove it from the Gateway, so "
             "that the Secret beside it is used";
    }
  }
  if (refs.size() > 1) {
    return "has " + std::to_string(refs.size()) +
           " certificateRefs, and which one to replace is not certain: write the Secret in there "
           "yourself once";
  }
  return "";
}

std::string ListNames(const json& listeners) {
  std::string out;
  for (const json& listener : listeners) {
    out += (out.empty() ? "" : ", ") + TextAt(listener, "name");
  }
  return Sanitize(out, 300);
}

Error ListenerUnusable(const GatewayUse& use, const std::string& listener, const std::string& why) {
  return MakeError(ErrorCode::kInvalid, "ListenerUnusable",
                   "listener " + listener + " of " + use.ToString() + " " + why);
}

// The list is replaced as a whole, so the write is conditional on the Gateway as it was read.
Result<void> Write(const Context& ctx, kube::Client& client, const GatewayUse& use,
                   const kube::Document& gateway, json listeners) {
  const json patch = {{"metadata", {{"resourceVersion", gateway.resource_version()}}},
                      {"spec", {{"listeners", std::move(listeners)}}}};
  auto done = client.MergePatch(ctx, Gateways(), {use.ns, use.name}, "", kube::Dump(patch));
  if (done.ok()) return {};
  return Explain(Annotate(std::move(done).error(), "patch " + use.ToString()), use);
}

bool IsBehind(const json& listener_status, std::int64_t generation) {
  for (const json& condition : ListAt(listener_status, "conditions")) {
    const std::string type = TextAt(condition, "type");
    if (type != "ResolvedRefs" && type != "Programmed") continue;
    if (IntAt(condition, "observedGeneration", generation) < generation) return true;
  }
  return false;
}

}  // namespace

Result<std::optional<Gateway>> Gateway::Read(const Context& ctx, kube::Client& client,
                                             GatewayUse use) {
  auto found = client.Get(ctx, Gateways(), {use.ns, use.name});
  if (found.ok()) {
    return std::optional<Gateway>(Gateway(std::move(use), std::move(found).value()));
  }
  if (found.error().code == ErrorCode::kNotFound) return std::optional<Gateway>();
  return Explain(Annotate(std::move(found).error(), "get " + use.ToString()), use);
}

Result<void> Gateway::Check(std::string_view secret) const {
  const json listeners = ListenersOf(object_);
  for (const std::string& name : use_.listeners) {
    const json* listener = Named(listeners, name);
    if (listener == nullptr) {
      return ListenerUnusable(use_, name, "does not exist; there are: " + ListNames(listeners));
    }
    if (Names(*listener, secret, use_.ns)) continue;
    const std::string obstacle = ObstacleOf(*listener, use_);
    if (!obstacle.empty()) return ListenerUnusable(use_, name, obstacle);
  }
  return {};
}

std::vector<seams::Placement> Gateway::Placements(std::string_view secret) const {
  const json listeners = ListenersOf(object_);
  std::vector<std::string> addresses;
  for (const json& address : ListAt(ObjectAt(kube::Json(object_), "status"), "addresses")) {
    addresses.push_back(Sanitize(TextAt(address, "value"), 253));
  }
  if (addresses.empty()) addresses.emplace_back();
  std::vector<seams::Placement> out;
  for (const std::string& name : use_.listeners) {
    const json* listener = Named(listeners, name);
    if (listener == nullptr) continue;
    seams::Placement placement;
    placement.device = "kubernetes";
    placement.port = static_cast<int>(IntAt(*listener, "port", 0));
    placement.virtual_host = use_.ToString();
    placement.server_name = Sanitize(TextAt(*listener, "hostname"), 253);
    placement.profile = "listener " + name;
    placement.location = "Secret " + use_.ns + "/" + std::string(secret);
    for (const std::string& address : addresses) {
      placement.address = address;
      out.push_back(placement);
    }
  }
  return out;
}

seams::WayBack Gateway::WayBack(std::string_view secret) const {
  const json listeners = ListenersOf(object_);
  seams::WayBack out;
  for (const std::string& name : use_.listeners) {
    const json* listener = Named(listeners, name);
    if (listener == nullptr || Names(*listener, secret, use_.ns)) continue;
    if (!ObstacleOf(*listener, use_).empty()) continue;  // Attach will refuse it
    out[std::string(kWayBackPrefix) + name] = kube::Dump(RefsOf(*listener));
  }
  return out;
}

std::string Gateway::Settling() const {
  const json& gateway = kube::Json(object_);
  const std::int64_t generation = IntAt(ObjectAt(gateway, "metadata"), "generation", 0);
  const json statuses = ListAt(ObjectAt(gateway, "status"), "listeners");
  for (const std::string& name : use_.listeners) {
    const json* status = Named(statuses, name);
    if (status != nullptr && IsBehind(*status, generation)) {
      return use_.ToString() + ": listener " + name + " has not taken in the change";
    }
  }
  return "";
}

Result<void> Gateway::Attach(const Context& ctx, kube::Client& client,
                             std::string_view secret) const {
  CF_RETURN_IF_ERROR(Check(secret));
  json listeners = ListenersOf(object_);
  bool changed = false;
  for (json& listener : listeners) {
    const bool used = std::find(use_.listeners.begin(), use_.listeners.end(),
                                TextAt(listener, "name")) != use_.listeners.end();
    if (!used || Names(listener, secret, use_.ns)) continue;
    SetRefs(listener, json::array({RefTo(secret)}));
    changed = true;
  }
  if (!changed) return {};
  return Write(ctx, client, use_, object_, std::move(listeners));
}

Result<void> Gateway::Detach(const Context& ctx, kube::Client& client, std::string_view secret,
                             const seams::WayBack& way_back) const {
  json listeners = ListenersOf(object_);
  bool changed = false;
  for (json& listener : listeners) {
    const auto before = way_back.find(std::string(kWayBackPrefix) + TextAt(listener, "name"));
    if (before == way_back.end()) continue;
    if (RefsOf(listener).size() != 1 || !Names(listener, secret, use_.ns)) continue;
    json refs = json::parse(before->second, nullptr, false);
    if (!refs.is_array()) {
      return MakeError(ErrorCode::kInvalid, "WayBackUnreadable",
                       "what is recorded of " + use_.ToString() + " cannot be read: put the " +
                           "certificateRefs of its listeners back by hand");
    }
    SetRefs(listener, std::move(refs));
    changed = true;
  }
  if (!changed) return {};
  return Write(ctx, client, use_, object_, std::move(listeners));
}

Result<void> Gateway::CheckRights(const Context& ctx, kube::Client& client) const {
  const json nothing = {{"metadata", {{"uid", object_.uid()}}}};
  auto may =
      client.MergePatch(ctx, Gateways(), {use_.ns, use_.name}, "", kube::Dump(nothing), true);
  if (may.ok()) return {};
  return Explain(Annotate(std::move(may).error(), "patch " + use_.ToString()), use_);
}

Error GatewayNotFound(const GatewayUse& use) {
  return MakeError(
      ErrorCode::kNotFound, "GatewayNotFound",
      use.ToString() +
          " does not exist, or the cluster does not serve gateway.networking.k8s.io/v1: "
          "create it, or correct the name");
}

}  // namespace certflow::providers::kubernetes
