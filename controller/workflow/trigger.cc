#include "controller/workflow/trigger.h"

#include <algorithm>

namespace certflow::workflow {

namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;

constexpr seconds kDefaultBefore{15 * 24 * 3600};
constexpr seconds kFirstRetry{600};
constexpr seconds kLongestRetry{6 * 3600};
constexpr seconds kRetryAfterPeople{24 * 3600};

bool WaitsForPeople(std::string_view reason) {
  return reason == "ApprovalRejected" || reason == "ApprovalTimedOut";
}

WallTime RetryTime(const FailedRuns& failed) {
  if (WaitsForPeople(failed.last_reason)) return failed.last_ended + kRetryAfterPeople;
  seconds delay = kFirstRetry;
  for (int i = 1; i < failed.consecutive && delay < kLongestRetry; ++i) delay *= 2;
  return failed.last_ended + std::min(delay, kLongestRetry);
}

std::optional<WallTime> BreakerOpenUntil(const TriggerInput& input) {
  std::vector<WallTime> recent;
  for (WallTime time : input.status.issuances) {
    if (time > input.now - kBreakerWindow) recent.push_back(time);
  }
  if (recent.size() < kBreakerIssuances) return std::nullopt;
  std::sort(recent.begin(), recent.end());
  return recent[recent.size() - kBreakerIssuances] + kBreakerWindow;
}

api::Urgency UrgencyOf(const TriggerInput& input) {
  const auto& certificate = input.status.certificate;
  bool urgent = certificate && certificate->not_after - input.now < kEmergencyWithin;
  return urgent ? api::Urgency::kEmergency : api::Urgency::kNormal;
}

// Why a run is due by itself, or when that will be.
std::variant<api::TriggerReason, std::optional<WallTime>> Due(const TriggerInput& input) {
  const auto& certificate = input.status.certificate;
  // A person took it back: that is not undone by itself before it must be.
  const bool taken_back = input.status.rolled_back_at.has_value();
  if (!certificate && taken_back) return std::optional<WallTime>();
  if (!certificate) return api::TriggerReason::kFirstIssue;
  if (input.status.spec_digest != input.wanted_digest) return api::TriggerReason::kSpecChanged;
  if (certificate->not_after <= input.now) return api::TriggerReason::kExpired;
  WallTime at = WhenToRenew(input.spec, certificate->not_before, certificate->not_after).at;
  if (taken_back) at = std::max(at, certificate->not_after - kEmergencyWithin);
  if (at <= input.now) return api::TriggerReason::kThreshold;
  return std::optional<WallTime>(at);
}

// How a request is kept in the run and, once handled, in the workflow's status.
std::string RequestPayload(std::string_view annotation) { return Sanitize(annotation, 256); }

TriggerVerdict StartRequested(const TriggerInput& input) {
  api::Trigger trigger;
  trigger.reason = api::TriggerReason::kRequested;
  trigger.urgency = UrgencyOf(input);
  if (input.identities_proved) trigger.requested_by = RequesterOf(input.renew_annotation);
  trigger.payload = RequestPayload(input.renew_annotation);
  return Start{std::move(trigger)};
}

std::string FailureMessage(const FailedRuns& failed, WallTime retry) {
  return "the last " + std::to_string(failed.consecutive) +
         (failed.consecutive == 1 ? " run" : " runs") + " did not succeed (" + failed.last_reason +
         "); the next one starts at " + FormatTime(retry) +
         ", or at once with the annotation certflow.dev/renew";
}

}  // namespace

RenewalTime WhenToRenew(const api::WorkflowSpec& spec, WallTime not_before, WallTime not_after) {
  seconds lifetime = duration_cast<seconds>(not_after - not_before);
  if (spec.renew_before_percent) return {not_after - lifetime * *spec.renew_before_percent / 100};
  seconds before = spec.renew_before.value_or(kDefaultBefore);
  if (before < lifetime) return {not_after - before};
  return {not_after - lifetime / 3, true};
}

std::string RequesterOf(std::string_view renew_annotation) {
  std::size_t by = renew_annotation.rfind(" by ");
  if (by == std::string_view::npos) return "";
  std::string_view rest = renew_annotation.substr(by + 4);
  return std::string(rest.substr(0, rest.find(' ')));
}

TriggerVerdict Decide(const TriggerInput& input) {
  if (input.spec.suspend) return Idle{};
  bool asked = !input.renew_annotation.empty() &&
               RequestPayload(input.renew_annotation) != input.status.handled_renewal;
  if (asked) return StartRequested(input);
  if (!input.spec.renew_automatically) return Idle{};
  auto due = Due(input);
  if (auto* until = std::get_if<std::optional<WallTime>>(&due)) return Idle{*until};

  if (input.failed.consecutive > 0) {
    WallTime retry = RetryTime(input.failed);
    if (retry > input.now) return Halted{"RetryLater", FailureMessage(input.failed, retry), retry};
  }
  if (auto until = BreakerOpenUntil(input)) {
    return Halted{"ReissueBreaker",
                  std::to_string(kBreakerIssuances) +
                      " certificates were issued within 24 hours, more than the plan explains; "
                      "find out why, then ask with the annotation certflow.dev/renew",
                  until};
  }
  api::Trigger trigger;
  trigger.reason = std::get<api::TriggerReason>(due);
  trigger.urgency = UrgencyOf(input);
  bool by_person = trigger.reason == api::TriggerReason::kFirstIssue ||
                   trigger.reason == api::TriggerReason::kSpecChanged;
  if (by_person && input.identities_proved) trigger.requested_by = input.changed_by;
  return Start{std::move(trigger)};
}

}  // namespace certflow::workflow
