#include "tests/crash/site.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace certflow::crash {

using nlohmann::json;

json StatusOf(const json& object) {
  return object.is_null() ? json::object() : object.value("status", json::object());
}

bool IsReady(const fakes::World& world, std::string_view plural, const std::string& name) {
  const json conditions = StatusOf(world.Get(plural, name)).value("conditions", json::array());
  return std::any_of(conditions.begin(), conditions.end(), [](const json& condition) {
    return condition.value("type", "") == "Ready" && condition.value("status", "") == "True";
  });
}

bool IsFolded(const fakes::World& world) {
  const json status = StatusOf(world.Get("certificateworkflows", kWorkflow));
  return status.contains("certificate") && !status.contains("activeRun") &&
         status.value("phase", "") == "Idle";
}

void Prepare(fakes::World& world, const std::string& what, const std::function<bool()>& done) {
  if (world.Until(done)) return;
  std::string story = what + " did not come about";
  for (const json& run : world.Runs(kWorkflow)) story += "\n  " + StatusOf(run).dump();
  for (const std::string& line : world.activity->log()) story += "\n  " + line;
  throw std::runtime_error(story);
}

}  // namespace certflow::crash
