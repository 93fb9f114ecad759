#include "controller/reconcile/provider_reconciler.h"

#include "controller/reconcile/store_directory.h"

namespace certflow::reconcile {

namespace {

constexpr Duration kCheckTimeout{30'000};
constexpr Duration kLookAgainNotReady{30'000};
// A Secret that such an object depends on may change without our seeing it.
constexpr Duration kLookAgainSettled{300'000};

void Apply(const Result<seams::Readiness>& found, WallTime now, api::ProviderObject& object) {
  using enum api::ConditionStatus;
  api::ProviderStatus& status = object.status;
  std::int64_t generation = object.meta.generation;
  status.observed_generation = generation;
  if (found.ok()) {
    if (!found->account_url.empty()) status.account_url = found->account_url;
    if (!found->ca_fingerprint.empty()) {
      status.ca_subject = found->ca_subject;
      status.ca_fingerprint = found->ca_fingerprint;
      status.ca_not_after = found->ca_not_after;
    }
    api::SetCondition(status.conditions, api::kReady, kTrue, "Usable", found->message, generation,
                      now);
    api::RemoveCondition(status.conditions, api::kStalled);
    return;
  }
  const Error& error = found.error();
  std::string message = Sanitize(error.message);
  api::SetCondition(status.conditions, api::kReady, kFalse, error.reason, message, generation, now);
  if (error.retry == Retry::kNever) {
    api::SetCondition(status.conditions, api::kStalled, kTrue, error.reason, message, generation,
                      now);
  } else {
    api::RemoveCondition(status.conditions, api::kStalled);
  }
}

}  // namespace

Result<runtime::Outcome> ProviderReconciler::Reconcile(const Context& ctx, std::string_view key) {
  auto stored = store_.Get(ParseKey(key));
  if (stored == nullptr || stored->meta.deleting) return runtime::Outcome{};
  if (stored->ready() && stored->status.observed_generation == stored->meta.generation) {
    return runtime::Outcome{};
  }
  seams::ProviderRef ref = AsProviderRef(*stored);
  runtime::GateKeeper::Denied denied;
  seams::Party party = connector_.PartyOf(ref);
  auto pass = gates_.Enter(party.name, runtime::GateKeeper::Access::kRead, &denied,
                           {party.actions, party.reads});
  if (!pass) return runtime::Outcome{denied.again_after};
  auto found = check_(ctx.WithTimeout(kCheckTimeout).WithLog({{"object", key}}), ref);
  if (ctx.stopped()) return ctx.Check().error();
  bool trouble = !found.ok() && (found.error().code == ErrorCode::kUnavailable ||
                                 found.error().code == ErrorCode::kTimeout);
  pass->Leave(!trouble);

  api::ProviderObject object = *stored;
  const std::string before = api::EncodeProviderStatus(object, resource_);
  Apply(found, ctx.clock.Now(), object);
  if (api::EncodeProviderStatus(object, resource_) != before) {
    CF_RETURN_IF_ERROR(writer_.Write(ctx, object, resource_, store_));
    if (!found.ok()) {
      events_.Record({{std::string(api::kApiVersion), resource_.kind, object.meta.ns,
                       object.meta.name, object.meta.uid},
                      true,
                      found.error().reason,
                      "Check",
                      Sanitize(found.error().message)});
    }
  }
  if (found.ok()) return runtime::Outcome{};
  bool settled = found.error().retry == Retry::kNever;
  Duration wait =
      found.error().retry_after.value_or(settled ? kLookAgainSettled : kLookAgainNotReady);
  // A Secret that is missing is usually being made right now.
  if (found.error().code == ErrorCode::kNotFound) wait = std::min(wait, Duration{5'000});
  return runtime::Outcome{wait};
}

}  // namespace certflow::reconcile
