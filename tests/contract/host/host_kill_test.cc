#include <filesystem>

#include "controller/pki/certificate.h"
#include "controller/pki/key.h"
#include "tests/contract/host/host_world.h"
#include "tests/contract/host/kill_shell.h"
#include "tests/contract/target/target_contract.h"

namespace certflow::contract {
namespace {

namespace fs = std::filesystem;

class HostKillTest : public testing::TestWithParam<const char*> {
 protected:
  HostKillTest() : at_(world_.Binding("site")) {}

  Context ctx() { return {*clock_}; }
  void Deploy(const Pair& pair, const std::string& version) {
    auto target = world_.ConnectBy(std::make_unique<test::LocalShell>());
    ASSERT_TRUE(target->Stage(ctx(), at_, pair.AsBundle(version)).ok());
    const auto active = target->Activate(ctx(), at_, {version});
    ASSERT_TRUE(active.ok()) << active.error().message;
  }
  // Kills a script of `act` at each of its commands, checks what is live, and finishes.
  template <typename Act>
  void Sweep(bool occupied, bool deployed, const Pair& wanted, const std::string& version,
             Act act) {
    for (int n = 1;; ++n) {
      SCOPED_TRACE("killed before command " + std::to_string(n));
      world_.Empty(at_);
      if (occupied) world_.PutForeign(at_, original_);
      if (deployed) Deploy(first_, "st-1");
      points_.Arm(n);
      act(*world_.ConnectBy(points_.MakeShell()));
      const bool struck = points_.commands() >= n;
      points_.Arm(0);
      CheckLive(occupied);
      Finish(wanted, version);
      if (!struck) {
        EXPECT_GT(n, 5) << "the stand-ins were used";
        return;
      }
    }
  }
  void CheckLive(bool must_be_there) {
    const auto live = world_.Live(at_);
    ASSERT_TRUE(live.has_value() || !must_be_there);
    if (!live) return;
    const auto key = pki::PrivateKey::FromPem(live->key);
    ASSERT_TRUE(key.ok() && pki::CheckPair(live->chain, *key).ok());
  }
  void Finish(const Pair& wanted, const std::string& version) {
    auto target = world_.ConnectBy(std::make_unique<test::LocalShell>());
    auto state = target->Observe(ctx(), at_);
    ASSERT_TRUE(state.ok()) << state.error().message;
    if (version.starts_with("st-")) {
      const auto staged = target->Stage(ctx(), at_, wanted.AsBundle(version));
      ASSERT_TRUE(staged.ok()) << staged.error().message;
    }
    if (state->active != version || !state->running) {
      const auto active = target->Activate(ctx(), at_, {version});
      ASSERT_TRUE(active.ok()) << active.error().message;
    }
    state = target->Observe(ctx(), at_);
    ASSERT_TRUE(state.ok());
    EXPECT_EQ(state->active, version);
    EXPECT_TRUE(state->running);
    EXPECT_EQ(world_.Live(at_)->fingerprint, wanted.fingerprint);
    CheckLive(true);
    ASSERT_TRUE(target->Prune(ctx(), at_, {}).ok());
    for (const auto& entry : fs::directory_iterator(world_.folder(at_))) {
      EXPECT_NE(entry.path().filename().string().front(), '.') << "nothing unfinished stays";
    }
  }

  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  HostWorld world_{GetParam(), false};
  seams::Binding at_;
  const Pair original_ = MakePair("original.test");
  const Pair first_ = MakePair("first.test");
  const Pair second_ = MakePair("second.test");
  KillPoints points_;
};

class HostSwitchKillTest : public HostKillTest {};

// nginx goes through all of it; with the others only the switch is different.
INSTANTIATE_TEST_SUITE_P(Nginx, HostKillTest, testing::Values("plain"));
INSTANTIATE_TEST_SUITE_P(Apache, HostSwitchKillTest, testing::Values("apache-single"));
INSTANTIATE_TEST_SUITE_P(Haproxy, HostSwitchKillTest, testing::Values("haproxy-dir"));
INSTANTIATE_TEST_SUITE_P(Nginx, HostSwitchKillTest, testing::Values("plain"));

TEST_P(HostKillTest, StageKilledAtEveryCommand) {
  Sweep(true, false, first_, "st-1", [&](seams::Target& target) {
    (void)target.Stage(ctx(), at_, first_.AsBundle("st-1")).ok();
  });
}

TEST_P(HostSwitchKillTest, ActivateKilledAtEveryCommand) {
  Sweep(true, true, second_, "st-2", [&](seams::Target& target) {
    auto sound = world_.ConnectBy(std::make_unique<test::LocalShell>());
    ASSERT_TRUE(sound->Stage(ctx(), at_, second_.AsBundle("st-2")).ok());
    (void)target.Activate(ctx(), at_, {"st-2"}).ok();
  });
}

TEST_P(HostKillTest, FirstActivateKilledAtEveryCommand) {
  Sweep(false, false, first_, "st-1", [&](seams::Target& target) {
    auto sound = world_.ConnectBy(std::make_unique<test::LocalShell>());
    ASSERT_TRUE(sound->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
    (void)target.Activate(ctx(), at_, {"st-1"}).ok();
  });
}

TEST_P(HostKillTest, DeactivateKilledAtEveryCommand) {
  Sweep(false, true, second_, "st-2",
        [&](seams::Target& target) { (void)target.Deactivate(ctx(), at_, {}).ok(); });
}

TEST_P(HostKillTest, PruneKilledAtEveryCommand) {
  Sweep(true, true, first_, "st-1",
        [&](seams::Target& target) { (void)target.Prune(ctx(), at_, {}).ok(); });
}

}  // namespace
}  // namespace certflow::contract
