#include "controller/workflow/ledger.h"

#include <gmock/gmock.h>

#include "tests/unit/workflow/build.h"

namespace certflow::workflow {
namespace {

using api::EntryState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Ids(const std::vector<api::LedgerEntry>& ledger, EntryState state) {
  std::vector<std::string> out;
  for (const auto& entry : ledger) {
    if (entry.state == state) out.push_back(entry.id);
  }
  return out;
}

TEST(MakeLedgerTest, WithEverythingPlannedTheOrderIsThatOfTheDesign) {
  api::WorkflowSpec spec = SpecWithTargets(2, 1);
  spec.renewal_gate = Gate({Layer("team", 1, {"dora"})});
  spec.deployment_gate = Gate({Layer("team", 1, {"dora"})});
  spec.endpoints = {"www.example.com:443"};
  auto ledger = MakeLedger(PlanOf(spec));
  EXPECT_THAT(Ids(ledger, EntryState::kPending),
              ElementsAre("checks/start", "confirmation/renewal", "checks/renewal", "renewal",
                          "confirmation/deployment", "checks/deployment", "deploy/0/0-secret",
                          "deploy/0/1-host-0", "validation/0", "deploy/1/0-host-0", "validation/1",
                          "complete"));
  EXPECT_THAT(Ids(ledger, EntryState::kSkipped), ElementsAre("purge"));
}

// what is not done is on record too, with its reason.
TEST(MakeLedgerTest, WhatThePlanDoesNotNeedIsSkippedWithAReason) {
  auto ledger = MakeLedger(PlanOf(SmallSpec()));
  EXPECT_THAT(
      Ids(ledger, EntryState::kPending),
      ElementsAre("checks/start", "renewal", "checks/deployment", "deploy/0/0-secret", "complete"));
  EXPECT_THAT(
      Ids(ledger, EntryState::kSkipped),
      ElementsAre("confirmation/renewal", "confirmation/deployment", "purge", "validation/0"));
  for (const auto& entry : ledger) {
    if (entry.state != EntryState::kSkipped) continue;
    EXPECT_EQ(entry.reason, entry.step == kStepValidation ? "NoEndpoints"
                            : entry.step == kStepPurge    ? "NoPurge"
                                                          : "NoGate");
    EXPECT_FALSE(entry.message.empty()) << entry.id;
  }
}

TEST(MakeLedgerTest, EntriesNameStepAndTarget) {
  for (const auto& entry : MakeLedger(PlanOf(SpecWithTargets(2, 2)))) {
    EXPECT_FALSE(entry.step.empty()) << entry.id;
    EXPECT_EQ(entry.target.empty(), entry.step != kStepDeployment) << entry.id;
    if (!entry.target.empty()) {
      EXPECT_EQ(entry.id, "deploy/" + entry.target);
    }
  }
}

// the CRD's largest plan, with every target to be put back, loses no entry.
TEST(MakeLedgerTest, TheLargestPlanTakenBackCompletelyFitsTheLimit) {
  api::WorkflowSpec spec = SpecWithTargets(10, 20);
  spec.renewal_gate = Gate({Layer("team", 1, {"dora"})});
  spec.deployment_gate = spec.renewal_gate;
  spec.endpoints = {"www.example.com:443"};
  spec.rollback = api::RollbackPolicy::kManual;
  api::Plan plan = PlanOf(spec);
  api::RunStatus status;
  status.ledger = MakeLedger(plan);
  for (auto& entry : status.ledger) {
    entry.state = EntryState::kDone;
    if (entry.step == kStepDeployment) entry.memo[kMemoTouched] = "true";
  }
  status.ledger[status.ledger.size() - 2].state = EntryState::kFailed;  // the last validation
  auto asked = NextStep(plan, status);
  ASSERT_TRUE(std::holds_alternative<Proceed>(asked));
  status.ledger[std::get<Proceed>(asked).entries.front()].state = EntryState::kDone;
  ASSERT_TRUE(std::holds_alternative<Proceed>(NextStep(plan, status)));
  EXPECT_EQ(Ids(status.ledger, EntryState::kPending).size(), 202U);
  EXPECT_LE(status.ledger.size(), api::kMaxLedger);
}

struct WaveCase {
  const char* id;
  int wave;
};

TEST(WaveOfTest, ReadsTheWaveOfAnEntry) {
  for (const WaveCase& c : {WaveCase{"deploy/0/0-secret", 0}, WaveCase{"deploy/7/3-edge", 7},
                            WaveCase{"rollback/12/0-edge", 12}, WaveCase{"validation/3", 3},
                            WaveCase{"renewal", 0}, WaveCase{"checks/start", 0}}) {
    api::LedgerEntry entry;
    entry.id = c.id;
    EXPECT_EQ(WaveOf(entry), c.wave) << c.id;
  }
}

TEST(TargetOfTest, FindsThePlannedTarget) {
  api::Plan plan = PlanOf(SpecWithTargets(1, 1));
  api::LedgerEntry entry;
  entry.target = "0/1-host-0";
  ASSERT_NE(TargetOf(plan, entry), nullptr);
  EXPECT_EQ(TargetOf(plan, entry)->type, "nginx");
  entry.target = "0/1-other";
  EXPECT_EQ(TargetOf(plan, entry), nullptr);
}

TEST(TouchedTest, TargetsCountFromTheirIntentUntilTheyArePutBack) {
  api::Plan plan = PlanOf(SpecWithTargets(2, 1));
  api::RunStatus status;
  status.ledger = MakeLedger(plan);
  EXPECT_FALSE(HasTouchedLive(status));
  EXPECT_THAT(TouchedTargets(status), IsEmpty());
  std::vector<api::LedgerEntry*> deployments;
  for (auto& entry : status.ledger) {
    if (entry.step == kStepDeployment) deployments.push_back(&entry);
  }
  ASSERT_EQ(deployments.size(), 3U);
  deployments[0]->memo[kMemoTouched] = "true";
  deployments[0]->state = EntryState::kDone;
  deployments[1]->memo[kMemoTouched] = "true";
  deployments[1]->state = EntryState::kIntended;
  EXPECT_TRUE(HasTouchedLive(status));
  EXPECT_THAT(TouchedTargets(status), ElementsAre(deployments[1], deployments[0]));
  deployments[1]->state = EntryState::kReverted;
  EXPECT_THAT(TouchedTargets(status), ElementsAre(deployments[0]));
  EXPECT_TRUE(HasTouchedLive(status)) << "something was changed once";
}

// ---- BookFailure

const WallTime kNow = At("2026-11-21T02:00:00Z");

api::LedgerEntry EntryOf(std::string_view step) {
  api::LedgerEntry entry;
  entry.step = step;
  return entry;
}

struct LimitCase {
  std::string_view step;
  int limit;  // attempts that are followed by another one
};

TEST(BookFailureTest, EachStepHasItsLimit) {
  api::WorkflowSpec spec = SmallSpec();
  spec.retry.limit = 2;  // of the workflow's own Secret
  api::Plan plan = PlanOf(spec);
  const LimitCase cases[] = {
      {kStepRenewal, 8},     {kStepDeployment, 2},          {kStepRollback, 10}, {kStepChecks, 20},
      {kStepValidation, 20}, {kStepRollbackValidation, 20}, {kStepComplete, 20}};
  Error error = MakeError(ErrorCode::kUnavailable, "Unavailable", "connection refused");
  for (const LimitCase& c : cases) {
    api::LedgerEntry entry = EntryOf(c.step);
    for (int attempt = 1; attempt <= c.limit; ++attempt) {
      BookFailure(plan, entry, error, kNow, 0);
      ASSERT_EQ(entry.state, EntryState::kPending) << c.step << " " << attempt;
      ASSERT_TRUE(entry.not_before && *entry.not_before > kNow) << c.step;
      EXPECT_EQ(entry.attempts, attempt);
    }
    BookFailure(plan, entry, error, kNow, 0);
    EXPECT_EQ(entry.state, EntryState::kFailed) << c.step;
    EXPECT_EQ(entry.ended_at, kNow) << c.step;
    EXPECT_FALSE(entry.not_before.has_value()) << c.step;
    EXPECT_EQ(entry.reason, "Unavailable") << c.step;
    EXPECT_EQ(entry.message, "connection refused") << c.step;
  }
}

TEST(BookFailureTest, ARetryLimitOfZeroMeansOneAttempt) {
  api::WorkflowSpec spec = SmallSpec();
  spec.retry.limit = 0;
  api::LedgerEntry entry = EntryOf(kStepDeployment);
  BookFailure(PlanOf(spec), entry, MakeError(ErrorCode::kTimeout, "Timeout", "slow"), kNow, 0);
  EXPECT_EQ(entry.state, EntryState::kFailed);
}

TEST(BookFailureTest, WhatNeverWorksFailsAtOnce) {
  api::LedgerEntry entry = EntryOf(kStepRenewal);
  entry.not_before = kNow;
  BookFailure(PlanOf(SmallSpec()), entry,
              MakeError(ErrorCode::kRefused, "Rejected", "line\nbreak " + std::string(5000, 'x')),
              kNow, 0);
  EXPECT_EQ(entry.state, EntryState::kFailed);
  EXPECT_EQ(entry.attempts, 1);
  EXPECT_FALSE(entry.not_before.has_value());
  EXPECT_LE(entry.message.size(), kMaxMessageBytes);
  EXPECT_EQ(entry.message.find('\n'), std::string::npos);
}

struct DelayCase {
  const char* name;
  std::string_view step;
  int attempts_before;
  std::uint64_t random;
  Duration delay;
};

TEST(BookFailureTest, WaitsTwiceAsLongEachTimeUpToAMaximumWithJitter) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  const DelayCase cases[] = {
      {"renewal, first", kStepRenewal, 0, 0, Duration{30'000}},
      {"renewal, second", kStepRenewal, 1, 0, Duration{60'000}},
      {"renewal, last", kStepRenewal, 7, 0, Duration{1'800'000}},
      {"deployment, first", kStepDeployment, 0, 0, Duration{5'000}},
      {"rollback, tenth", kStepRollback, 9, 0, Duration{120'000}},
      {"checks, first", kStepChecks, 0, 0, Duration{2'000}},
      {"checks, twentieth", kStepChecks, 19, 0, Duration{60'000}},
  };
  Error error = MakeError(ErrorCode::kUnavailable, "Unavailable", "no");
  for (const DelayCase& c : cases) {
    api::LedgerEntry entry = EntryOf(c.step);
    entry.attempts = c.attempts_before;
    BookFailure(PlanOf(SmallSpec()), entry, error, kNow, c.random);
    EXPECT_EQ(entry.not_before, kNow + c.delay) << c.name;
  }
  api::LedgerEntry entry = EntryOf(kStepDeployment);
  BookFailure(PlanOf(SmallSpec()), entry, error, kNow, kMost);
  EXPECT_GT(*entry.not_before, kNow + Duration{5'900});
  EXPECT_LE(*entry.not_before, kNow + Duration{6'000});
}

// R-74 has its own rule; here: the other side's own wish is kept.
TEST(BookFailureTest, ARetryAfterIsObeyedAndCounted) {
  api::LedgerEntry entry = EntryOf(kStepRenewal);
  Error error =
      MakeErrorAfter(ErrorCode::kRateLimited, "RateLimited", "later", Duration{7'200'000});
  BookFailure(PlanOf(SmallSpec()), entry, error, kNow, 0);
  EXPECT_EQ(entry.not_before, kNow + std::chrono::hours(2));
  EXPECT_EQ(entry.attempts, 1);
  error.retry_after.reset();
  BookFailure(PlanOf(SmallSpec()), entry, error, kNow, 0);
  EXPECT_EQ(entry.not_before, kNow + Duration{60'000}) << "without a time, as usual";
}

}  // namespace
}  // namespace certflow::workflow
