#include "controller/api/run.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "controller/api/fields.h"
#include "controller/base/base64.h"
#include "controller/kube/document_json.h"

namespace certflow::api {

namespace {

template <typename E, std::size_t N>
using Names = std::array<std::pair<E, std::string_view>, N>;

template <typename E, std::size_t N>
std::string_view NameOf(const Names<E, N>& names, E value) {
  for (const auto& [candidate, name] : names) {
    if (candidate == value) return name;
  }
  return "";
}

template <typename E, std::size_t N>
E ValueOf(const Names<E, N>& names, const Fields& fields, const char* key, E otherwise) {
  std::string text = fields.String(key);
  if (text.empty()) return otherwise;
  for (const auto& [value, name] : names) {
    if (name == text) return value;
  }
  fields.Fail(key, "one of the values that this version of certflow knows");
  return otherwise;
}

constexpr Names<TriggerReason, 6> kTriggerReasons = {
    {{TriggerReason::kFirstIssue, "FirstIssue"},
     {TriggerReason::kRollbackRequested, "RollbackRequested"},
     {TriggerReason::kThreshold, "Threshold"},
     {TriggerReason::kExpired, "Expired"},
     {TriggerReason::kSpecChanged, "SpecChanged"},
     {TriggerReason::kRequested, "Requested"}}};
constexpr Names<RunState, 9> kRunStates = {{{RunState::kPending, "Pending"},
                                            {RunState::kRunning, "Running"},
                                            {RunState::kWaiting, "Waiting"},
                                            {RunState::kMitigating, "Mitigating"},
                                            {RunState::kSucceeded, "Succeeded"},
                                            {RunState::kFailed, "Failed"},
                                            {RunState::kRolledBack, "RolledBack"},
                                            {RunState::kHeld, "Held"},
                                            {RunState::kCancelled, "Cancelled"}}};
constexpr Names<EntryState, 6> kEntryStates = {{{EntryState::kPending, "Pending"},
                                                {EntryState::kIntended, "Intended"},
                                                {EntryState::kDone, "Done"},
                                                {EntryState::kFailed, "Failed"},
                                                {EntryState::kSkipped, "Skipped"},
                                                {EntryState::kReverted, "Reverted"}}};
constexpr Names<OutboxState, 3> kOutboxStates = {{{OutboxState::kPending, "Pending"},
                                                  {OutboxState::kSent, "Sent"},
                                                  {OutboxState::kFailed, "Failed"}}};

// ---- reading

LedgerEntry ReadEntry(const Fields& fields) {
  LedgerEntry entry;
  entry.id = fields.String("id");
  entry.step = fields.String("step");
  entry.target = fields.String("target");
  entry.state = ValueOf(kEntryStates, fields, "state", EntryState::kPending);
  entry.attempts = static_cast<int>(fields.Int("attempts", 0));
  entry.started_at = fields.Time("startedAt");
  entry.ended_at = fields.Time("endedAt");
  entry.not_before = fields.Time("notBefore");
  entry.reason = fields.String("reason");
  entry.message = fields.String("message");
  entry.memo = fields.StringMap("memo");
  return entry;
}

Decision ReadDecision(const Fields& fields) {
  Decision decision;
  decision.gate = fields.String("gate");
  decision.layer = fields.String("layer");
  decision.user = fields.String("user");
  decision.groups = fields.Strings("groups");
  decision.approved = fields.String("decision") == "Approved";
  decision.time = fields.Time("time").value_or(WallTime{});
  decision.digest = fields.String("digest");
  decision.reason = fields.String("reason");
  decision.source = fields.String("source");
  return decision;
}

Evidence ReadEvidence(const Fields& fields) {
  Evidence evidence;
  evidence.wave = static_cast<int>(fields.Int("wave", 0));
  evidence.endpoint = fields.String("endpoint");
  evidence.address = fields.String("address");
  evidence.fingerprint = fields.String("fingerprint");
  evidence.issuer = fields.String("issuer");
  evidence.tls_version = fields.String("tlsVersion");
  evidence.message = fields.String("message");
  evidence.passed = fields.String("verdict") == "Passed";
  evidence.not_after = fields.Time("notAfter");
  evidence.time = fields.Time("time").value_or(WallTime{});
  return evidence;
}

DeploymentRecord ReadDeployment(const Fields& fields) {
  DeploymentRecord record;
  record.id = fields.String("id");
  record.target = fields.String("target");
  record.type = fields.String("type");
  record.wave = static_cast<int>(fields.Int("wave", 0));
  record.device = fields.String("device");
  record.address = fields.String("address");
  record.port = static_cast<int>(fields.Int("port", 0));
  record.virtual_host = fields.String("virtualHost");
  record.server_name = fields.String("serverName");
  record.side = fields.String("side");
  record.profile = fields.String("profile");
  record.location = fields.String("location");
  record.state = fields.String("state");
  record.version = fields.String("version");
  record.previous = fields.String("previous");
  record.fingerprint = fields.String("fingerprint");
  record.time = fields.Time("time").value_or(WallTime{});
  return record;
}

OutboxEntry ReadOutboxEntry(const Fields& fields) {
  OutboxEntry entry;
  entry.id = fields.String("id");
  entry.event = fields.String("event");
  std::string channel = fields.String("channel");
  std::size_t slash = channel.find('/');
  if (slash != std::string::npos) {
    entry.channel = {channel.substr(slash + 1), channel.substr(0, slash)};
  }
  entry.rule = static_cast<int>(fields.Int("rule", 0));
  entry.state = ValueOf(kOutboxStates, fields, "state", OutboxState::kPending);
  entry.attempts = static_cast<int>(fields.Int("attempts", 0));
  entry.next_attempt = fields.Time("nextAttempt");
  entry.message = fields.String("message");
  return entry;
}

void ReadLists(const Fields& fields, RunStatus& status) {
  fields.Each("ledger", [&](const Fields& item) { status.ledger.push_back(ReadEntry(item)); });
  fields.Each("checks", [&](const Fields& item) {
    status.checks.push_back({item.String("name"), item.String("subject"), item.String("value"),
                             item.String("verdict"), item.String("message"), item.String("phase")});
  });
  fields.Each("approvals",
              [&](const Fields& item) { status.approvals.push_back(ReadDecision(item)); });
  fields.Each("refusals", [&](const Fields& item) {
    status.refusals.push_back({item.Time("time").value_or(WallTime{}), item.String("source"),
                               item.String("user"), item.String("message")});
  });
  fields.Each("evidence",
              [&](const Fields& item) { status.evidence.push_back(ReadEvidence(item)); });
  fields.Each("deployments",
              [&](const Fields& item) { status.deployments.push_back(ReadDeployment(item)); });
  fields.Each("outbox",
              [&](const Fields& item) { status.outbox.push_back(ReadOutboxEntry(item)); });
  fields.Each("challenges", [&](const Fields& item) {
    status.challenges.push_back(
        {item.String("domain"), item.String("token"), item.String("keyAuthorization")});
  });
}

RunStatus ReadStatus(const Fields& fields) {
  RunStatus status;
  status.state = ValueOf(kRunStates, fields, "state", RunState::kPending);
  status.step = fields.String("step");
  status.waiting_for = fields.String("waitingFor");
  status.until = fields.Time("until");
  status.started_at = fields.Time("startedAt");
  status.ended_at = fields.Time("endedAt");
  status.reason = fields.String("reason");
  status.message = fields.String("message");
  if (fields.has("rollback")) {
    Fields rollback = fields.Object("rollback");
    status.rollback = RollbackAnswer{rollback.String("source"), rollback.String("run")};
  }
  status.conditions = ReadConditions(fields);
  ReadLists(fields, status);
  if (fields.has("certificate")) status.certificate = ReadCertificate(fields.Object("certificate"));
  if (fields.has("previousCertificate")) {
    status.previous = ReadCertificate(fields.Object("previousCertificate"));
  }
  return status;
}

// ---- writing

Json WriteEntry(const LedgerEntry& entry) {
  Json out = {{"id", entry.id},
              {"step", entry.step},
              {"state", NameOf(kEntryStates, entry.state)},
              {"attempts", entry.attempts}};
  Put(out, "target", entry.target);
  Put(out, "startedAt", entry.started_at);
  Put(out, "endedAt", entry.ended_at);
  Put(out, "notBefore", entry.not_before);
  Put(out, "reason", entry.reason);
  Put(out, "message", entry.message);
  if (!entry.memo.empty()) out["memo"] = entry.memo;
  return out;
}

Json WriteCheck(const CheckRecord& check) {
  Json out = {{"name", check.name}, {"value", check.value}, {"verdict", check.verdict}};
  Put(out, "subject", check.subject);
  Put(out, "message", check.message);
  Put(out, "phase", check.phase);
  return out;
}

Json WriteDecision(const Decision& decision) {
  Json out = {{"gate", decision.gate},
              {"user", decision.user},
              {"decision", decision.approved ? "Approved" : "Rejected"},
              {"time", FormatTime(decision.time)}};
  Put(out, "layer", decision.layer);
  Put(out, "groups", decision.groups);
  Put(out, "digest", decision.digest);
  Put(out, "reason", decision.reason);
  Put(out, "source", decision.source);
  return out;
}

Json WriteEvidence(const Evidence& evidence) {
  Json out = {{"wave", evidence.wave},
              {"endpoint", evidence.endpoint},
              {"verdict", evidence.passed ? "Passed" : "Failed"},
              {"time", FormatTime(evidence.time)}};
  Put(out, "address", evidence.address);
  Put(out, "fingerprint", evidence.fingerprint);
  Put(out, "issuer", evidence.issuer);
  Put(out, "tlsVersion", evidence.tls_version);
  Put(out, "message", evidence.message);
  Put(out, "notAfter", evidence.not_after);
  return out;
}

Json WriteDeployment(const DeploymentRecord& record) {
  Json out = {{"id", record.id},
              {"target", record.target},
              {"type", record.type},
              {"wave", record.wave},
              {"device", record.device},
              {"state", record.state},
              {"time", FormatTime(record.time)}};
  Put(out, "address", record.address);
  if (record.port > 0) out["port"] = record.port;
  Put(out, "virtualHost", record.virtual_host);
  Put(out, "serverName", record.server_name);
  Put(out, "side", record.side);
  Put(out, "profile", record.profile);
  Put(out, "location", record.location);
  Put(out, "version", record.version);
  Put(out, "previous", record.previous);
  Put(out, "fingerprint", record.fingerprint);
  return out;
}

Json WriteOutboxEntry(const OutboxEntry& entry) {
  Json out = {{"id", entry.id},
              {"event", entry.event},
              {"channel", entry.channel.ns + "/" + entry.channel.name},
              {"rule", entry.rule},
              {"state", NameOf(kOutboxStates, entry.state)},
              {"attempts", entry.attempts}};
  Put(out, "nextAttempt", entry.next_attempt);
  Put(out, "message", entry.message);
  return out;
}

template <typename T, typename Write>
void PutList(Json& out, const char* key, const std::vector<T>& list, std::size_t limit,
             Write write) {
  if (list.empty()) return;
  Json array = Json::array();
  std::size_t first = list.size() > limit ? list.size() - limit : 0;
  for (std::size_t i = first; i < list.size(); ++i) array.push_back(write(list[i]));
  out[key] = std::move(array);
}

Json WriteLists(const RunStatus& status) {
  Json out = Json::object();
  PutList(out, "ledger", status.ledger, kMaxLedger, WriteEntry);
  PutList(out, "checks", status.checks, kMaxChecks, WriteCheck);
  PutList(out, "approvals", status.approvals, kMaxDecisions, WriteDecision);
  PutList(out, "refusals", status.refusals, kMaxRefusals, [](const Refusal& refusal) {
    Json item = {{"time", FormatTime(refusal.time)}, {"message", refusal.message}};
    Put(item, "source", refusal.source);
    Put(item, "user", refusal.user);
    return item;
  });
  PutList(out, "evidence", status.evidence, kMaxEvidence, WriteEvidence);
  PutList(out, "deployments", status.deployments, kMaxDeployments, WriteDeployment);
  PutList(out, "outbox", status.outbox, kMaxOutbox, WriteOutboxEntry);
  PutList(out, "challenges", status.challenges, kMaxChallenges, [](const ServedChallenge& c) {
    Json item = {{"token", c.token}, {"keyAuthorization", c.key_authorization}};
    Put(item, "domain", c.domain);
    return item;
  });
  return out;
}

}  // namespace

bool IsTerminal(RunState state) {
  switch (state) {
    case RunState::kPending:
    case RunState::kRunning:
    case RunState::kWaiting:
    case RunState::kMitigating:
      return false;
    case RunState::kSucceeded:
    case RunState::kFailed:
    case RunState::kRolledBack:
    case RunState::kHeld:
    case RunState::kCancelled:
      return true;
  }
  return false;
}

std::string_view TriggerReasonName(TriggerReason reason) { return NameOf(kTriggerReasons, reason); }
std::string_view RunStateName(RunState state) { return NameOf(kRunStates, state); }

std::string Run::DisplayName() const {
  std::string name = meta.name;
  if (name.starts_with("st-")) name.replace(0, 2, "ST");
  return name;
}

Result<Run> DecodeRun(const kube::Document& document) {
  const Json& json = kube::Json(document);
  std::optional<Error> fault;
  Fields root(&json, "", &fault);
  Fields spec = root.Object("spec");
  Run run;
  run.meta = ReadMeta(json);
  run.workflow_name = spec.Object("workflowRef").String("name");
  run.workflow_uid = spec.Object("workflowRef").String("uid");
  run.number = spec.Int("number", 0);
  Fields trigger = spec.Object("trigger");
  run.trigger.reason = ValueOf(kTriggerReasons, trigger, "reason", TriggerReason::kRequested);
  run.trigger.urgency =
      trigger.String("urgency") == "Emergency" ? Urgency::kEmergency : Urgency::kNormal;
  run.trigger.requested_by = trigger.String("requestedBy");
  run.trigger.payload = trigger.String("payload");
  run.plan_json = spec.Text("plan");
  run.plan_digest = spec.String("planDigest");
  run.runbook_version = spec.String("runbookVersion");
  run.status = ReadStatus(root.Object("status"));
  if (fault.has_value()) return *fault;
  return run;
}

std::string RollbackSource(std::string_view annotation) {
  return "rollback: " + Sanitize(annotation, 256);
}

DecisionKind DecisionKindOf(std::string_view annotation) {
  auto is = [&](std::string_view name) {
    return annotation.starts_with(name) &&
           (annotation.size() == name.size() || annotation[name.size()] == '.');
  };
  if (is(kApproveAnnotation)) return DecisionKind::kApprove;
  return is(kRejectAnnotation) ? DecisionKind::kReject : DecisionKind::kNone;
}

std::string DecisionSource(std::string_view text, bool on_workflow) {
  return (on_workflow ? "workflow: " : "") + Sanitize(text, 512);
}

bool IsDecisionRecorded(const RunStatus& status, DecisionKind kind, std::string_view source) {
  bool approve = kind == DecisionKind::kApprove;
  return std::any_of(
             status.approvals.begin(), status.approvals.end(),
             [&](const Decision& d) { return d.source == source && d.approved == approve; }) ||
         std::any_of(status.refusals.begin(), status.refusals.end(),
                     [&](const Refusal& r) { return r.source == source; });
}

namespace {

bool OwesSomething(const Run& run) {
  // A request to roll back needs the whole ledger; it stays as long as the annotation does.
  if (run.meta.has_run_finalizer || run.meta.annotations.contains(std::string(kRollbackAnnotation)))
    return true;
  for (const auto& [key, value] : run.meta.annotations) {
    DecisionKind kind = DecisionKindOf(key);
    if (kind != DecisionKind::kNone &&
        !IsDecisionRecorded(run.status, kind, DecisionSource(value, false))) {
      return true;
    }
  }
  return std::any_of(run.status.outbox.begin(), run.status.outbox.end(),
                     [](const auto& e) { return e.state == OutboxState::kPending; });
}

}  // namespace

Reference AuthorityOf(const Run& run) {
  if (run.plan_json.empty()) return run.authority;
  Json plan = Json::parse(run.plan_json, nullptr, false);
  std::optional<Error> fault;
  return ReadReference(Fields(&plan, "spec.plan", &fault).Object("authority"), run.meta.ns);
}

void Compact(Run& run) {
  if (!IsTerminal(run.status.state) || OwesSomething(run)) return;
  RunStatus head;
  head.state = run.status.state;
  head.reason = std::move(run.status.reason);
  head.message = std::move(run.status.message);
  head.ended_at = run.status.ended_at;
  head.certificate = std::move(run.status.certificate);
  run.status = std::move(head);
  run.wanted_digest = WantedDigestOf(run);
  // Asked for only where the certificate may not be in force.
  if (run.status.state != RunState::kSucceeded) run.authority = AuthorityOf(run);
  run.plan_json = {};
  run.meta.annotations.clear();
}

std::string EncodeRunStatus(const Run& run) {
  const RunStatus& status = run.status;
  Json out = WriteLists(status);
  out["state"] = NameOf(kRunStates, status.state);
  out["conditions"] = WriteConditions(status.conditions);
  Put(out, "step", status.step);
  Put(out, "waitingFor", status.waiting_for);
  Put(out, "until", status.until);
  Put(out, "startedAt", status.started_at);
  Put(out, "endedAt", status.ended_at);
  Put(out, "reason", status.reason);
  Put(out, "message", status.message);
  if (status.rollback) {
    out["rollback"] = {{"source", status.rollback->source}, {"run", status.rollback->run}};
  }
  if (status.certificate) out["certificate"] = WriteCertificate(*status.certificate);
  if (status.previous) out["previousCertificate"] = WriteCertificate(*status.previous);
  Json envelope = StatusEnvelope(run.meta, RunResource());
  envelope["status"] = std::move(out);
  return Text(envelope);
}

}  // namespace certflow::api
