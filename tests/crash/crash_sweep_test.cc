// A process dies at every one of its interactions with the outside, before the effect and after it,
// and the next one brings the run to its end.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

#include "tests/crash/scene.h"

namespace certflow::crash {
namespace {

using MakeScene = std::unique_ptr<Scene> (*)();

// How the next process finds its caches.
enum class Cache { kFresh, kStale };

std::string Joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += "\n    " + line;
  return out;
}

// Interactions of a run that nothing disturbs.
std::vector<std::string> Undisturbed(MakeScene make) {
  auto scene = make();
  scene->Play();
  EXPECT_TRUE(scene->world().Until([&] { return scene->Finished(); }));
  EXPECT_EQ(Joined(scene->WrongAtTheEnd()), "");
  return scene->world().life.done();
}

struct Sweep {
  int deaths = 0;
  int faults = 0;
};

void PlayWithDeath(MakeScene make, fakes::Cut cut, Cache cache, Sweep& sweep) {
  auto scene = make();
  fakes::World& world = scene->world();
  world.CutNextLife(cut);
  scene->Play();
  world.Until([&] { return world.life.dead() || scene->Finished(); });
  const bool died = world.life.dead();
  const auto done = world.life.done();
  const std::string where = "death " + std::string(cut.after ? "after " : "before ") +
                            std::to_string(cut.at) +
                            ", last done: " + (done.empty() ? "nothing" : done.back());
  if (died) {
    world.Kill();
    ++sweep.deaths;
    const auto wrong = scene->WrongNow();
    sweep.faults += !wrong.empty();
    EXPECT_EQ(Joined(wrong), "") << "at the " << where;
    world.Start();
    if (cache == Cache::kStale) {
      world.api.HoldWatches(true);
      world.Until([&] { return scene->Finished(); }, std::chrono::seconds(60));
      world.api.HoldWatches(false);
    }
  }
  const bool finished = world.Until([&] { return scene->Finished(); });
  const auto wrong = scene->WrongAtTheEnd();
  sweep.faults += !finished || !wrong.empty();
  EXPECT_TRUE(finished) << where;
  EXPECT_EQ(Joined(wrong), "") << where;
  if (!finished) std::printf("  log:%s\n", Joined(world.activity->log()).c_str());
}

void SweepAll(const char* name, MakeScene make, Cache cache) {
  const auto begin = std::chrono::steady_clock::now();
  const auto interactions = Undisturbed(make);
  Sweep sweep;
  for (int at = 1; at <= static_cast<int>(interactions.size()); ++at) {
    for (bool after : {false, true}) PlayWithDeath(make, {at, after}, cache, sweep);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%s: %zu interactions, %d deaths, %d faults, %.1f s\n", name, interactions.size(),
              sweep.deaths, sweep.faults, seconds);
  EXPECT_GE(sweep.deaths, static_cast<int>(interactions.size()));
}

TEST(CrashSweepTest, SecretRunSurvivesDeathAtEveryInteraction) {
  SweepAll("secret, fresh cache", MakeSecretScene, Cache::kFresh);
}
TEST(CrashSweepTest, SecretRunSurvivesDeathAtEveryInteractionWithStaleCaches) {
  SweepAll("secret, stale cache", MakeSecretScene, Cache::kStale);
}
TEST(CrashSweepTest, FullRunSurvivesDeathAtEveryInteraction) {
  SweepAll("full, fresh cache", MakeFullScene, Cache::kFresh);
}

}  // namespace
}  // namespace certflow::crash
