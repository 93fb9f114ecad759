#include "controller/reconcile/store_directory.h"

#include "controller/workflow/ledger.h"

namespace certflow::reconcile {

seams::ProviderRef AsProviderRef(const api::ProviderObject& object) {
  seams::ProviderRef ref;
  ref.type = object.type;
  ref.ns = object.meta.ns;
  ref.name = object.meta.name;
  ref.uid = object.meta.uid;
  ref.settings = object.settings;
  ref.trust_pem = object.trust_bundle;
  ref.account_url = object.status.account_url;
  return ref;
}

namespace {

// A missing or forbidden object may come or change at any time.
Error MayChange(ErrorCode code, std::string_view reason, std::string_view message) {
  Error error = MakeError(code, reason, message);
  error.retry = Retry::kBackoff;
  return error;
}

}  // namespace

Result<seams::ProviderRef> StoreDirectory::Find(const runtime::Store<api::ProviderObject>& store,
                                                std::string_view kind, const api::Reference& what,
                                                std::string_view from_ns) const {
  std::string full = std::string(kind) + " " + what.ns + "/" + what.name;
  auto object = store.Get({what.ns, what.name});
  if (object == nullptr) {
    return MayChange(ErrorCode::kNotFound, std::string(kind) + "NotFound",
                     full + " does not exist; create it or correct the reference");
  }
  auto from = world_.namespaces.Get({"", std::string(from_ns)});
  if (!api::Allows(object->allowed, what.ns, from_ns, from ? &from->labels : nullptr)) {
    return MayChange(ErrorCode::kForbidden, "ReferenceNotAllowed",
                     full + " does not allow namespace " + std::string(from_ns) +
                         "; its spec.allowedNamespaces decides");
  }
  return AsProviderRef(*object);
}

Result<seams::ProviderRef> StoreDirectory::Authority(const api::Reference& what,
                                                     std::string_view from_ns) const {
  return Find(world_.authorities, "CertificateAuthority", what, from_ns);
}

Result<seams::ProviderRef> StoreDirectory::Target(const api::Reference& what,
                                                  std::string_view from_ns) const {
  return Find(world_.targets, "DeploymentTarget", what, from_ns);
}

Result<seams::ProviderRef> StoreDirectory::Channel(const api::Reference& what,
                                                   std::string_view from_ns) const {
  return Find(world_.channels, "NotificationChannel", what, from_ns);
}

std::vector<api::Reference> StoreDirectory::TargetsWith(const api::LabelSelector& selector,
                                                        std::string_view type,
                                                        std::string_view ns) const {
  std::vector<api::Reference> out;
  for (const auto& target : world_.targets.List()) {
    if (target->meta.ns == ns && target->type == type && selector.Matches(target->labels)) {
      out.push_back({target->meta.name, target->meta.ns});
    }
  }
  return out;
}

Result<void> StoreDirectory::AuthorityReady(const api::Reference& what) const {
  auto object = world_.authorities.Get({what.ns, what.name});
  if (object != nullptr && object->ready()) return {};
  const api::Condition* condition =
      object ? api::FindCondition(object->status.conditions, api::kReady) : nullptr;
  return MayChange(ErrorCode::kUnavailable, "AuthorityNotReady",
                   "CertificateAuthority " + what.ns + "/" + what.name + " is not ready" +
                       (condition ? ": " + condition->message : ""));
}

Result<std::string> StoreDirectory::TargetReady(const api::Reference& what) const {
  auto object = world_.targets.Get({what.ns, what.name});
  if (object == nullptr) return std::string();
  const api::Condition* ready = api::FindCondition(object->status.conditions, api::kReady);
  if (ready == nullptr || !object->current()) return std::string();
  if (object->ready()) {
    return ready->reason == api::kReasonUsableWithWarning ? ready->message : std::string();
  }
  Error error = MayChange(
      ErrorCode::kUnavailable, "TargetNotReady",
      "DeploymentTarget " + what.ns + "/" + what.name + " is not ready: " + ready->message);
  bool stalled = api::FindCondition(object->status.conditions, api::kStalled) != nullptr;
  if (stalled) error.retry = Retry::kNever;
  return error;
}

std::vector<steps::AtHand> StoreDirectory::AtHandFor(const api::Run& run) const {
  std::vector<steps::AtHand> out;
  for (const auto& earlier : RunsOf(world_, run.workflow_uid)) {
    const api::RunStatus& status = earlier->status;
    if (earlier->number >= run.number || !api::IsTerminal(status.state)) continue;
    // From here on back everything was replaced; what is held stays where it is.
    if (status.state == api::RunState::kSucceeded || status.state == api::RunState::kHeld) break;
    bool maybe_live = status.reason == workflow::kReasonRollbackFailed;
    bool its_own = status.certificate && status.certificate->version == earlier->meta.name;
    if (maybe_live || !its_own || earlier->meta.deleting) continue;
    out.push_back({earlier->meta.name, api::WantedDigestOf(*earlier), api::AuthorityOf(*earlier),
                   *status.certificate});
  }
  return out;
}

}  // namespace certflow::reconcile
