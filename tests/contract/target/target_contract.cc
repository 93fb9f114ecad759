#include "tests/contract/target/target_contract.h"

#include <algorithm>
#include <functional>

#include "controller/pki/certificate.h"
#include "controller/pki/key.h"
#include "tests/fakes/tls/test_certificate.h"

namespace certflow::contract {
namespace {

const Pair& Original() {
  static const Pair kPair = MakePair("original.test");
  return kPair;
}
const Pair& First() {
  static const Pair kPair = MakePair("first.test");
  return kPair;
}
const Pair& Second() {
  static const Pair kPair = MakePair("second.test");
  return kPair;
}

bool Contains(const std::vector<std::string>& list, const std::string& what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

bool Fits(const Pair& pair) {
  const auto key = pki::PrivateKey::FromPem(pair.key);
  return key.ok() && pki::CheckPair(pair.chain, *key).ok();
}

std::string OriginalVersion(const Pair& pair) {
  return "original-" + pair.fingerprint.substr(0, 8);
}

std::map<std::string, Pair>& MadePairs() {
  static std::map<std::string, Pair> pairs;
  return pairs;
}

// Looks until the target is through with what follows a switch, every three seconds as the
// controller does, and asks again where it says so.
bool Settle(seams::Target& target, fakes::SimulatedClock& clock, const seams::Binding& at,
            const seams::StagedRef& which) {
  const Context ctx{clock};
  for (int round = 0; round < 30; ++round, clock.Advance(std::chrono::seconds(3))) {
    const auto state = target.Observe(ctx, at);
    if (!state.ok()) return false;
    if (state->running && state->settling.empty()) return true;
    if (!state->running) (void)target.Activate(ctx, at, which).ok();
  }
  return false;
}

}  // namespace

seams::Bundle Pair::AsBundle(const std::string& version) const {
  return {version, chain, "", SecretBytes(key)};
}

Pair MakePair(const std::string& name) {
  fakes::CertificateSpec spec;
  spec.common_name = name;
  spec.names = "DNS:" + name;
  // Real time: real servers load these.
  const WallTime now = MakeSystemClock()->Now();
  spec.not_before = now - std::chrono::hours(24);
  spec.not_after = now + std::chrono::hours(24 * 30);
  const fakes::TestCertificate made = fakes::MakeCertificate(spec);
  Pair pair{made.pem, std::string(made.key.ToPem().Reveal()),
            pki::ReadChain(made.pem)->front().fingerprint};
  MadePairs()[pair.fingerprint] = pair;
  return pair;
}

std::optional<Pair> PairOf(const std::string& fingerprint) {
  const auto found = MadePairs().find(fingerprint);
  return found == MadePairs().end() ? std::nullopt : std::optional(found->second);
}

TargetContract::TargetContract() : world_(GetParam()()), at_(world_->Binding("site")) {
  world_->Empty(at_);
}

void TargetContract::Deploy(const Pair& pair, const std::string& version) {
  auto target = Connect();
  const auto before = target->Observe(ctx(), at_);
  ASSERT_TRUE(before.ok()) << before.error().message;
  noted_previous_ = before->active;
  ways_[before->active] = before->way_back;
  const auto staged = target->Stage(ctx(), at_, pair.AsBundle(version));
  ASSERT_TRUE(staged.ok()) << staged.error().message;
  const auto active = target->Activate(ctx(), at_, {version});
  ASSERT_TRUE(active.ok()) << active.error().message;
  ASSERT_TRUE(Settle(*target, clock_, at_, {version}));
}

void TargetContract::Switch(const seams::StagedRef& which) {
  auto target = Connect();
  const auto active = target->Activate(ctx(), at_, which);
  ASSERT_TRUE(active.ok()) << active.error().message;
  ASSERT_TRUE(Settle(*target, clock_, at_, which));
}

std::string TargetContract::Previous() {
  if (!Connect()->remembers_previous()) return noted_previous_;
  return Observe().previous.value_or("(not told)");
}

void TargetContract::ExpectLive(const Pair& pair) {
  const auto live = world_->Live(at_);
  ASSERT_TRUE(live.has_value());
  EXPECT_EQ(live->fingerprint, pair.fingerprint);
  EXPECT_TRUE(Fits(*live));
}

seams::TargetState TargetContract::Observe() {
  auto state = Connect()->Observe(ctx(), at_);
  EXPECT_TRUE(state.ok()) << (state.ok() ? "" : state.error().message);
  return state.ok() ? *state : seams::TargetState();
}

void TargetContract::Reset(const std::optional<Pair>& foreign) {
  world_->Arm({});
  world_->Empty(at_);
  if (foreign) world_->PutForeign(at_, *foreign);
}

TEST_P(TargetContract, NothingIsSeenWhereNothingIs) {
  const auto state = Observe();
  EXPECT_EQ(state.active, "");
  EXPECT_EQ(state.fingerprint, "");
  EXPECT_TRUE(state.staged.empty());
}

TEST_P(TargetContract, WhatStoodThereBeforeIsToldByItsFingerprint) {
  world_->PutForeign(at_, Original());
  const auto state = Observe();
  EXPECT_EQ(state.fingerprint, Original().fingerprint);
  EXPECT_EQ(state.active, OriginalVersion(Original()));
  EXPECT_TRUE(state.running);
}

TEST_P(TargetContract, StagingChangesNothingLive) {
  auto target = Connect();
  ASSERT_TRUE(target->Stage(ctx(), at_, First().AsBundle("st-1")).ok());
  EXPECT_FALSE(world_->Live(at_).has_value());
  Reset(Original());
  target = Connect();
  ASSERT_TRUE(target->Stage(ctx(), at_, First().AsBundle("st-1")).ok());
  ExpectLive(Original());
  const auto state = target->Observe(ctx(), at_);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->active, OriginalVersion(Original()));
  EXPECT_TRUE(Contains(state->staged, "st-1"));
  EXPECT_TRUE(Contains(state->staged, OriginalVersion(Original())));
}

TEST_P(TargetContract, StagingTwiceIsStagingOnce) {
  world_->PutForeign(at_, Original());
  ASSERT_TRUE(Connect()->Stage(ctx(), at_, First().AsBundle("st-1")).ok());
  ASSERT_TRUE(Connect()->Stage(ctx(), at_, First().AsBundle("st-1")).ok());
  ASSERT_TRUE(Connect()->Activate(ctx(), at_, {"st-1"}).ok());
  ASSERT_TRUE(Connect()->Stage(ctx(), at_, First().AsBundle("st-1")).ok());
  ExpectLive(First());
}

TEST_P(TargetContract, ActivatesOverWhatStoodThereAndTellsWhatItWas) {
  world_->PutForeign(at_, Original());
  Deploy(First(), "st-1");
  ExpectLive(First());
  const auto state = Observe();
  EXPECT_EQ(state.active, "st-1");
  EXPECT_EQ(state.fingerprint, First().fingerprint);
  EXPECT_TRUE(state.running);
  EXPECT_EQ(Previous(), OriginalVersion(Original()));
}

TEST_P(TargetContract, FirstDeploymentIsTakenOutAgain) {
  Deploy(First(), "st-1");
  ExpectLive(First());
  EXPECT_EQ(Previous(), "");
  ASSERT_TRUE(Connect()->Deactivate(ctx(), at_, ways_[""]).ok());
  EXPECT_FALSE(world_->Live(at_).has_value());
  EXPECT_EQ(Observe().active, "");
  ASSERT_TRUE(Connect()->Deactivate(ctx(), at_, ways_[""]).ok()) << "twice is once";
  ASSERT_TRUE(Settle(*Connect(), clock_, at_, {}));
  Deploy(Second(), "st-2");
  ExpectLive(Second());
}

TEST_P(TargetContract, DeactivateNeverTakesAwayWhatWasThere) {
  world_->PutForeign(at_, Original());
  ASSERT_TRUE(Connect()->Deactivate(ctx(), at_, {}).ok());
  ExpectLive(Original());
  Deploy(First(), "st-1");
  const seams::WayBack way_back = ways_[OriginalVersion(Original())];
  ASSERT_TRUE(Connect()->Deactivate(ctx(), at_, way_back).ok());
  ExpectLive(Original());
}

//
TEST_P(TargetContract, GoesBackToWhatStoodThereAndForwardAgain) {
  world_->PutForeign(at_, Original());
  Deploy(First(), "st-1");
  GoBack(OriginalVersion(Original()));
  ExpectLive(Original());
  EXPECT_EQ(Observe().active, OriginalVersion(Original()));
  Switch({"st-1"});
  ExpectLive(First());
  Deploy(Second(), "st-2");
  EXPECT_EQ(Previous(), "st-1");
  GoBack("st-1");
  ExpectLive(First());
}

TEST_P(TargetContract, APairThatDoesNotFitIsRefusedBeforeAnythingIsTouched) {
  world_->PutForeign(at_, Original());
  Pair mixed = First();
  mixed.key = Second().key;
  const auto staged = Connect()->Stage(ctx(), at_, mixed.AsBundle("st-1"));
  ASSERT_FALSE(staged.ok());
  EXPECT_EQ(staged.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(staged.error().message.find("PRIVATE"), std::string::npos);
  ExpectLive(Original());
  EXPECT_FALSE(Contains(Observe().staged, "st-1"));
}

TEST_P(TargetContract, AVersionThatIsNotThereIsNotActivated) {
  world_->PutForeign(at_, Original());
  const auto active = Connect()->Activate(ctx(), at_, {"st-9"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(active.error().reason, "VersionMissing");
  ExpectLive(Original());
}

TEST_P(TargetContract, NamesThatCouldLeadElsewhereAreRefused) {
  for (const std::string version : {"../x", "", "a b", "-rf", ".hidden", "a\nb", "$(id)", "A"}) {
    auto bundle = First().AsBundle(version);
    EXPECT_FALSE(Connect()->Stage(ctx(), at_, bundle).ok()) << version;
    EXPECT_FALSE(Connect()->Activate(ctx(), at_, {version}).ok()) << version;
  }
  EXPECT_FALSE(Connect()->Stage(ctx(), at_, First().AsBundle("original-1")).ok());
}

TEST_P(TargetContract, SomebodyElsesChangeIsSeenAndKept) {
  world_->PutForeign(at_, Original());
  Deploy(First(), "st-1");
  const Pair other = MakePair("other.test");
  world_->PutForeign(at_, other);
  EXPECT_EQ(Observe().active, OriginalVersion(other));
  Deploy(Second(), "st-2");
  ExpectLive(Second());
  EXPECT_EQ(Previous(), OriginalVersion(other));
  GoBack(OriginalVersion(other));
  ExpectLive(other);
}

TEST_P(TargetContract, PruneRemovesNeitherActiveNorKept) {
  world_->PutForeign(at_, Original());
  Deploy(First(), "st-1");
  Deploy(Second(), "st-2");
  ASSERT_TRUE(Connect()->Prune(ctx(), at_, {{OriginalVersion(Original())}}).ok());
  ExpectLive(Second());
  EXPECT_EQ(Connect()->Activate(ctx(), at_, {"st-1"}).ok(), false) << "neither kept nor active";
  GoBack(OriginalVersion(Original()));
  ExpectLive(Original());
  Switch({"st-2"});
  ASSERT_TRUE(Connect()->Prune(ctx(), at_, {}).ok());
  ASSERT_TRUE(Connect()->Prune(ctx(), at_, {}).ok()) << "twice is once";
  ExpectLive(Second());
  EXPECT_EQ(Observe().active, "st-2");
}

TEST_P(TargetContract, TwoWorkflowsDoNotTouchEachOther) {
  const seams::Binding other = world_->Binding("other");
  world_->Empty(other);
  world_->PutForeign(at_, Original());
  Deploy(First(), "st-1");
  {
    auto target = Connect();
    ASSERT_TRUE(target->Stage(ctx(), other, Second().AsBundle("st-1")).ok());
    ASSERT_TRUE(target->Activate(ctx(), other, {"st-1"}).ok());
  }
  ExpectLive(First());
  EXPECT_EQ(world_->Live(other)->fingerprint, Second().fingerprint);
  ASSERT_TRUE(Connect()->Deactivate(ctx(), other, {}).ok());
  ASSERT_TRUE(Settle(*Connect(), clock_, other, {}));
  ASSERT_TRUE(Connect()->Prune(ctx(), other, {}).ok());
  ExpectLive(First());
  EXPECT_EQ(Observe().active, "st-1");
  world_->Empty(other);
}

TEST_P(TargetContract, AnotherWorkflowsPlaceIsRefused) {
  Deploy(First(), "st-1");
  seams::Binding thief = at_;
  thief.workflow_name = "thief";
  const auto staged = Connect()->Stage(ctx(), thief, Second().AsBundle("st-2"));
  ASSERT_FALSE(staged.ok());
  EXPECT_EQ(staged.error().code, ErrorCode::kForbidden);
  EXPECT_FALSE(Connect()->Activate(ctx(), thief, {"st-1"}).ok());
  (void)Connect()->Deactivate(ctx(), thief, {}).ok();
  ExpectLive(First());
}

// What a controller does that was restarted: looks, and goes on with what is missing.
bool Finish(TargetWorld& world, const Context& ctx, const seams::Binding& at, const Pair& pair,
            const seams::StagedRef& which) {
  const std::string& version = which.version;
  for (int round = 0; round < 12; ++round) {
    auto target = world.Connect();
    const auto state = target->Observe(ctx, at);
    if (!state.ok()) continue;
    if (state->active == version && state->running && state->fingerprint == pair.fingerprint) {
      if (state->settling.empty()) return true;
      continue;
    }
    if (!which.reverting && !Contains(state->staged, version)) {
      (void)target->Stage(ctx, at, pair.AsBundle(version)).ok();
    }
    (void)target->Activate(ctx, at, which).ok();
  }
  return false;
}

// Every single interaction of a deployment fails once, before or after it took effect, and the
// process starts anew: what is live is always the old or the new pair, and it ends with the new
// one.
TEST_P(TargetContract, ADeploymentSurvivesEveryCutAndCrash) {
  for (const bool occupied : {false, true}) {
    for (const bool after : {false, true}) {
      for (int n = 1;; ++n) {
        SCOPED_TRACE("cut " + std::to_string(n) + (after ? " after" : " before") +
                     (occupied ? ", occupied" : ", empty"));
        Reset(occupied ? std::optional(Original()) : std::nullopt);
        world_->Arm({n, after});
        {
          auto target = Connect();
          (void)target->Observe(ctx(), at_).ok();
          (void)(target->Stage(ctx(), at_, First().AsBundle("st-1")).ok() &&
                 target->Activate(ctx(), at_, {"st-1"}).ok());
        }
        const bool struck = world_->interactions() >= n;
        const auto live = world_->Live(at_);
        ASSERT_TRUE(live.has_value() || !occupied);
        if (live) {
          ASSERT_TRUE(Fits(*live));
          ASSERT_TRUE(live->fingerprint == First().fingerprint ||
                      (occupied && live->fingerprint == Original().fingerprint));
        }
        world_->Arm({});
        ASSERT_TRUE(Finish(*world_, ctx(), at_, First(), {"st-1"}));
        ExpectLive(First());
        if (!struck) break;
      }
    }
  }
}

TEST_P(TargetContract, GoingBackSurvivesEveryCutAndCrash) {
  for (const bool after : {false, true}) {
    for (int n = 1;; ++n) {
      SCOPED_TRACE("cut " + std::to_string(n) + (after ? " after" : " before"));
      Reset(Original());
      Deploy(First(), "st-1");
      world_->Arm({n, after});
      const std::string original = OriginalVersion(Original());
      const seams::StagedRef back{original, true, ways_[original]};
      (void)Connect()->Activate(ctx(), at_, back).ok();
      const bool struck = world_->interactions() >= n;
      const auto live = world_->Live(at_);
      ASSERT_TRUE(live.has_value() && Fits(*live));
      world_->Arm({});
      ASSERT_TRUE(Finish(*world_, ctx(), at_, Original(), back));
      ExpectLive(Original());
      if (!struck) break;
    }
  }
}

}  // namespace certflow::contract
