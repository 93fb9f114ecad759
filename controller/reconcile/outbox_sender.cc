#include "controller/reconcile/outbox_sender.h"

#include <algorithm>

#include "controller/base/backoff.h"
#include "controller/reconcile/regarding.h"
#include "controller/workflow/outbox.h"

namespace certflow::reconcile {

namespace {

constexpr Duration kSendTimeout{60'000};
constexpr Duration kApiServerPause{5'000};
constexpr BackoffPolicy kBackoff{Duration{5'000}, 2, Duration{1'800'000}, 0.2};

seams::Notification Compose(const api::Run& run, const api::Plan& plan,
                            const api::OutboxEntry& entry, std::string& problem) {
  workflow::RenderedMail mail = workflow::RenderMail(run, plan, entry);
  problem = mail.problem;
  seams::Notification out;
  out.id = entry.id;
  out.subject = Sanitize(mail.subject, 512);
  out.body = std::move(mail.body);
  if (entry.rule < 0 || entry.rule >= static_cast<int>(plan.spec.notifications.size())) return out;
  const api::NotificationRule& rule = plan.spec.notifications[entry.rule];
  out.to = rule.to;
  out.cc = rule.cc;
  out.bcc = rule.bcc;
  // Who is on call hears of a cache that still serves the old content.
  if (entry.event == workflow::kEventMitigating) {
    out.to.insert(out.to.end(), plan.spec.owner_escalation.begin(),
                  plan.spec.owner_escalation.end());
  }
  bool nobody = out.to.empty() && out.cc.empty() && out.bcc.empty();
  if (nobody && !plan.spec.owner_contact.empty()) out.to = {plan.spec.owner_contact};
  return out;
}

}  // namespace

void OutboxSender::BookFailure(const Context& ctx, const api::Run& run, api::OutboxEntry& entry,
                               const Error& error) {
  entry.attempts += 1;
  entry.message = Sanitize(error.message, 512);
  bool over = error.retry == Retry::kNever || entry.attempts >= workflow::kOutboxAttempts;
  metrics_.Add("certflow_notifications_total", "Notifications, by how sending ended.",
               {{"result", over ? "failed" : "retried"}});
  if (!over) {
    entry.next_attempt = ctx.clock.Now() + BackoffDelay(kBackoff, entry.attempts, JitterWord());
    return;
  }
  entry.state = api::OutboxState::kFailed;
  entry.next_attempt.reset();
  ctx.log.Error("notification failed", {{"event", entry.event}, {"error", entry.message}});
  events_.Record({Regarding(api::RunResource(), run.meta), true, "NotificationFailed", "Notify",
                  entry.event + " to " + entry.channel.name + ": " + entry.message});
}

std::optional<Duration> OutboxSender::SendOne(const Context& ctx, const api::Run& run,
                                              const api::Plan& plan, api::OutboxEntry& entry) {
  auto mark_sent = [&](std::string message) {
    entry.state = api::OutboxState::kSent;
    entry.next_attempt.reset();
    entry.message = std::move(message);
  };
  {
    MutexLock lock(mutex_);
    if (sent_.contains(entry.id)) return mark_sent(""), std::nullopt;
  }
  auto channel = directory_.Channel(entry.channel, run.meta.ns);
  if (!channel.ok()) return BookFailure(ctx, run, entry, channel.error()), std::nullopt;
  runtime::GateKeeper::Denied denied;
  seams::Party party = connector_.PartyOf(*channel);
  auto pass = gates_.Enter(party.name, runtime::GateKeeper::Access::kRead, &denied,
                           {party.actions, party.reads});
  if (!pass) return denied.again_after;
  auto send = [&]() -> Result<void> {
    std::string problem;
    seams::Notification notification = Compose(run, plan, entry, problem);
    if (notification.to.empty() && notification.cc.empty() && notification.bcc.empty()) {
      return MakeError(ErrorCode::kInvalid, "NoRecipients",
                       "neither the notification nor spec.owner.contact names a recipient");
    }
    CF_ASSIGN_OR_RETURN(auto notifier, connector_.ConnectNotifier(ctx, *channel));
    CF_RETURN_IF_ERROR(notifier->Send(ctx.WithTimeout(kSendTimeout), notification));
    mark_sent(std::move(problem));
    return {};
  };
  auto sent = send();
  pass->Leave(sent.ok() || !IsPartyTrouble(sent.error()));
  // It is not the mail server that failed.
  if (!sent.ok() && IsApiServerTrouble(sent.error())) {
    return sent.error().retry_after.value_or(kApiServerPause);
  }
  if (!sent.ok()) return BookFailure(ctx, run, entry, sent.error()), std::nullopt;
  metrics_.Add("certflow_notifications_total", "Notifications, by how sending ended.",
               {{"result", "sent"}});
  MutexLock lock(mutex_);
  sent_.insert(entry.id);
  return std::nullopt;
}

Result<runtime::Outcome> OutboxSender::Reconcile(const Context& ctx, std::string_view key) {
  auto stored = world_.runs.Get(ParseKey(key));
  if (stored == nullptr || stored->plan_json.empty()) return runtime::Outcome{};
  CF_ASSIGN_OR_RETURN(auto plan, api::DecodePlan(stored->plan_json, stored->meta.ns));
  Context rctx = ctx.WithLog({{"run", stored->DisplayName()}});
  api::Run run = *stored;
  WallTime now = ctx.clock.Now();
  std::optional<Duration> again;
  bool changed = false;
  auto sooner = [&](Duration wait) { again = std::min(again.value_or(wait), wait); };
  for (api::OutboxEntry& entry : run.status.outbox) {
    if (entry.state != api::OutboxState::kPending) continue;
    if (entry.next_attempt && *entry.next_attempt > now) {
      sooner(std::chrono::duration_cast<Duration>(*entry.next_attempt - now));
      continue;
    }
    if (auto wait = SendOne(rctx, run, plan, entry)) {
      sooner(*wait);
      continue;
    }
    changed = true;
    if (entry.next_attempt) {
      sooner(std::chrono::duration_cast<Duration>(*entry.next_attempt - now));
    }
  }
  if (changed) {
    CF_RETURN_IF_ERROR(writer_.Write(rctx, run));
    MutexLock lock(mutex_);
    for (const api::OutboxEntry& entry : run.status.outbox) sent_.erase(entry.id);
  }
  if (!again) return runtime::Outcome{};
  return runtime::Outcome{std::max(*again, Duration{100})};
}

}  // namespace certflow::reconcile
