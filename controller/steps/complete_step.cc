#include "controller/steps/complete_step.h"

#include "controller/steps/target_access.h"
#include "controller/workflow/ledger.h"

namespace certflow::steps {

namespace {

constexpr const char* kMemoPruned = "pruned";

}  // namespace

Result<workflow::Observation> CompleteStep::Observe(const Context&, const StepScope& scope) {
  bool anything_older = false;
  for (const api::LedgerEntry* entry : workflow::TouchedTargets(scope.run.status)) {
    auto previous = entry->memo.find(workflow::kMemoPrevious);
    anything_older |= previous != entry->memo.end() && !previous->second.empty();
  }
  auto pruned = scope.entry.memo.find(kMemoPruned);
  if (anything_older && pruned == scope.entry.memo.end()) {
    return workflow::Observation(
        workflow::Needed{"Prune", workflow::Effect::kRepeatable, scope.entry.memo});
  }
  std::string message = pruned == scope.entry.memo.end() ? "" : pruned->second;
  return workflow::Observation(workflow::Done{"Completed", message, {}});
}

Result<ActResult> CompleteStep::Act(const Context& ctx, const StepScope& scope,
                                    const workflow::Needed&) {
  std::string problems;
  for (const api::LedgerEntry* entry : workflow::TouchedTargets(scope.run.status)) {
    auto prune = [&]() -> Result<void> {
      CF_ASSIGN_OR_RETURN(auto at, ConnectTargetOf(ctx, scope, parts_.connector, *entry));
      seams::KeepList keep{{scope.run.meta.name}};
      auto previous = entry->memo.find(workflow::kMemoPrevious);
      if (previous != entry->memo.end()) keep.versions.push_back(previous->second);
      return at.target->Prune(ctx, at.binding, keep);
    };
    if (auto done = prune(); !done.ok()) {
      problems += (problems.empty() ? "" : "; ") + entry->target + ": " + done.error().message;
    }
  }
  std::string note = problems.empty() ? "old versions removed"
                                      : "not cleaned, the next run tries again: " + problems;
  return ActResult{{{kMemoPruned, Sanitize(note)}}, false, std::nullopt, std::nullopt};
}

}  // namespace certflow::steps
