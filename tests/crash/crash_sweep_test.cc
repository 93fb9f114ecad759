// A process dies at every one of its interactions with the outside, before the effect and after it,
// and the next one brings the run to its end; also when that one dies too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>

#include "tests/crash/sweep.h"

namespace certflow::crash {
namespace {

const std::vector<std::string> kNothing;

std::unique_ptr<Scene> SecretScene() { return MakeSecretScene(); }
std::unique_ptr<Scene> AtHandScene() { return MakeAtHandScene(); }
std::unique_ptr<Scene> FullScene() { return MakeFullScene(); }

// One death at each interaction, before it and after it.
std::vector<std::string> SweepSingle(const std::string& name, const Play& play) {
  const auto interactions = Undisturbed(play);
  Findings findings;
  std::vector<std::function<void()>> jobs;
  for (int at = 1; at <= static_cast<int>(interactions.size()); ++at) {
    for (bool after : {false, true}) {
      Play one{play.make, {{at, after}}, play.cache};
      jobs.emplace_back([one, &findings] { findings.Add(PlayToTheEnd(one)); });
    }
  }
  RunAll(jobs);
  EXPECT_GE(findings.deaths(), static_cast<int>(interactions.size()));
  return findings.Report(name, interactions.size());
}

// After each death, the next process dies at each of its interactions in turn.
void SweepPairs(const std::string& name, const Play& play) {
  const auto interactions = Undisturbed(play);
  Findings findings;
  std::vector<std::function<void()>> jobs;
  for (int at = 1; at <= static_cast<int>(interactions.size()); ++at) {
    for (bool after : {false, true}) {
      jobs.emplace_back([&, at, after] {
        for (int second = 1;; ++second) {
          std::size_t deaths = 0;
          for (bool second_after : {false, true}) {
            const Ending ending =
                PlayToTheEnd({play.make, {{at, after}, {second, second_after}}, play.cache});
            findings.Add(ending);
            deaths = std::max(deaths, ending.deaths);
          }
          if (deaths < 2) return;  // the second life is shorter than that
        }
      });
    }
  }
  RunAll(jobs);
  EXPECT_GT(findings.deaths(), findings.plays());
  EXPECT_EQ(findings.Report(name, interactions.size()), kNothing);
}

unsigned Seed() {
  const char* set = std::getenv("CERTFLOW_SEED");
  const unsigned seed =
      set != nullptr ? static_cast<unsigned>(std::atoi(set)) : std::random_device()();
  std::printf("CERTFLOW_SEED=%u\n", seed);
  return seed;
}

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
  SweepPairs("secret, pairs", {SecretScene, {}, Cache::kFresh});
}

TEST(CrashSweepTest, R91_FullRunSurvivesPairsOfDeaths) {
  constexpr int kPairs = 24;
  const auto interactions = Undisturbed({FullScene, {}, Cache::kFresh});
  std::mt19937 random(Seed());
  std::uniform_int_distribution<int> at(1, static_cast<int>(interactions.size()));
  Findings findings;
  std::vector<std::function<void()>> jobs;
  for (int i = 0; i < kPairs; ++i) {
    const int first = at(random);
    // What the second life still has to do; a few of its first steps are looks that it repeats.
    const int second = 1 + at(random) % std::max(1, static_cast<int>(interactions.size()) - first);
    Play play{FullScene,
              {{first, random() % 2 == 0}, {second, random() % 2 == 0}},
              random() % 2 == 0 ? Cache::kFresh : Cache::kStale};
    jobs.emplace_back([play, &findings] { findings.Add(PlayToTheEnd(play)); });
  }
  RunAll(jobs);
  EXPECT_GT(findings.deaths(), kPairs);
  EXPECT_EQ(findings.Report("full, pairs", interactions.size()), kNothing);
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
