#include "controller/reconcile/world.h"

#include <algorithm>

namespace certflow::reconcile {

World::World() {
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
