// A process dies at every one of its interactions with the outside, before the effect and after it,
// and the next one brings the run to its end; also when that one dies too.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/crash/sweep.h"

namespace certflow::crash {
namespace {

const std::vector<std::string> kNothing;

std::unique_ptr<Scene> SecretScene() { return MakeSecretScene(); }
std::unique_ptr<Scene> AtHandScene() { return MakeAtHandScene(); }
std::unique_ptr<Scene> FullScene() { return MakeFullScene(); }
std::unique_ptr<Scene> WavesScene() { return MakeWavesScene(); }
std::unique_ptr<Scene> TakenBackScene() { return MakeTakenBackScene(); }

TEST(CrashSweepTest, R91_SecretRunSurvivesDeathAtEveryInteraction) {
  EXPECT_EQ(SweepSingle("secret, fresh cache", {SecretScene, {}, Cache::kFresh}), kNothing);
}
TEST(CrashSweepTest, R91_SecretRunSurvivesDeathAtEveryInteractionWithStaleCaches) {
  EXPECT_EQ(SweepSingle("secret, stale cache", {SecretScene, {}, Cache::kStale}), kNothing);
}
TEST(CrashSweepTest, R91_TakingOverACertificateSurvivesDeathAtEveryInteraction) {
  EXPECT_EQ(SweepSingle("at hand, fresh cache", {AtHandScene, {}, Cache::kFresh}), kNothing);
}
TEST(CrashSweepTest, R91_FullRunSurvivesDeathAtEveryInteraction) {
  EXPECT_EQ(SweepSingle("full, fresh cache", {FullScene, {}, Cache::kFresh}), kNothing);
}
TEST(CrashSweepTest, R91_SecretRunSurvivesEveryPairOfDeaths) {
  EXPECT_EQ(SweepPairs("secret, pairs", {SecretScene, {}, Cache::kFresh}), kNothing);
}

TEST(CrashSweepTest, R91_FullRunSurvivesPairsOfDeaths) {
  EXPECT_EQ(SamplePairs("full, pairs", {FullScene, {}, Cache::kFresh}, 24), kNothing);
}

TEST(CrashSweepTest, R54_R55_WavesSurviveDeathAtEveryInteraction) {
  EXPECT_EQ(SweepSingle("waves, fresh cache", {WavesScene, {}, Cache::kFresh}), kNothing);
}
TEST(CrashSweepTest, R54_R61_WavesThatGoBackSurviveDeathAtEveryInteraction) {
  EXPECT_EQ(SweepSingle("waves that go back, fresh cache", {TakenBackScene, {}, Cache::kFresh}),
            kNothing);
}
TEST(CrashSweepTest, R54_R91_WavesSurvivePairsOfDeaths) {
  EXPECT_EQ(SamplePairs("waves, pairs", {WavesScene, {}, Cache::kFresh}, 24), kNothing);
  EXPECT_EQ(SamplePairs("waves that go back, pairs", {TakenBackScene, {}, Cache::kFresh}, 24),
            kNothing);
}

// The sweep is worth what it finds: a program that does not record its intent before it orders (as
// if the order were declared repeatable) must not come through.
TEST(CrashSweepTest, AnOrderWithoutItsIntentOnRecordIsFound) {
  const auto forgetful = [] {
    auto scene = MakeFullScene();
    scene->world().process.Forget([](const net::HttpRequest& request) {
      return request.method == "PUT" && request.url.find("/workflowruns/") != std::string::npos &&
             request.body.find(R"("state":"Intended")") != std::string::npos;
    });
    return scene;
  };
  const auto interactions = Undisturbed({FullScene, {}, Cache::kFresh});
  const auto order = std::find(interactions.begin(), interactions.end(), "acme POST /new-order");
  ASSERT_NE(order, interactions.end());
  const int at = static_cast<int>(order - interactions.begin()) + 1;
  const Ending ending = PlayToTheEnd({forgetful, {{at, true}}, Cache::kFresh});
  EXPECT_EQ(ending.deaths, 1u);
  ASSERT_FALSE(ending.wrong.empty());
  std::string all;
  for (const std::string& one : ending.wrong) all += one + "\n";
  EXPECT_NE(all.find("2 orders"), std::string::npos) << all;
}

}  // namespace
}  // namespace certflow::crash
