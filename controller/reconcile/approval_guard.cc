#include "controller/reconcile/approval_guard.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "controller/api/run.h"
#include "controller/kube/document_json.h"

namespace certflow::reconcile {

namespace {

using Json = nlohmann::json;

const kube::Resource& PolicyResource() {
  static const kube::Resource resource = {"admissionregistration.k8s.io", "v1",
                                          "validatingadmissionpolicies",
                                          "ValidatingAdmissionPolicy", false};
  return resource;
}
const kube::Resource& BindingResource() {
  static const kube::Resource resource = {"admissionregistration.k8s.io", "v1",
                                          "validatingadmissionpolicybindings",
                                          "ValidatingAdmissionPolicyBinding", false};
  return resource;
}

bool IsOfStatus(const Json& entry) { return entry.value("subresource", "") == "status"; }

// The last time somebody changed the object (not its status), by the server's clock; nothing where
// the record of who wrote the spec is gone, as it is when somebody clears it.
std::optional<WallTime> LastChange(const Json& metadata) {
  auto last = ParseTime(metadata.value("creationTimestamp", ""));
  if (!last.ok()) return std::nullopt;
  bool spec_is_recorded = false;
  for (const Json& entry : metadata.value("managedFields", Json::array())) {
    if (IsOfStatus(entry)) continue;
    auto time = ParseTime(entry.value("time", ""));
    if (!time.ok()) return std::nullopt;
    last = std::max(*last, *time);
    spec_is_recorded |= entry.value("fieldsV1", Json::object()).contains("f:spec");
  }
  if (!spec_is_recorded) return std::nullopt;
  return *last;
}

Error Unproved(const char* reason, const std::string& what) {
  return MakeError(ErrorCode::kRefused, reason,
                   what + "; approvals do not count until manifests/install is applied again");
}

}  // namespace

ApprovalGuard::ApprovalGuard(kube::Client& client, std::string policy_json,
                             std::string binding_json)
    : client_(client), policy_(std::move(policy_json)), binding_(std::move(binding_json)) {}

Result<WallTime> ApprovalGuard::Compare(const Context& ctx, const kube::Resource& resource,
                                        const std::string& shipped_text) {
  Json shipped = Json::parse(shipped_text, nullptr, false);
  std::string name = shipped["metadata"]["name"].get<std::string>();
  std::string what = resource.kind + " " + name;
  auto live = client_.Get(ctx, resource, {"", name});
  if (!live.ok()) {
    if (live.error().code == ErrorCode::kNotFound) {
      return Unproved("PolicyMissing", what + " is not installed");
    }
    return live.error();
  }
  const Json& object = kube::Json(*live);
  if (object.value("spec", Json()) != shipped["spec"]) {
    return Unproved("PolicyEdited", what + " is not as it was shipped");
  }
  const Json& metadata = object["metadata"];
  auto changed = LastChange(metadata);
  if (!changed) return Unproved("PolicyEdited", what + " does not say when its spec was changed");
  return Remember(
      ctx, resource.kind,
      {metadata.value("uid", ""), metadata.value("generation", std::int64_t{0}), *changed});
}

// The record of a change can be cleared and written anew, the generation only counts up: an object
// that was changed since the last look and says that it was not, is as new as this look.
WallTime ApprovalGuard::Remember(const Context& ctx, const std::string& kind, Seen now) {
  MutexLock lock(mutex_);
  Seen& before = seen_[kind];
  bool known = !before.uid.empty();
  bool same = before.uid == now.uid && before.generation == now.generation;
  if (known && same) {
    now.changed = std::max(now.changed, before.changed);
  } else if (known && now.changed <= before.changed) {
    now.changed = ctx.clock.Now();
  }
  before = now;
  return now.changed;
}

// A run that is born with a decision in somebody else's name is what the policy must refuse.
Result<void> ApprovalGuard::ProbeRefusal(const Context& ctx) {
  api::NewRun probe;
  probe.name = "st-0000000000";
  probe.ns = "default";
  probe.number = 1;
  probe.workflow_name = "certflow-policy-probe";
  probe.workflow_uid = "00000000-0000-0000-0000-000000000000";
  probe.plan_json =
      api::CanonicalPlan({R"({"certificate":{"dnsNames":["probe.invalid"],"secretName":"probe"},)"
                          R"("authorities":[{"name":"probe"}]})",
                          {"probe", "default"},
                          "ca",
                          "probe",
                          {}});
  probe.plan_digest = api::DigestOf(probe.plan_json);
  Json body = Json::parse(api::EncodeNewRun(probe));
  body["metadata"]["annotations"] = {
      {api::kApproveAnnotation, "renewal by certflow-policy-probe-nobody"}};
  auto made = client_.Create(ctx, api::RunResource(), probe.ns, body.dump(), true);
  if (made.ok()) {
    return Unproved("PolicyNotEnforced", "the API server let a forged name pass");
  }
  const Error& error = made.error();
  bool denied = (error.code == ErrorCode::kForbidden || error.code == ErrorCode::kInvalid) &&
                error.message.find("ValidatingAdmissionPolicy") != std::string::npos;
  if (denied) return {};
  if (error.code == ErrorCode::kForbidden) {
    return Unproved("PolicyNotEnforced", "the policy could not be probed: " + error.message);
  }
  return error;
}

Result<WallTime> ApprovalGuard::ProvedSince(const Context& ctx) {
  CF_ASSIGN_OR_RETURN(WallTime policy, Compare(ctx, PolicyResource(), policy_));
  CF_ASSIGN_OR_RETURN(WallTime binding, Compare(ctx, BindingResource(), binding_));
  CF_RETURN_IF_ERROR(ProbeRefusal(ctx));
  return std::max(policy, binding) + kSettle;
}

}  // namespace certflow::reconcile
