#include "controller/reconcile/run_reconciler.h"

#include <nlohmann/json.hpp>

namespace certflow::reconcile {

namespace {

Result<api::Plan> ReadPlan(const api::Run& run) {
  if (api::PlanDigest(run.plan_json) != run.plan_digest) {
    return MakeError(ErrorCode::kInvalid, "PlanDigestMismatch",
                     "spec.planDigest is not the digest of spec.plan: this run was not made by "
                     "certflow; delete it");
  }
  return api::DecodePlan(run.plan_json, run.meta.ns);
}

// The run's workflow, if it is still the same object.
std::shared_ptr<const api::Workflow> WorkflowOf(const World& world, const api::Run& run) {
  auto workflow = world.workflows.Get({run.meta.ns, run.workflow_name});
  if (workflow == nullptr || workflow->meta.uid != run.workflow_uid) return nullptr;
  return workflow->meta.deleting ? nullptr : workflow;
}

Standing StandingOf(const api::Workflow* workflow, const api::Run& run) {
  Standing standing;
  standing.workflow = workflow;
  if (workflow == nullptr) return standing;
  const api::SpecStanding spec = api::SpecStandingOf(workflow->spec_json, run.plan_json);
  standing.superseded = spec.superseded;
  standing.suspended = spec.suspended;
  return standing;
}

}  // namespace

Result<void> RunReconciler::RemoveFinalizer(const Context& ctx, const api::Run& run) {
  nlohmann::json patch = {{"metadata",
                           {{"resourceVersion", run.meta.resource_version},
                            {"uid", run.meta.uid},
                            {"finalizers", nullptr}}}};
  auto patched = client_.MergePatch(ctx, api::RunResource(), run.meta.key(), "", patch.dump());
  if (!patched.ok() && patched.error().code != ErrorCode::kNotFound) return patched.error();
  return {};
}

Result<runtime::Outcome> RunReconciler::AfterTheEnd(const Context& ctx, api::Run run) {
  if (!run.plan_json.empty()) {
    CF_ASSIGN_OR_RETURN(auto plan, ReadPlan(run));
    CF_ASSIGN_OR_RETURN(bool answered, desk_.TakeIn(ctx, nullptr, plan, "", run));
    if (answered) CF_RETURN_IF_ERROR(writer_.Write(ctx, run));
  }
  if (run.meta.has_run_finalizer) CF_RETURN_IF_ERROR(RemoveFinalizer(ctx, run));
  return runtime::Outcome{};
}

Result<runtime::Outcome> RunReconciler::Reconcile(const Context& ctx, std::string_view key) {
  auto stored = world_.runs.Get(ParseKey(key));
  if (stored == nullptr) return runtime::Outcome{};
  Context run_ctx = ctx.WithLog({{"run", stored->DisplayName()},
                                 {"workflow", stored->meta.ns + "/" + stored->workflow_name}});
  if (api::IsTerminal(stored->status.state)) return AfterTheEnd(run_ctx, *stored);
  auto workflow = WorkflowOf(world_, *stored);
  auto plan = ReadPlan(*stored);
  if (!plan.ok()) {
    api::Run refused = *stored;
    refused.status.state = api::RunState::kFailed;
    refused.status.reason = plan.error().reason;
    refused.status.message = plan.error().message;
    refused.status.ended_at = ctx.clock.Now();
    api::SetCondition(refused.status.conditions, api::kStalled, api::ConditionStatus::kTrue,
                      plan.error().reason, plan.error().message, refused.meta.generation,
                      ctx.clock.Now());
    CF_RETURN_IF_ERROR(writer_.Write(run_ctx, refused));
    return runtime::Outcome{};
  }
  Standing standing = StandingOf(workflow.get(), *stored);
  bool gone = workflow == nullptr || stored->meta.deleting;
  if (gone) plan->spec.rollback = api::RollbackPolicy::kAutomatic;  // nobody is left to ask
  return executor_.CarryOn(run_ctx, standing, *plan, *stored);
}

}  // namespace certflow::reconcile
