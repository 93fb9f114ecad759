#include "controller/steps/purge_step.h"

#include "controller/workflow/ledger.h"

namespace certflow::steps {

namespace {

const api::PurgeUse* UseOf(const StepScope& scope) {
  const std::size_t index = static_cast<std::size_t>(workflow::WaveOf(scope.entry));
  const auto& purges = scope.plan.spec.purges;
  return index < purges.size() ? &purges[index] : nullptr;
}

}  // namespace

seams::Party PurgeStep::Party(const StepScope& scope) const {
  const api::PurgeUse* use = UseOf(scope);
  if (use == nullptr) return {};
  auto channel = scope.directory.Channel(use->channel, scope.run.meta.ns);
  return channel.ok() ? parts_.connector.PartyOf(*channel) : seams::Party();
}

Result<workflow::Observation> PurgeStep::Observe(const Context&, const StepScope& scope) {
  const api::PurgeUse* use = UseOf(scope);
  if (use == nullptr) {
    return MakeError(ErrorCode::kInvalid, "PurgeNotInPlan",
                     "the plan has no purge " + scope.entry.id);
  }
  return workflow::Observation(
      workflow::Needed{"Purge", workflow::Effect::kRepeatable, scope.entry.memo});
}

Result<ActResult> PurgeStep::Act(const Context& ctx, const StepScope& scope,
                                 const workflow::Needed&) {
  const api::PurgeUse& use = *UseOf(scope);
  CF_ASSIGN_OR_RETURN(auto channel, scope.directory.Channel(use.channel, scope.run.meta.ns));
  CF_ASSIGN_OR_RETURN(auto purger, parts_.connector.ConnectPurger(ctx, channel));
  CF_RETURN_IF_ERROR(
      purger->Purge(ctx, {scope.run.meta.name + "." + scope.entry.id, use.hosts, use.urls}));
  ActResult result;
  result.done = workflow::Done{"Purged", "by " + channel.ns + "/" + channel.name, {}};
  return result;
}

}  // namespace certflow::steps
