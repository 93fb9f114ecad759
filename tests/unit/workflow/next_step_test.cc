// Walks plans to their end as the executor does: NextStep names an entry, the entry gets an
// outcome.

#include <gmock/gmock.h>

#include <map>

#include "controller/workflow/ledger.h"
#include "tests/unit/workflow/build.h"

namespace certflow::workflow {
namespace {

using api::EntryState;
using api::LedgerEntry;
using api::RollbackPolicy;
using api::RunState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Walk {
  std::vector<std::string> visited;
  Finish end;
  api::RunStatus status;
};

// What happens to an entry; nothing means that it is done.
struct Outcome {
  std::string reason;   // it fails with this
  bool touched = true;  // a failed deployment had changed something
};
using Script = std::map<std::string, Outcome>;

void Revert(api::RunStatus& status, const std::string& target) {
  for (LedgerEntry& entry : status.ledger) {
    if (entry.step == kStepDeployment && entry.target == target) {
      entry.state = EntryState::kReverted;
    }
  }
}

void Take(api::RunStatus& status, std::size_t index, const Script& script) {
  LedgerEntry& entry = status.ledger[index];
  auto outcome = script.find(entry.id);
  bool fails = outcome != script.end();
  if (entry.step == kStepDeployment && (!fails || outcome->second.touched)) {
    entry.memo = {{kMemoTouched, "true"}, {kMemoPrevious, "st-0123456789"}};
  }
  if (fails) {
    entry.state = EntryState::kFailed;
    entry.reason = outcome->second.reason;
    entry.message = "it did not work";
    return;
  }
  entry.state = EntryState::kDone;
  if (entry.step == kStepRollback) Revert(status, std::string(entry.target));
}

Walk WalkThrough(const api::Plan& plan, const Script& script) {
  Walk walk;
  walk.status.ledger = MakeLedger(plan);
  for (int guard = 0; guard < 1000; ++guard) {
    Next next = NextStep(plan, walk.status);
    if (auto* finish = std::get_if<Finish>(&next)) {
      walk.end = *finish;
      return walk;
    }
    std::size_t index = std::get<Proceed>(next).entries.front();
    walk.visited.push_back(walk.status.ledger.at(index).id);
    Take(walk.status, index, script);
  }
  ADD_FAILURE() << "the run does not end";
  return walk;
}

// A Secret and two hosts in two waves, proved from outside.
api::Plan TwoWaves(RollbackPolicy policy = RollbackPolicy::kAutomatic) {
  api::WorkflowSpec spec = SpecWithTargets(2, 1);
  spec.endpoints = {"www.example.com:443"};
  spec.rollback = policy;
  return PlanOf(spec);
}

TEST(NextStepTest, ARunThatWorksVisitsEachStepOnceAndSucceeds) {
  Walk walk = WalkThrough(TwoWaves(), {});
  EXPECT_THAT(walk.visited, ElementsAre("checks/start", "renewal", "checks/deployment",
                                        "deploy/0/0-secret", "deploy/0/1-host-0", "validation/0",
                                        "deploy/1/0-host-0", "validation/1", "complete"));
  EXPECT_EQ(walk.end.state, RunState::kSucceeded);
  EXPECT_EQ(walk.end.reason, "Completed");
}

TEST(NextStepTest, AnIntendedEntryIsTakenUpAgain) {
  api::Plan plan = TwoWaves();
  api::RunStatus status;
  status.ledger = MakeLedger(plan);
  status.ledger[0].state = EntryState::kDone;
  status.ledger[2].state = EntryState::kIntended;
  Next next = NextStep(plan, status);
  ASSERT_TRUE(std::holds_alternative<Proceed>(next));
  EXPECT_EQ(status.ledger[std::get<Proceed>(next).entries.front()].id, "renewal");
}

TEST(NextStepTest, AFailureBeforeAnythingLiveWasChangedEndsTheRun) {
  for (auto policy : {RollbackPolicy::kAutomatic, RollbackPolicy::kManual, RollbackPolicy::kHold}) {
    for (const char* fails :
         {"checks/start", "renewal", "checks/deployment", "deploy/0/0-secret"}) {
      Walk walk = WalkThrough(TwoWaves(policy), {{fails, {"Unavailable", false}}});
      EXPECT_EQ(walk.visited.back(), fails);
      EXPECT_EQ(walk.end.state, RunState::kFailed) << fails;
      EXPECT_EQ(walk.end.reason, "Unavailable") << fails;
      EXPECT_THAT(walk.end.message, HasSubstr("it did not work")) << fails;
    }
  }
}

TEST(NextStepTest, AFailureNamesStepAndTarget) {
  Walk walk = WalkThrough(TwoWaves(), {{"deploy/0/0-secret", {"Unavailable", false}}});
  EXPECT_EQ(walk.end.message, "Deployment of 0/0-secret: it did not work");
}

// back everywhere it was replaced in this run, last one first, then validated again.
TEST(NextStepTest, AFailedValidationIsRolledBackInReverseOrderAndProved) {
  Walk walk = WalkThrough(TwoWaves(), {{"validation/1", {"WrongCertificate"}}});
  walk.visited.erase(walk.visited.begin(), walk.visited.begin() + 7);
  EXPECT_THAT(walk.visited,
              ElementsAre("validation/1", "rollback/1/0-host-0", "rollback/0/1-host-0",
                          "rollback/0/0-secret", "rollback-validation"));
  EXPECT_EQ(walk.end.state, RunState::kRolledBack);
  EXPECT_EQ(walk.end.reason, "RolledBack");
  EXPECT_THAT(walk.end.message, HasSubstr("Validation: it did not work"));
}

// the target that failed is put back as well; that it shows as Reverted then does not make
// the run go on.
TEST(NextStepTest, AFailedDeploymentThatChangedSomethingIsRolledBackToo) {
  Walk walk = WalkThrough(TwoWaves(), {{"deploy/0/1-host-0", {"ReloadFailed", true}}});
  walk.visited.erase(walk.visited.begin(), walk.visited.begin() + 4);
  EXPECT_THAT(walk.visited, ElementsAre("deploy/0/1-host-0", "rollback/0/1-host-0",
                                        "rollback/0/0-secret", "rollback-validation"));
  EXPECT_EQ(walk.end.state, RunState::kRolledBack);
  EXPECT_THAT(walk.end.message, HasSubstr("Deployment of 0/1-host-0: it did not work"));
}

TEST(NextStepTest, AFailedDeploymentThatChangedNothingIsNotRolledBackItself) {
  Walk walk = WalkThrough(TwoWaves(), {{"deploy/1/0-host-0", {"ConfigInvalid", false}}});
  walk.visited.erase(walk.visited.begin(), walk.visited.begin() + 6);
  EXPECT_THAT(walk.visited, ElementsAre("deploy/1/0-host-0", "rollback/0/1-host-0",
                                        "rollback/0/0-secret", "rollback-validation"));
  EXPECT_EQ(walk.end.state, RunState::kRolledBack);
}

TEST(NextStepTest, WithOneTargetThatFailedAndWasPutBackTheRunIsRolledBack) {
  Walk walk = WalkThrough(PlanOf(SmallSpec()), {{"deploy/0/0-secret", {"Conflict", true}}});
  EXPECT_EQ(walk.visited.back(), "rollback/0/0-secret") << "no endpoints, nothing to validate";
  EXPECT_EQ(walk.end.state, RunState::kRolledBack);
}

TEST(NextStepTest, ARollbackEntryRemembersWhatToGoBackTo) {
  Walk walk = WalkThrough(TwoWaves(), {{"validation/0", {"WrongCertificate"}}});
  for (const LedgerEntry& entry : walk.status.ledger) {
    if (entry.step == kStepRollback) {
      EXPECT_EQ(entry.memo.at(kMemoPrevious), "st-0123456789");
    }
  }
}

TEST(NextStepTest, AFailedCompletionIsRolledBack) {
  Walk walk = WalkThrough(TwoWaves(), {{"complete", {"Unavailable"}}});
  EXPECT_EQ(walk.visited.back(), "rollback-validation");
  EXPECT_EQ(walk.end.state, RunState::kRolledBack);
}

struct RollbackCase {
  const char* name;
  const char* fails;
  const char* reason;
  RunState state;
  const char* end_reason;
};

TEST(NextStepTest, ARollbackThatFailsGoesOnWithTheOthersAndCallsAPerson) {
  const RollbackCase cases[] = {
      {"a target cannot be put back", "rollback/0/1-host-0", "Unavailable", RunState::kFailed,
       "RollbackFailed"},
      {"the certificate before has expired", "rollback/0/1-host-0", "PreviousExpired",
       RunState::kHeld, "RollbackHeld"},
      {"the endpoints do not prove it", "rollback-validation", "WrongCertificate",
       RunState::kFailed, "RollbackFailed"},
  };
  for (const RollbackCase& c : cases) {
    Walk walk =
        WalkThrough(TwoWaves(), {{"validation/0", {"WrongCertificate"}}, {c.fails, {c.reason}}});
    EXPECT_EQ(walk.visited.back(), "rollback-validation") << c.name;
    EXPECT_EQ(walk.end.state, c.state) << c.name;
    EXPECT_EQ(walk.end.reason, c.end_reason) << c.name;
    EXPECT_THAT(walk.end.message, HasSubstr("Validation: it did not work; Rollback")) << c.name;
    EXPECT_THAT(walk.end.message, HasSubstr("a person has to look")) << c.name;
  }
}

// by policy Hold nothing is put back.
TEST(NextStepTest, HoldLeavesEverythingForAPerson) {
  Walk walk =
      WalkThrough(TwoWaves(RollbackPolicy::kHold), {{"validation/0", {"WrongCertificate"}}});
  EXPECT_EQ(walk.visited.back(), "validation/0");
  EXPECT_EQ(walk.end.state, RunState::kHeld);
  EXPECT_EQ(walk.end.reason, "WrongCertificate");
  EXPECT_THAT(walk.end.message, HasSubstr("nothing was put back"));
}

// by policy Manual a person is asked first.
TEST(NextStepTest, ManualAsksAndRollsBackAfterAYes) {
  Walk walk =
      WalkThrough(TwoWaves(RollbackPolicy::kManual), {{"validation/0", {"WrongCertificate"}}});
  walk.visited.erase(walk.visited.begin(), walk.visited.begin() + 5);
  EXPECT_THAT(walk.visited,
              ElementsAre("validation/0", "rollback-confirmation", "rollback/0/1-host-0",
                          "rollback/0/0-secret", "rollback-validation"));
  EXPECT_EQ(walk.end.state, RunState::kRolledBack);
}

TEST(NextStepTest, ManualAlsoPutsTheFailedTargetBackAfterAYes) {
  Walk walk = WalkThrough(TwoWaves(RollbackPolicy::kManual),
                          {{"deploy/0/1-host-0", {"ReloadFailed", true}}});
  EXPECT_EQ(walk.visited.back(), "rollback-validation");
  EXPECT_EQ(walk.end.state, RunState::kRolledBack);
}

TEST(NextStepTest, ManualHoldsAfterANo) {
  for (const char* reason : {"ApprovalRejected", "ApprovalTimedOut"}) {
    Walk walk =
        WalkThrough(TwoWaves(RollbackPolicy::kManual),
                    {{"validation/0", {"WrongCertificate"}}, {"rollback-confirmation", {reason}}});
    EXPECT_EQ(walk.visited.back(), "rollback-confirmation");
    EXPECT_EQ(walk.end.state, RunState::kHeld);
    EXPECT_EQ(walk.end.reason, "WrongCertificate");
    EXPECT_THAT(walk.end.message, HasSubstr("the rollback was declined: it did not work"));
  }
}

TEST(NextStepTest, AskedAgainItNamesTheSameEntryAndAddsNothing) {
  const std::pair<RollbackPolicy, const char*> cases[] = {
      {RollbackPolicy::kManual, "rollback-confirmation"},
      {RollbackPolicy::kAutomatic, "rollback/0/1-host-0"},
  };
  for (const auto& [policy, id] : cases) {
    api::Plan plan = TwoWaves(policy);
    api::RunStatus status;
    status.ledger = MakeLedger(plan);
    for (LedgerEntry& entry : status.ledger) {
      if (entry.id == "validation/0") {
        entry.state = EntryState::kFailed;
        break;
      }
      if (entry.state == EntryState::kPending) entry.state = EntryState::kDone;
      if (entry.step == kStepDeployment) entry.memo[kMemoTouched] = "true";
    }
    NextStep(plan, status);
    std::size_t size = status.ledger.size();
    Next again = NextStep(plan, status);
    EXPECT_EQ(status.ledger.size(), size);
    ASSERT_TRUE(std::holds_alternative<Proceed>(again));
    EXPECT_EQ(status.ledger[std::get<Proceed>(again).entries.front()].id, id);
  }
}

// At each entry, fail once, with and without a live change: the run ends, and never as a success.
TEST(NextStepTest, NoSingleFailureEndsInSuccess) {
  for (auto policy : {RollbackPolicy::kAutomatic, RollbackPolicy::kManual, RollbackPolicy::kHold}) {
    api::Plan plan = TwoWaves(policy);
    for (const LedgerEntry& entry : MakeLedger(plan)) {
      if (entry.state == EntryState::kSkipped) continue;
      for (bool touched : {false, true}) {
        Walk walk = WalkThrough(plan, {{entry.id, {"Broken", touched}}});
        EXPECT_NE(walk.end.state, RunState::kSucceeded) << entry.id;
        EXPECT_TRUE(api::IsTerminal(walk.end.state)) << entry.id;
        if (walk.end.state == RunState::kRolledBack) {
          EXPECT_TRUE(TouchedTargets(walk.status).empty()) << entry.id;
        }
      }
    }
  }
}

}  // namespace
}  // namespace certflow::workflow
