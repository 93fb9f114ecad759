#include "controller/reconcile/world.h"

#include <algorithm>

namespace certflow::reconcile {

namespace {

std::string Awaited(std::string_view kind, std::string_view ns, std::string_view name) {
  return std::string(kind) + " " + std::string(ns) + "/" + std::string(name);
}

// Nothing for one that goes on by itself, whose spec need not be read.
std::vector<std::string> WhatItWaitsFor(const api::Workflow& workflow) {
  const bool waits = !workflow.status.certificate ||
                     api::FindCondition(workflow.status.conditions, api::kStalled) != nullptr;
  std::vector<std::string> out;
  if (!waits) return out;
  auto spec = api::DecodeWorkflowSpec(workflow.spec_json, workflow.meta.ns);
  if (!spec.ok()) return out;
  for (const api::Reference& one : spec->authorities) {
    out.push_back(AwaitedAuthority(one.ns, one.name));
  }
  for (const api::Wave& wave : spec->waves) {
    for (const api::TargetUse& use : wave.targets) {
      out.push_back(use.selector.empty() ? AwaitedTarget(use.target.ns, use.target.name)
                                         : std::string(kAnyTarget));
    }
  }
  return out;
}

}  // namespace

std::string AwaitedAuthority(std::string_view ns, std::string_view name) {
  return Awaited("authority", ns, name);
}
std::string AwaitedTarget(std::string_view ns, std::string_view name) {
  return Awaited("target", ns, name);
}

World::World() {
  workflows.AddIndex(kWaitingFor, WhatItWaitsFor);
  runs.AddIndex(kRunsByWorkflow,
                [](const api::Run& run) { return std::vector<std::string>{run.workflow_uid}; });
  runs.AddIndex(kRunsByToken, [](const api::Run& run) {
    std::vector<std::string> tokens;
    for (const auto& challenge : run.status.challenges) tokens.push_back(challenge.token);
    return tokens;
  });
}

std::vector<std::shared_ptr<const api::Run>> RunsOf(const World& world,
                                                    std::string_view workflow_uid) {
  auto runs = world.runs.ByIndex(kRunsByWorkflow, workflow_uid);
  std::sort(runs.begin(), runs.end(),
            [](const auto& a, const auto& b) { return a->number > b->number; });
  return runs;
}

kube::ObjectKey ParseKey(std::string_view key) {
  std::size_t slash = key.find('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

}  // namespace certflow::reconcile
