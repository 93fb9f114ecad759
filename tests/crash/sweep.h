#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controller/base/mutex.h"
#include "tests/crash/scene.h"

namespace certflow::crash {

// How the next process finds its caches.
enum class Cache { kFresh, kStale };

// A run whose process dies at each of the cuts, one life after the other.
struct Play {
  std::function<std::unique_ptr<Scene>()> make;
  std::vector<fakes::Cut> cuts;
  Cache cache = Cache::kFresh;
};

struct Ending {
  std::string where;  // it died
  std::size_t deaths = 0;
  std::vector<std::string> wrong;  // at a death or at the end; empty is right
};

Ending PlayToTheEnd(const Play& play);

// Interactions of a run that nothing disturbs, in order; the test fails when it goes wrong.
std::vector<std::string> Undisturbed(const Play& play);

// Each of these prints its figures and gives back what was wrong, for the test to judge. With
// CERTFLOW_SWEEP_EVERY=4 it takes every fourth place to die at, and a fourth of what is drawn.
//
// One death at each interaction, before it and after it.
std::vector<std::string> SweepSingle(const std::string& name, const Play& play);
// After each death, the next process dies at each of its interactions in turn.
std::vector<std::string> SweepPairs(const std::string& name, const Play& play);
// So many pairs of deaths, drawn by CERTFLOW_SEED, and half of them with stale caches.
std::vector<std::string> SamplePairs(const std::string& name, const Play& play, int count);

// What plays have found, together. Thread-safe.
class Findings {
 public:
  void Add(const Ending& ending);
  // Prints the figures and gives back what was wrong, for the test to judge.
  std::vector<std::string> Report(const std::string& name, std::size_t interactions) const;
  int plays() const;
  int deaths() const;

 private:
  mutable Mutex mutex_;
  int plays_ CF_GUARDED_BY(mutex_) = 0;
  int deaths_ CF_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> wrong_ CF_GUARDED_BY(mutex_);
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Worlds know nothing of each other and mostly wait, so several are played at once.
void RunAll(const std::vector<std::function<void()>>& jobs);

}  // namespace certflow::crash
