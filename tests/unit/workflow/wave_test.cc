// Waves with several targets at once, caches that are purged, and runs that take an ended one back.
#include <gmock/gmock.h>

#include "controller/workflow/ledger.h"
#include "tests/unit/workflow/build.h"

namespace certflow::workflow {
namespace {

using api::EntryState;
using api::LedgerEntry;
using api::RunState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const WallTime kNow = At("2026-11-21T02:00:00Z");

std::vector<std::string> Ids(const api::RunStatus& status, const Next& next) {
  std::vector<std::string> out;
  if (!std::holds_alternative<Proceed>(next)) return {"finished"};
  for (std::size_t index : std::get<Proceed>(next).entries) out.push_back(status.ledger[index].id);
  return out;
}

LedgerEntry& Find(api::RunStatus& status, const std::string& id) {
  for (LedgerEntry& entry : status.ledger) {
    if (entry.id == id) return entry;
  }
  ADD_FAILURE() << "no entry " << id;
  return status.ledger.front();
}

// Everything before this entry is done.
void DoneUpTo(api::RunStatus& status, const std::string& id) {
  for (LedgerEntry& entry : status.ledger) {
    if (entry.id == id) return;
    if (entry.state == EntryState::kPending) entry.state = EntryState::kDone;
  }
}

// order in waves.
TEST(WaveTest, AsManyTargetsAtOnceAsTheWaveSays) {
  api::WorkflowSpec spec = SpecWithTargets(2, 4);
  spec.waves[0].parallelism = 3;
  api::Plan plan = PlanOf(spec);
  api::RunStatus status;
  status.ledger = MakeLedger(plan);
  DoneUpTo(status, "deploy/0/0-secret");
  EXPECT_THAT(Ids(status, NextStep(plan, status)),
              ElementsAre("deploy/0/0-secret", "deploy/0/1-host-0", "deploy/0/2-host-1"));
  Find(status, "deploy/0/1-host-0").state = EntryState::kDone;
  EXPECT_THAT(Ids(status, NextStep(plan, status)),
              ElementsAre("deploy/0/0-secret", "deploy/0/2-host-1", "deploy/0/3-host-2"));
  DoneUpTo(status, "deploy/0/4-host-3");
  EXPECT_THAT(Ids(status, NextStep(plan, status)), ElementsAre("deploy/0/4-host-3"))
      << "the next wave waits for the proof of this one";
  DoneUpTo(status, "deploy/1/0-host-0");
  EXPECT_THAT(Ids(status, NextStep(plan, status)), ElementsAre("deploy/1/0-host-0"))
      << "one after the other where nothing is said";
}

TEST(WaveTest, AFailureInOneTargetStopsTheOthersOfItsWaveToo) {
  api::WorkflowSpec spec = SpecWithTargets(1, 3);
  spec.waves[0].parallelism = 2;
  api::Plan plan = PlanOf(spec);
  api::RunStatus status;
  status.ledger = MakeLedger(plan);
  DoneUpTo(status, "deploy/0/1-host-0");
  Find(status, "deploy/0/0-secret").memo = {{kMemoTouched, "true"}};
  Find(status, "deploy/0/1-host-0").state = EntryState::kFailed;
  EXPECT_THAT(Ids(status, NextStep(plan, status)), ElementsAre("rollback/0/0-secret"));
}

TEST(WaveTest, EachTargetHasItsOwnRetryLimitAndPause) {
  api::WorkflowSpec spec = SpecWithTargets(1, 2);
  spec.waves[0].targets[1].retry = {1, std::chrono::seconds(60)};
  api::Plan plan = PlanOf(spec);
  api::RunStatus status;
  status.ledger = MakeLedger(plan);
  Error error = MakeError(ErrorCode::kUnavailable, "Unavailable", "connection refused");
  LedgerEntry& first = Find(status, "deploy/0/1-host-0");
  LedgerEntry& second = Find(status, "deploy/0/2-host-1");
  BookFailure(plan, first, error, kNow, 0);
  BookFailure(plan, second, error, kNow, 0);
  EXPECT_LT(*first.not_before, kNow + std::chrono::seconds(10));
  EXPECT_GT(*second.not_before, kNow + std::chrono::seconds(40));
  BookFailure(plan, first, error, kNow, 0);
  BookFailure(plan, second, error, kNow, 0);
  EXPECT_EQ(first.state, EntryState::kPending);
  EXPECT_EQ(second.state, EntryState::kFailed);
}

TEST(WaveTest, ATimeOfDayIsWaitedForBeforeTheLastChecks) {
  api::WorkflowSpec spec = SmallSpec();
  spec.deploy_at = std::chrono::hours(1);
  api::RunStatus status;
  status.ledger = MakeLedger(PlanOf(spec));
  DoneUpTo(status, "deployment-time");
  EXPECT_THAT(Ids(status, NextStep(PlanOf(spec), status)), ElementsAre("deployment-time"));
}

// ---- purges, R-55

struct Purged {
  api::Plan plan;
  api::RunStatus status;
  Purged() {
    api::WorkflowSpec spec = SpecWithTargets(1, 1);
    spec.endpoints = {"www.example.com:443"};
    spec.purges = {{{"cdn", "web"}, {"www.example.com"}, {}}};
    plan = PlanOf(spec);
    status.ledger = MakeLedger(plan);
    DoneUpTo(status, "purge/0");
  }
  void FailPurge(int times) {
    Error error = MakeError(ErrorCode::kForbidden, "TokenRefused", "the token is wrong");
    for (int i = 0; i < times; ++i) BookFailure(plan, Find(status, "purge/0"), error, kNow, 0);
  }
};

TEST(PurgeTest, ComesAfterTheLastDeploymentAndBeforeTheProof) {
  Purged run;
  EXPECT_THAT(Ids(run.status, NextStep(run.plan, run.status)), ElementsAre("purge/0"));
  Find(run.status, "purge/0").state = EntryState::kDone;
  EXPECT_THAT(Ids(run.status, NextStep(run.plan, run.status)), ElementsAre("validation/0"));
}

TEST(PurgeTest, OneThatFailsHoldsUpTheEndAloneAndIsNeverGivenUp) {
  Purged run;
  run.FailPurge(1);
  EXPECT_THAT(Ids(run.status, NextStep(run.plan, run.status)), ElementsAre("validation/0"));
  EXPECT_FALSE(IsMitigating(run.status)) << "there is other work";
  Find(run.status, "validation/0").state = EntryState::kDone;
  EXPECT_THAT(Ids(run.status, NextStep(run.plan, run.status)), ElementsAre("purge/0"));
  EXPECT_FALSE(IsMitigating(run.status)) << "it may work the next time";
  run.FailPurge(kPurgeQuietAttempts);
  EXPECT_TRUE(IsMitigating(run.status));
  run.FailPurge(100);
  EXPECT_EQ(Find(run.status, "purge/0").state, EntryState::kPending);
  Find(run.status, "purge/0").state = EntryState::kDone;
  EXPECT_THAT(Ids(run.status, NextStep(run.plan, run.status)), ElementsAre("complete"));
}

TEST(PurgeTest, OneThatWasGivenUpTakesNothingBack) {
  Purged run;
  DoneUpTo(run.status, "none");
  Find(run.status, "deploy/0/1-host-0").memo = {{kMemoTouched, "true"}};
  LedgerEntry& purge = Find(run.status, "purge/0");
  purge.state = EntryState::kFailed;
  purge.reason = "PurgeGivenUp";
  Next next = NextStep(run.plan, run.status);
  ASSERT_TRUE(std::holds_alternative<Finish>(next));
  EXPECT_EQ(std::get<Finish>(next).state, RunState::kHeld);
  EXPECT_EQ(std::get<Finish>(next).reason, "PurgeGivenUp");
}

// ---- rolling back an ended run, R-62

api::CertificateStatus Certificate(const std::string& version, WallTime not_after) {
  api::CertificateStatus out;
  out.version = version;
  out.fingerprint = "f-" + version;
  out.not_after = not_after;
  return out;
}

struct Ended {
  api::Plan plan = PlanOf(SpecWithTargets(2, 1));
  api::Run run = MakeRun();
  std::optional<api::CertificateStatus> live;
  Ended() {
    run.status.ledger = MakeLedger(plan);
    DoneUpTo(run.status, "none");
    for (LedgerEntry& entry : run.status.ledger) {
      if (entry.step != kStepDeployment) continue;
      entry.memo = {{kMemoTouched, "true"},
                    {kMemoPrevious, "st-0123456789"},
                    {kMemoActivated, "2026-11-21T02:00:00Z"},
                    {"back.profile", "old"}};
    }
    run.status.state = RunState::kSucceeded;
    run.status.previous = Certificate("st-0123456789", kNow + std::chrono::hours(240));
    live = Certificate(run.meta.name, kNow + std::chrono::hours(2400));
  }
  Result<api::RollbackPlan> Ask(const std::string& text = "it breaks clients by dora") const {
    return PlanRollback(run, live, text, kNow);
  }
};

TEST(PlanRollbackTest, TakesBackWhatTheRunTouchedLastOneFirst) {
  auto plan = Ended().Ask();
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  std::vector<std::string> targets;
  for (const auto& item : plan->items) targets.push_back(item.target);
  EXPECT_THAT(targets, ElementsAre("1/0-host-0", "0/1-host-0", "0/0-secret"));
  EXPECT_EQ(plan->items[0].memo.at("back.profile"), "old");
  EXPECT_FALSE(plan->items[0].memo.contains(kMemoTouched));
  EXPECT_FALSE(plan->items[0].memo.contains(kMemoActivated));
  EXPECT_EQ(plan->certificate->version, "st-0123456789");
  EXPECT_FALSE(plan->force);
}

TEST(PlanRollbackTest, RefusesWithTheRemedy) {
  Ended other;
  other.live->version = "st-aaaaaaaaaa";
  EXPECT_EQ(other.Ask().error().reason, "NotLive");
  EXPECT_THAT(other.Ask().error().message, HasSubstr("st-aaaaaaaaaa"));
  Ended failed;
  failed.run.status.state = RunState::kFailed;
  EXPECT_EQ(failed.Ask().error().reason, "NotLive");
  Ended untouched;
  for (LedgerEntry& entry : untouched.run.status.ledger) entry.memo.clear();
  EXPECT_EQ(untouched.Ask().error().reason, "NothingToTakeBack");
  Ended first;
  first.run.status.previous.reset();
  EXPECT_EQ(first.Ask().error().reason, "NothingBefore");
  Ended expired;
  expired.run.status.previous->not_after = kNow;
  EXPECT_EQ(expired.Ask().error().reason, "PreviousExpired");
  EXPECT_THAT(expired.Ask().error().message, HasSubstr("force"));
  EXPECT_TRUE(expired.Ask("force the new one is worse by dora").ok());
  EXPECT_TRUE(first.Ask("force by dora").ok());
}

TEST(PlanRollbackTest, ItsRunAsksAndTakesBackAndProvesAndIssuesNothing) {
  Ended ended;
  api::Plan plan = ended.plan;
  plan.spec.endpoints = {"www.example.com:443"};
  plan.spec.deployment_gate = Gate({Layer("ops", 1, {"erin"})});
  plan.spec.deploy_at = std::chrono::hours(1);
  plan.rollback = *ended.Ask();
  api::RunStatus status;
  status.ledger = MakeLedger(plan);
  std::vector<std::string> visited;
  Next next = NextStep(plan, status);
  while (std::holds_alternative<Proceed>(next)) {
    visited.push_back(Ids(status, next).front());
    Find(status, visited.back()).state = EntryState::kDone;
    next = NextStep(plan, status);
  }
  EXPECT_THAT(visited,
              ElementsAre("checks/start", "confirmation/deployment", "rollback/1/0-host-0",
                          "rollback/0/1-host-0", "rollback/0/0-secret", "rollback-validation"));
  EXPECT_EQ(std::get<Finish>(next).state, RunState::kSucceeded);
  Find(status, "rollback/0/1-host-0").state = EntryState::kFailed;
  Find(status, "rollback/0/0-secret").state = EntryState::kPending;
  EXPECT_EQ(std::get<Finish>(NextStep(plan, status)).state, RunState::kFailed);
}

}  // namespace
}  // namespace certflow::workflow
