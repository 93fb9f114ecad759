#include "tests/crash/sweep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/crash/site.h"

namespace certflow::crash {
namespace {

constexpr unsigned kPlaysAtOnce = 4;

void Note(const std::string& where, const std::vector<std::string>& wrong, Ending& ending) {
  for (const std::string& one : wrong) ending.wrong.push_back(where + ": " + one);
}

unsigned Seed() {
  const char* set = std::getenv("CERTFLOW_SEED");
  const unsigned seed =
      set != nullptr ? static_cast<unsigned>(std::atoi(set)) : std::random_device()();
  std::printf("CERTFLOW_SEED=%u\n", seed);
  return seed;
}

// Each one, or every n-th where a sanitizer makes a play take ten times as long.
int Stride() {
  const char* set = std::getenv("CERTFLOW_SWEEP_EVERY");
  return set == nullptr ? 1 : std::max(1, std::atoi(set));
}

// Simulated time can overtake a program that gets no processor while a scene is made: then it is
// told and made once more. The second failure is the test's.
std::unique_ptr<Scene> MakeScene(const Play& play) {
  try {
    return play.make();
  } catch (const NotPrepared& why) {
    std::fprintf(stderr, "scene, made once more: %s\n", why.what());
    return play.make();
  }
}

// One life; true when it ended by the cut.
bool Live(const Play& play, Scene& scene, bool first) {
  fakes::World& world = scene.world();
  if (first) {
    scene.Play();
  } else {
    world.Start();
    if (play.cache == Cache::kStale) {
      world.api.HoldWatches(true);
      world.Until([&] { return world.life.dead() || scene.Finished(); }, std::chrono::seconds(60));
      world.api.HoldWatches(false);
    }
  }
  world.Until([&] { return world.life.dead() || scene.Finished(); });
  return world.life.dead();
}

}  // namespace

Ending PlayToTheEnd(const Play& play) {
  auto scene = MakeScene(play);
  fakes::World& world = scene->world();
  Ending ending;
  for (const fakes::Cut& cut : play.cuts) {
    world.CutNextLife(cut);
    if (!Live(play, *scene, ending.deaths == 0)) break;
    const auto done = world.life.done();
    world.Kill();
    ++ending.deaths;
    ending.where += (ending.where.empty() ? "death " : ", then ") +
                    std::string(cut.after ? "after " : "before ") + std::to_string(cut.at) + " (" +
                    (done.empty() ? "nothing done" : done.back()) + ")";
    Note("at the " + ending.where, scene->WrongNow(), ending);
  }
  if (ending.deaths == play.cuts.size()) Live(play, *scene, play.cuts.empty());
  if (!scene->Finished()) {
    ending.wrong.push_back(ending.where + ": the run does not end");
    for (const std::string& line : world.activity->log()) ending.wrong.push_back("  " + line);
  }
  Note("after the " + ending.where, scene->WrongAtTheEnd(), ending);
  return ending;
}

std::vector<std::string> Undisturbed(const Play& play) {
  auto scene = MakeScene(play);
  scene->Play();
  const bool finished = scene->world().Until([&] { return scene->Finished(); });
  EXPECT_TRUE(finished) << testing::PrintToString(scene->world().activity->log());
  EXPECT_EQ(scene->WrongAtTheEnd(), std::vector<std::string>());
  return scene->world().life.done();
}

std::vector<std::string> SweepSingle(const std::string& name, const Play& play) {
  const auto interactions = Undisturbed(play);
  Findings findings;
  std::vector<std::function<void()>> jobs;
  for (int at = 1; at <= static_cast<int>(interactions.size()); at += Stride()) {
    for (bool after : {false, true}) {
      Play one{play.make, {{at, after}}, play.cache};
      jobs.emplace_back([one, &findings] { findings.Add(PlayToTheEnd(one)); });
    }
  }
  RunAll(jobs);
  EXPECT_GE(findings.deaths(), static_cast<int>(interactions.size()) / Stride());
  return findings.Report(name, interactions.size());
}

std::vector<std::string> SweepPairs(const std::string& name, const Play& play) {
  const auto interactions = Undisturbed(play);
  Findings findings;
  std::vector<std::function<void()>> jobs;
  for (int at = 1; at <= static_cast<int>(interactions.size()); at += Stride()) {
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
  return findings.Report(name, interactions.size());
}

std::vector<std::string> SamplePairs(const std::string& name, const Play& play, int count) {
  const auto interactions = Undisturbed(play);
  std::mt19937 random(Seed());
  std::uniform_int_distribution<int> at(1, static_cast<int>(interactions.size()));
  Findings findings;
  std::vector<std::function<void()>> jobs;
  for (int i = 0; i < count; i += Stride()) {
    const int first = at(random);
    // What the second life still has to do; a few of its first steps are looks that it repeats.
    const int second = 1 + at(random) % std::max(1, static_cast<int>(interactions.size()) - first);
    Play pair{play.make,
              {{first, random() % 2 == 0}, {second, random() % 2 == 0}},
              random() % 2 == 0 ? Cache::kFresh : Cache::kStale};
    jobs.emplace_back([pair, &findings] { findings.Add(PlayToTheEnd(pair)); });
  }
  RunAll(jobs);
  EXPECT_GT(findings.deaths(), findings.plays());
  return findings.Report(name, interactions.size());
}

void Findings::Add(const Ending& ending) {
  MutexLock lock(mutex_);
  ++plays_;
  deaths_ += static_cast<int>(ending.deaths);
  wrong_.insert(wrong_.end(), ending.wrong.begin(), ending.wrong.end());
}

std::vector<std::string> Findings::Report(const std::string& name, std::size_t interactions) const {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  MutexLock lock(mutex_);
  std::printf("%s: %zu interactions, %d runs, %d deaths, %zu wrong, %.1f s\n", name.c_str(),
              interactions, plays_, deaths_, wrong_.size(), seconds);
  return wrong_;
}

int Findings::plays() const {
  MutexLock lock(mutex_);
  return plays_;
}

int Findings::deaths() const {
  MutexLock lock(mutex_);
  return deaths_;
}

void RunAll(const std::vector<std::function<void()>>& jobs) {
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kPlaysAtOnce; ++i) {
    threads.emplace_back([&] {
      for (std::size_t job = next++; job < jobs.size(); job = next++) jobs[job]();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace certflow::crash
