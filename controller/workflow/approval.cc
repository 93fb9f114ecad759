#include "controller/workflow/approval.h"

#include <algorithm>
#include <utility>

#include "controller/workflow/run_id.h"

namespace certflow::workflow {

namespace {

constexpr std::string_view kForm =
    "GATE by USER[ in GROUP,GROUP][ for sha256:DIGEST][ because TEXT]";

Error Malformed(std::string_view what, bool on_workflow) {
  return MakeError(ErrorCode::kInvalid, "DecisionMalformed",
                   std::string(what) + "; write '" + (on_workflow ? "RUN " : "") +
                       std::string(kForm) + "' with GATE renewal, deployment or rollback");
}

// Takes the next word off the front.
std::string_view TakeWord(std::string_view& text) {
  std::size_t end = std::min(text.find(' '), text.size());
  std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

// Takes `keyword` and the space behind it off the front, where they stand there.
bool TakeKeyword(std::string_view& text, std::string_view keyword) {
  std::string_view rest = text;
  if (TakeWord(rest) != keyword) return false;
  text = rest;
  return true;
}

// Nothing where a name is empty: a stray comma names nobody.
std::vector<std::string> SplitCommas(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    std::size_t end = std::min(text.find(','), text.size());
    if (end == 0) return {};
    out.emplace_back(text.substr(0, end));
    if (end == text.size()) return out;
    text.remove_prefix(end + 1);
  }
}

bool IsDigest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  return text.starts_with(kPrefix) && text.size() == kPrefix.size() + 64 &&
         text.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string_view::npos;
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool IsGate(std::string_view word) {
  return word == kGateRenewal || word == kGateDeployment || word == kGateRollback;
}

bool Contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool Admits(const api::ApprovalLayer& layer, std::string_view user,
            const std::vector<std::string>& groups) {
  return Contains(layer.users, user) ||
         std::any_of(groups.begin(), groups.end(),
                     [&](const std::string& group) { return Contains(layer.groups, group); });
}

}  // namespace

Result<WrittenDecision> ParseDecision(std::string_view text, bool on_workflow) {
  if (text.size() > kMaxDecisionBytes) return Malformed("the decision is too long", on_workflow);
  if (HasControl(text)) return Malformed("the decision is not one line of text", on_workflow);
  WrittenDecision out;
  std::string_view rest = text;
  if (on_workflow) {
    out.run = CanonicalRunName(TakeWord(rest));
    if (!out.run.starts_with("st-")) return Malformed("the run is not named", on_workflow);
  }
  out.gate = TakeWord(rest);
  if (!IsGate(out.gate)) return Malformed("the gate is not named", on_workflow);
  if (TakeWord(rest) != "by") return Malformed("\"by USER\" is missing", on_workflow);
  out.user = TakeWord(rest);
  if (out.user.empty() || out.user.find(',') != std::string::npos) {
    return Malformed("the user is not named", on_workflow);
  }
  if (TakeKeyword(rest, "in")) {
    out.groups = SplitCommas(TakeWord(rest));
    if (out.groups.empty()) return Malformed("no group is named after \"in\"", on_workflow);
  }
  if (TakeKeyword(rest, "for")) {
    out.digest = TakeWord(rest);
    if (!IsDigest(out.digest)) return Malformed("\"for\" names no digest", on_workflow);
  }
  if (TakeKeyword(rest, "because")) {
    if (rest.empty()) return Malformed("no reason follows \"because\"", on_workflow);
    out.reason = Sanitize(std::exchange(rest, {}), 256);
  }
  if (rest.empty() && !text.ends_with(' ')) return out;
  return Malformed("\"" + Sanitize(TakeWord(rest), 64) + "\" is not understood", on_workflow);
}

std::optional<api::ApprovalGate> GateOf(const api::WorkflowSpec& spec, std::string_view name) {
  if (name == kGateRenewal) return spec.renewal_gate;
  if (name == kGateDeployment) return spec.deployment_gate;
  if (name == kGateRollback && spec.rollback == api::RollbackPolicy::kManual) {
    if (spec.deployment_gate) return spec.deployment_gate;
    // Nobody is listed: whoever has the verb approve, which the admission policy proved.
    api::ApprovalGate anybody;
    anybody.layers.push_back({"operator", {}, {}, 1});
    return anybody;
  }
  return std::nullopt;
}

namespace {

bool AdmitsAnybody(const api::ApprovalLayer& layer) {
  return layer.users.empty() && layer.groups.empty();
}

}  // namespace

const api::ApprovalLayer* AdmittingLayer(const api::ApprovalGate& gate, std::string_view user,
                                         const std::vector<std::string>& groups,
                                         std::string_view open_layer) {
  auto admits = [&](const api::ApprovalLayer& layer) {
    return AdmitsAnybody(layer) || Admits(layer, user, groups);
  };
  auto open = std::find_if(gate.layers.begin(), gate.layers.end(),
                           [&](const auto& layer) { return layer.name == open_layer; });
  auto it = std::find_if(open, gate.layers.end(), admits);
  if (it == gate.layers.end()) it = std::find_if(gate.layers.begin(), gate.layers.end(), admits);
  return it == gate.layers.end() ? nullptr : &*it;
}

GateState EvaluateGate(const api::ApprovalGate& gate, std::string_view name,
                       const std::vector<api::Decision>& decisions) {
  std::vector<const api::Decision*> unused;
  for (const api::Decision& decision : decisions) {
    if (decision.gate != name) continue;
    if (!decision.approved) return {false, decision.user, "", 0};
    bool twice = std::any_of(unused.begin(), unused.end(), [&](const api::Decision* earlier) {
      return earlier->user == decision.user;
    });
    if (!twice) unused.push_back(&decision);
  }
  for (const api::ApprovalLayer& layer : gate.layers) {
    int given = 0;
    for (auto it = unused.begin(); it != unused.end() && given < layer.required;) {
      bool counts = AdmitsAnybody(layer) || Admits(layer, (*it)->user, (*it)->groups);
      given += counts ? 1 : 0;
      it = counts ? unused.erase(it) : it + 1;
    }
    if (given < layer.required) return {false, "", layer.name, layer.required - given};
  }
  return {true, "", "", 0};
}

namespace {

std::string WhyRefused(const DecisionContext& context, const WrittenDecision& written,
                       const std::optional<api::ApprovalGate>& gate, WallTime written_at) {
  const api::Run& run = context.run;
  if (context.on_workflow && written.run != run.meta.name) {
    return "it names " + DisplayRunName(written.run) + ", the active run is " + run.DisplayName();
  }
  if (!written.digest.empty() && written.digest != run.plan_digest) {
    return "it is for plan " + Sanitize(written.digest, 80) + ", this run's plan is " +
           run.plan_digest;
  }
  if (!gate) return "the plan has no gate " + written.gate;
  if (written.gate != context.open_gate) {
    return "the gate " + written.gate + " does not wait for a decision now";
  }
  if (written_at < run.meta.created) return "it was written before the run was made";
  if (!context.plan.spec.requester_may_approve && written.user == run.trigger.requested_by) {
    return written.user +
           " caused this run and may not decide on it (approval.requester is "
           "Forbidden)";
  }
  if (AdmittingLayer(*gate, written.user, written.groups) == nullptr) {
    return written.user + " is not among the approvers of gate " + written.gate +
           "; a group counts when it is claimed with \"in GROUP\"";
  }
  for (const api::Decision& earlier : run.status.approvals) {
    if (earlier.gate == written.gate && earlier.user == written.user) {
      return written.user + " has decided on gate " + written.gate + " already";
    }
  }
  return "";
}

}  // namespace

DecisionVerdict JudgeDecision(const DecisionContext& context, bool approve, std::string_view source,
                              WallTime written_at) {
  auto written = ParseDecision(source, context.on_workflow);
  if (!written.ok()) {
    return api::Refusal{written_at, Sanitize(source, 512), "", written.error().message};
  }
  auto gate = GateOf(context.plan.spec, written->gate);
  std::string why = WhyRefused(context, *written, gate, written_at);
  if (!why.empty()) {
    return api::Refusal{written_at, Sanitize(source, 512), written->user, Sanitize(why)};
  }
  api::Decision decision;
  decision.gate = written->gate;
  GateState state = EvaluateGate(*gate, written->gate, context.run.status.approvals);
  decision.layer = AdmittingLayer(*gate, written->user, written->groups, state.open_layer)->name;
  decision.user = written->user;
  decision.groups = written->groups;
  decision.approved = approve;
  decision.time = written_at;
  decision.digest = context.run.plan_digest;
  decision.reason = written->reason;
  decision.source = source;
  return decision;
}

std::string ApproversText(const api::ApprovalGate& gate, std::string_view open_layer) {
  std::string out;
  for (const api::ApprovalLayer& layer : gate.layers) {
    if (layer.name != open_layer) continue;
    out = std::to_string(layer.required) + " of";
    for (const std::string& user : layer.users) out += " user " + user;
    for (const std::string& group : layer.groups) out += " group " + group;
    if (AdmitsAnybody(layer)) out += " those who may approve";
  }
  return out;
}

std::string ApproveCommand(const api::Run& run, std::string_view gate, bool approve) {
  return "kubectl annotate workflowrun -n " + run.meta.ns + " " + run.meta.name + " " +
         std::string(approve ? api::kApproveAnnotation : api::kRejectAnnotation) + "='" +
         std::string(gate) + " by YOUR-USER-NAME in YOUR-GROUP'";
}

}  // namespace certflow::workflow
