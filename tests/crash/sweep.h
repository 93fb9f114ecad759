#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

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

// What plays have found, together.
class Findings {
 public:
  void Add(const Ending& ending);
  // Plays each of them and adds what it found. In processes of their own, several at once: a world
  // wants a process for itself (OtherThreadsSleep), and nothing of one play reaches another.
  void AddAll(const std::vector<std::function<void(Findings&)>>& plays);
  // Prints the figures and gives back what was wrong, for the test to judge.
  std::vector<std::string> Report(const std::string& name, std::size_t interactions) const;
  int plays() const { return plays_; }
  int deaths() const { return deaths_; }

 private:
  std::string ToText() const;
  void AddText(const std::string& text);
  int plays_ = 0;
  int deaths_ = 0;
  std::vector<std::string> wrong_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace certflow::crash
