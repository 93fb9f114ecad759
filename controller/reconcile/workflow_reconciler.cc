#include "controller/reconcile/workflow_reconciler.h"

#include <algorithm>

#include "controller/reconcile/regarding.h"
#include "controller/workflow/ledger.h"
#include "controller/workflow/run_id.h"

namespace certflow::reconcile {

namespace {

// A run that ends within this time needs no mention as the active one, unless it asks people.
constexpr Duration kQuietStart{10'000};
constexpr Duration kLongestIdle{24 * 3600 * 1000};

using Runs = std::vector<std::shared_ptr<const api::Run>>;

const api::Run* ActiveRun(const Runs& runs) {
  for (const auto& run : runs) {
    if (!api::IsTerminal(run->status.state) && !run->meta.deleting) return run.get();
  }
  return nullptr;
}

workflow::FailedRuns FailuresOf(const Runs& runs) {
  workflow::FailedRuns out;
  for (const auto& run : runs) {
    if (!api::IsTerminal(run->status.state)) continue;
    // A run that gave way to a changed spec says nothing about the next one.
    if (run->status.state == api::RunState::kCancelled) continue;
    if (run->status.state == api::RunState::kSucceeded) break;
    if (out.consecutive++ == 0) {
      out.last_ended = run->status.ended_at.value_or(WallTime{});
      out.last_reason = run->status.reason;
    }
  }
  return out;
}

bool LeavesSomethingOutside(const api::WorkflowSpec& spec, const std::string& authority_type) {
  bool host = std::any_of(spec.waves.begin(), spec.waves.end(), [](const api::Wave& wave) {
    return std::any_of(wave.targets.begin(), wave.targets.end(),
                       [](const auto& use) { return use.type != "kubernetes"; });
  });
  return host || authority_type != "ca";
}

std::string Get(const api::ObjectMeta& meta, std::string_view annotation) {
  auto it = meta.annotations.find(std::string(annotation));
  return it == meta.annotations.end() ? "" : it->second;
}

// Takes over what runs that ended since the last look have brought.
void FoldRuns(const Runs& runs, api::WorkflowStatus& status) {
  for (auto it = runs.rbegin(); it != runs.rend(); ++it) {
    const api::Run& run = **it;
    if (run.number <= status.runs || !api::IsTerminal(run.status.state)) continue;
    status.runs = run.number;
    status.last_run =
        api::LastRunStatus{run.meta.name, std::string(api::RunStateName(run.status.state)),
                           run.status.message, run.status.ended_at};
    if (run.trigger.reason == api::TriggerReason::kRequested) {
      status.handled_renewal = run.trigger.payload;
    }
    const auto& made = run.status.certificate;
    // A certificate that a later run brought into force is one issuance.
    bool counted = std::any_of(runs.begin(), runs.end(), [&](const auto& other) {
      const auto& earlier = other->status.certificate;
      return made && earlier && other->number < run.number &&
             earlier->fingerprint == made->fingerprint;
    });
    if (made && made->version == run.meta.name && !counted) {
      status.issuances.push_back(made->not_before);
      if (status.issuances.size() > api::kMaxIssuances) {
        status.issuances.erase(status.issuances.begin());
      }
    }
    bool live =
        run.status.state == api::RunState::kSucceeded || run.status.state == api::RunState::kHeld;
    if (run.trigger.reason == api::TriggerReason::kRollbackRequested) {
      if (run.status.state != api::RunState::kSucceeded) continue;
      status.certificate = made;
      status.rolled_back_at = run.status.ended_at;
      status.spec_digest = api::WantedDigestOf(run);
    } else if (live && made) {
      status.certificate = made;
      status.rolled_back_at.reset();
      // Of the plan that was carried out: the spec may have moved on since.
      status.spec_digest = api::WantedDigestOf(run);
    }
  }
}

api::NewRun NewRunOf(const api::Workflow& workflow, const api::Trigger& trigger,
                     std::int64_t number) {
  api::NewRun run;
  run.name = workflow::RunName(workflow.meta.uid, number);
  run.ns = workflow.meta.ns;
  run.workflow_name = workflow.meta.name;
  run.workflow_uid = workflow.meta.uid;
  run.number = number;
  run.trigger = trigger;
  return run;
}

struct Verdict {
  std::string phase;
  std::optional<WallTime> until;
  bool stalled = false;
  std::string reason, message;
};

constexpr const char* kHeldText =
    "; a person went back to it, so it is renewed only when asked by certflow.dev/renew, when the "
    "spec asks for another one, or within 24 hours of its end";

void SetConditions(const api::Workflow& workflow, const api::Run* active, const Verdict& verdict,
                   WallTime now, api::WorkflowStatus& status) {
  using enum api::ConditionStatus;
  std::int64_t generation = workflow.meta.generation;
  const auto& certificate = status.certificate;
  bool good = certificate && certificate->not_after > now;
  if (good) {
    api::SetCondition(status.conditions, api::kReady, kTrue, "Issued",
                      "valid until " + FormatTime(certificate->not_after) +
                          (status.rolled_back_at ? kHeldText : ""),
                      generation, now);
  } else {
    api::SetCondition(status.conditions, api::kReady, kFalse, certificate ? "Expired" : "NotIssued",
                      verdict.stalled ? verdict.message
                      : certificate
                          ? "the certificate expired at " + FormatTime(certificate->not_after)
                      : active ? "the first certificate is on its way"
                               : "there is no certificate",
                      generation, now);
  }
  if (active != nullptr) {
    api::SetCondition(status.conditions, api::kReconciling, kTrue, "RunActive",
                      "run " + active->DisplayName(), generation, now);
  } else {
    api::RemoveCondition(status.conditions, api::kReconciling);
  }
  if (verdict.stalled) {
    api::SetCondition(status.conditions, api::kStalled, kTrue, verdict.reason, verdict.message,
                      generation, now);
  } else {
    api::RemoveCondition(status.conditions, api::kStalled);
  }
}

void ShowActive(const api::Run* active, api::WorkflowStatus& status) {
  if (active == nullptr) return status.active_run.reset();
  status.active_run = api::ActiveRunStatus{active->meta.name, active->status.step,
                                           active->status.waiting_for, active->status.until};
}

Duration Until(std::optional<WallTime> until, WallTime now) {
  if (!until) return kLongestIdle;
  auto wait = std::chrono::duration_cast<Duration>(*until - now) + Duration{1};
  return std::clamp(wait, Duration{100}, kLongestIdle);
}

}  // namespace

bool AsksPeople(const api::Run& run) { return run.status.step.ends_with("Confirmation"); }

Result<void> WorkflowReconciler::WriteIfChanged(const Context& ctx, api::Workflow& workflow,
                                                const std::string& before) {
  if (api::EncodeWorkflowStatus(workflow) == before) return {};
  return writer_.Write(ctx, workflow);
}

Result<workflow::TriggerVerdict> WorkflowReconciler::DecideNow(const Context& ctx,
                                                               const api::Workflow& workflow,
                                                               const api::WorkflowSpec& spec,
                                                               const Runs& runs) {
  workflow::TriggerInput input{spec,
                               workflow.status,
                               api::WantedDigest(workflow.spec_json),
                               Get(workflow.meta, api::kRenewAnnotation),
                               Get(workflow.meta, api::kChangedByAnnotation),
                               false,
                               FailuresOf(runs),
                               ctx.clock.Now()};
  // Names in annotations count only while the API server proves them; it is asked when a run is to
  // start.
  workflow::TriggerVerdict verdict = workflow::Decide(input);
  bool named = !input.renew_annotation.empty() || !input.changed_by.empty();
  bool gated = spec.renewal_gate || spec.deployment_gate;
  if (!named || !gated || !std::holds_alternative<workflow::Start>(verdict)) return verdict;
  auto proved = guard_.ProvedSince(ctx);
  if (!proved.ok() && proved.error().code != ErrorCode::kRefused) return proved.error();
  input.identities_proved = proved.ok();
  verdict = workflow::Decide(input);
  auto* start = std::get_if<workflow::Start>(&verdict);
  bool asked = start != nullptr && start->trigger.reason == api::TriggerReason::kRequested;
  if (proved.ok() || !asked || spec.requester_may_approve) return verdict;
  // Who asks must be known, because they may not approve.
  return workflow::TriggerVerdict(
      workflow::Halted{proved.error().reason,
                       "the request by certflow.dev/renew is not taken: " + proved.error().message,
                       input.now + std::chrono::minutes(1)});
}

Result<void> WorkflowReconciler::StartRun(const Context& ctx, const api::Workflow& workflow,
                                          const api::WorkflowSpec& spec,
                                          const api::Trigger& trigger, std::int64_t number) {
  auto select = [&](const api::LabelSelector& selector, std::string_view type,
                    std::string_view ns) { return directory_.TargetsWith(selector, type, ns); };
  auto planned = api::PlanTargets(spec, workflow.meta.ns, select);
  if (!planned.ok()) return Annotate(planned.error(), "spec.deployment");
  const std::vector<api::PlannedTarget>& targets = *planned;
  for (const api::PlannedTarget& target : targets) {
    if (target.target.name.empty()) continue;  // the workflow's own Secret
    auto found = directory_.Target(target.target, workflow.meta.ns);
    if (!found.ok()) return Annotate(found.error(), "spec.deployment");
  }
  std::optional<Error> why_not;
  for (const api::Reference& reference : spec.authorities) {
    auto authority = directory_.Authority(reference, workflow.meta.ns);
    auto ready =
        authority.ok() ? directory_.AuthorityReady(reference) : Result<void>(authority.error());
    if (!ready.ok()) {
      if (!why_not) why_not = ready.error();
      continue;
    }
    api::NewRun run = NewRunOf(workflow, trigger, number);
    std::string reason = why_not ? "the first that is ready; before it: " + why_not->message
                                 : "the first in order, and ready";
    run.plan_json = api::CanonicalPlan(
        {workflow.spec_json, reference, authority->type, Sanitize(reason, 512), targets});
    run.finalizer = LeavesSomethingOutside(spec, authority->type);
    return CreateRun(ctx, std::move(run));
  }
  return *why_not;
}

Result<void> WorkflowReconciler::CreateRun(const Context& ctx, api::NewRun run) {
  run.plan_digest = api::DigestOf(run.plan_json);
  auto created = client_.Create(ctx, api::RunResource(), run.ns, api::EncodeNewRun(run));
  // It was made before, and only this cache does not show it yet.
  const bool there = !created.ok() && created.error().code == ErrorCode::kAlreadyExists;
  if (!created.ok() && !there) return created.error();
  expected_.Expect({run.ns, run.workflow_name}, run.workflow_uid, run.number,
                   ctx.clock.Steady() + kQuietStart);
  if (there) return {};
  const std::string_view trigger = api::TriggerReasonName(run.trigger.reason);
  ctx.log.Info("run started", {{"run", workflow::DisplayRunName(run.name)}, {"trigger", trigger}});
  metrics_.Add("certflow_runs_started_total", "Runs that were started, by trigger.",
               {{"trigger", trigger}});
  return {};
}

// A request to roll an ended run back, as it stands on that run.
struct WorkflowReconciler::RollbackRequest {
  const api::Run& run;
  std::string annotation, source;
};

// The first that nobody has answered.
std::optional<WorkflowReconciler::RollbackRequest> WorkflowReconciler::OpenRollbackRequest(
    const Runs& runs) {
  for (const auto& run : runs) {
    if (!api::IsTerminal(run->status.state) || run->meta.deleting) continue;
    std::string annotation = Get(run->meta, api::kRollbackAnnotation);
    if (annotation.empty()) continue;
    std::string source = api::RollbackSource(annotation);
    const auto& answer = run->status.rollback;
    bool answered = answer && answer->source == source;
    for (const api::Refusal& refusal : run->status.refusals) answered |= refusal.source == source;
    if (!answered) return RollbackRequest{*run, std::move(annotation), std::move(source)};
  }
  return std::nullopt;
}

// Starts the run that takes an ended one back, or says on that one why not. The answer is written
// after the run was made: its name is the same however often that is tried.
Result<bool> WorkflowReconciler::AnswerRollback(const Context& ctx, const api::Workflow& workflow,
                                                const Runs& runs, std::int64_t number) {
  auto request = OpenRollbackRequest(runs);
  if (!request) return false;
  api::Run asked = request->run;
  const std::string payload = asked.meta.name + " " + request->source;
  for (const auto& run : runs) {
    if (run->trigger.reason != api::TriggerReason::kRollbackRequested) continue;
    if (run->trigger.payload != payload) continue;
    asked.status.rollback = api::RollbackAnswer{request->source, run->meta.name};
    CF_RETURN_IF_ERROR(writer_.Write(ctx, asked));
    return true;
  }
  const WallTime now = ctx.clock.Now();
  api::Trigger trigger;
  trigger.reason = api::TriggerReason::kRollbackRequested;
  trigger.payload = payload;
  auto proved = guard_.ProvedSince(ctx);
  if (!proved.ok() && proved.error().code != ErrorCode::kRefused) return proved.error();
  if (proved.ok()) trigger.requested_by = workflow::RequesterOf(request->annotation);
  auto plan = api::DecodePlan(asked.plan_json, asked.meta.ns);
  auto rollback = plan.ok() ? workflow::PlanRollback(asked, workflow.status.certificate,
                                                     request->annotation, now)
                            : Result<api::RollbackPlan>(plan.error());
  // Who asks must be known, because they may not approve.
  bool must_know = plan.ok() && plan->spec.deployment_gate && !plan->spec.requester_may_approve;
  if (rollback.ok() && must_know && !proved.ok()) rollback = proved.error();
  if (!rollback.ok()) {
    const std::string message = "not rolled back: " + rollback.error().message;
    asked.status.refusals.push_back({now, request->source, trigger.requested_by, message});
    events_.Record(
        {Regarding(api::RunResource(), asked.meta), true, "RollbackRefused", "Rollback", message});
    CF_RETURN_IF_ERROR(writer_.Write(ctx, asked));
    return true;
  }
  api::NewRun run = NewRunOf(workflow, trigger, number);
  run.plan_json = api::CanonicalRollbackPlan(asked.plan_json, *rollback);
  run.finalizer = true;
  CF_RETURN_IF_ERROR(CreateRun(ctx, run));
  asked.status.rollback = api::RollbackAnswer{request->source, run.name};
  CF_RETURN_IF_ERROR(writer_.Write(ctx, asked));
  return true;
}

// Only runs whose result is in the workflow's status already.
Result<void> WorkflowReconciler::TrimHistory(const Context& ctx, const api::WorkflowSpec& spec,
                                             const Runs& runs, std::int64_t folded) {
  int successful = 0;
  int failed = 0;
  for (const auto& run : runs) {
    if (!api::IsTerminal(run->status.state) || run->meta.deleting) continue;
    if (run->number > folded) continue;
    bool good = run->status.state == api::RunState::kSucceeded;
    // What the last one leaves behind is the next one's.
    if (!good && run == runs.front()) continue;
    int& kept = good ? successful : failed;
    if (kept++ < (good ? spec.keep_successful : spec.keep_failed)) continue;
    auto deleted = client_.Delete(ctx, api::RunResource(), run->meta.key(),
                                  {run->meta.uid, "", kube::Propagation::kBackground});
    if (!deleted.ok() && deleted.error().code != ErrorCode::kNotFound) return deleted.error();
  }
  return {};
}

void WorkflowReconciler::Deleted(const api::Workflow& workflow) {
  const Runs runs = RunsOf(world_, workflow.meta.uid);
  // The garbage collector may have begun with the run already; it is under way all the same.
  const auto open = std::find_if(runs.begin(), runs.end(), [](const auto& run) {
    return !api::IsTerminal(run->status.state);
  });
  const api::Run* active = open == runs.end() ? nullptr : open->get();
  events_.Record({Regarding(api::WorkflowResource(), workflow.meta), active != nullptr,
                  "AutomationStopped", "Delete",
                  active == nullptr
                      ? "the workflow was deleted; certificates in use stay as they are"
                      : "the workflow was deleted while " + active->DisplayName() +
                            " was under way; what it changed is put back, everything else stays"});
}

Result<runtime::Outcome> WorkflowReconciler::Reconcile(const Context& ctx, std::string_view key) {
  const kube::ObjectKey object = ParseKey(key);
  auto stored = world_.workflows.Get(object);
  if (stored == nullptr) expected_.Forget(object);
  if (stored == nullptr || stored->meta.deleting) return runtime::Outcome{};
  Context wctx = ctx.WithLog({{"workflow", std::string(key)}});
  api::Workflow workflow = *stored;
  api::WorkflowStatus& status = workflow.status;
  const std::string before = api::EncodeWorkflowStatus(workflow);
  WallTime now = ctx.clock.Now();
  Runs runs = RunsOf(world_, workflow.meta.uid);
  FoldRuns(runs, status);
  status.observed_generation = workflow.meta.generation;

  Verdict verdict;
  auto spec = api::DecodeWorkflowSpec(workflow.spec_json, workflow.meta.ns);
  if (!spec.ok()) {
    verdict = {"Stalled", std::nullopt, true, spec.error().reason, spec.error().message};
    events_.Record({Regarding(api::WorkflowResource(), workflow.meta), true, verdict.reason,
                    "Validate", verdict.message});
    ShowActive(nullptr, status);
    SetConditions(workflow, nullptr, verdict, now, status);
    status.phase = verdict.phase;
    CF_RETURN_IF_ERROR(WriteIfChanged(wctx, workflow, before));
    return runtime::Outcome{};
  }
  if (status.certificate) {
    const api::CertificateStatus& c = *status.certificate;
    status.next_renewal = workflow::WhenToRenew(*spec, c.not_before, c.not_after).at;
    if (status.rolled_back_at) {
      status.next_renewal =
          std::max(*status.next_renewal, c.not_after - workflow::kEmergencyWithin);
    }
  }
  if (const api::Run* active = ActiveRun(runs)) {
    auto age = std::chrono::duration_cast<Duration>(now - active->meta.created);
    if (!AsksPeople(*active) && age < kQuietStart) return runtime::Outcome{kQuietStart - age};
    ShowActive(active, status);
    verdict.phase = active->status.step.empty() ? "Pending" : active->status.step;
    SetConditions(workflow, active, verdict, now, status);
    status.phase = verdict.phase;
    CF_RETURN_IF_ERROR(WriteIfChanged(wctx, workflow, before));
    return runtime::Outcome{};
  }
  const std::int64_t newest = std::max(status.runs, runs.empty() ? 0 : runs.front()->number);
  const SteadyTime steady = ctx.clock.Steady();
  if (auto until = expected_.Awaited(object, workflow.meta.uid, newest, steady)) {
    return runtime::Outcome{std::chrono::ceil<Duration>(*until - steady)};
  }
  ShowActive(nullptr, status);
  // A run may be there that the cache does not show yet; the name makes it the same one.
  const std::int64_t number = newest + 1;
  if (!spec->suspend) {
    CF_ASSIGN_OR_RETURN(bool answered, AnswerRollback(wctx, workflow, runs, number));
    if (answered) return runtime::Outcome{kQuietStart};
  }
  CF_RETURN_IF_ERROR(TrimHistory(wctx, *spec, runs, stored->status.runs));
  CF_ASSIGN_OR_RETURN(auto decided, DecideNow(wctx, workflow, *spec, runs));
  if (auto* start = std::get_if<workflow::Start>(&decided)) {
    auto started = StartRun(wctx, workflow, *spec, start->trigger, number);
    if (started.ok()) return runtime::Outcome{kQuietStart};
    if (IsApiServerTrouble(started.error())) return started.error();
    verdict = {"Stalled", std::nullopt, true, started.error().reason, started.error().message};
    SetConditions(workflow, nullptr, verdict, now, status);
    status.phase = verdict.phase;
    bool told = api::FindCondition(stored->status.conditions, api::kStalled) != nullptr;
    if (!told) {
      events_.Record({Regarding(api::WorkflowResource(), workflow.meta), true, verdict.reason,
                      "Start", verdict.message});
    }
    CF_RETURN_IF_ERROR(WriteIfChanged(wctx, workflow, before));
    return started.error();
  }
  if (auto* halted = std::get_if<workflow::Halted>(&decided)) {
    verdict = {"Stalled", halted->until, true, halted->reason, halted->message};
    const api::Condition* old = api::FindCondition(stored->status.conditions, api::kStalled);
    if (old == nullptr || old->reason != halted->reason) {
      events_.Record({Regarding(api::WorkflowResource(), workflow.meta), true, halted->reason,
                      "Start", halted->message});
    }
  } else {
    verdict = {spec->suspend        ? "Suspended"
               : status.certificate ? "Idle"
                                    : "Waiting",
               std::get<workflow::Idle>(decided).until, false, "", ""};
  }
  SetConditions(workflow, nullptr, verdict, now, status);
  status.phase = verdict.phase;
  CF_RETURN_IF_ERROR(WriteIfChanged(wctx, workflow, before));
  std::optional<WallTime> look = verdict.until;
  if (status.certificate && status.certificate->not_after > now) {
    look = std::min(look.value_or(WallTime::max()), status.certificate->not_after);
  }
  return runtime::Outcome{Until(look, now)};
}

}  // namespace certflow::reconcile
