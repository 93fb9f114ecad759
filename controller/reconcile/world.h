#pragma once

#include <string>
#include <string_view>

#include "controller/api/resources.h"
#include "controller/api/run.h"
#include "controller/api/workflow.h"
#include "controller/runtime/store.h"

namespace certflow::reconcile {

// What the informers know: the only place that reconcilers read objects of ours from.
struct World {
  runtime::Store<api::Workflow> workflows;
  runtime::Store<api::Run> runs;
  runtime::Store<api::ProviderObject> authorities;
  runtime::Store<api::ProviderObject> targets;
  runtime::Store<api::ProviderObject> channels;
  runtime::Store<api::Namespace> namespaces;

  World();
};

// Indexes of World.
inline constexpr const char* kRunsByWorkflow = "workflow-uid";
inline constexpr const char* kRunsByToken = "challenge-token";  // http-01, for the responder
// Workflows that have no certificate or are stalled, by each authority and target they refer to.
inline constexpr const char* kWaitingFor = "waiting-for";

// The values of kWaitingFor.
std::string AwaitedAuthority(std::string_view ns, std::string_view name);
std::string AwaitedTarget(std::string_view ns, std::string_view name);
inline constexpr const char* kAnyTarget = "target";  // who chooses them by label

// Runs of a workflow, newest first.
std::vector<std::shared_ptr<const api::Run>> RunsOf(const World& world,
                                                    std::string_view workflow_uid);
// "namespace/name" as the queues carry it.
kube::ObjectKey ParseKey(std::string_view key);

}  // namespace certflow::reconcile
