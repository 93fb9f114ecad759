#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "tests/fakes/world/world.h"

namespace certflow::crash {

// What the scenes share: one workflow for one name.
inline constexpr const char* kWorkflow = "site";
inline constexpr const char* kDnsName = "www.example.test";

nlohmann::json StatusOf(const nlohmann::json& object);  // {} where there is none
bool IsReady(const fakes::World& world, std::string_view plural, const std::string& name);
// The workflow has taken over the result of its last run.
bool IsFolded(const fakes::World& world);
// Waits for what a scene begins with; throws with the log, as a scene that does not get to its
// beginning tells nothing of deaths.
void Prepare(fakes::World& world, const std::string& what, const std::function<bool()>& done);

}  // namespace certflow::crash
