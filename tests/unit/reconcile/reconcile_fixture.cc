#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {

using nlohmann::json;

namespace {

json StatusOf(const json& object) {
  return object.is_null() ? json::object() : object.value("status", json::object());
}

}  // namespace

void ReconcileTest::StartWithCa(const std::string& duration) {
  world.AddInternalCa("company", duration);
  world.Start();
  ASSERT_TRUE(world.Until([&] {
    return Condition(world.Get("certificateauthorities", "company"), "Ready").starts_with("True");
  }));
}

void ReconcileTest::CreateSite(const json& patch) {
  json workflow = fakes::WorkflowObject("site", "www.example.test", "company");
  workflow.merge_patch(patch);
  world.Create(workflow);
}

void ReconcileTest::Issue(const json& patch, std::string_view state) {
  CreateSite(patch);
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", state); })) << RunStatus().dump(1);
  if (state != "Succeeded") return;
  ASSERT_TRUE(world.Until([&] { return Status().value("phase", "") == "Idle"; }))
      << Status().dump(1);
}

json ReconcileTest::Status() const { return StatusOf(Workflow()); }

json ReconcileTest::Run() const {
  const auto runs = world.Runs("site");
  return runs.empty() ? json::object() : runs.back();
}

json ReconcileTest::RunStatus() const { return StatusOf(Run()); }

std::string ReconcileTest::Condition(const json& object, std::string_view type) {
  const json conditions = StatusOf(object).value("conditions", json::array());
  for (const json& condition : conditions) {
    if (condition.value("type", "") != type) continue;
    return condition.value("status", "") + ": " + condition.value("reason", "") + ": " +
           condition.value("message", "");
  }
  return "";
}

bool ReconcileTest::TargetIsReady(const std::string& name) const {
  return Condition(world.Get("deploymenttargets", name), "Ready").starts_with("True");
}

bool ReconcileTest::RunWaitsFor(std::string_view text) const {
  const json status = RunStatus();
  return status.value("state", "") == "Waiting" &&
         status.value("waitingFor", "").find(text) != std::string::npos;
}

bool ReconcileTest::HasEvent(std::string_view reason, std::string_view text) const {
  for (const json& event : world.Events()) {
    if (event.value("reason", "") == reason &&
        event.value("note", "").find(text) != std::string::npos) {
      return true;
    }
  }
  return false;
}

std::string ReconcileTest::Entry(std::string_view step, std::string_view target) const {
  const json ledger = RunStatus().value("ledger", json::array());
  for (const json& entry : ledger) {
    if (entry.value("step", "") == step && entry.value("target", "") == target) {
      return entry.value("state", "");
    }
  }
  return "";
}

}  // namespace certflow
