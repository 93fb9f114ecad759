// The schemas, on the real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "controller/api/resources.h"
#include "controller/api/run.h"
#include "controller/api/workflow.h"
#include "tests/envtest/api/cluster.h"

namespace certflow::envtest {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class SchemaTest : public ClusterTest {
 protected:
  json GetJson(const std::string& object) {
    Answer answer = cluster().Kubectl({"get", "-n", "team", object, "-o", "json"});
    EXPECT_TRUE(answer.ok()) << answer.err;
    return json::parse(answer.out, nullptr, false);
  }
  Answer Patch(const std::string& object, const std::string& body) {
    return cluster().Kubectl({"patch", "-n", "team", object, "--type=merge", "-p", body});
  }
  Answer PutStatus(const std::string& text) {
    return cluster().Kubectl({"replace", "--subresource=status", "--validate=strict", "-f", "-"},
                             kAdmin, text);
  }
};

TEST_F(SchemaTest, R01_EverySampleIsTaken) {
  for (const char* ns : {"web", "orders", "platform", "shop", "billing"})
    cluster().Kubectl({"create", "namespace", ns});
  Answer answer = cluster().Kubectl(
      {"apply", "--dry-run=server", "--validate=strict", "-f", SourcePath("manifests/samples")});
  EXPECT_TRUE(answer.ok()) << answer.err;
  for (const char* kind :
       {"certificateauthority", "certificateworkflow", "deploymenttarget", "notificationchannel"}) {
    EXPECT_THAT(answer.out, HasSubstr(std::string(kind) + ".certflow.dev/"));
  }
}

// What kubectl said of each file, by the file's name.
std::map<std::string, std::string> RefusalsByFile(const std::string& err) {
  constexpr std::string_view kStart = "Error from server";
  constexpr std::string_view kFile = "error when creating \"";
  std::map<std::string, std::string> out;
  for (std::size_t at = err.find(kStart); at != std::string::npos;) {
    std::size_t next = err.find("\nError from server", at);
    const std::string block = err.substr(at, next == std::string::npos ? next : next - at);
    const std::size_t file = block.find(kFile);
    if (file != std::string::npos) {
      const std::string path =
          block.substr(file + kFile.size(), block.find("\":", file) - file - kFile.size());
      out[std::filesystem::path(path).filename().string()] = block;
    }
    at = next == std::string::npos ? next : next + 1;
  }
  return out;
}

TEST_F(SchemaTest, R94_EveryWrongSpecIsRefusedWithFieldAndRemedy) {
  const std::string folder = SourcePath("tests/testdata/invalid");
  Answer answer = cluster().Kubectl(
      {"create", "--dry-run=server", "--validate=strict", "-n", "team", "-f", folder});
  EXPECT_EQ(answer.out, "") << "these were taken";
  const auto refusals = RefusalsByFile(answer.err);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    constexpr std::string_view kMark = "# expect: ";
    const std::string name = entry.path().filename().string();
    const std::string text = ReadText(entry.path().string());
    SCOPED_TRACE(name);
    ASSERT_TRUE(text.starts_with(kMark));
    const std::string expected = text.substr(kMark.size(), text.find('\n') - kMark.size());
    const auto refusal = refusals.find(name);
    ASSERT_NE(refusal, refusals.end()) << "it was not refused";
    EXPECT_THAT(refusal->second, HasSubstr(expected));
    ++files;
  }
  EXPECT_GE(files, 45u);
}

TEST_F(SchemaTest, R01_DefaultsAreFilledIn) {
  const json spec = GetJson(cluster().NewWorkflow())["spec"];
  const json expected = json::parse(R"({
    "suspend": false,
    "certificate": {"commonName": "shop.example.com", "dnsNames": ["shop.example.com"],
                    "secretName": "shop-tls", "privateKey": {"algorithm": "ECDSA"}},
    "authorities": [{"name": "company-ca"}],
    "renewal": {"policy": "Automatic"},
    "approval": {"requester": "Forbidden"},
    "deployment": {"retryBackoff": "5s", "retryLimit": 3, "timeZone": "UTC"},
    "validation": {"trust": "System", "minTLS": "1.2", "timeout": "2m"},
    "rollback": {"policy": "Automatic"},
    "historyLimit": {"successful": 10, "failed": 10}})");
  EXPECT_EQ(spec, expected);
}

TEST_F(SchemaTest, R01_DefaultsOfAuthorityTargetAndChannel) {
  const auto defaulted = [&](const std::string& kind, const std::string& spec) {
    Answer answer = cluster().Kubectl(
        {"create", "-n", "team", "--dry-run=server", "-o", "json", "-f", "-"}, kAdmin,
        "apiVersion: certflow.dev/v1alpha1\nkind: " + kind +
            "\nmetadata: {name: d}\nspec: " + spec);
    EXPECT_TRUE(answer.ok()) << answer.err;
    return json::parse(answer.out, nullptr, false)["spec"];
  };
  const json acme = defaulted("CertificateAuthority",
                              "{acme: {server: 'https://ca.example.com/dir', accountKeySecretRef: "
                              "{name: a}, solvers: [{http01: {}}, {dns01: {rfc2136: {nameserver: "
                              "'ns1:53', tsigKeyName: k, tsigSecretRef: {name: t, key: k}}}}]}}");
  EXPECT_EQ(acme["allowedNamespaces"]["from"], "Same");
  EXPECT_EQ(acme["acme"]["accountKeySecretRef"]["key"], "tls.key");
  EXPECT_EQ(acme["acme"]["solvers"][0]["http01"]["via"], "Cluster");
  EXPECT_EQ(acme["acme"]["solvers"][1]["dns01"]["rfc2136"]["tsigAlgorithm"], "hmac-sha256");
  EXPECT_EQ(defaulted("CertificateAuthority", "{ca: {secretName: ca}}")["ca"]["duration"], "90d");
  const json nginx = defaulted("DeploymentTarget",
                               "{nginx: {host: e, user: u, privateKeySecretRef: {name: s, key: k}, "
                               "hostKeys: [ssh-ed25519 AAAAC3Nz]}}")["nginx"];
  EXPECT_EQ(nginx["port"], 22);
  EXPECT_EQ(nginx["sudo"], false);
  EXPECT_EQ(nginx["nginxPath"], "/usr/sbin/nginx");
  const json haproxy =
      defaulted("DeploymentTarget",
                "{haproxy: {host: e, user: u, privateKeySecretRef: {name: s, key: k}, "
                "hostKeys: [ssh-ed25519 AAAAC3Nz]}}")["haproxy"];
  EXPECT_EQ(haproxy["configFile"], "/etc/haproxy/haproxy.cfg");
  EXPECT_EQ(haproxy["pidFile"], "/run/haproxy.pid");
  const json smtp = defaulted("NotificationChannel", "{smtp: {host: m, from: a@b}}")["smtp"];
  EXPECT_EQ(smtp["port"], 587);
  EXPECT_EQ(smtp["tls"], "StartTLS");
}

TEST_F(SchemaTest, R93_AFreshObjectCountsAsInProgressForGitOpsTools) {
  EXPECT_EQ(cluster().Get(cluster().NewWorkflow(), "{.status.observedGeneration}"), "-1");
}

TEST_F(SchemaTest, R32_TheSpecOfARunNeverChanges) {
  const std::string run = cluster().NewRun();
  for (const char* body : {R"({"spec":{"number":2}})", R"({"spec":{"planDigest":null}})",
                           R"({"spec":{"trigger":{"requestedBy":null}}})",
                           R"({"spec":{"plan":{"spec":{"environment":"test"}}}})",
                           R"({"spec":{"plan":{"targets":[]}}})"}) {
    Answer answer = Patch(run, body);
    EXPECT_FALSE(answer.ok()) << body;
    EXPECT_THAT(answer.err, testing::AnyOf(HasSubstr("the spec of a WorkflowRun never changes"),
                                           HasSubstr("Required value")));
  }
  EXPECT_TRUE(Patch(run, R"({"metadata":{"labels":{"a":"b"}}})").ok());
}

TEST_F(SchemaTest, R94_TheTypeOfAnAuthorityOrTargetNeverChanges) {
  const auto make = [&](const std::string& kind, const std::string& spec) {
    Answer made = cluster().Create("apiVersion: certflow.dev/v1alpha1\nkind: " + kind +
                                   "\nmetadata: {name: fixed}\nspec: " + spec);
    EXPECT_TRUE(made.ok()) << made.err;
  };
  make("CertificateAuthority", "{ca: {secretName: ca}}");
  make("DeploymentTarget", "{kubernetes: {}}");
  Answer authority = Patch("certificateauthority/fixed",
                           R"({"spec":{"ca":null,"acme":{"server":"https://ca.example.com/dir",)"
                           R"("accountKeySecretRef":{"name":"a"},"solvers":[{"http01":{}}]}}})");
  EXPECT_THAT(authority.err,
              HasSubstr("the type of a CertificateAuthority (acme or ca) cannot change"));
  Answer target = Patch("deploymenttarget/fixed",
                        R"({"spec":{"kubernetes":null,"nginx":{"host":"e","user":"u",)"
                        R"("privateKeySecretRef":{"name":"s","key":"k"},)"
                        R"("hostKeys":["ssh-ed25519 AAAAC3Nz"]}}})");
  EXPECT_THAT(target.err, HasSubstr("the type of a DeploymentTarget cannot change"));
  EXPECT_TRUE(Patch("certificateauthority/fixed", R"({"spec":{"ca":{"duration":"30d"}}})").ok());
}

TEST_F(SchemaTest, R02_KubectlGetAnswersWhereAWorkflowStands) {
  const std::string workflow = cluster().NewWorkflow();
  const std::string name = workflow.substr(workflow.find('/') + 1);
  Answer put = cluster().Kubectl(
      {"patch", "-n", "team", workflow, "--subresource=status", "--type=merge", "-p",
       R"({"status":{"phase":"Deployment-Confirmation","conditions":[{"type":"Ready",)"
       R"("status":"True","reason":"InForce","message":"","lastTransitionTime":)"
       R"("2026-11-21T02:46:00Z"}],"activeRun":{"name":"st-0b6c4befb1",)"
       R"("waitingFor":"approval","until":"2026-11-26T02:46:00Z"},)"
       R"("certificate":{"notAfter":"2027-02-21T02:46:00Z","signatureType":"RSA"}}})"});
  ASSERT_TRUE(put.ok()) << put.err;
  Answer list = cluster().Kubectl({"get", "cwf", "-n", "team", name});
  for (const char* cell :
       {"READY", "PHASE", "WAITING FOR", "UNTIL", "EXPIRES", "SIGNATURE", "COMMON NAME", "ACTIVE",
        "AGE", "True", "Deployment-Confirmation", "approval", "2026-11-26T02:46:00Z",
        "2027-02-21T02:46:00Z", "RSA", "shop.example.com", "st-0b6c4befb1"}) {
    EXPECT_THAT(list.out, HasSubstr(cell));
  }
  Answer selected = cluster().Kubectl({"get", "cwf", "-n", "team", "-o", "name", "--field-selector",
                                       "status.phase=Deployment-Confirmation,spec.suspend=false,"
                                       "spec.certificate.commonName=shop.example.com"});
  EXPECT_THAT(selected.out, HasSubstr(name));
}

TEST_F(SchemaTest, R04_RunsAreFoundByWorkflowStateAndReason) {
  const std::string run = cluster().NewRun();
  const std::string name = run.substr(run.find('/') + 1);
  cluster().Kubectl({"patch", "-n", "team", run, "--subresource=status", "--type=merge", "-p",
                     R"({"status":{"state":"Held","step":"Deployment"}})"});
  Answer found = cluster().Kubectl(
      {"get", "cwr", "-n", "team", "--field-selector",
       "spec.workflowRef.name=shop,status.state=Held,spec.trigger.reason=Threshold"});
  for (const char* cell : {name.c_str(), "WORKFLOW", "STATE", "STEP", "WAITING FOR", "UNTIL",
                           "TRIGGER", "AGE", "Held", "Deployment", "Threshold"}) {
    EXPECT_THAT(found.out, HasSubstr(cell));
  }
  Answer category = cluster().Kubectl({"get", "certflow", "-n", "team", "-o", "name"});
  EXPECT_THAT(category.out, HasSubstr(name));
}

// Everything that may be said, as long as it may be: the rules' cost at run time has a limit too.
TEST_F(SchemaTest, R94_TheLargestWorkflowIsTaken) {
  const std::string label(61, 'a');
  json spec = GetJson(cluster().NewWorkflow())["spec"];
  spec["certificate"]["dnsNames"] = json::array({"shop.example.com"});
  for (int i = 1; i < 100; ++i) {
    spec["certificate"]["dnsNames"].push_back("n" + std::to_string(i) + "." + label + "." + label +
                                              "." + label + ".example.com");
  }
  json addresses = json::array();
  for (int i = 0; i < 50; ++i) {
    addresses.push_back(std::to_string(100 + i) + label + "@" + std::string(150, 'b') +
                        ".example.com");
  }
  spec["notifications"] = json::array();
  for (int i = 0; i < 20; ++i) {
    spec["notifications"].push_back({{"channelRef", {{"name", "mail"}}},
                                     {"events", {"Completed"}},
                                     {"to", addresses},
                                     {"cc", addresses},
                                     {"bcc", addresses},
                                     {"subject", {{"Completed", std::string(200, 's')}}},
                                     {"body", {{"Completed", std::string(4000, 't')}}}});
  }
  spec["deployment"]["waves"] = json::array();
  for (int wave = 0; wave < 10; ++wave) {
    json targets = json::array();
    for (int i = 0; i < 20; ++i) {
      targets.push_back({{"targetRef", {{"name", "edge"}}},
                         {"nginx",
                          {{"certificateFile", "/" + std::string(511, 'c')},
                           {"keyFile", "/" + std::string(511, 'k')}}}});
    }
    spec["deployment"]["waves"].push_back(
        {{"name", "w" + std::to_string(wave)}, {"targets", targets}});
  }
  json object = {{"apiVersion", "certflow.dev/v1alpha1"},
                 {"kind", "CertificateWorkflow"},
                 {"metadata", {{"name", "largest"}}},
                 {"spec", spec}};
  Answer made = cluster().Create(object.dump());
  EXPECT_TRUE(made.ok()) << made.err.substr(0, 2000);
}

// ---- what the controller writes is what the schema has

api::CertificateStatus SomeCertificate(WallTime now) {
  return {"01", "ab", "CN=ca", "ECDSA", "shop.example.com", {"shop.example.com"}, now, now, "st-1"};
}

api::RunStatus FullRunStatus(WallTime now) {
  api::RunStatus status;
  status.state = api::RunState::kWaiting;
  status.step = "Deployment";
  status.waiting_for = "approval";
  status.reason = "Waiting";
  status.message = "m";
  status.until = status.started_at = status.ended_at = now;
  api::SetCondition(status.conditions, "Approved", api::ConditionStatus::kTrue, "Approved", "", 1,
                    now);
  status.ledger.push_back({"deploy/0/1-edge",
                           "Deployment",
                           "0/1-edge",
                           api::EntryState::kIntended,
                           2,
                           now,
                           now,
                           now,
                           "Reason",
                           "message",
                           {{"previous", "v1"}}});
  status.checks.push_back({"owner", "shop", "team", "Warning", "no contact", "Deployment"});
  status.approvals.push_back({"rollback",
                              "owner",
                              "dora@example.com",
                              {"web-team"},
                              false,
                              now,
                              "sha256:" + std::string(64, 'a'),
                              "because",
                              "rollback by dora"});
  status.refusals.push_back({now, "source", "user", "late"});
  status.certificate = status.previous = SomeCertificate(now);
  api::Evidence evidence;
  evidence.wave = 1;
  evidence.endpoint = "shop.example.com:443";
  evidence.address = "192.0.2.1:443";
  evidence.fingerprint = "ab";
  evidence.issuer = "CN=ca";
  evidence.tls_version = "TLSv1.3";
  evidence.message = "m";
  evidence.not_after = evidence.time = now;
  status.evidence.push_back(evidence);
  status.outbox.push_back(
      {"completed/0", "Completed", {"mail", "team"}, 1, api::OutboxState::kSent, 2, now, "sent"});
  status.challenges.push_back({"shop.example.com", "token", "token.thumbprint"});
  return status;
}

TEST_F(SchemaTest, R80_EveryFieldOfARunsStatusIsKept) {
  const std::string object = cluster().NewRun();
  const json live = GetJson(object);
  api::Run run;
  run.meta.name = live["metadata"]["name"];
  run.meta.ns = "team";
  run.meta.uid = live["metadata"]["uid"];
  run.meta.resource_version = live["metadata"]["resourceVersion"];
  run.status = FullRunStatus(*ParseTime("2026-11-21T02:46:00Z"));
  const std::string text = api::EncodeRunStatus(run);
  Answer put = PutStatus(text);
  ASSERT_TRUE(put.ok()) << put.err;
  EXPECT_EQ(GetJson(object)["status"], json::parse(text)["status"]);
}

TEST_F(SchemaTest, R80_EveryFieldOfAWorkflowsStatusIsKept) {
  const std::string object = cluster().NewWorkflow();
  const json live = GetJson(object);
  const WallTime now = *ParseTime("2026-11-21T02:46:00Z");
  api::Workflow workflow;
  workflow.meta.name = live["metadata"]["name"];
  workflow.meta.ns = "team";
  workflow.meta.uid = live["metadata"]["uid"];
  workflow.meta.resource_version = live["metadata"]["resourceVersion"];
  api::WorkflowStatus& status = workflow.status;
  status.observed_generation = 1;
  api::SetCondition(status.conditions, api::kReady, api::ConditionStatus::kTrue, "InForce", "m", 1,
                    now);
  status.phase = "Deployment";
  status.certificate = SomeCertificate(now);
  status.next_renewal = now;
  status.active_run = api::ActiveRunStatus{"st-0b6c4befb1", "Deployment", "approval", now};
  status.last_run = api::LastRunStatus{"st-0b6c4befb0", "Failed", "m", now};
  status.runs = 2;
  status.issuances.assign(api::kMaxIssuances, now);
  status.handled_renewal = "now by erin@example.com";
  status.spec_digest = "sha256:" + std::string(64, 'a');
  const std::string text = api::EncodeWorkflowStatus(workflow);
  Answer put = PutStatus(text);
  ASSERT_TRUE(put.ok()) << put.err;
  EXPECT_EQ(GetJson(object)["status"], json::parse(text)["status"]);
}

TEST_F(SchemaTest, R80_EveryFieldOfAnAuthoritysStatusIsKept) {
  ASSERT_TRUE(cluster()
                  .Create("apiVersion: certflow.dev/v1alpha1\nkind: CertificateAuthority\n"
                          "metadata: {name: told}\nspec: {ca: {secretName: ca}}")
                  .ok());
  const json live = GetJson("certificateauthority/told");
  const WallTime now = *ParseTime("2026-11-21T02:46:00Z");
  api::ProviderObject object;
  object.meta.name = "told";
  object.meta.ns = "team";
  object.meta.uid = live["metadata"]["uid"];
  object.meta.resource_version = live["metadata"]["resourceVersion"];
  object.status.observed_generation = 1;
  api::SetCondition(object.status.conditions, api::kReady, api::ConditionStatus::kTrue, "Usable",
                    "", 1, now);
  object.status.account_url = "https://acme.example.com/account/1";
  object.status.ca_subject = "CN=ca";
  object.status.ca_fingerprint = "ab";
  object.status.ca_not_after = now;
  const std::string text = api::EncodeProviderStatus(object, api::AuthorityResource());
  Answer put = PutStatus(text);
  ASSERT_TRUE(put.ok()) << put.err;
  EXPECT_EQ(GetJson("certificateauthority/told")["status"], json::parse(text)["status"]);
}

TEST_F(SchemaTest, R32_TheServerKeepsThePlanAsItWasDigested) {
  const std::string spec = cluster().Get(cluster().NewWorkflow(), "{.spec}");
  api::NewRun run;
  run.name = "st-fedcba9876";
  run.ns = "team";
  run.workflow_name = "shop";
  run.workflow_uid = "0f0e0d0c-0b0a-4908-8706-050403020100";
  run.number = 1;
  run.trigger.payload = "ticket";
  run.trigger.requested_by = "erin@example.com";
  api::PlannedTarget own;
  own.id = "0/0-secret";
  own.target.ns = "team";
  own.type = "kubernetes";
  run.plan_json = api::CanonicalPlan({spec, {"company-ca", "team"}, "ca", "first usable", {own}});
  run.plan_digest = api::DigestOf(run.plan_json);
  run.finalizer = true;
  Answer made = cluster().Create(api::EncodeNewRun(run));
  ASSERT_TRUE(made.ok()) << made.err;
  EXPECT_EQ(GetJson("workflowrun/st-fedcba9876")["spec"]["plan"], json::parse(run.plan_json));
}

}  // namespace
}  // namespace certflow::envtest
