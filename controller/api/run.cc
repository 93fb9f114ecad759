#include "controller/api/run.h"

#include <algorithm>
#include <cctype>

#include "controller/api/fields.h"
#include "controller/api/run_status.h"
#include "controller/base/base64.h"
#include "controller/kube/document_json.h"

namespace certflow::api {

namespace {

constexpr Names<TriggerReason, 6> kTriggerReasons = {
    {{TriggerReason::kFirstIssue, "FirstIssue"},
     {TriggerReason::kRollbackRequested, "RollbackRequested"},
     {TriggerReason::kThreshold, "Threshold"},
     {TriggerReason::kExpired, "Expired"},
     {TriggerReason::kSpecChanged, "SpecChanged"},
     {TriggerReason::kRequested, "Requested"}}};
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
  run.status = ReadRunStatus(root.Object("status"));
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
  Json envelope = StatusEnvelope(run.meta, RunResource());
  envelope["status"] = WriteRunStatus(run.status);
  return Text(envelope);
}

}  // namespace certflow::api
