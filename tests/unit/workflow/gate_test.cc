#include <gmock/gmock.h>

#include "controller/workflow/approval.h"
#include "tests/unit/workflow/build.h"

namespace certflow::workflow {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// ---- EvaluateGate

// Two of the team (dora, emil, group edge), then one of the board (group cab, dora).
api::ApprovalGate TwoLayers() {
  return Gate({Layer("team", 2, {"dora", "emil"}, {"edge"}), Layer("board", 1, {"dora"}, {"cab"})});
}

struct GateCase {
  const char* name;
  std::vector<api::Decision> decisions;
  bool approved;
  const char* rejected_by;
  const char* open_layer;
  int still_needed;
};

// layers in order, each with its approvers and how many are needed.
TEST(EvaluateGateTest, AsksLayerByLayer) {
  const std::string_view r = kGateRenewal;
  const GateCase cases[] = {
      {"nobody yet", {}, false, "", "team", 2},
      {"one of two", {Given(r, "emil")}, false, "", "team", 1},
      {"two by name", {Given(r, "emil"), Given(r, "dora")}, false, "", "board", 1},
      {"one by group",
       {Given(r, "emil"), Given(r, "frida", true, {"edge"})},
       false,
       "",
       "board",
       1},
      {"all",
       {Given(r, "emil"), Given(r, "frida", true, {"edge"}), Given(r, "gerd", true, {"cab"})},
       true,
       "",
       "",
       0},
      {"a later layer decides early: its answer is held",
       {Given(r, "gerd", true, {"cab"}), Given(r, "emil")},
       false,
       "",
       "team",
       1},
      {"... and counts when its turn comes",
       {Given(r, "gerd", true, {"cab"}), Given(r, "emil"), Given(r, "hugo", true, {"edge"})},
       true,
       "",
       "",
       0},
      {"one user counts once: dora is in both layers",
       {Given(r, "emil"), Given(r, "dora")},
       false,
       "",
       "board",
       1},
      {"dora counts for the board when the team is complete",
       {Given(r, "emil"), Given(r, "frida", true, {"edge"}), Given(r, "dora")},
       true,
       "",
       "",
       0},
      {"the same user twice is one", {Given(r, "emil"), Given(r, "emil")}, false, "", "team", 1},
      {"... also by two ways into the layer",
       {Given(r, "emil"), Given(r, "emil", true, {"edge"})},
       false,
       "",
       "team",
       1},
      {"a decision on another gate", {Given(kGateDeployment, "emil")}, false, "", "team", 2},
      {"somebody from outside", {Given(r, "mallory", true, {"guests"})}, false, "", "team", 2},
      {"names are compared exactly", {Given(r, "Emil"), Given(r, "emil ")}, false, "", "team", 2},
      {"a rejection", {Given(r, "emil", false)}, false, "emil", "", 0},
      {"a rejection after approvals",
       {Given(r, "emil"), Given(r, "dora"), Given(r, "gerd", false, {"cab"})},
       false,
       "gerd",
       "",
       0},
      {"a rejection on another gate",
       {Given(kGateDeployment, "emil", false)},
       false,
       "",
       "team",
       2},
  };
  for (const GateCase& c : cases) {
    GateState state = EvaluateGate(TwoLayers(), kGateRenewal, c.decisions);
    EXPECT_EQ(state.approved, c.approved) << c.name;
    EXPECT_EQ(state.rejected_by, c.rejected_by) << c.name;
    EXPECT_EQ(state.open_layer, c.open_layer) << c.name;
    EXPECT_EQ(state.still_needed, c.still_needed) << c.name;
  }
}

TEST(EvaluateGateTest, ALayerWithoutNamesTakesWhoeverWasProved) {
  api::ApprovalGate anybody = Gate({Layer("operator", 1, {})});
  EXPECT_FALSE(EvaluateGate(anybody, kGateRollback, {}).approved);
  EXPECT_TRUE(EvaluateGate(anybody, kGateRollback, {Given(kGateRollback, "zoe")}).approved);
}

// ---- AdmittingLayer

struct AdmitCase {
  const char* name;
  const char* user;
  std::vector<std::string> groups;
  const char* open_layer;
  const char* layer;  // empty: not admitted
};

TEST(AdmittingLayerTest, IsTheFirstThatIsStillOpenForTheUser) {
  const AdmitCase cases[] = {
      {"by name", "emil", {}, "", "team"},
      {"by group", "frida", {"edge"}, "", "team"},
      {"by the second group", "frida", {"guests", "cab"}, "", "board"},
      {"in both, team open", "dora", {}, "team", "team"},
      {"in both, board open", "dora", {}, "board", "board"},
      {"in a complete one only", "emil", {}, "board", "team"},
      {"in a later one", "gerd", {"cab"}, "team", "board"},
      {"in none", "mallory", {"guests"}, "team", ""},
      {"no name", "", {}, "", ""},
  };
  api::ApprovalGate gate = TwoLayers();
  for (const AdmitCase& c : cases) {
    const api::ApprovalLayer* layer = AdmittingLayer(gate, c.user, c.groups, c.open_layer);
    EXPECT_EQ(layer == nullptr ? "" : layer->name, c.layer) << c.name;
  }
}

// ---- GateOf

TEST(GateOfTest, FindsTheGatesOfThePlan) {
  api::WorkflowSpec spec = SmallSpec();
  EXPECT_FALSE(GateOf(spec, kGateRenewal).has_value());
  EXPECT_FALSE(GateOf(spec, kGateDeployment).has_value());
  EXPECT_FALSE(GateOf(spec, "delivery").has_value());
  spec.renewal_gate = Gate({Layer("r", 1, {"dora"})});
  spec.deployment_gate = Gate({Layer("d", 1, {"emil"})});
  EXPECT_EQ(GateOf(spec, kGateRenewal)->layers[0].name, "r");
  EXPECT_EQ(GateOf(spec, kGateDeployment)->layers[0].name, "d");
}

// a manual rollback is asked of those who decide on deployments, or of whoever may approve.
TEST(GateOfTest, ARollbackHasAGateWhenItIsManual) {
  api::WorkflowSpec spec = SmallSpec();
  spec.deployment_gate = Gate({Layer("d", 1, {"emil"})});
  for (auto policy : {api::RollbackPolicy::kAutomatic, api::RollbackPolicy::kHold}) {
    spec.rollback = policy;
    EXPECT_FALSE(GateOf(spec, kGateRollback).has_value());
  }
  spec.rollback = api::RollbackPolicy::kManual;
  EXPECT_EQ(GateOf(spec, kGateRollback)->layers[0].name, "d");
  spec.deployment_gate.reset();
  auto anybody = GateOf(spec, kGateRollback);
  ASSERT_TRUE(anybody.has_value());
  EXPECT_EQ(anybody->layers[0].required, 1);
  EXPECT_NE(AdmittingLayer(*anybody, "zoe", {}), nullptr);
}

// ---- texts for mails

TEST(ApproversTextTest, NamesWhoMayDecideInTheOpenLayer) {
  EXPECT_EQ(ApproversText(TwoLayers(), "team"), "2 of user dora user emil group edge");
  EXPECT_EQ(ApproversText(TwoLayers(), "board"), "1 of user dora group cab");
  EXPECT_EQ(ApproversText(TwoLayers(), ""), "");
  EXPECT_EQ(ApproversText(Gate({Layer("operator", 1, {})}), "operator"),
            "1 of those who may approve");
}

// the command that the mail shows is one that the grammar takes.
TEST(ApproveCommandTest, IsExact) {
  EXPECT_EQ(ApproveCommand(MakeRun(), kGateRenewal, true),
            "kubectl annotate workflowrun -n web st-0b6c4befb1 certflow.dev/approve="
            "'renewal by YOUR-USER-NAME in YOUR-GROUP'");
  EXPECT_THAT(ApproveCommand(MakeRun(), kGateDeployment, false),
              AllOf(HasSubstr("certflow.dev/reject='deployment by "), Not(HasSubstr("approve="))));
  EXPECT_TRUE(ParseDecision("renewal by YOUR-USER-NAME in YOUR-GROUP", false).ok());
}

}  // namespace
}  // namespace certflow::workflow
