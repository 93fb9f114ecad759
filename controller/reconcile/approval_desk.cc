#include "controller/reconcile/approval_desk.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "controller/kube/document_json.h"
#include "controller/reconcile/regarding.h"

namespace certflow::reconcile {

using Json = nlohmann::json;

struct ApprovalDesk::Written {
  std::string annotation, value;
  api::DecisionKind kind = api::DecisionKind::kNone;
  bool on_workflow = false;
  std::optional<WallTime> at;  // not before it was written
};

// What stands on the objects now, and the policy after that.
struct ApprovalDesk::Look {
  WallTime begun;
  std::vector<Written> written;
  Result<WallTime> proved_since;
};

namespace {

void Collect(const api::ObjectMeta& meta, bool on_workflow, const auto& add) {
  for (const auto& [key, value] : meta.annotations) {
    api::DecisionKind kind = api::DecisionKindOf(key);
    if (kind != api::DecisionKind::kNone) add(key, value, kind, on_workflow);
  }
}

// What stands on the workflow since before the run was made, for an earlier run, is history: it is
// put on record, so that it is not looked at again, and told to nobody.
bool IsHistory(std::string_view value, bool on_workflow, const api::Run& run, WallTime at) {
  if (!on_workflow || at >= run.meta.created) return false;
  auto parsed = workflow::ParseDecision(value, true);
  return parsed.ok() && parsed->run != run.meta.name;
}

// Given before the gate asks: it stays where it is and counts when the gate opens.
bool IsAhead(std::string_view value, bool on_workflow, const api::Run& run,
             std::string_view open_gate) {
  if (api::IsTerminal(run.status.state)) return false;
  auto parsed = workflow::ParseDecision(value, on_workflow);
  if (!parsed.ok() || parsed->gate == open_gate) return false;
  return std::any_of(run.status.ledger.begin(), run.status.ledger.end(), [&](const auto& entry) {
    return entry.id == "confirmation/" + parsed->gate && entry.state == api::EntryState::kPending;
  });
}

bool IsOnRecord(const api::Run& run, api::DecisionKind kind, std::string_view value,
                bool on_workflow) {
  return api::IsDecisionRecorded(run.status, kind, api::DecisionSource(value, on_workflow));
}

// By the server's record: the last of those who own the field wrote it then or before.
std::optional<WallTime> WrittenAt(const Json& metadata, const std::string& annotation) {
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
  return last;
}

}  // namespace

Result<ApprovalDesk::Look> ApprovalDesk::LookAt(const Context& ctx, const api::Workflow* workflow,
                                                const api::Run& run) {
  Look look{ctx.clock.Now(), {}, WallTime{}};
  auto read = [&](const kube::Resource& resource, const api::ObjectMeta& meta,
                  bool on_workflow) -> Result<void> {
    CF_ASSIGN_OR_RETURN(auto live, client_.Get(ctx, resource, meta.key()));
    if (live.uid() != meta.uid) return {};
    const Json& metadata = kube::Json(live)["metadata"];
    const Json annotations = metadata.value("annotations", Json::object());
    for (const auto& [key, value] : annotations.items()) {
      api::DecisionKind kind = api::DecisionKindOf(key);
      if (kind == api::DecisionKind::kNone || !value.is_string()) continue;
      if (IsOnRecord(run, kind, value.get<std::string>(), on_workflow)) continue;
      look.written.push_back({key, value, kind, on_workflow, WrittenAt(metadata, key)});
    }
    return {};
  };
  CF_RETURN_IF_ERROR(read(api::RunResource(), run.meta, false));
  if (workflow != nullptr) {
    CF_RETURN_IF_ERROR(read(api::WorkflowResource(), workflow->meta, true));
  }
  look.proved_since = guard_.ProvedSince(ctx);
  if (!look.proved_since.ok() && look.proved_since.error().code != ErrorCode::kRefused) {
    return look.proved_since.error();
  }
  return look;
}

bool ApprovalDesk::IsProvedFor(const api::Run& run, WallTime since) {
  if (since <= run.meta.created) return true;
  MutexLock lock(mutex_);
  auto found = looks_.find(run.meta.uid);
  return found != looks_.end() && since <= found->second;
}

void ApprovalDesk::Remember(const api::Run& run, WallTime looked) {
  MutexLock lock(mutex_);
  if (looks_.size() >= kMaxLooks) looks_.clear();
  looks_[run.meta.uid] = looked;
}

workflow::DecisionVerdict ApprovalDesk::Judge(const Written& written, const Look& look,
                                              const api::Plan& plan, std::string_view open_gate,
                                              const api::Run& run, WallTime now) {
  const WallTime time = written.at.value_or(now);
  auto refuse = [&](std::string why) { return api::Refusal{time, "", "", std::move(why)}; };
  if (!look.proved_since.ok()) return refuse(look.proved_since.error().message);
  if (!written.at) {
    return refuse("the API server has no record of when it was written; write it again");
  }
  const std::string since = FormatTime(*look.proved_since);
  if (*written.at < *look.proved_since) {
    return refuse("it was written before the admission policy was in force (" + since +
                  "); write it again");
  }
  if (!IsProvedFor(run, *look.proved_since)) {
    return refuse("the admission policy was written anew while this run was under way (" + since +
                  "), and it cannot be told that the decision is younger; write it again, with "
                  "another reason");
  }
  return workflow::JudgeDecision({run, plan, open_gate, std::nullopt, written.on_workflow},
                                 written.kind == api::DecisionKind::kApprove, written.value, time);
}

Result<bool> ApprovalDesk::TakeIn(const Context& ctx, const api::Workflow* workflow,
                                  const api::Plan& plan, std::string_view open_gate,
                                  api::Run& run) {
  bool anything = false;
  auto note = [&](const std::string&, const std::string& value, api::DecisionKind kind,
                  bool on_workflow) {
    anything |=
        !IsOnRecord(run, kind, value, on_workflow) && !IsAhead(value, on_workflow, run, open_gate);
  };
  Collect(run.meta, false, note);
  if (workflow != nullptr) Collect(workflow->meta, true, note);
  if (!anything) return false;

  CF_ASSIGN_OR_RETURN(const Look look, LookAt(ctx, workflow, run));
  bool recorded = false, complete = true;
  // Then all that stands there is answered, so that what comes later is known to be younger.
  const bool too_new = look.proved_since.ok() && !IsProvedFor(run, *look.proved_since);
  for (const Written& written : look.written) {
    if (!too_new && IsAhead(written.value, written.on_workflow, run, open_gate)) continue;
    workflow::DecisionVerdict verdict = Judge(written, look, plan, open_gate, run, ctx.clock.Now());
    std::string source = api::DecisionSource(written.value, written.on_workflow);
    if (auto* decision = std::get_if<api::Decision>(&verdict)) {
      decision->source = source;
      ctx.log.Info("decision recorded", {{"gate", decision->gate},
                                         {"user", decision->user},
                                         {"approved", decision->approved ? "true" : "false"}});
      run.status.approvals.push_back(std::move(*decision));
    } else {
      // What is written beyond the limit is neither counted nor answered, so that nothing is
      // forgotten and answered anew.
      if (run.status.refusals.size() >= api::kMaxRefusals) {
        complete = false;
        continue;
      }
      api::Refusal refusal = std::get<api::Refusal>(std::move(verdict));
      refusal.source = source;
      if (!IsHistory(written.value, written.on_workflow, run, refusal.time)) {
        ctx.log.Warning("decision refused", {{"user", refusal.user}, {"why", refusal.message}});
        events_.Record({Regarding(api::RunResource(), run.meta), true, "DecisionRefused", "Decide",
                        refusal.message});
      }
      run.status.refusals.push_back(std::move(refusal));
    }
    recorded = true;
  }
  if (too_new && complete) Remember(run, look.begun);
  return recorded;
}

}  // namespace certflow::reconcile
