#include "tests/unit/workflow/build.h"

#include <gtest/gtest.h>

namespace certflow::workflow {

WallTime At(std::string_view text) {
  auto time = ParseTime(text);
  EXPECT_TRUE(time.ok()) << text;
  return time.ok() ? *time : WallTime{};
}

api::WorkflowSpec SmallSpec() {
  api::WorkflowSpec spec;
  spec.environment = "production";
  spec.owner_team = "edge";
  spec.owner_contact = "edge@example.com";
  spec.dns_names = {"www.example.com", "shop.example.com"};
  spec.secret_name = "www-tls";
  spec.authorities = {{"internal", "pki"}};
  return spec;
}

api::WorkflowSpec SpecWithTargets(int waves, int per_wave) {
  api::WorkflowSpec spec = SmallSpec();
  for (int wave = 0; wave < waves; ++wave) {
    api::Wave one;
    one.name = "wave-" + std::to_string(wave);
    for (int i = 0; i < per_wave; ++i) {
      api::TargetUse use;
      use.target = {"host-" + std::to_string(i), "web"};
      use.type = "nginx";
      use.settings = "{}";
      use.retry = spec.retry;
      one.targets.push_back(std::move(use));
    }
    spec.waves.push_back(std::move(one));
  }
  return spec;
}

api::Plan PlanOf(api::WorkflowSpec spec) {
  api::Plan plan;
  plan.targets = *api::PlanTargets(spec, "web", nullptr);
  plan.spec = std::move(spec);
  plan.authority = {"internal", "pki"};
  plan.authority_type = "ca";
  return plan;
}

api::ApprovalLayer Layer(std::string name, int required, std::vector<std::string> users,
                         std::vector<std::string> groups) {
  return {std::move(name), std::move(users), std::move(groups), required};
}

api::ApprovalGate Gate(std::vector<api::ApprovalLayer> layers) {
  api::ApprovalGate gate;
  gate.layers = std::move(layers);
  return gate;
}

api::Decision Given(std::string_view gate, std::string_view user, bool approved,
                    std::vector<std::string> groups) {
  api::Decision decision;
  decision.gate = gate;
  decision.user = user;
  decision.approved = approved;
  decision.groups = std::move(groups);
  return decision;
}

api::Run MakeRun() {
  api::Run run;
  run.meta.name = "st-0b6c4befb1";
  run.meta.ns = "web";
  run.meta.created = At("2026-11-21T02:00:00Z");
  run.workflow_name = "www";
  run.workflow_uid = "b1c7f2f0";
  run.number = 13;
  run.plan_digest = kDigest;
  run.trigger.reason = api::TriggerReason::kThreshold;
  return run;
}

}  // namespace certflow::workflow
