// The process that dies holds the Lease, or is about to take it.
#include <gtest/gtest.h>

#include <string>

#include "tests/crash/sweep.h"

namespace certflow::crash {
namespace {

std::unique_ptr<Scene> SecretScene() {
  auto scene = MakeSecretScene();
  scene->world().Elect();
  return scene;
}

// The writes of the Lease are interactions too: its making, and the takeover in the next life.
TEST(LeaseTest, R92_SecretRunSurvivesEveryPairOfDeaths) {
  EXPECT_EQ(SweepPairs("secret with the Lease, pairs", {SecretScene, {}, Cache::kFresh}),
            std::vector<std::string>());
}

}  // namespace
}  // namespace certflow::crash
