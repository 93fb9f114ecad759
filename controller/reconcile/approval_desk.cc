#include "controller/reconcile/approval_desk.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"
#include "controller/workflow/approval.h"

namespace certflow::reconcile {

namespace {

using Json = nlohmann::json;

struct Written {
  std::string annotation, value;
  api::DecisionKind kind = api::DecisionKind::kNone;
  bool on_workflow = false;
};

void Collect(const api::ObjectMeta& meta, bool on_workflow, std::vector<Written>& out) {
  for (const auto& [key, value] : meta.annotations) {
    api::DecisionKind kind = api::DecisionKindOf(key);
    if (kind == api::DecisionKind::kNone) continue;
    out.push_back({key, value, kind, on_workflow});
  }
}

kube::EventRegarding Regarding(const api::Run& run) {
  return {std::string(api::kApiVersion), "WorkflowRun", run.meta.ns, run.meta.name, run.meta.uid};
}

// What stands on the workflow since before the run was made, for an earlier run, is history: it is
// put on record, so that it is not looked at again, and told to nobody.
bool IsHistory(const Written& written, const api::Run& run, WallTime at) {
  if (!written.on_workflow || at >= run.meta.created) return false;
  auto parsed = workflow::ParseDecision(written.value, true);
  return parsed.ok() && parsed->run != run.meta.name;
}

// Given before the gate asks: it stays where it is and counts when the gate opens.
bool IsAhead(const Written& written, const api::Run& run, std::string_view open_gate) {
  if (api::IsTerminal(run.status.state)) return false;
  auto parsed = workflow::ParseDecision(written.value, written.on_workflow);
  if (!parsed.ok() || parsed->gate == open_gate) return false;
  return std::any_of(run.status.ledger.begin(), run.status.ledger.end(), [&](const auto& entry) {
    return entry.id == "confirmation/" + parsed->gate && entry.state == api::EntryState::kPending;
  });
}

}  // namespace

// The server's own record of who set which field when; the value was set by the last of its owners.
Result<WallTime> ApprovalDesk::WrittenAt(const Context& ctx, const kube::Resource& resource,
                                         const kube::ObjectKey& key, const std::string& annotation,
                                         const std::string& value) {
  CF_ASSIGN_OR_RETURN(auto live, client_.Get(ctx, resource, key));
  const Json& metadata = kube::Json(live)["metadata"];
  if (metadata.value("annotations", Json::object()).value(annotation, "") != value) {
    return MakeError(ErrorCode::kConflict, "AnnotationChanged", "the decision has changed again");
  }
  std::optional<WallTime> last;
  for (const Json& entry : metadata.value("managedFields", Json::array())) {
    Json fields = entry.value("fieldsV1", Json::object());
    bool owns = fields.value("f:metadata", Json::object())
                    .value("f:annotations", Json::object())
                    .contains("f:" + annotation);
    if (!owns) continue;
    auto time = ParseTime(entry.value("time", ""));
    if (time.ok() && (!last || *time > *last)) last = *time;
  }
  if (!last) {
    return MakeError(ErrorCode::kRefused, "DecisionUnproved",
                     "the API server has no record of when it was written; write it again");
  }
  return *last;
}

Result<bool> ApprovalDesk::TakeIn(const Context& ctx, const api::Workflow* workflow,
                                  const api::Plan& plan, std::string_view open_gate,
                                  api::Run& run) {
  std::vector<Written> found;
  Collect(run.meta, false, found);
  if (workflow != nullptr) Collect(workflow->meta, true, found);
  bool recorded = false;
  for (const Written& written : found) {
    std::string source = api::DecisionSource(written.value, written.on_workflow);
    if (api::IsDecisionRecorded(run.status, written.kind, source)) continue;
    if (IsAhead(written, run, open_gate)) continue;
    const kube::Resource& resource =
        written.on_workflow ? api::WorkflowResource() : api::RunResource();
    const kube::ObjectKey key{run.meta.ns, written.on_workflow ? run.workflow_name : run.meta.name};
    auto at = WrittenAt(ctx, resource, key, written.annotation, written.value);
    if (!at.ok() && at.error().code != ErrorCode::kRefused) return at.error();
    auto since = guard_.ProvedSince(ctx);
    if (!since.ok() && since.error().code != ErrorCode::kRefused) return since.error();

    workflow::DecisionVerdict verdict;
    WallTime time = at.ok() ? *at : ctx.clock.Now();
    if (!since.ok() || !at.ok()) {
      verdict = api::Refusal{time, source, "", (since.ok() ? at.error() : since.error()).message};
    } else if (time < *since) {
      verdict = api::Refusal{time, source, "",
                             "it was written before the admission policy was in force (" +
                                 FormatTime(*since) + "); write it again"};
    } else {
      verdict =
          workflow::JudgeDecision({run, plan, open_gate, std::nullopt, written.on_workflow},
                                  written.kind == api::DecisionKind::kApprove, written.value, time);
    }
    if (auto* decision = std::get_if<api::Decision>(&verdict)) {
      decision->source = source;
      ctx.log.Info("decision recorded", {{"gate", decision->gate},
                                         {"user", decision->user},
                                         {"approved", decision->approved ? "true" : "false"}});
      run.status.approvals.push_back(std::move(*decision));
    } else {
      // What is written beyond the limit is neither counted nor answered, so that nothing is
      // forgotten and answered anew.
      if (run.status.refusals.size() >= api::kMaxRefusals) continue;
      api::Refusal refusal = std::get<api::Refusal>(std::move(verdict));
      refusal.source = source;
      if (!IsHistory(written, run, time)) {
        ctx.log.Warning("decision refused", {{"user", refusal.user}, {"why", refusal.message}});
        events_.Record({Regarding(run), true, "DecisionRefused", "Decide", refusal.message});
      }
      run.status.refusals.push_back(std::move(refusal));
    }
    recorded = true;
  }
  return recorded;
}

}  // namespace certflow::reconcile
