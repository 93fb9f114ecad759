// The admission policies, with real identities on the real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/envtest/api/cluster.h"

namespace certflow::envtest {
namespace {

using testing::HasSubstr;

class PolicyTest : public ClusterTest {};

#define EXPECT_REFUSED(answer, text)           \
  do {                                         \
    const Answer refused = (answer);           \
    EXPECT_NE(refused.code, 0) << refused.out; \
    EXPECT_THAT(refused.err, HasSubstr(text)); \
  } while (false)

#define EXPECT_TAKEN(answer)              \
  do {                                    \
    const Answer taken = (answer);        \
    EXPECT_TRUE(taken.ok()) << taken.err; \
  } while (false)

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST_F(PolicyTest, R32_ADecisionInOnesOwnNameIsTakenAsWritten) {
  const std::string run = cluster().NewRun();
  const std::string value = "renewal by dora@example.com in web-team for " + kDigest +
                            " because asked by phone, see CHG0031337";
  EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/approve=" + value, kDora));
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/approve"), value);
}

TEST_F(PolicyTest, R30_ABareDecisionIsFilledInWithNameAndGroups) {
  const std::string run = cluster().NewRun();
  EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/approve=renewal", kDora));
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/approve"),
            "renewal by dora@example.com in web-team");
  EXPECT_TAKEN(cluster().Annotate(
      run, "certflow.dev/reject.emil=deployment for " + kDigest + " because asked by phone",
      kEmil));
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/reject.emil"),
            "deployment by emil@example.com in cab for " + kDigest + " because asked by phone");
}

TEST_F(PolicyTest, R32_AForeignNameIsRefusedAndNothingIsWritten) {
  const std::string run = cluster().NewRun();
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/approve=renewal by emil@example.com", kDora),
                 "a decision names who writes it: write 'by dora@example.com'");
  EXPECT_REFUSED(cluster().Annotate(
                     run, "certflow.dev/reject.x=renewal by emil@example.com in web-team", kDora),
                 "nobody decides for somebody else");
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/approve"), "");
}

TEST_F(PolicyTest, R32_AReasonCannotPassForTheName) {
  const std::string run = cluster().NewRun();
  EXPECT_REFUSED(
      cluster().Annotate(
          run, "certflow.dev/approve=renewal by emil@example.com because by dora@example.com",
          kDora),
      "a decision names who writes it");
}

TEST_F(PolicyTest, R32_AGroupThatIsNotHeldIsRefused) {
  const std::string run = cluster().NewRun();
  for (const char* groups : {"cab", "web-team,cab", "cab,web-team", "web-tea"}) {
    EXPECT_REFUSED(
        cluster().Annotate(
            run, "certflow.dev/approve=renewal by dora@example.com in " + std::string(groups),
            kDora),
        "a decision claims a group that you are not in");
  }
}

TEST_F(PolicyTest, R32_WithoutTheVerbApproveADecisionIsRefused) {
  const std::string run = cluster().NewRun();
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/approve=renewal", kErin),
                 "you may not approve this run: ask for a RoleBinding to the ClusterRole "
                 "certflow-approver");
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/approve=renewal", kMallory),
                 "cannot get resource");
  EXPECT_TAKEN(cluster().Annotate(run, "example.com/note=seen", kErin));
}

TEST_F(PolicyTest, R94_AMalformedDecisionIsRefusedWithTheFormToWrite) {
  const std::string run = cluster().NewRun();
  const char* wrong[] = {
      "yes",
      "",
      "Renewal",
      "renewal by",
      "renewal by dora@example.com in",
      "renewal by dora@example.com in web-team,",
      "renewal by dora@example.com  in web-team",
      "renewal by dora@example.com because",
      "renewal by dora@example.com for sha256:123",
      "renewal by dora@example.com because x\ny",
      "renewal by dora@example.com for "
      "md5:00 in web-team",
      "st-0123456789 renewal by dora@example.com",
      "purge by dora@example.com",
      " renewal by dora@example.com",
      "renewal by dora@example.com,emil@example.com",
  };
  for (const char* value : wrong) {
    SCOPED_TRACE(value);
    EXPECT_REFUSED(cluster().Annotate(run, std::string("certflow.dev/approve=") + value, kDora),
                   "this is not a decision: write certflow.dev/approve='renewal by "
                   "dora@example.com'");
  }
  const std::string start = "renewal by dora@example.com because ";
  const std::string longest = start + std::string(512 - start.size(), 'x');
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/approve=" + longest + "x", kDora),
                 "at most 512 bytes");
  EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/approve=" + longest, kDora));
}

TEST_F(PolicyTest, R32_AUserWhoseNameDoesNotFitIsToldSo) {
  const std::string run = cluster().NewRun();
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/approve=renewal", kSpaced),
                 "your user name has white space or a comma in it");
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/approve=renewal by Pat Doe", kSpaced),
                 "your user name has white space or a comma in it");
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/approve=renewal by Pat", kSpaced),
                 "your user name has white space or a comma in it");
}

TEST_F(PolicyTest, R32_SomebodyElsesDecisionIsNeitherChangedNorRemoved) {
  const std::string run = cluster().NewRun();
  EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/reject=renewal", kDora));
  const std::string before = cluster().Annotation(run, "certflow.dev/reject");
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/reject=renewal", kEmil),
                 "this annotation holds the decision of somebody else, which only they may change");
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/reject-", kEmil),
                 "this annotation holds the decision of somebody else");
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/reject-", kAdmin),
                 "this annotation holds the decision of somebody else");
  EXPECT_REFUSED(cluster().Kubectl({"patch", "-n", "team", run, "--type=json", "-p",
                                    R"([{"op":"remove","path":"/metadata/annotations"}])"},
                                   kErin),
                 "this annotation holds the decision of somebody else");
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/reject"), before);
  EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/reject.2=renewal", kEmil));
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/reject"), before);
}

TEST_F(PolicyTest, R30_OnesOwnDecisionCanBeChangedAndTakenBack) {
  const std::string run = cluster().NewRun();
  EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/approve=renewal", kDora));
  EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/approve=deployment", kDora));
  EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/approve-", kDora));
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/approve"), "");
}

TEST_F(PolicyTest, R32_ARecordedDecisionMakesWayForTheNextOne) {
  for (const char* list : {"approvals", "refusals"}) {
    SCOPED_TRACE(list);
    const std::string run = cluster().NewRun();
    EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/approve=renewal", kDora));
    const std::string source = cluster().Annotation(run, "certflow.dev/approve");
    const std::string entry =
        list == std::string("approvals")
            ? R"({"gate":"renewal","user":"dora@example.com","decision":"Approved",)"
            : R"({"message":"late",)";
    EXPECT_TAKEN(cluster().Kubectl(
        {"patch", "-n", "team", run, "--subresource=status", "--type=merge", "-p",
         std::string(R"({"status":{")") + list + R"(":[)" + entry +
             R"("time":"2026-11-21T02:46:00Z","source":")" + source + R"("}]}})"}));
    EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/approve-", kEmil),
                   "this annotation holds the decision of somebody else");
    EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/approve=renewal", kEmil));
    EXPECT_EQ(cluster().Annotation(run, "certflow.dev/approve"),
              "renewal by emil@example.com in cab");
  }
}

TEST_F(PolicyTest, R32_ADecisionCannotComeWithTheObject) {
  const std::string note = "{certflow.dev/approve: renewal by admin}";
  EXPECT_REFUSED(cluster().Create(RunYaml("st-ffffffff01", note)),
                 "a decision cannot come with the object");
  EXPECT_REFUSED(cluster().Create(WorkflowYaml("early",
                                               "{certflow.dev/approve: st-0123456789 renewal by "
                                               "gwen@example.com}"),
                                  kGwen),
                 "a decision cannot come with the object");
}

TEST_F(PolicyTest, R30_ADecisionOnAWorkflowNamesTheRun) {
  const std::string workflow = cluster().NewWorkflow();
  EXPECT_REFUSED(
      cluster().Annotate(workflow, "certflow.dev/approve=renewal by gwen@example.com", kGwen),
      "with the name of the run in front");
  EXPECT_TAKEN(cluster().Annotate(workflow, "certflow.dev/approve=st-0b6c4befb1 renewal", kGwen));
  EXPECT_EQ(cluster().Annotation(workflow, "certflow.dev/approve"),
            "st-0b6c4befb1 renewal by gwen@example.com in web-team");
  EXPECT_REFUSED(
      cluster().Annotate(workflow, "certflow.dev/approve.2=st-0b6c4befb1 renewal", kErin),
      "you may not approve runs of this workflow");
  EXPECT_REFUSED(
      cluster().Annotate(workflow,
                         "certflow.dev/approve.2=st-0b6c4befb1 renewal by dora@example.com", kGwen),
      "nobody decides for somebody else");
  EXPECT_REFUSED(cluster().Annotate(workflow, "certflow.dev/approve=st-0b6c4befb1 renewal", kDora),
                 "cannot patch resource \"certificateworkflows\"");
}

TEST_F(PolicyTest, R32_ADecisionCannotComeWithAChangeOfTheSpec) {
  const std::string workflow = cluster().NewWorkflow();
  EXPECT_REFUSED(cluster().Kubectl({"patch", "-n", "team", workflow, "--type=merge", "-p",
                                    R"({"metadata":{"annotations":{"certflow.dev/approve":)"
                                    R"("st-0b6c4befb1 renewal by gwen@example.com"}},)"
                                    R"("spec":{"rollback":{"policy":"Hold"}}})"},
                                   kGwen),
                 "a decision cannot come together with a change of the spec");
}

TEST_F(PolicyTest, R32_TheControllersAccountDecidesNothing) {
  const std::string run = cluster().NewRun();
  const std::string self = std::string(kController);
  for (const std::string& value : {std::string("renewal"), "renewal by " + self}) {
    EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/approve=" + value, kController),
                   "the controller's own account never approves, rejects or asks for a run");
  }
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/changed-by=" + self, kController),
                 "the controller's own account never");
  EXPECT_TAKEN(cluster().Kubectl({"patch", "-n", "team", run, "--type=merge", "-p",
                                  R"({"metadata":{"finalizers":["certflow.dev/run"]}})"},
                                 kController));
}

TEST_F(PolicyTest, R12_ARequestForARunNamesWhoAsks) {
  const std::string workflow = cluster().NewWorkflow();
  EXPECT_REFUSED(cluster().Annotate(workflow, "certflow.dev/renew=now by dora@example.com", kErin),
                 "certflow.dev/renew names who asks: end it with ' by erin@example.com'");
  EXPECT_REFUSED(cluster().Annotate(workflow, "certflow.dev/renew=now by xerin@example.com", kErin),
                 "certflow.dev/renew names who asks");
  EXPECT_TAKEN(
      cluster().Annotate(workflow, "certflow.dev/renew=now by phone by erin@example.com", kErin));
  EXPECT_TAKEN(cluster().Annotate(workflow, "certflow.dev/renew=CHG0031337", kErin));
  EXPECT_EQ(cluster().Annotation(workflow, "certflow.dev/renew"), "CHG0031337 by erin@example.com");
  EXPECT_REFUSED(cluster().Annotate(workflow, "certflow.dev/renew=", kErin),
                 "certflow.dev/renew is TEXT by USER");
  EXPECT_REFUSED(cluster().Annotate(workflow, "certflow.dev/renew=" + std::string(256, 'x'), kErin),
                 "at most 256 characters");
  EXPECT_REFUSED(
      cluster().Annotate(cluster().NewRun(), "certflow.dev/renew=now by erin@example.com", kErin),
      "certflow.dev/renew asks a workflow for a run");
}

TEST_F(PolicyTest, R62_ARequestToTakeARunBackNamesWhoAsksAndNeedsTheVerb) {
  const std::string run = cluster().NewRun();
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/rollback=no by emil@example.com", kDora),
                 "certflow.dev/rollback names who asks: end it with ' by dora@example.com'");
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/rollback=no", kErin),
                 "you may not roll this run back: ask for a RoleBinding to the ClusterRole "
                 "certflow-approver");
  EXPECT_REFUSED(cluster().Annotate(run, "certflow.dev/rollback=", kDora),
                 "certflow.dev/rollback is TEXT by USER");
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/rollback"), "");
  EXPECT_TAKEN(cluster().Annotate(run, "certflow.dev/rollback=old clients fail", kDora));
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/rollback"),
            "old clients fail by dora@example.com");
  const std::string workflow = cluster().NewWorkflow();
  EXPECT_REFUSED(
      cluster().Annotate(workflow, "certflow.dev/rollback=no by gwen@example.com", kGwen),
      "certflow.dev/rollback takes an ended run back: annotate the WorkflowRun");
}

TEST_F(PolicyTest, R32_ChangedByIsKeptByTheServer) {
  const std::string workflow = cluster().NewWorkflow(kGwen);
  const auto changed_by = [&] { return cluster().Annotation(workflow, "certflow.dev/changed-by"); };
  EXPECT_EQ(changed_by(), kGwen);
  EXPECT_TAKEN(cluster().Annotate(workflow, "example.com/note=seen", kErin));
  EXPECT_EQ(changed_by(), kGwen) << "nothing of the spec changed";
  EXPECT_TAKEN(cluster().Kubectl(
      {"patch", "-n", "team", workflow, "--type=merge", "-p", R"({"spec":{"suspend":true}})"},
      kErin));
  EXPECT_EQ(changed_by(), kErin);
  EXPECT_TAKEN(cluster().Annotate(workflow, "certflow.dev/changed-by-", kErin));
  EXPECT_EQ(changed_by(), kErin) << "it cannot be dropped";
}

TEST_F(PolicyTest, R32_AForgedChangedByIsRefused) {
  const std::string workflow = cluster().NewWorkflow(kGwen);
  EXPECT_REFUSED(cluster().Annotate(workflow, "certflow.dev/changed-by=dora@example.com", kErin),
                 "certflow.dev/changed-by cannot be removed or name somebody else: write "
                 "'erin@example.com'");
  EXPECT_REFUSED(cluster().Kubectl({"patch", "-n", "team", workflow, "--type=merge", "-p",
                                    R"({"metadata":{"annotations":{"certflow.dev/changed-by":)"
                                    R"("dora@example.com"}},"spec":{"suspend":true}})"},
                                   kErin),
                 "certflow.dev/changed-by cannot be removed or name somebody else");
  EXPECT_REFUSED(cluster().Create(WorkflowYaml("forged", "{certflow.dev/changed-by: dora}"), kErin),
                 "certflow.dev/changed-by cannot be removed or name somebody else");
}

TEST_F(PolicyTest, R30_ADecisionFromGitCountsAsTheOneWhoAppliesIt) {
  const std::string run = cluster().NewRun();
  const auto apply = [&](const std::string& value, std::string_view user) {
    return cluster().Kubectl(
        {"apply", "--server-side", "-n", "team", "-f", "-"}, user,
        "apiVersion: certflow.dev/v1alpha1\nkind: WorkflowRun\nmetadata:\n  name: " +
            run.substr(run.find('/') + 1) + "\n  annotations: {certflow.dev/approve: " + value +
            "}");
  };
  EXPECT_REFUSED(apply("renewal by emil@example.com", kDora), "nobody decides for somebody else");
  EXPECT_TAKEN(apply("renewal by dora@example.com in web-team", kDora));
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/approve"),
            "renewal by dora@example.com in web-team");
}

TEST_F(PolicyTest, R32_TheVerbCanBeGivenForOneRun) {
  const std::string one = cluster().NewRun();
  const std::string another = cluster().NewRun();
  EXPECT_TAKEN(cluster().Kubectl({"create", "role", "one-run", "-n", "team", "--verb=approve",
                                  "--resource=workflowruns.certflow.dev",
                                  "--resource-name=" + one.substr(one.find('/') + 1)}));
  EXPECT_TAKEN(cluster().Kubectl({"create", "rolebinding", "one-run", "-n", "team",
                                  "--role=one-run", "--user=" + std::string(kErin)}));
  EXPECT_TAKEN(cluster().Annotate(one, "certflow.dev/approve=renewal", kErin));
  EXPECT_REFUSED(cluster().Annotate(another, "certflow.dev/approve=renewal", kErin),
                 "you may not approve this run");
}

// What the controller tries from time to time, to find out whether the policy is in force.
TEST_F(PolicyTest, R32_TheControllersProbeIsAnsweredByThePolicy) {
  EXPECT_REFUSED(
      cluster().Kubectl({"create", "-n", "default", "--dry-run=server", "-f", "-"}, kController,
                        RunYaml("st-0000000000", "{certflow.dev/approve: renewal by nobody}")),
      "ValidatingAdmissionPolicy 'certflow-approvals' with binding 'certflow-approvals' denied");
}

TEST_F(PolicyTest, R32_StatusIsNoWayToAnAnnotation) {
  const std::string run = cluster().NewRun();
  EXPECT_TAKEN(cluster().Kubectl(
      {"patch", "-n", "team", run, "--subresource=status", "--type=merge", "-p",
       R"({"metadata":{"annotations":{"certflow.dev/approve":"renewal by dora@example.com"}},)"
       R"("status":{"step":"Checks"}})"},
      kController));
  EXPECT_EQ(cluster().Get(run, "{.status.step}"), "Checks");
  EXPECT_EQ(cluster().Annotation(run, "certflow.dev/approve"), "");
}

// Servers before 1.36 have no MutatingAdmissionPolicy: people write their names themselves.
class PolicyWithoutFillInTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    cluster_ = Cluster::Start(false, &why);
    if (cluster_ != nullptr) return;
    if (controlplane::Required()) FAIL() << why;
    GTEST_SKIP() << why;
  }
  std::unique_ptr<Cluster> cluster_;
};

TEST_F(PolicyWithoutFillInTest, R32_NamesAreWrittenByHandAndProvedAllTheSame) {
  const std::string run = cluster_->NewRun();
  EXPECT_REFUSED(cluster_->Annotate(run, "certflow.dev/approve=renewal", kDora),
                 "this is not a decision: write certflow.dev/approve='renewal by "
                 "dora@example.com'");
  EXPECT_TAKEN(cluster_->Annotate(run, "certflow.dev/approve=renewal by dora@example.com", kDora));

  const std::string workflow = cluster_->NewWorkflow(kGwen);
  const auto patch = [&](const std::string& body) {
    return cluster_->Kubectl({"patch", "-n", "team", workflow, "--type=merge", "-p", body}, kErin);
  };
  EXPECT_REFUSED(cluster_->Annotate(workflow, "certflow.dev/renew=now", kErin),
                 "write certflow.dev/renew='now by erin@example.com'");
  EXPECT_TAKEN(patch(R"({"spec":{"suspend":true}})"));
  EXPECT_EQ(cluster_->Annotation(workflow, "certflow.dev/changed-by"), "") << "absent stays absent";
  EXPECT_TAKEN(cluster_->Annotate(workflow, "certflow.dev/changed-by=gwen@example.com", kGwen));
  EXPECT_REFUSED(patch(R"({"spec":{"suspend":false}})"),
                 "certflow.dev/changed-by names who changed the spec last: write "
                 "'erin@example.com' with the change");
  EXPECT_REFUSED(cluster_->Annotate(workflow, "certflow.dev/changed-by-", kErin),
                 "certflow.dev/changed-by cannot be removed");
  EXPECT_TAKEN(
      patch(R"({"metadata":{"annotations":{"certflow.dev/changed-by":"erin@example.com"}},)"
            R"("spec":{"suspend":false}})"));
}

}  // namespace
}  // namespace certflow::envtest
