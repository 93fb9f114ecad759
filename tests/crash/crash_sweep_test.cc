// A process dies at every one of its interactions with the outside, before the effect and after it,
// and the next one brings the run to its end; also when that one dies too.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
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

// The sweep is worth what it finds: a program that does not record its intents must not come
// through. What is wrong when it dies after the interaction, which has to be one.
std::string WrongWithoutIntents(const std::function<std::unique_ptr<Scene>()>& make,
                                const std::string& interaction) {
  const auto forgetful = [&make] {
    auto scene = make();
    scene->world().process.Forget([](const net::HttpRequest& request) {
      return request.method == "PUT" && request.url.find("/workflowruns/") != std::string::npos &&
             request.body.find(R"("state":"Intended")") != std::string::npos;
    });
    return scene;
  };
  const auto interactions = Undisturbed({make, {}, Cache::kFresh});
  const auto found = std::find(interactions.begin(), interactions.end(), interaction);
  EXPECT_NE(found, interactions.end()) << testing::PrintToString(interactions);
  const Ending ending = PlayToTheEnd({forgetful, {{1, true, interaction}}, Cache::kFresh});
  EXPECT_EQ(ending.deaths, 1u);
  std::string all;
  for (const std::string& one : ending.wrong) all += one + "\n";
  return all;
}

TEST(CrashSweepTest, AnOrderWithoutItsIntentOnRecordIsFound) {
  const std::string wrong = WrongWithoutIntents(FullScene, "acme POST /new-order");
  EXPECT_NE(wrong.find("2 orders"), std::string::npos) << wrong;
}

TEST(CrashSweepTest, ASwitchWithoutItsWayBackOnRecordIsFound) {
  const std::string wrong = WrongWithoutIntents(
      TakenBackScene, "first PATCH /mgmt/tm/ltm/profile/client-ssl/~Common~site");
  EXPECT_NE(wrong.find("first is not as before"), std::string::npos) << wrong;
}

// Plays are played in other processes: what they find, and that they die, must reach the test.
TEST(FindingsTest, WhatAPlayFindsInItsProcessIsFound) {
  Findings findings;
  findings.AddAll({[](Findings& found) { found.Add({"here", 2, {"a wrong pair"}}); },
                   [](Findings&) { ADD_FAILURE() << "on purpose, in a process of its own"; },
                   [](Findings&) { ::_exit(3); }, [](Findings& found) { found.Add({"", 1, {}}); }});
  EXPECT_EQ(findings.plays(), 2);
  EXPECT_EQ(findings.deaths(), 3);
  const auto wrong = findings.Report("planted", 0);
  EXPECT_EQ(wrong, (std::vector<std::string>{"a wrong pair", "a check failed, see above",
                                             "the process of a play ended with status 768"}));
}

}  // namespace
}  // namespace certflow::crash
