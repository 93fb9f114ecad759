#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "controller/api/run.h"
#include "controller/api/workflow.h"

namespace certflow::workflow {

// When a certificate is renewed: `renewal.before` (default 15 days) or a share of the lifetime
// before its end. A `before` that is not shorter than the lifetime would renew without end, so it
// is cut to a third of the lifetime; `cut` says so.
struct RenewalTime {
  WallTime at;
  bool cut = false;
};
RenewalTime WhenToRenew(const api::WorkflowSpec& spec, WallTime not_before, WallTime not_after);

inline constexpr std::chrono::hours kEmergencyWithin{24};
inline constexpr int kBreakerIssuances = 3;
inline constexpr std::chrono::hours kBreakerWindow{24};

struct FailedRuns {
  int consecutive = 0;  // runs at the end of the history that did not succeed
  WallTime last_ended{};
  std::string last_reason;
};

struct TriggerInput {
  const api::WorkflowSpec& spec;
  const api::WorkflowStatus& status;
  std::string wanted_digest;
  std::string renew_annotation;    // the whole value, or empty
  std::string changed_by;          // who changed the spec last, where it is proved
  bool identities_proved = false;  // the admission policy is in force
  FailedRuns failed;
  WallTime now;
};

struct Start {
  api::Trigger trigger;
};
struct Idle {
  std::optional<WallTime> until;
};
// Somebody has to act, or time to pass.
struct Halted {
  std::string reason, message;
  std::optional<WallTime> until;
};
using TriggerVerdict = std::variant<Start, Idle, Halted>;

// Pure: whether a run is to start now. A request counts once per annotation value; after a failed
// run the next one waits (10 minutes doubling to 6 hours, 24 hours after a rejection or an approval
// that did not come); the breaker stops a workflow that issued kBreakerIssuances times within
// kBreakerWindow until a person asks.
TriggerVerdict Decide(const TriggerInput& input);

// "any text by USER[ in ...]": who asked, or empty.
std::string RequesterOf(std::string_view renew_annotation);

}  // namespace certflow::workflow
