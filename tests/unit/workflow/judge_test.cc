#include <gmock/gmock.h>

#include "controller/workflow/approval.h"
#include "tests/unit/workflow/build.h"

namespace certflow::workflow {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Desk {
  api::Run run = MakeRun();
  api::Plan plan;
  std::string open_gate{kGateRenewal};
  bool on_workflow = false;
  bool approve = true;
  std::string source = "renewal by dora";
  WallTime written_at = At("2026-11-21T02:05:00Z");

  Desk() {
    api::WorkflowSpec spec = SmallSpec();
    spec.renewal_gate = Gate({Layer("team", 1, {"dora", "frida"}), Layer("board", 1, {"dora"})});
    spec.deployment_gate = Gate({Layer("team", 1, {"emil"}, {"edge"})});
    plan = PlanOf(std::move(spec));
  }
  DecisionVerdict Judge() const {
    return JudgeDecision({run, plan, open_gate, std::nullopt, on_workflow}, approve, source,
                         written_at);
  }
};

// what is recorded is who, when, for which layer and plan, and why.
TEST(JudgeDecisionTest, RecordsWhatCounts) {
  Desk desk;
  desk.source = "renewal by dora in edge for " + std::string(kDigest) + " because CHG0031337";
  auto verdict = desk.Judge();
  const auto* decision = std::get_if<api::Decision>(&verdict);
  ASSERT_NE(decision, nullptr) << std::get<api::Refusal>(verdict).message;
  EXPECT_EQ(decision->gate, "renewal");
  EXPECT_EQ(decision->layer, "team");
  EXPECT_EQ(decision->user, "dora");
  EXPECT_THAT(decision->groups, ElementsAre("edge"));
  EXPECT_TRUE(decision->approved);
  EXPECT_EQ(decision->time, desk.written_at);
  EXPECT_EQ(decision->digest, kDigest);
  EXPECT_EQ(decision->reason, "CHG0031337");
  EXPECT_EQ(decision->source, desk.source);
}

TEST(JudgeDecisionTest, RecordsTheLayerThatTheDecisionCountsFor) {
  Desk desk;
  desk.run.status.approvals = {Given(kGateRenewal, "frida")};
  auto verdict = desk.Judge();
  ASSERT_TRUE(std::holds_alternative<api::Decision>(verdict));
  EXPECT_EQ(std::get<api::Decision>(verdict).layer, "board") << "the team is complete";
}

struct AcceptCase {
  const char* name;
  void (*change)(Desk&);
};

TEST(JudgeDecisionTest, Accepts) {
  const AcceptCase cases[] = {
      {"a rejection", [](Desk& d) { d.approve = false; }},
      {"the instant the run was made", [](Desk& d) { d.written_at = d.run.meta.created; }},
      {"on the workflow, naming the run",
       [](Desk& d) { d.on_workflow = true, d.source = "ST-0b6c4befb1 renewal by dora"; }},
      {"by a group",
       [](Desk& d) { d.open_gate = "deployment", d.source = "deployment by zoe in edge"; }},
      {"of who caused the run, where that is allowed",
       [](Desk& d) {
         d.run.trigger.requested_by = "dora";
         d.plan.spec.requester_may_approve = true;
       }},
      {"by another than who caused the run", [](Desk& d) { d.run.trigger.requested_by = "emil"; }},
      {"of who decided on another gate",
       [](Desk& d) { d.run.status.approvals = {Given(kGateDeployment, "dora")}; }},
      {"on a rollback that is asked about",
       [](Desk& d) {
         d.plan.spec.rollback = api::RollbackPolicy::kManual;
         d.open_gate = "rollback", d.source = "rollback by emil";
       }},
  };
  for (const AcceptCase& c : cases) {
    Desk desk;
    c.change(desk);
    auto verdict = desk.Judge();
    ASSERT_TRUE(std::holds_alternative<api::Decision>(verdict))
        << c.name << ": " << std::get<api::Refusal>(verdict).message;
    EXPECT_EQ(std::get<api::Decision>(verdict).approved, desk.approve) << c.name;
  }
}

struct RefuseCase {
  const char* name;
  void (*change)(Desk&);
  const char* says;
  const char* user;
};

// replayed, late, wrong plan, repeated, own run, not an approver: each says what is wrong.
TEST(JudgeDecisionTest, RefusesAndSaysWhy) {
  const RefuseCase cases[] = {
      {"malformed", [](Desk& d) { d.source = "yes"; }, "the gate is not named; write 'GATE by", ""},
      {"replayed from another run",
       [](Desk& d) { d.on_workflow = true, d.source = "st-1111111111 renewal by dora"; },
       "it names ST-1111111111, the active run is ST-0b6c4befb1", "dora"},
      {"for another plan",
       [](Desk& d) { d.source = "renewal by dora for " + std::string(kOtherDigest); },
       "it is for plan sha256:ffff", "dora"},
      {"a gate that the plan has not", [](Desk& d) { d.plan.spec.renewal_gate.reset(); },
       "the plan has no gate renewal", "dora"},
      {"a rollback that is automatic", [](Desk& d) { d.source = "rollback by dora"; },
       "the plan has no gate rollback", "dora"},
      {"too early", [](Desk& d) { d.source = "deployment by emil"; },
       "the gate deployment does not wait for a decision now", "emil"},
      {"too late", [](Desk& d) { d.open_gate = ""; },
       "the gate renewal does not wait for a decision now", "dora"},
      {"before the run was made", [](Desk& d) { d.written_at = d.run.meta.created - seconds(1); },
       "it was written before the run was made", "dora"},
      {"own run", [](Desk& d) { d.run.trigger.requested_by = "dora"; },
       "dora caused this run and may not decide on it (approval.requester is Forbidden)", "dora"},
      {"own run, rejected", [](Desk& d) { d.run.trigger.requested_by = "dora", d.approve = false; },
       "dora caused this run", "dora"},
      {"not an approver", [](Desk& d) { d.source = "renewal by mallory"; },
       "mallory is not among the approvers of gate renewal", "mallory"},
      {"a group that is not claimed",
       [](Desk& d) { d.open_gate = "deployment", d.source = "deployment by zoe"; },
       "a group counts when it is claimed with \"in GROUP\"", "zoe"},
      {"an approver of another gate", [](Desk& d) { d.source = "renewal by emil"; },
       "emil is not among the approvers of gate renewal", "emil"},
      {"twice", [](Desk& d) { d.run.status.approvals = {Given(kGateRenewal, "dora")}; },
       "dora has decided on gate renewal already", "dora"},
      {"first yes, then no",
       [](Desk& d) {
         d.run.status.approvals = {Given(kGateRenewal, "dora")};
         d.approve = false;
       },
       "dora has decided on gate renewal already", "dora"},
  };
  for (const RefuseCase& c : cases) {
    Desk desk;
    c.change(desk);
    auto verdict = desk.Judge();
    const auto* refusal = std::get_if<api::Refusal>(&verdict);
    ASSERT_NE(refusal, nullptr) << c.name;
    EXPECT_THAT(refusal->message, HasSubstr(c.says)) << c.name;
    EXPECT_EQ(refusal->user, c.user) << c.name;
    EXPECT_EQ(refusal->source, desk.source) << c.name;
    EXPECT_EQ(refusal->time, desk.written_at) << c.name;
  }
}

TEST(JudgeDecisionTest, ARefusalKeepsABoundedCleanSource) {
  Desk desk;
  desk.source = "\x1b[31m" + std::string(5000, 'x');
  auto verdict = desk.Judge();
  ASSERT_TRUE(std::holds_alternative<api::Refusal>(verdict));
  EXPECT_LE(std::get<api::Refusal>(verdict).source.size(), 512U);
  EXPECT_EQ(std::get<api::Refusal>(verdict).source.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace certflow::workflow
