#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/api/meta.h"
#include "controller/api/workflow.h"

namespace certflow::api {

enum class TriggerReason {
  kFirstIssue,
  kThreshold,
  kExpired,
  kSpecChanged,
  kRequested,
  kRollbackRequested
};
enum class Urgency { kNormal, kEmergency };
enum class RunState {
  kPending,
  kRunning,
  kWaiting,
  kMitigating,  // all is done and proved but a purge, which is tried on
  kSucceeded,
  kFailed,
  kRolledBack,
  kHeld,
  kCancelled
};
bool IsTerminal(RunState state);
std::string_view TriggerReasonName(TriggerReason reason);
std::string_view RunStateName(RunState state);

struct Trigger {
  TriggerReason reason = TriggerReason::kFirstIssue;
  Urgency urgency = Urgency::kNormal;
  std::string requested_by;  // proved by the admission policy, or empty
  std::string payload;
};

struct PlannedTarget {
  std::string id;  // "<wave>/<n>-<name>", stable within the plan
  int wave = 0;
  int use = -1;          // index into the wave's targets; -1 for the workflow's own Secret
  Reference target;      // for the workflow's own Secret: its namespace and an empty name
  std::string type;      // the vendor's word
  std::string settings;  // the binding, JSON text
  RetryRule retry;
};

// What a run takes back that a person asked to roll an ended run back.
struct RollbackPlan {
  struct Item {
    std::string target;                       // of PlannedTarget
    std::map<std::string, std::string> memo;  // of its deployment: what stood there before
  };
  std::string run;                               // whose deployment is taken back
  bool force = false;                            // also onto a certificate that has expired
  std::optional<CertificateStatus> certificate;  // what is live afterwards; none: nothing was there
  std::vector<Item> items;                       // in the order in which they are taken back
};

// What a run will do, frozen.
struct Plan {
  WorkflowSpec spec;
  Reference authority;
  std::string authority_type;
  std::string authority_reason;
  std::vector<PlannedTarget> targets;
  std::optional<RollbackPlan> rollback;
};

enum class EntryState { kPending, kIntended, kDone, kFailed, kSkipped, kReverted };

struct LedgerEntry {
  std::string id;    // "renewal", "deploy/0/1-edge", "rollback/0/1-edge"
  std::string step;  // "Renewal", "Deployment", ...: the words of the design
  std::string target;
  EntryState state = EntryState::kPending;
  int attempts = 0;
  std::optional<WallTime> started_at, ended_at, not_before;
  std::string reason, message;
  std::map<std::string, std::string> memo;
};

struct CheckRecord {
  std::string name, subject, value, verdict, message, phase;
};
struct Decision {
  std::string gate, layer, user;
  std::vector<std::string> groups;
  bool approved = true;
  WallTime time{};
  std::string digest, reason, source;
};
struct Refusal {
  WallTime time{};
  std::string source, user, message;
};
struct Evidence {
  int wave = 0;
  std::string endpoint, address, fingerprint, issuer, tls_version, message;
  bool passed = false;
  std::optional<WallTime> not_after;
  WallTime time{};
};
// One place where a certificate was put.
struct DeploymentRecord {
  std::string id;  // "0/1-edge.0": the target, and which of its places
  std::string target, type, device, address, virtual_host, server_name, side, profile, location;
  int wave = 0;
  int port = 0;
  std::string state;     // Deployed or Reverted
  std::string version;   // what stands there after it
  std::string previous;  // what stood there before; empty: nothing
  std::string fingerprint;
  WallTime time{};
};
enum class OutboxState { kPending, kSent, kFailed };
struct OutboxEntry {
  std::string id, event;
  Reference channel;
  int rule = 0;  // index into the plan's notifications
  OutboxState state = OutboxState::kPending;
  int attempts = 0;
  std::optional<WallTime> next_attempt;
  std::string message;
};
struct ServedChallenge {
  std::string domain, token, key_authorization;
};

// The order of steps and their rules, as this build knows them.
inline constexpr std::string_view kRunbookVersion = "1";
// Bounds of the lists above; the oldest goes where more would come.
inline constexpr std::size_t kMaxLedger = 470;  // the largest plan, taken back completely
inline constexpr std::size_t kMaxChecks = 50;
inline constexpr std::size_t kMaxDecisions = 50;
inline constexpr std::size_t kMaxRefusals = 20;
inline constexpr std::size_t kMaxEvidence = 200;
inline constexpr std::size_t kMaxDeployments = 300;
inline constexpr std::size_t kMaxOutbox = 100;
inline constexpr std::size_t kMaxChallenges = 100;

// The answer to a person's request to roll the run back (certflow.dev/rollback).
struct RollbackAnswer {
  std::string source;  // RollbackSource of the annotation
  std::string run;     // the run that takes it back
};

struct RunStatus {
  RunState state = RunState::kPending;
  std::string step, waiting_for, message, reason;
  std::optional<WallTime> until, started_at, ended_at;
  std::vector<Condition> conditions;
  std::vector<LedgerEntry> ledger;
  std::vector<CheckRecord> checks;
  std::vector<Decision> approvals;
  std::vector<Refusal> refusals;
  std::optional<CertificateStatus> certificate, previous;
  std::vector<Evidence> evidence;
  std::vector<DeploymentRecord> deployments;
  std::vector<OutboxEntry> outbox;
  std::vector<ServedChallenge> challenges;
  std::optional<RollbackAnswer> rollback;
};

struct Run {
  ObjectMeta meta;
  std::string workflow_name, workflow_uid;
  std::int64_t number = 0;
  Trigger trigger;
  std::string plan_json;  // canonical; dropped from memory once the run has ended
  std::string plan_digest, runbook_version;
  // Of the plan; set when it is dropped. What the certificate depends on, and who was asked.
  std::string wanted_digest;
  Reference authority;
  RunStatus status;

  // "ST-0b6c4befb1", as people see it.
  std::string DisplayName() const;
};

Result<Run> DecodeRun(const kube::Document& document);
// A run that has ended and owes nothing (no notification, no finalizer, no answer to a decision)
// keeps only its head in memory.
void Compact(Run& run);
// How a request to roll back is told apart from the next one, once it was answered.
std::string RollbackSource(std::string_view annotation);
// Whether an annotation holds a decision: approve, reject, or one of them with a suffix.
enum class DecisionKind { kNone, kApprove, kReject };
DecisionKind DecisionKindOf(std::string_view annotation);
// How status names a decision that was taken in: its text, and that it stood on the workflow.
std::string DecisionSource(std::string_view text, bool on_workflow);
bool IsDecisionRecorded(const RunStatus& status, DecisionKind kind, std::string_view source);
Result<Plan> DecodePlan(std::string_view json, std::string_view ns);
std::string EncodeRunStatus(const Run& run);

// Targets of `type` in namespace `ns` that a selector means, in a fixed order.
using SelectTargets = std::function<std::vector<Reference>(
    const LabelSelector& selector, std::string_view type, std::string_view ns)>;
inline constexpr std::size_t kMaxTargets = 201;
// The targets that a spec makes: the workflow's own Secret first, then wave by wave. kNotFound,
// "NoTargetMatches", for each namespace of a selector in which nothing is found; kInvalid,
// "TooManyTargets", beyond kMaxTargets.
Result<std::vector<PlannedTarget>> PlanTargets(const WorkflowSpec& spec, std::string_view ns,
                                               const SelectTargets& select);

// What a plan is made of: the workflow's spec as the API server holds it, and what was resolved.
struct PlanParts {
  std::string_view spec_json;
  Reference authority;
  std::string authority_type, authority_reason;
  std::vector<PlannedTarget> targets;
};
// The plan as canonical JSON (RFC 8785), without what does not bind a run (suspend, historyLimit).
std::string CanonicalPlan(const PlanParts& parts);
// The plan of a run that takes back what `plan_json` did.
std::string CanonicalRollbackPlan(std::string_view plan_json, const RollbackPlan& rollback);
// "sha256:<hex>" of canonical JSON.
std::string DigestOf(std::string_view canonical_json);
// Of a plan as the API server holds it (which may have added defaults of what does not bind).
std::string PlanDigest(std::string_view plan_json);
// The canonical spec part that binds a run; two specs with the same one make the same plan.
std::string BindingSpecOfPlan(std::string_view plan_json);
// What a workflow's spec says to a run under way.
struct SpecStanding {
  bool suspended = false;
  bool superseded = false;  // it makes another plan than this one now
};
SpecStanding SpecStandingOf(std::string_view spec_json, std::string_view plan_json);
// Digest of what the certificate itself depends on: names, key, Secret, authorities.
std::string WantedDigest(std::string_view spec_json);
std::string WantedDigestOf(const Run& run);
Reference AuthorityOf(const Run& run);

struct NewRun {
  std::string name, ns;
  std::string workflow_name, workflow_uid;
  std::int64_t number = 0;
  Trigger trigger;
  std::string plan_json;
  std::string plan_digest;
  bool finalizer = false;
};
// Body for POST.
std::string EncodeNewRun(const NewRun& run);

}  // namespace certflow::api
