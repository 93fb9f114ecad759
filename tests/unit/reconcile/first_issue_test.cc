#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/fakes/world/world.h"

namespace certflow {
namespace {

using fakes::World;
using nlohmann::json;

TEST(FirstIssueTest, InternalCaFillsTheSecretWithFewWrites) {
  World world;
  world.AddInternalCa("company");
  world.Start();
  ASSERT_TRUE(world.Until([&] {
    return !world.Get("certificateauthorities", "company").value("status", json()).empty();
  }));
  world.api.ResetCounts();
  world.Create(fakes::WorkflowObject("site", "www.example.test", "company"));
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  world.Pass(std::chrono::seconds(60));
  EXPECT_EQ(world.Runs("site").size(), 1u);
  const std::string live = world.SecretFingerprint("site-tls");
  EXPECT_EQ(live.size(), 64u) << live;
  const json status = world.Get("certificateworkflows", "site")["status"];
  EXPECT_EQ(status["certificate"]["fingerprint"], live) << status.dump(2);
  EXPECT_EQ(world.LeakedKeys(), std::vector<std::string>());
  // One create of the workflow itself is the person's.
  EXPECT_LE(world.TotalWrites(), 6u + 1u);
  for (const auto& [what, count] : world.Writes()) {
    std::printf("  %s: %zu\n", what.c_str(), count);
  }
}

}  // namespace
}  // namespace certflow
