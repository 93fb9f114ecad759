#include "controller/workflow/outbox.h"

#include <algorithm>

#include "controller/workflow/approval.h"
#include "controller/workflow/ledger.h"

namespace certflow::workflow {

void Tell(const api::Plan& plan, api::Run& run, std::string_view event, std::string_view part) {
  for (std::size_t i = 0; i < plan.spec.notifications.size(); ++i) {
    const api::NotificationRule& rule = plan.spec.notifications[i];
    if (std::find(rule.events.begin(), rule.events.end(), event) == rule.events.end()) continue;
    std::string id = run.meta.name + "." + std::string(event) +
                     (part.empty() ? "" : "." + std::string(part)) + "." + std::to_string(i);
    auto& outbox = run.status.outbox;
    bool told =
        std::any_of(outbox.begin(), outbox.end(), [&](const auto& e) { return e.id == id; });
    if (told || outbox.size() >= api::kMaxOutbox) continue;
    api::OutboxEntry entry;
    entry.id = std::move(id);
    entry.event = event;
    entry.channel = rule.channel;
    entry.rule = static_cast<int>(i);
    outbox.push_back(std::move(entry));
  }
}

namespace {

constexpr std::size_t kMaxFieldBytes = 32u << 10;  // a hundred names of 253 bytes

std::string Join(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& item : list) out += (out.empty() ? "" : ", ") + item;
  return out;
}

// Those of the waves and those of all, each once.
std::vector<std::string> AllEndpoints(const api::WorkflowSpec& spec) {
  std::vector<std::string> out;
  const auto add = [&](const std::vector<std::string>& from) {
    for (const std::string& one : from) {
      if (std::find(out.begin(), out.end(), one) == out.end()) out.push_back(one);
    }
  };
  for (const api::Wave& wave : spec.waves) add(wave.endpoints);
  add(spec.endpoints);
  return out;
}

// "0-NAME (TYPE), 1-NAME (TYPE)"; with more than one wave "first: ...; second: ...".
std::string TargetsText(const api::Plan& plan) {
  const std::vector<api::Wave>& waves = plan.spec.waves;
  std::string out;
  int last = -1;
  for (const api::PlannedTarget& target : plan.targets) {
    const bool begins = waves.size() > 1 && target.wave != last;
    out += out.empty() ? "" : begins ? "; " : ", ";
    if (begins) out += waves[target.wave].name + ": ";
    out += target.id.substr(target.id.find('/') + 1) + " (" + target.type + ")";
    last = target.wave;
  }
  return out;
}

std::string_view WaitingGate(const api::Run& run) {
  for (const api::LedgerEntry& entry : run.status.ledger) {
    if (entry.state != api::EntryState::kPending && entry.state != api::EntryState::kIntended) {
      continue;
    }
    if (entry.step == kStepRenewalConfirmation) return kGateRenewal;
    if (entry.step == kStepDeploymentConfirmation) return kGateDeployment;
    if (entry.step == kStepRollbackConfirmation) return kGateRollback;
  }
  return "";
}

void AddCertificate(std::map<std::string, std::string>& fields, const std::string& prefix,
                    const std::optional<api::CertificateStatus>& certificate) {
  fields[prefix + ".serial"] = certificate ? certificate->serial : "";
  fields[prefix + ".fingerprint"] = certificate ? certificate->fingerprint : "none";
  fields[prefix + ".issuer"] = certificate ? certificate->issuer : "";
  fields[prefix + ".signatureType"] = certificate ? certificate->signature_type : "";
  fields[prefix + ".notAfter"] = certificate ? FormatTime(certificate->not_after) : "none";
}

void AddGate(std::map<std::string, std::string>& fields, const api::Run& run,
             const api::Plan& plan) {
  std::string gate_name(WaitingGate(run));
  auto gate = GateOf(plan.spec, gate_name);
  GateState state = gate ? EvaluateGate(*gate, gate_name, run.status.approvals) : GateState{};
  fields["approval.gate"] = gate_name;
  fields["approval.layer"] = state.open_layer;
  fields["approval.approvers"] = gate ? ApproversText(*gate, state.open_layer) : "";
  fields["approval.approveCommand"] = gate ? ApproveCommand(run, gate_name, true) : "";
  fields["approval.rejectCommand"] = gate ? ApproveCommand(run, gate_name, false) : "";
  fields["approval.until"] = run.status.until ? FormatTime(*run.status.until) : "";
}

}  // namespace

std::map<std::string, std::string> TemplateFields(const api::Run& run, const api::Plan& plan,
                                                  std::string_view event) {
  std::map<std::string, std::string> fields;
  const api::WorkflowSpec& spec = plan.spec;
  fields["event"] = event;
  fields["run.name"] = run.DisplayName();
  fields["run.trigger"] = api::TriggerReasonName(run.trigger.reason);
  fields["run.requestedBy"] = run.trigger.requested_by;
  fields["run.digest"] = run.plan_digest;
  fields["run.state"] = api::RunStateName(run.status.state);
  fields["run.step"] = run.status.step;
  fields["run.message"] = run.status.message.empty() ? WhatFailed(run.status) : run.status.message;
  fields["workflow.name"] = run.workflow_name;
  fields["workflow.namespace"] = run.meta.ns;
  fields["workflow.environment"] = spec.environment;
  fields["owner.team"] = spec.owner_team;
  fields["owner.contact"] = spec.owner_contact;
  fields["authority.name"] = plan.authority.name;
  fields["targets"] = TargetsText(plan);
  fields["endpoints"] = Join(AllEndpoints(spec));
  AddCertificate(fields, "certificate", run.status.certificate);
  AddCertificate(fields, "previousCertificate", run.status.previous);
  fields["certificate.commonName"] =
      spec.common_name.empty() ? spec.dns_names.front() : spec.common_name;
  fields["certificate.dnsNames"] = Join(spec.dns_names);
  AddGate(fields, run, plan);
  // One line each: no value can look like a line of the text around it.
  for (auto& [name, value] : fields) value = Sanitize(value, kMaxFieldBytes);
  return fields;
}

Result<std::string> RenderTemplate(std::string_view text,
                                   const std::map<std::string, std::string>& fields) {
  std::string out;
  while (true) {
    std::size_t open = text.find("{{");
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    std::size_t close = text.find("}}", open);
    if (close == std::string_view::npos) {
      return MakeError(ErrorCode::kInvalid, "TemplateInvalid", "a \"{{\" is not closed");
    }
    std::string_view name = text.substr(open + 2, close - open - 2);
    std::size_t first = name.find_first_not_of(' ');
    std::size_t last = name.find_last_not_of(' ');
    name = first == std::string_view::npos ? "" : name.substr(first, last - first + 1);
    auto it = name.starts_with('.') ? fields.find(std::string(name.substr(1))) : fields.end();
    if (it == fields.end()) {
      return MakeError(ErrorCode::kInvalid, "TemplateInvalid",
                       "there is no field \"" + Sanitize(name, 64) +
                           "\"; fields are written as {{ .certificate.commonName }}");
    }
    out += it->second;
    text.remove_prefix(close + 2);
  }
}

namespace {

constexpr std::string_view kDefaultSubject =
    "[certflow] {{ .event }}: {{ .certificate.commonName }} ({{ .run.name }})";

constexpr std::string_view kHead =
    "Run {{ .run.name }} of workflow {{ .workflow.namespace }}/{{ .workflow.name }}\n"
    "Certificate: {{ .certificate.commonName }} (names: {{ .certificate.dnsNames }})\n"
    "Why: {{ .run.trigger }}\n"
    "Environment: {{ .workflow.environment }}\n"
    "Owner: {{ .owner.team }} {{ .owner.contact }}\n\n";

constexpr std::string_view kApprovalBody =
    "Your decision is asked for: {{ .approval.gate }}, layer {{ .approval.layer }} "
    "({{ .approval.approvers }}), until {{ .approval.until }}.\n\n"
    "What will change:\n"
    "  from: {{ .previousCertificate.fingerprint }} valid until "
    "{{ .previousCertificate.notAfter }}\n"
    "  to: a certificate of {{ .authority.name }}\n"
    "  on: {{ .targets }}\n"
    "  proved at: {{ .endpoints }}\n"
    "Plan: {{ .run.digest }}\n\n"
    "Approve:\n  {{ .approval.approveCommand }}\n"
    "Refuse:\n  {{ .approval.rejectCommand }}\n";

constexpr std::string_view kOutcomeBody =
    "{{ .run.state }}: {{ .run.message }}\n\n"
    "Certificate of this run: {{ .certificate.fingerprint }} valid until "
    "{{ .certificate.notAfter }}\n"
    "Before this run: {{ .previousCertificate.fingerprint }} valid until "
    "{{ .previousCertificate.notAfter }}\n"
    "Targets: {{ .targets }}\n"
    "Proved at: {{ .endpoints }}\n";

const std::string* OwnTemplate(const std::map<std::string, std::string>& templates,
                               const std::string& event) {
  auto it = templates.find(event);
  return it == templates.end() ? nullptr : &it->second;
}

std::string Render(const std::string* own, std::string_view otherwise, const char* what,
                   const std::map<std::string, std::string>& fields, std::string& problem) {
  if (own != nullptr) {
    auto rendered = RenderTemplate(*own, fields);
    if (rendered.ok()) return *rendered;
    problem = std::string("the default ") + what + " was used: " + rendered.error().message;
  }
  // The built-in texts name known fields only; a test renders every one of them.
  auto rendered = RenderTemplate(otherwise, fields);
  return rendered.ok() ? *rendered : std::string(otherwise);
}

}  // namespace

RenderedMail RenderMail(const api::Run& run, const api::Plan& plan, const api::OutboxEntry& entry) {
  RenderedMail mail;
  auto fields = TemplateFields(run, plan, entry.event);
  static const api::NotificationRule kNone;
  bool known = entry.rule >= 0 && entry.rule < static_cast<int>(plan.spec.notifications.size());
  const api::NotificationRule& rule = known ? plan.spec.notifications[entry.rule] : kNone;
  mail.subject = Render(OwnTemplate(rule.subject, entry.event), kDefaultSubject, "subject", fields,
                        mail.problem);
  bool asks = entry.event == kEventApprovalRequested;
  std::string body = std::string(kHead) + std::string(asks ? kApprovalBody : kOutcomeBody);
  mail.body = Render(OwnTemplate(rule.body, entry.event), body, "body", fields, mail.problem);
  return mail;
}

}  // namespace certflow::workflow
