#include "controller/api/workflow.h"

#include "controller/api/fields.h"
#include "controller/kube/document_json.h"

namespace certflow::api {

namespace {

std::optional<ApprovalGate> ReadGate(const Fields& approval, const char* key) {
  if (!approval.has(key)) return std::nullopt;
  ApprovalGate gate;
  Fields fields = approval.Object(key);
  gate.timeout = fields.Seconds("timeout").value_or(gate.timeout);
  fields.Each("layers", [&](const Fields& item) {
    ApprovalLayer layer;
    layer.name = item.String("name");
    layer.required = static_cast<int>(item.Int("required", 1));
    Fields approvers = item.Object("approvers");
    layer.users = approvers.Strings("users");
    layer.groups = approvers.Strings("groups");
    gate.layers.push_back(std::move(layer));
  });
  if (gate.layers.empty()) fields.Fail("layers", "a list of at least one layer");
  return gate;
}

RetryRule ReadRetry(const Fields& fields, const RetryRule& otherwise) {
  RetryRule rule;
  rule.limit = static_cast<int>(fields.Int("retryLimit", otherwise.limit));
  rule.backoff = fields.Seconds("retryBackoff").value_or(otherwise.backoff);
  return rule;
}

bool IsCommonOfTargets(std::string_view key) {
  return key == "targetRef" || key == "targetSelector" || key == "retryLimit" ||
         key == "retryBackoff";
}

// The union's member is the one that is not common to all types.
TargetUse ReadTargetUse(const Fields& item, std::string_view ns, const RetryRule& retry) {
  TargetUse use;
  use.selector = ReadSelector(item.Object("targetSelector"));
  use.namespaces = item.Object("targetSelector").Strings("namespaces");
  use.retry = ReadRetry(item, retry);
  if (item.has("targetRef")) use.target = ReadReference(item.Object("targetRef"), ns);
  if (item.raw() != nullptr) {
    for (const auto& [key, value] : item.raw()->items()) {
      if (IsCommonOfTargets(key)) continue;
      use.type = key;
      use.settings = Text(value);
    }
  }
  if (use.type.empty() || use.target.name.empty() == use.selector.empty()) {
    item.Fail("", "a targetRef or a targetSelector, and the settings of one type of target");
  }
  return use;
}

// "01:00"; the schema has checked the form.
std::optional<std::chrono::minutes> ReadTimeOfDay(const Fields& fields, const char* key) {
  if (!fields.has(key)) return std::nullopt;
  const std::string text = fields.String(key);
  auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '9'; };
  bool form = text.size() == 5 && digit(0) && digit(1) && text[2] == ':' && digit(3) && digit(4);
  int hours = form ? (text[0] - '0') * 10 + text[1] - '0' : 24;
  int minutes = form ? (text[3] - '0') * 10 + text[4] - '0' : 60;
  if (hours > 23 || minutes > 59) {
    fields.Fail(key, "a time of day such as \"01:00\"");
    return std::nullopt;
  }
  return std::chrono::hours(hours) + std::chrono::minutes(minutes);
}

void ReadDeployment(const Fields& deployment, std::string_view ns, WorkflowSpec& spec) {
  spec.deploy_at = ReadTimeOfDay(deployment, "at");
  spec.time_zone = deployment.String("timeZone", spec.time_zone);
  spec.retry = ReadRetry(deployment, spec.retry);
  deployment.Each("waves", [&](const Fields& item) {
    Wave wave;
    wave.name = item.String("name");
    wave.parallelism = static_cast<int>(item.Int("parallelism", wave.parallelism));
    item.Each("targets", [&](const Fields& use) {
      wave.targets.push_back(ReadTargetUse(use, ns, spec.retry));
    });
    wave.endpoints = item.Strings("endpoints");
    spec.waves.push_back(std::move(wave));
  });
}

PurgeUse ReadPurge(const Fields& item, std::string_view ns) {
  return {ReadReference(item.Object("channelRef"), ns), item.Strings("hosts"),
          item.Strings("urls")};
}

void ReadCertificateSpec(const Fields& certificate, WorkflowSpec& spec) {
  spec.common_name = certificate.String("commonName");
  spec.dns_names = certificate.Strings("dnsNames");
  if (spec.dns_names.empty()) certificate.Fail("dnsNames", "a list of at least one DNS name");
  spec.secret_name = certificate.String("secretName");
  if (spec.secret_name.empty()) certificate.Fail("secretName", "the name of a Secret");
  Fields key = certificate.Object("privateKey");
  bool rsa = key.String("algorithm", "ECDSA") == "RSA";
  spec.key.algorithm = rsa ? pki::KeyAlgorithm::kRsa : pki::KeyAlgorithm::kEcdsa;
  spec.key.size = static_cast<int>(key.Int("size", rsa ? 2048 : 256));
}

NotificationRule ReadRule(const Fields& item, std::string_view ns) {
  NotificationRule rule;
  rule.channel = ReadReference(item.Object("channelRef"), ns);
  rule.events = item.Strings("events");
  rule.to = item.Strings("to");
  rule.cc = item.Strings("cc");
  rule.bcc = item.Strings("bcc");
  rule.subject = item.StringMap("subject");
  rule.body = item.StringMap("body");
  return rule;
}

WorkflowSpec ReadSpec(const Fields& fields, std::string_view ns) {
  WorkflowSpec spec;
  spec.suspend = fields.Bool("suspend", false);
  spec.environment = fields.String("environment");
  Fields owner = fields.Object("owner");
  spec.owner_team = owner.String("team");
  spec.owner_contact = owner.String("contact");
  spec.owner_escalation = owner.Strings("escalation");
  ReadCertificateSpec(fields.Object("certificate"), spec);
  fields.Each("authorities", [&](const Fields& item) {
    spec.authorities.push_back(ReadReference(item, ns));
    if (spec.authorities.back().name.empty()) item.Fail("name", "the name of an authority");
  });
  if (spec.authorities.empty()) {
    fields.Fail("authorities", "a list of at least one authority");
  }
  Fields renewal = fields.Object("renewal");
  spec.renew_before = renewal.Seconds("before");
  if (renewal.has("beforePercent")) {
    spec.renew_before_percent = static_cast<int>(renewal.Int("beforePercent", 0));
  }
  spec.renew_automatically = renewal.String("policy", "Automatic") == "Automatic";
  Fields approval = fields.Object("approval");
  spec.renewal_gate = ReadGate(approval, "renewal");
  spec.deployment_gate = ReadGate(approval, "deployment");
  spec.requester_may_approve = approval.String("requester", "Forbidden") == "Allowed";
  ReadDeployment(fields.Object("deployment"), ns, spec);
  fields.Each("purge", [&](const Fields& item) { spec.purges.push_back(ReadPurge(item, ns)); });
  Fields validation = fields.Object("validation");
  spec.endpoints = validation.Strings("endpoints");
  spec.server_name = validation.String("serverName");
  spec.trust =
      validation.String("trust", "System") == "Authority" ? Trust::kAuthority : Trust::kSystem;
  spec.min_tls = validation.String("minTLS", "1.2");
  spec.validation_timeout = validation.Seconds("timeout").value_or(spec.validation_timeout);
  std::string rollback = fields.Object("rollback").String("policy", "Automatic");
  spec.rollback = rollback == "Manual" ? RollbackPolicy::kManual
                  : rollback == "Hold" ? RollbackPolicy::kHold
                                       : RollbackPolicy::kAutomatic;
  fields.Each("notifications",
              [&](const Fields& item) { spec.notifications.push_back(ReadRule(item, ns)); });
  Fields history = fields.Object("historyLimit");
  spec.keep_successful = static_cast<int>(history.Int("successful", spec.keep_successful));
  spec.keep_failed = static_cast<int>(history.Int("failed", spec.keep_failed));
  return spec;
}

ActiveRunStatus ReadActiveRun(const Fields& fields) {
  return {fields.String("name"), fields.String("step"), fields.String("waitingFor"),
          fields.Time("until")};
}

WorkflowStatus ReadStatus(const Fields& fields) {
  WorkflowStatus status;
  status.observed_generation = fields.Int("observedGeneration", -1);
  status.conditions = ReadConditions(fields);
  status.phase = fields.String("phase");
  if (fields.has("certificate")) status.certificate = ReadCertificate(fields.Object("certificate"));
  status.next_renewal = fields.Time("nextRenewal");
  if (fields.has("activeRun")) status.active_run = ReadActiveRun(fields.Object("activeRun"));
  if (fields.has("lastRun")) {
    Fields last = fields.Object("lastRun");
    status.last_run = LastRunStatus{last.String("name"), last.String("state"),
                                    last.String("message"), last.Time("endedAt")};
  }
  status.runs = fields.Int("runs", 0);
  for (const std::string& text : fields.Strings("issuances")) {
    if (auto time = ParseTime(text); time.ok()) status.issuances.push_back(*time);
  }
  status.handled_renewal = fields.String("handledRenewal");
  status.rolled_back_at = fields.Time("rolledBackAt");
  status.spec_digest = fields.String("specDigest");
  return status;
}

}  // namespace

Result<Workflow> DecodeWorkflow(const kube::Document& document) {
  const Json& json = kube::Json(document);
  std::optional<Error> fault;
  Fields root(&json, "", &fault);
  Workflow workflow;
  workflow.meta = ReadMeta(json);
  workflow.spec_json = root.Text("spec");
  workflow.status = ReadStatus(root.Object("status"));
  if (fault.has_value()) return *fault;
  return workflow;
}

Result<WorkflowSpec> DecodeWorkflowSpec(std::string_view json, std::string_view ns) {
  Json parsed = Json::parse(json, nullptr, false);
  std::optional<Error> fault;
  Fields fields(&parsed, "spec", &fault);
  WorkflowSpec spec = ReadSpec(fields, ns);
  if (!parsed.is_object()) fields.Fail("", "an object");
  if (fault.has_value()) {
    fault->reason = "InvalidSpec";
    return *fault;
  }
  return spec;
}

std::string EncodeWorkflowStatus(const Workflow& workflow) {
  const WorkflowStatus& status = workflow.status;
  Json out = {{"observedGeneration", status.observed_generation}, {"runs", status.runs}};
  out["conditions"] = WriteConditions(status.conditions);
  Put(out, "phase", status.phase);
  if (status.certificate) out["certificate"] = WriteCertificate(*status.certificate);
  Put(out, "nextRenewal", status.next_renewal);
  if (status.active_run) {
    Json active = {{"name", status.active_run->name}};
    Put(active, "step", status.active_run->step);
    Put(active, "waitingFor", status.active_run->waiting_for);
    Put(active, "until", status.active_run->until);
    out["activeRun"] = std::move(active);
  }
  if (status.last_run) {
    Json last = {{"name", status.last_run->name}, {"state", status.last_run->state}};
    Put(last, "message", status.last_run->message);
    Put(last, "endedAt", status.last_run->ended_at);
    out["lastRun"] = std::move(last);
  }
  std::vector<std::string> issuances;
  for (WallTime time : status.issuances) issuances.push_back(FormatTime(time));
  Put(out, "issuances", issuances);
  Put(out, "handledRenewal", status.handled_renewal);
  Put(out, "rolledBackAt", status.rolled_back_at);
  Put(out, "specDigest", status.spec_digest);
  Json envelope = StatusEnvelope(workflow.meta, WorkflowResource());
  envelope["status"] = std::move(out);
  return Text(envelope);
}

}  // namespace certflow::api
