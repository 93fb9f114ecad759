#include "controller/reconcile/provider_reconciler.h"

#include "controller/base/backoff.h"
#include "controller/reconcile/regarding.h"
#include "controller/reconcile/store_directory.h"

namespace certflow::reconcile {

namespace {

constexpr Duration kCheckTimeout{30'000};
// A Secret that is missing is usually being made right now, a host is usually back in a minute.
constexpr BackoffPolicy kWhileNotReady{Duration{5'000}, 2, Duration{60'000}, 0.2};
// What does not mend itself: a Secret that it depends on may change without our seeing it.
constexpr BackoffPolicy kWhileStalled{Duration{30'000}, 2, Duration{300'000}, 0.2};

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
    const bool clean = found->warning.empty();
    std::string message = found->message;
    if (!clean) message += "; warning: " + found->warning;
    api::SetCondition(status.conditions, api::kReady, kTrue,
                      clean ? "Usable" : api::kReasonUsableWithWarning, Sanitize(message),
                      generation, now);
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

std::string_view ReasonOfReady(const api::ProviderObject& object) {
  const api::Condition* ready = api::FindCondition(object.status.conditions, api::kReady);
  return ready == nullptr ? std::string_view() : ready->reason;
}

Error LeftAlone(const std::string& party) {
  return MakeError(ErrorCode::kUnavailable, "PartyLeftAlone",
                   party +
                       " did not answer several times in a row; it is left alone for a while "
                       "and tried again");
}

}  // namespace

std::optional<Duration> ProviderReconciler::NotYet(const Context& ctx, const std::string& key,
                                                   const api::ProviderObject& object) {
  const SteadyTime now = ctx.clock.Steady();
  const bool settled = object.ready() && object.current();
  MutexLock lock(mutex_);
  auto [it, fresh] = plans_.try_emplace(key);
  Plan& plan = it->second;
  if (fresh || plan.uid != object.meta.uid || plan.generation != object.meta.generation) {
    plan = {object.meta.uid,
            connector_.PartyOf(AsProviderRef(object)).name,
            object.meta.generation,
            now,
            0,
            settled};
    // After a restart those that are ready are not all looked at in the same moment.
    if (settled) plan.next = now + interval_ * static_cast<int>(JitterWord() % 100) / 100;
  }
  // Somebody else has written the status.
  if (plan.ready && !settled) plan.next = now;
  if (plan.next <= now) return std::nullopt;
  return std::chrono::ceil<Duration>(plan.next - now);
}

std::vector<std::string> ProviderReconciler::MakeDue(std::string_view party) {
  std::vector<std::string> due;
  MutexLock lock(mutex_);
  for (auto& [key, plan] : plans_) {
    if (plan.party != party) continue;
    plan.next = {};
    due.push_back(key);
  }
  return due;
}

Duration ProviderReconciler::PlanNext(const Context& ctx, const std::string& key,
                                      const Result<seams::Readiness>& found) {
  MutexLock lock(mutex_);
  Plan& plan = plans_[key];
  plan.ready = found.ok();
  plan.failures = found.ok() ? 0 : plan.failures + 1;
  Duration wait;
  if (found.ok()) {
    wait = BackoffDelay({interval_, 1, interval_, 0.5}, 1, JitterWord());
  } else if (found.error().retry_after) {
    wait = *found.error().retry_after;
  } else {
    bool stalled =
        found.error().retry == Retry::kNever && found.error().code != ErrorCode::kNotFound;
    wait = BackoffDelay(stalled ? kWhileStalled : kWhileNotReady, plan.failures, JitterWord());
  }
  plan.next = ctx.clock.Steady() + wait;
  return wait;
}

Result<runtime::Outcome> ProviderReconciler::Record(const Context& ctx, const std::string& key,
                                                    const api::ProviderObject& stored,
                                                    const Result<seams::Readiness>& found) {
  api::ProviderObject object = stored;
  const std::string before = api::EncodeProviderStatus(object, resource_);
  Apply(found, ctx.clock.Now(), object);
  if (api::EncodeProviderStatus(object, resource_) != before) {
    CF_RETURN_IF_ERROR(writer_.Write(ctx, object, resource_, store_));
    const api::Condition& ready = *api::FindCondition(object.status.conditions, api::kReady);
    bool wrong = !found.ok() || !found->warning.empty();
    if (wrong && ReasonOfReady(stored) != ready.reason) {
      events_.Record(
          {Regarding(resource_, object.meta), true, ready.reason, "Check", ready.message});
    }
  }
  return runtime::Outcome{PlanNext(ctx, key, found)};
}

Result<runtime::Outcome> ProviderReconciler::Reconcile(const Context& ctx, std::string_view name) {
  const std::string key(name);
  auto stored = store_.Get(ParseKey(key));
  if (stored == nullptr || stored->meta.deleting) {
    MutexLock lock(mutex_);
    plans_.erase(key);
    return runtime::Outcome{};
  }
  if (auto wait = NotYet(ctx, key, *stored)) return runtime::Outcome{wait};
  seams::ProviderRef ref = AsProviderRef(*stored);
  runtime::GateKeeper::Denied denied;
  seams::Party party = connector_.PartyOf(ref);
  auto pass = gates_.Enter(party.name, runtime::GateKeeper::Access::kRead, &denied,
                           {party.actions, party.reads});
  if (!pass) {
    // Why it does not answer is known already where it is not ready.
    bool told = denied.why == runtime::GateKeeper::Refusal::kFull ||
                (stored->current() && !ReasonOfReady(*stored).empty() && !stored->ready());
    if (!told) CF_RETURN_IF_ERROR(Record(ctx, key, *stored, LeftAlone(party.name)));
    return runtime::Outcome{denied.again_after};
  }
  auto found = check_(ctx.WithTimeout(kCheckTimeout).WithLog({{"object", key}}), ref);
  if (ctx.stopped()) return ctx.Check().error();
  // That the API server does not serve says nothing about the object.
  if (!found.ok() && IsApiServerTrouble(found.error())) return found.error();
  pass->Leave(found.ok() || !IsPartyTrouble(found.error()));
  metrics_.Add("certflow_provider_looks_total",
               "Looks at authorities, targets and channels, by what was found.",
               {{"kind", resource_.kind}, {"result", found.ok() ? "ready" : "not_ready"}});
  metrics_.Set("certflow_provider_last_look_timestamp_seconds",
               "When an object of the kind was last looked at.", {{"kind", resource_.kind}},
               std::chrono::duration<double>(ctx.clock.Now().time_since_epoch()).count());
  return Record(ctx, key, *stored, found);
}

}  // namespace certflow::reconcile
