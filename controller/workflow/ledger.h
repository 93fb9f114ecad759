#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "controller/api/run.h"
#include "controller/base/error.h"

namespace certflow::workflow {

// The words of the design, as status shows them.
inline constexpr std::string_view kStepChecks = "Checks";
inline constexpr std::string_view kStepRenewalConfirmation = "Renewal-Confirmation";
inline constexpr std::string_view kStepRenewal = "Renewal";
inline constexpr std::string_view kStepDeploymentConfirmation = "Deployment-Confirmation";
inline constexpr std::string_view kStepDeploymentTime = "Deployment-Time";
inline constexpr std::string_view kStepDeployment = "Deployment";
inline constexpr std::string_view kStepPurge = "Purge";
inline constexpr std::string_view kStepValidation = "Validation";
inline constexpr std::string_view kStepComplete = "Complete";
inline constexpr std::string_view kStepRollbackConfirmation = "Rollback-Confirmation";
inline constexpr std::string_view kStepRollback = "Rollback";
inline constexpr std::string_view kStepRollbackValidation = "Rollback-Validation";

// The run ended with something live that could not be put back; because somebody said no; because
// it or its workflow was deleted.
inline constexpr std::string_view kReasonRollbackFailed = "RollbackFailed";
inline constexpr std::string_view kReasonRejected = "ApprovalRejected";
inline constexpr std::string_view kReasonDeleted = "Deleted";

// Memo keys of a Deployment entry.
inline constexpr const char* kMemoTouched = "touched";  // "true": something live may be changed
inline constexpr const char* kMemoPrevious =
    "previous";  // the version before, empty: nothing stood
// Of the certificate before, where the target told.
inline constexpr const char* kMemoPreviousFingerprint = "previousFingerprint";
// When Activate returned success; what follows a switch is not over before that.
inline constexpr const char* kMemoActivated = "activated";

// Every step of the plan in its order. What the plan does not need is there too, skipped, with the
// reason.
std::vector<api::LedgerEntry> MakeLedger(const api::Plan& plan);

// Entries that may be worked on at the same time: several targets of one wave, or one.
struct Proceed {
  std::vector<std::size_t> entries;
};
struct Finish {
  api::RunState state;
  std::string reason, message;
};
using Next = std::variant<Proceed, Finish>;

// The entries to work on, or how the run ends. After a failure appends what the rollback policy
// calls for (its only change to `status`). Pure.
Next NextStep(const api::Plan& plan, api::RunStatus& status);

// True once a live change may have been made: from then on the plan is carried out or taken back.
bool HasTouchedLive(const api::RunStatus& status);
// Targets that were touched and not put back, last one first.
std::vector<const api::LedgerEntry*> TouchedTargets(const api::RunStatus& status);
const api::PlannedTarget* TargetOf(const api::Plan& plan, const api::LedgerEntry& entry);
int WaveOf(const api::LedgerEntry& entry);

// What ended the way forward, "Deployment of 1/0-web-1: ..."; empty as long as nothing did.
std::string WhatFailed(const api::RunStatus& status);

// Whether the plan names anything to prove the certificate at, for all waves or for one.
bool HasEndpoints(const api::WorkflowSpec& spec);
// Whether any wave names endpoints of its own.
bool WavesNameEndpoints(const api::WorkflowSpec& spec);

// What is left of the run is a purge that failed kPurgeQuietAttempts times or more.
inline constexpr int kPurgeQuietAttempts = 3;
bool IsMitigating(const api::RunStatus& status);

// What takes back the deployment of an ended run whose annotation certflow.dev/rollback asks for it
// ("[force ]TEXT by USER"). kRefused, with the remedy, where it cannot be done: the run is not what
// is live, changed nothing, or would lead to a certificate that has expired or to none (without
// force).
Result<api::RollbackPlan> PlanRollback(const api::Run& run,
                                       const std::optional<api::CertificateStatus>& live,
                                       std::string_view annotation, WallTime now);

// Books a failed attempt: counts it, and either sets when to try again or fails the entry. The
// limit follows from the step, and for a deployment from its target's. A purge is never given up.
void BookFailure(const api::Plan& plan, api::LedgerEntry& entry, const Error& error, WallTime now,
                 std::uint64_t random);

}  // namespace certflow::workflow
