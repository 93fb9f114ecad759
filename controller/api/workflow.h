#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/api/meta.h"
#include "controller/pki/key.h"

namespace certflow::api {

struct ApprovalLayer {
  std::string name;
  std::vector<std::string> users;
  std::vector<std::string> groups;
  int required = 1;
};

struct ApprovalGate {
  std::vector<ApprovalLayer> layers;
  std::chrono::seconds timeout{5 * 24 * 3600};
};

// When a failed attempt at a target is repeated: `limit` times, after `backoff`, doubling.
struct RetryRule {
  int limit = 3;
  std::chrono::seconds backoff{5};
};

// Targets of one type by name or, with an empty name, by their labels.
struct TargetUse {
  Reference target;
  LabelSelector selector;
  std::vector<std::string> namespaces;  // where the selector looks; empty: the workflow's own
  std::string type;                     // which member of the union is set: the vendor's word
  std::string settings;                 // that member, JSON text; decoded by the provider alone
  RetryRule retry;
};

struct Wave {
  std::string name;
  int parallelism = 1;                 // how many targets at once
  std::vector<std::string> endpoints;  // that serve the certificate once this wave is through
  std::vector<TargetUse> targets;
};

// A cache in front of the targets that is to forget what it holds.
struct PurgeUse {
  Reference channel;
  std::vector<std::string> hosts, urls;
};

struct NotificationRule {
  Reference channel;
  std::vector<std::string> events;
  std::vector<std::string> to, cc, bcc;
  std::map<std::string, std::string> subject;  // event to template
  std::map<std::string, std::string> body;
};

enum class RollbackPolicy { kAutomatic, kManual, kHold };
enum class Trust { kSystem, kAuthority };

// The fields of a CertificateWorkflow's spec (crds/), with defaults applied.
struct WorkflowSpec {
  bool suspend = false;
  std::string environment;
  std::string owner_team, owner_contact;
  std::vector<std::string> owner_escalation;

  std::string common_name;
  std::vector<std::string> dns_names;
  pki::KeySpec key;
  std::string secret_name;

  std::vector<Reference> authorities;

  std::optional<std::chrono::seconds> renew_before;
  std::optional<int> renew_before_percent;
  bool renew_automatically = true;

  std::optional<ApprovalGate> renewal_gate;
  std::optional<ApprovalGate> deployment_gate;
  bool requester_may_approve = false;

  std::optional<std::chrono::minutes> deploy_at;  // of the day, in time_zone
  std::string time_zone = "UTC";                  // IANA
  RetryRule retry;
  std::vector<Wave> waves;
  std::vector<PurgeUse> purges;

  std::vector<std::string> endpoints;
  std::string server_name;
  Trust trust = Trust::kSystem;
  std::string min_tls = "1.2";
  std::chrono::seconds validation_timeout{120};

  RollbackPolicy rollback = RollbackPolicy::kAutomatic;
  std::vector<NotificationRule> notifications;
  int keep_successful = 10;
  int keep_failed = 10;
};

// What status says of a certificate.
struct CertificateStatus {
  std::string serial, fingerprint, issuer, signature_type, common_name;
  std::vector<std::string> dns_names;
  WallTime not_before{}, not_after{};
  std::string version;  // the run that made it
};

struct ActiveRunStatus {
  std::string name, step, waiting_for;
  std::optional<WallTime> until;
  friend bool operator==(const ActiveRunStatus&, const ActiveRunStatus&) = default;
};

struct LastRunStatus {
  std::string name, state, message;
  std::optional<WallTime> ended_at;
};

struct WorkflowStatus {
  std::int64_t observed_generation = -1;
  std::vector<Condition> conditions;
  std::string phase;
  std::optional<CertificateStatus> certificate;
  std::optional<WallTime> next_renewal;
  std::optional<ActiveRunStatus> active_run;
  std::optional<LastRunStatus> last_run;
  std::int64_t runs = 0;            // the number of the last run that is folded in here
  std::vector<WallTime> issuances;  // of late, for the reissue breaker; at most kMaxIssuances
  std::string handled_renewal;      // the last value of certflow.dev/renew that made a run
  // When a person went back to the certificate in force; until another one is asked for or needed,
  // it is not replaced because of its threshold.
  std::optional<WallTime> rolled_back_at;
  std::string spec_digest;  // of the wanted certificate that the current one answers
};
inline constexpr std::size_t kMaxIssuances = 20;

// The spec stays text until somebody works on it: an idle workflow is small.
struct Workflow {
  ObjectMeta meta;
  std::string spec_json;
  WorkflowStatus status;
};

Result<Workflow> DecodeWorkflow(const kube::Document& document);
// kInvalid, "InvalidSpec", naming the field. `ns` is where bare references point.
Result<WorkflowSpec> DecodeWorkflowSpec(std::string_view json, std::string_view ns);
// Body for PUT /status.
std::string EncodeWorkflowStatus(const Workflow& workflow);

}  // namespace certflow::api
