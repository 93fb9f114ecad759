// The process that dies holds the Lease, or is about to take it or to give it back.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/crash/sweep.h"

namespace certflow::crash {
namespace {

using std::chrono::seconds;

constexpr std::string_view kFirstWrite = "api create leases";
constexpr std::string_view kLaterWrite = "api patch leases";  // renewal, takeover, release
constexpr seconds kLeaseDuration{15};

const std::vector<std::string> kNothing;

std::unique_ptr<Scene> Elected(std::unique_ptr<Scene> scene) {
  scene->world().Elect();
  return scene;
}
std::unique_ptr<Scene> SecretScene() { return Elected(MakeSecretScene()); }
std::unique_ptr<Scene> TakenBackScene() { return Elected(MakeTakenBackScene()); }

// The writes of the Lease are interactions too: its making, and the takeover in the next life.
TEST(LeaseTest, R92_SecretRunSurvivesEveryPairOfDeaths) {
  EXPECT_EQ(SweepPairs("secret with the Lease, pairs", {SecretScene, {}, Cache::kFresh}), kNothing);
}

// The first process dies at a write of the Lease, the second one while it takes it over.
TEST(LeaseTest, R92_RunSurvivesDeathsAtEveryWriteOfTheLease) {
  const auto interactions = Undisturbed({TakenBackScene, {}, Cache::kFresh});
  const auto count = [&](std::string_view what) {
    return static_cast<int>(
        std::count_if(interactions.begin(), interactions.end(),
                      [what](const std::string& one) { return one.starts_with(what); }));
  };
  ASSERT_EQ(count(kFirstWrite), 1);
  const int renewals = count(kLaterWrite);
  ASSERT_GE(renewals, 5);
  Findings findings;
  std::vector<std::function<void(Findings&)>> plays;
  const auto add = [&](const fakes::Cut& cut) {
    const fakes::Cut takeover{1, !cut.after, kLaterWrite};
    const Play play{TakenBackScene, {cut, takeover}, Cache::kFresh};
    plays.emplace_back([play](Findings& found) { found.Add(PlayToTheEnd(play)); });
  };
  for (bool after : {false, true}) {
    add({1, after, kFirstWrite});
    for (int at = 1; at <= renewals; ++at) add({at, after, kLaterWrite});
  }
  findings.AddAll(plays);
  EXPECT_GE(findings.deaths(), 2 * renewals);
  EXPECT_EQ(findings.Report("waves that go back, deaths at the Lease", interactions.size()),
            kNothing);
}

// Stops the leader in the middle of a run and tells how long the next one waits for the Lease.
Duration HandOver(const fakes::Cut& at_release) {
  const auto scene = TakenBackScene();
  fakes::World& world = scene->world();
  scene->Play();
  EXPECT_TRUE(world.Until([&] { return world.Runs("site").size() == 2; }));
  EXPECT_EQ(world.LeaseHolder(), world.identity());
  const std::string before = world.identity();
  world.Stop(at_release);
  const bool died_before = at_release.at > 0 && !at_release.after;
  EXPECT_EQ(world.LeaseHolder(), died_before ? before : "");
  const SteadyTime stopped = world.clock.Steady();
  world.Start();
  EXPECT_TRUE(world.Until([&] { return world.program().leading(); }));
  const auto waited = std::chrono::duration_cast<Duration>(world.clock.Steady() - stopped);
  EXPECT_TRUE(world.Until([&] { return scene->Finished(); }));
  EXPECT_EQ(scene->WrongAtTheEnd(), kNothing);
  return waited;
}

// Simulated time moves a little while the threads of a new process begin.
TEST(LeaseTest, R92_AReleasedLeaseIsTakenAtOnceAndOneThatWasNotAfterItsDuration) {
  EXPECT_LT(HandOver({}), kLeaseDuration / 2);
  EXPECT_LT(HandOver({1, true, kLaterWrite}), kLeaseDuration / 2) << "released, and died of it";
  EXPECT_GE(HandOver({1, false, kLaterWrite}), kLeaseDuration)
      << "it was seen first by the one who waits";
}

}  // namespace
}  // namespace certflow::crash
