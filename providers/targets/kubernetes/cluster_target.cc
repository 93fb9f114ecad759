#include "providers/targets/kubernetes/cluster_target.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "controller/kube/document_json.h"
#include "providers/targets/kubernetes/gateway.h"
#include "providers/targets/kubernetes/kube_object.h"
#include "providers/targets/kubernetes/secret_target.h"
#include "providers/targets/kubernetes/tls_secret.h"
#include "providers/targets/kubernetes/workloads.h"

namespace certflow::providers::kubernetes {
namespace {

using nlohmann::json;
using seams::Binding;

struct Settings {
  std::vector<std::string> secret_names;  // empty: any
  std::vector<std::string> gateways;
  std::vector<Workload> restart;
};

struct BindingSettings {
  std::string secret_name;
  std::optional<GatewayUse> gateway;
};

std::vector<std::string> NamesAt(const json& from, std::string_view key) {
  std::vector<std::string> out;
  for (const json& name : ListAt(from, key)) {
    if (name.is_string()) out.push_back(name.get<std::string>());
  }
  return out;
}

bool Holds(const std::vector<std::string>& list, const std::string& what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

// The API server has checked the shape; the workflow's own Secret has no target object.
Result<Settings> ParseSettings(const seams::ProviderRef& target) {
  Settings out;
  if (target.settings.empty()) return out;
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(target.settings));
  const json& from = kube::Json(document);
  out.secret_names = NamesAt(from, "secretNames");
  out.gateways = NamesAt(from, "gateways");
  for (const json& one : ListAt(from, "restart")) {
    out.restart.push_back({TextAt(one, "kind"), target.ns, TextAt(one, "name")});
  }
  return out;
}

Result<BindingSettings> ParseBinding(const seams::TargetRef& target) {
  BindingSettings out;
  if (target.binding.settings.empty()) return out;
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(target.binding.settings));
  const json& from = kube::Json(document);
  out.secret_name = TextAt(from, "secretName");
  const json gateway = ObjectAt(from, "gateway");
  if (!gateway.empty()) {
    out.gateway =
        GatewayUse{target.provider.ns, TextAt(gateway, "name"), NamesAt(gateway, "listeners")};
  }
  return out;
}

std::string Named(const seams::ProviderRef& target) {
  return "DeploymentTarget " + target.ns + "/" + target.name;
}

Result<void> CheckListed(const seams::ProviderRef& target, const Settings& settings,
                         const BindingSettings& binding) {
  if (!settings.secret_names.empty() && !Holds(settings.secret_names, binding.secret_name)) {
    return MakeError(ErrorCode::kForbidden, "SecretNotListed",
                     Named(target) + " does not list the Secret " + binding.secret_name +
                         " in spec.kubernetes.secretNames");
  }
  if (binding.gateway && !Holds(settings.gateways, binding.gateway->name)) {
    return MakeError(ErrorCode::kForbidden, "GatewayNotListed",
                     Named(target) + " does not list the Gateway " + binding.gateway->name +
                         " in spec.kubernetes.gateways");
  }
  return {};
}

// The Secret is switched already: what is left is found by looking, and done again.
Result<void> AfterSwitch(Result<void> done) {
  if (done.ok()) return done;
  Error error = std::move(done).error();
  error.code = ErrorCode::kUnknownOutcome;
  error.retry = Retry::kBackoff;
  return error;
}

// What was never restarted for certflow runs with what stood there before it came.
bool NeedsRestart(const Rollout& rollout, std::string_view active) {
  if (active.empty() || rollout.version == active) return false;
  return !(rollout.version.empty() && seams::IsOriginal(active));
}

struct ClusterTargetParts {
  kube::Client& client;
  std::unique_ptr<seams::Target> secret;
  std::string secret_name;
  std::vector<Workload> restart;
  std::optional<GatewayUse> gateway;
};

class ClusterTarget : public seams::Target {
 public:
  explicit ClusterTarget(ClusterTargetParts parts) : parts_(std::move(parts)) {}

  bool remembers_previous() const override { return !parts_.gateway; }
  Result<seams::TargetState> Observe(const Context& ctx, const Binding& at) override;
  Result<void> Stage(const Context& ctx, const Binding& at, const seams::Bundle& bundle) override {
    return parts_.secret->Stage(ctx, at, bundle);
  }
  Result<void> Activate(const Context& ctx, const Binding& at,
                        const seams::StagedRef& which) override;
  Result<void> Deactivate(const Context& ctx, const Binding& at,
                          const seams::WayBack& way_back) override;
  Result<void> Prune(const Context& ctx, const Binding& at, const seams::KeepList& keep) override {
    return parts_.secret->Prune(ctx, at, keep);
  }

 private:
  struct Seen {
    const Workload* workload;
    Rollout rollout;
  };

  Result<std::optional<Gateway>> FindGateway(const Context& ctx);
  Result<std::vector<Seen>> FindWorkloads(const Context& ctx, bool all_must_do);
  Result<void> RestartAll(const Context& ctx, const std::vector<Seen>& workloads,
                          std::string_view version);
  Result<void> Forward(const Context& ctx, const Binding& at, const seams::StagedRef& which);
  Result<void> Back(const Context& ctx, const Binding& at, const seams::StagedRef& which);

  ClusterTargetParts parts_;
};

Result<std::optional<Gateway>> ClusterTarget::FindGateway(const Context& ctx) {
  if (!parts_.gateway) return std::optional<Gateway>();
  return Gateway::Read(ctx, parts_.client, *parts_.gateway);
}

// Those that there are; with `all_must_do` each one has to be there and to roll.
Result<std::vector<ClusterTarget::Seen>> ClusterTarget::FindWorkloads(const Context& ctx,
                                                                      bool all_must_do) {
  std::vector<Seen> out;
  for (const Workload& workload : parts_.restart) {
    CF_ASSIGN_OR_RETURN(auto rollout,
                        ReadRollout(ctx, parts_.client, workload, parts_.secret_name));
    if (all_must_do && !rollout) return WorkloadNotFound(workload);
    if (all_must_do && !rollout->obstacle.empty()) {
      return RestartRefused(workload, rollout->obstacle);
    }
    if (rollout) out.push_back({&workload, std::move(*rollout)});
  }
  return out;
}

Result<void> ClusterTarget::RestartAll(const Context& ctx, const std::vector<Seen>& workloads,
                                       std::string_view version) {
  for (const Seen& seen : workloads) {
    if (!NeedsRestart(seen.rollout, version)) continue;
    CF_RETURN_IF_ERROR(
        Restart(ctx, parts_.client, *seen.workload, seen.rollout.uid, parts_.secret_name, version));
  }
  return {};
}

Result<seams::TargetState> ClusterTarget::Observe(const Context& ctx, const Binding& at) {
  CF_ASSIGN_OR_RETURN(seams::TargetState state, parts_.secret->Observe(ctx, at));
  CF_ASSIGN_OR_RETURN(const auto gateway, FindGateway(ctx));
  if (gateway) {
    for (seams::Placement& place : gateway->Placements(parts_.secret_name)) {
      state.placements.push_back(std::move(place));
    }
    state.way_back = gateway->WayBack(parts_.secret_name);
    state.settling = gateway->Settling();
  }
  CF_ASSIGN_OR_RETURN(const auto workloads, FindWorkloads(ctx, false));
  for (const Seen& seen : workloads) {
    seams::Placement placement;
    placement.device = "kubernetes";
    placement.location = seen.workload->ToString();
    state.placements.push_back(std::move(placement));
    if (NeedsRestart(seen.rollout, state.active)) state.running = false;
    if (state.settling.empty()) state.settling = seen.rollout.settling;
  }
  if (state.placements.size() > seams::kMaxPlacements) {
    state.placements.resize(seams::kMaxPlacements);
  }
  return state;
}

Result<void> ClusterTarget::Activate(const Context& ctx, const Binding& at,
                                     const seams::StagedRef& which) {
  return which.reverting ? Back(ctx, at, which) : Forward(ctx, at, which);
}

Result<void> ClusterTarget::Forward(const Context& ctx, const Binding& at,
                                    const seams::StagedRef& which) {
  CF_ASSIGN_OR_RETURN(const auto gateway, FindGateway(ctx));
  if (parts_.gateway && !gateway) return GatewayNotFound(*parts_.gateway);
  if (gateway) CF_RETURN_IF_ERROR(gateway->Check(parts_.secret_name));
  CF_ASSIGN_OR_RETURN(const auto workloads, FindWorkloads(ctx, true));
  CF_RETURN_IF_ERROR(parts_.secret->Activate(ctx, at, which));
  if (gateway) {
    CF_RETURN_IF_ERROR(AfterSwitch(gateway->Attach(ctx, parts_.client, parts_.secret_name)));
  }
  return AfterSwitch(RestartAll(ctx, workloads, which.version));
}

// The Secret first: whatever else fails, the old certificate is back in it.
Result<void> ClusterTarget::Back(const Context& ctx, const Binding& at,
                                 const seams::StagedRef& which) {
  CF_RETURN_IF_ERROR(parts_.secret->Activate(ctx, at, which));
  auto gateway = FindGateway(ctx);
  if (!gateway.ok()) return AfterSwitch(std::move(gateway).error());
  if (*gateway) {
    CF_RETURN_IF_ERROR(
        AfterSwitch((*gateway)->Detach(ctx, parts_.client, parts_.secret_name, which.way_back)));
  }
  auto workloads = FindWorkloads(ctx, false);
  if (!workloads.ok()) return AfterSwitch(std::move(workloads).error());
  return AfterSwitch(RestartAll(ctx, *workloads, which.version));
}

Result<void> ClusterTarget::Deactivate(const Context& ctx, const Binding& at,
                                       const seams::WayBack& way_back) {
  CF_ASSIGN_OR_RETURN(const auto gateway, FindGateway(ctx));
  if (gateway) {
    CF_RETURN_IF_ERROR(gateway->Detach(ctx, parts_.client, parts_.secret_name, way_back));
  }
  CF_RETURN_IF_ERROR(parts_.secret->Deactivate(ctx, at, way_back));
  if (parts_.restart.empty()) return {};
  // Where something stood there before the workflow came, it is back.
  CF_ASSIGN_OR_RETURN(const seams::TargetState state, parts_.secret->Observe(ctx, at));
  CF_ASSIGN_OR_RETURN(const auto workloads, FindWorkloads(ctx, false));
  return RestartAll(ctx, workloads, state.active);
}

}  // namespace

Result<std::unique_ptr<seams::Target>> ConnectClusterTarget(seams::SecretStore& store,
                                                            kube::Client& client,
                                                            const seams::TargetRef& target) {
  const seams::ProviderRef& provider = target.provider;
  CF_ASSIGN_OR_RETURN(Settings settings, ParseSettings(provider));
  CF_ASSIGN_OR_RETURN(BindingSettings binding, ParseBinding(target));
  CF_RETURN_IF_ERROR(CheckListed(provider, settings, binding));
  SecretTargetOptions options;
  // A target writes only into its own namespace; the workflow's own Secret is beside the workflow.
  options.ns = provider.ns;
  options.default_secret_name = binding.secret_name;
  options.staged_by_caller = provider.name.empty() && provider.ns == target.binding.workflow_ns;
  auto secret = MakeSecretTarget(store, std::move(options));
  if (settings.restart.empty() && !binding.gateway) return secret;
  return std::unique_ptr<seams::Target>(std::make_unique<ClusterTarget>(
      ClusterTargetParts{client, std::move(secret), std::move(binding.secret_name),
                         std::move(settings.restart), std::move(binding.gateway)}));
}

Result<seams::Readiness> CheckClusterTarget(const Context& ctx, kube::Client& client,
                                            const seams::ProviderRef& target) {
  CF_ASSIGN_OR_RETURN(const Settings settings, ParseSettings(target));
  for (const Workload& workload : settings.restart) {
    CF_RETURN_IF_ERROR(CheckRestart(ctx, client, workload));
  }
  for (const std::string& name : settings.gateways) {
    const GatewayUse use{target.ns, name, {}};
    CF_ASSIGN_OR_RETURN(const auto gateway, Gateway::Read(ctx, client, use));
    if (!gateway) return GatewayNotFound(use);
    CF_RETURN_IF_ERROR(gateway->CheckRights(ctx, client));
  }
  seams::Readiness out;
  out.message = "writes TLS Secrets here";
  if (!settings.gateways.empty()) {
    out.message +=
        ", attaches them to listeners of " + std::to_string(settings.gateways.size()) + " Gateways";
  }
  if (!settings.restart.empty()) {
    out.message += ", restarts " + std::to_string(settings.restart.size()) + " workloads";
  }
  return out;
}

}  // namespace certflow::providers::kubernetes
