#include "tests/crash/sweep.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <system_error>
#include <utility>

#include "tests/crash/site.h"

namespace certflow::crash {
namespace {

using nlohmann::json;

constexpr std::size_t kPlaysAtOnce = 3;

[[noreturn]] void Fail(const char* call) {
  throw std::system_error(errno, std::generic_category(), call);
}

struct Child {
  pid_t pid;
  int answer;  // to be read from
};

// `work` in a process of its own, which ends with it. This one has no other threads.
Child Fork(const std::function<std::string()>& work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) Fail("pipe");
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) Fail("fork");
  if (pid > 0) {
    ::close(ends[1]);
    return {pid, ends[0]};
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::string answer = work();
  std::fflush(nullptr);
  for (std::size_t at = 0; at < answer.size();) {
    const ssize_t written = ::write(ends[1], answer.data() + at, answer.size() - at);
    if (written <= 0) ::_exit(1);
    at += static_cast<std::size_t>(written);
  }
  ::_exit(0);
}

// What it answered, and its wait status.
std::pair<std::string, int> Await(const Child& child) {
  std::string answer;
  std::array<char, 4096> buffer;
  for (ssize_t size; (size = ::read(child.answer, buffer.data(), buffer.size())) > 0;) {
    answer.append(buffer.data(), static_cast<std::size_t>(size));
  }
  ::close(child.answer);
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  return {answer, status};
}

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
  auto scene = play.make();
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
  auto scene = play.make();
  scene->Play();
  const bool finished = scene->world().Until([&] { return scene->Finished(); });
  EXPECT_TRUE(finished) << testing::PrintToString(scene->world().activity->log());
  EXPECT_EQ(scene->WrongAtTheEnd(), std::vector<std::string>());
  return scene->world().life.done();
}

std::vector<std::string> SweepSingle(const std::string& name, const Play& play) {
  const auto interactions = Undisturbed(play);
  Findings findings;
  std::vector<std::function<void(Findings&)>> plays;
  for (int at = 1; at <= static_cast<int>(interactions.size()); at += Stride()) {
    for (bool after : {false, true}) {
      Play one{play.make, {{at, after}}, play.cache};
      plays.emplace_back([one](Findings& found) { found.Add(PlayToTheEnd(one)); });
    }
  }
  findings.AddAll(plays);
  EXPECT_GE(findings.deaths(), static_cast<int>(interactions.size()) / Stride());
  return findings.Report(name, interactions.size());
}

std::vector<std::string> SweepPairs(const std::string& name, const Play& play) {
  const auto interactions = Undisturbed(play);
  Findings findings;
  std::vector<std::function<void(Findings&)>> plays;
  for (int at = 1; at <= static_cast<int>(interactions.size()); at += Stride()) {
    for (bool after : {false, true}) {
      plays.emplace_back([&, at, after](Findings& found) {
        for (int second = 1;; ++second) {
          std::size_t deaths = 0;
          for (bool second_after : {false, true}) {
            const Ending ending =
                PlayToTheEnd({play.make, {{at, after}, {second, second_after}}, play.cache});
            found.Add(ending);
            deaths = std::max(deaths, ending.deaths);
          }
          if (deaths < 2) return;  // the second life is shorter than that
        }
      });
    }
  }
  findings.AddAll(plays);
  EXPECT_GT(findings.deaths(), findings.plays());
  return findings.Report(name, interactions.size());
}

std::vector<std::string> SamplePairs(const std::string& name, const Play& play, int count) {
  const auto interactions = Undisturbed(play);
  std::mt19937 random(Seed());
  std::uniform_int_distribution<int> at(1, static_cast<int>(interactions.size()));
  Findings findings;
  std::vector<std::function<void(Findings&)>> plays;
  for (int i = 0; i < count; i += Stride()) {
    const int first = at(random);
    // What the second life still has to do; a few of its first steps are looks that it repeats.
    const int second = 1 + at(random) % std::max(1, static_cast<int>(interactions.size()) - first);
    Play pair{play.make,
              {{first, random() % 2 == 0}, {second, random() % 2 == 0}},
              random() % 2 == 0 ? Cache::kFresh : Cache::kStale};
    plays.emplace_back([pair](Findings& found) { found.Add(PlayToTheEnd(pair)); });
  }
  findings.AddAll(plays);
  EXPECT_GT(findings.deaths(), findings.plays());
  return findings.Report(name, interactions.size());
}

void Findings::Add(const Ending& ending) {
  ++plays_;
  deaths_ += static_cast<int>(ending.deaths);
  wrong_.insert(wrong_.end(), ending.wrong.begin(), ending.wrong.end());
}

void Findings::AddAll(const std::vector<std::function<void(Findings&)>>& plays) {
  std::vector<Child> children;
  for (std::size_t i = 0; i < kPlaysAtOnce; ++i) {
    children.push_back(Fork([&plays, i] {
      Findings found;
      for (std::size_t play = i; play < plays.size(); play += kPlaysAtOnce) plays[play](found);
      if (testing::Test::HasFailure()) found.wrong_.emplace_back("a check failed, see above");
      return found.ToText();
    }));
  }
  for (const Child& child : children) {
    const auto [text, status] = Await(child);
    if (status == 0) {
      AddText(text);
    } else {
      wrong_.push_back("the process of a play ended with status " + std::to_string(status));
    }
  }
}

std::string Findings::ToText() const {
  return json{{"plays", plays_}, {"deaths", deaths_}, {"wrong", wrong_}}.dump();
}

void Findings::AddText(const std::string& text) {
  const json found = json::parse(text);
  plays_ += found.at("plays").get<int>();
  deaths_ += found.at("deaths").get<int>();
  for (const json& wrong : found.at("wrong")) wrong_.push_back(wrong);
}

std::vector<std::string> Findings::Report(const std::string& name, std::size_t interactions) const {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  std::printf("%s: %zu interactions, %d runs, %d deaths, %zu wrong, %.1f s\n", name.c_str(),
              interactions, plays_, deaths_, wrong_.size(), seconds);
  return wrong_;
}

}  // namespace certflow::crash
