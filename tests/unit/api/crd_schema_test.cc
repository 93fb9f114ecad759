// What the codecs write is what crds/ lets through: the API server drops members that a schema does
// not know without a word, and refuses the whole write for one that is out of bounds.

#include "tests/unit/api/crd_schema.h"

#include <gmock/gmock.h>

#include "tests/unit/api/samples.h"

namespace certflow::api {
namespace {

using ::testing::IsEmpty;

TEST(CrdSchemaTest, SeesWhatTheServerWouldDropOrRefuse) {
  CrdSchema schema("workflowruns.yaml");
  EXPECT_THAT(schema.Check(R"({"status": {"state": "Running"}})", "status"), IsEmpty());
  const std::pair<const char*, const char*> cases[] = {
      {"unknown member", R"({"status": {"colour": "red"}})"},
      {"unknown word", R"({"status": {"state": "Dancing"}})"},
      {"wrong type", R"({"status": {"ledger": {}}})"},
      {"required member", R"({"status": {"ledger": [{"id": "renewal", "step": "Renewal"}]}})"},
      {"no time", R"({"status": {"until": "tomorrow"}})"},
      {"reason that is no token", R"({"status": {"conditions": [{"type": "Ready", "status": "True",
                                     "lastTransitionTime": "2026-11-21T02:00:00Z",
                                     "reason": "not good", "message": ""}]}})"},
      {"below the minimum", R"({"status": {"outbox": [{"id": "a", "event": "b",
                                "state": "Sent", "attempts": -1}]}})"},
  };
  for (const auto& [name, document] : cases) {
    EXPECT_EQ(schema.Check(document, "status").size(), 1U) << name;
  }
}

TEST(CrdSchemaTest, AFullWorkflowStatusFits) {
  CrdSchema schema("certificateworkflows.yaml");
  EXPECT_THAT(schema.Check(EncodeWorkflowStatus(FullWorkflow()), "status"), IsEmpty());
  EXPECT_THAT(schema.Unwritten("status"), IsEmpty()) << "members that nobody writes";
  EXPECT_THAT(schema.Check(EncodeWorkflowStatus(Workflow{}), "status"), IsEmpty());
}

TEST(CrdSchemaTest, AFullRunStatusFits) {
  CrdSchema schema("workflowruns.yaml");
  EXPECT_THAT(schema.Check(EncodeRunStatus(FullRun()), "status"), IsEmpty());
  EXPECT_THAT(schema.Unwritten("status"), IsEmpty()) << "members that nobody writes";
  EXPECT_THAT(schema.Check(EncodeRunStatus(api::Run{}), "status"), IsEmpty());
}

TEST(CrdSchemaTest, EachWordOfAnEnumerationFits) {
  CrdSchema schema("workflowruns.yaml");
  api::Run run = FullRun();
  for (int state = 0; state <= static_cast<int>(RunState::kCancelled); ++state) {
    run.status.state = static_cast<RunState>(state);
    EXPECT_THAT(schema.Check(EncodeRunStatus(run), "status"), IsEmpty());
  }
  for (int state = 0; state <= static_cast<int>(EntryState::kReverted); ++state) {
    run.status.ledger[0].state = static_cast<EntryState>(state);
    EXPECT_THAT(schema.Check(EncodeRunStatus(run), "status"), IsEmpty());
  }
  for (int state = 0; state <= static_cast<int>(OutboxState::kFailed); ++state) {
    run.status.outbox[0].state = static_cast<OutboxState>(state);
    EXPECT_THAT(schema.Check(EncodeRunStatus(run), "status"), IsEmpty());
  }
  NewRun made = FullNewRun();
  for (int reason = 0; reason <= static_cast<int>(TriggerReason::kRollbackRequested); ++reason) {
    made.trigger.reason = static_cast<TriggerReason>(reason);
    EXPECT_THAT(schema.Check(EncodeNewRun(made), "spec"), IsEmpty());
  }
}

// Without what a vendor's member of a target holds: that is text here, and its provider's tests
// fill it.
std::set<std::string> WithoutVendors(std::set<std::string> members) {
  std::erase_if(members, [](const std::string& member) {
    const std::string_view parent = ".waves[].targets[].";
    const std::size_t at = member.find(parent);
    if (at == std::string::npos) return false;
    const std::string_view rest = std::string_view(member).substr(at + parent.size());
    return !rest.starts_with("targetRef") && !rest.starts_with("targetSelector") &&
           !rest.starts_with("retry");
  });
  return members;
}

// R-13: the trigger's payload is kept in the run.
TEST(CrdSchemaTest, ANewRunFitsWithEachMemberOfTheWorkflowsSpec) {
  CrdSchema workflows("certificateworkflows.yaml");
  EXPECT_THAT(workflows.Check(WorkflowJson(), "spec"), IsEmpty());
  EXPECT_THAT(WithoutVendors(workflows.Unwritten("spec")), IsEmpty())
      << "the sample does not fill them";

  CrdSchema runs("workflowruns.yaml");
  EXPECT_THAT(runs.Check(EncodeNewRun(FullNewRun()), "spec"), IsEmpty());
  NewRun back = FullNewRun();
  back.plan_json = CanonicalRollbackPlan(back.plan_json, FullRollback());
  EXPECT_THAT(runs.Check(EncodeNewRun(back), "spec"), IsEmpty());
  // The plan leaves out what does not bind; the schema keeps it for the runs of other versions.
  EXPECT_THAT(WithoutVendors(runs.Unwritten("spec")),
              ::testing::UnorderedElementsAre(
                  "spec.plan.spec.suspend", "spec.plan.spec.historyLimit",
                  "spec.plan.spec.historyLimit.successful", "spec.plan.spec.historyLimit.failed"));
}

TEST(CrdSchemaTest, AProvidersStatusFits) {
  ProviderObject object = FullAuthority();
  CrdSchema authorities("certificateauthorities.yaml");
  EXPECT_THAT(authorities.Check(EncodeProviderStatus(object, AuthorityResource()), "status"),
              IsEmpty());
  EXPECT_THAT(authorities.Unwritten("status"), IsEmpty());
  object.status.account_url.clear();
  object.status.ca_fingerprint.clear();
  EXPECT_THAT(CrdSchema("deploymenttargets.yaml")
                  .Check(EncodeProviderStatus(object, TargetResource()), "status"),
              IsEmpty());
  EXPECT_THAT(CrdSchema("notificationchannels.yaml")
                  .Check(EncodeProviderStatus(object, ChannelResource()), "status"),
              IsEmpty());
}

TEST(CrdSchemaTest, ListsHaveTheSameBoundInCodeAndSchema) {
  CrdSchema runs("workflowruns.yaml");
  EXPECT_EQ(runs.MaxItems("status.ledger"), kMaxLedger);
  EXPECT_EQ(runs.MaxItems("status.checks"), kMaxChecks);
  EXPECT_EQ(runs.MaxItems("status.approvals"), kMaxDecisions);
  EXPECT_EQ(runs.MaxItems("status.refusals"), kMaxRefusals);
  EXPECT_EQ(runs.MaxItems("status.evidence"), kMaxEvidence);
  EXPECT_EQ(runs.MaxItems("status.deployments"), kMaxDeployments);
  EXPECT_EQ(runs.MaxItems("status.outbox"), kMaxOutbox);
  EXPECT_EQ(runs.MaxItems("status.challenges"), kMaxChallenges);
  CrdSchema workflows("certificateworkflows.yaml");
  EXPECT_EQ(workflows.MaxItems("status.issuances"), kMaxIssuances);
}

// What `kubectl get` answers without a further question. The identifier is the object's name, when
// it was made its age.
TEST(CrdSchemaTest, R02_TheListsHaveTheirColumns) {
  const std::pair<const char*, std::vector<std::string>> lists[] = {
      {"certificateworkflows.yaml",
       {"Ready", "Phase", "Common Name", "Signature", "Expires", "Active", "Suspended", "Age"}},
      {"workflowruns.yaml",
       {"Ready", "Step", "Common Name", "Signature", "Expires", "State", "Age"}}};
  for (const auto& [file, columns] : lists) {
    EXPECT_THAT(CrdSchema(file).Columns(), ::testing::IsSupersetOf(columns)) << file;
  }
}

}  // namespace
}  // namespace certflow::api
