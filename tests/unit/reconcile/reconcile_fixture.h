#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fakes/world/world.h"

namespace certflow {

// The program in its world, with an internal CA "company" that is ready.
class ReconcileTest : public testing::Test {
 protected:
  using json = nlohmann::json;
  using seconds = std::chrono::seconds;
  static constexpr seconds kHour{3600};
  static constexpr seconds kDay{24 * 3600};

  // Starts the program. `duration` is what the CA gives a certificate.
  void StartWithCa(const std::string& duration = "90d");
  // A workflow "site" of the CA, changed by `patch`, and its first run until it is in `state`.
  void Issue(const json& patch = json::object(), std::string_view state = "Succeeded");
  void CreateSite(const json& patch = json::object());

  json Workflow() const { return world.Get("certificateworkflows", "site"); }
  json Status() const;  // of the workflow
  json Run() const;     // the newest one
  json RunStatus() const;
  std::size_t Runs() const { return world.Runs("site").size(); }
  std::string Live() const { return world.SecretFingerprint("site-tls"); }
  // "True: Issued: message", or nothing.
  static std::string Condition(const json& object, std::string_view type);
  bool TargetIsReady(const std::string& name) const;
  bool RunWaitsFor(std::string_view text) const;
  bool HasEvent(std::string_view reason, std::string_view text = "") const;
  // "Deployment 0/1-edge": the entry's state, or nothing.
  std::string Entry(std::string_view step, std::string_view target = "") const;
  void ExpectNoKeyShown() const { EXPECT_EQ(world.LeakedKeys(), std::vector<std::string>()); }

  fakes::World world;
};

}  // namespace certflow
