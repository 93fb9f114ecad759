#include "tests/unit/api/samples.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"

namespace certflow::api {

using Json = nlohmann::json;

WallTime At(std::string_view text) {
  auto time = ParseTime(text);
  EXPECT_TRUE(time.ok()) << text;
  return time.ok() ? *time : WallTime{};
}

kube::Document Doc(std::string_view json) {
  auto document = kube::ParseDocument(json);
  EXPECT_TRUE(document.ok()) << json;
  return document.ok() ? std::move(*document) : kube::Document();
}

std::string FullSpecJson() {
  return R"({
    "suspend": true, "environment": "production",
    "owner": {"team": "edge", "contact": "edge@example.com", "escalation": ["head@example.com"]},
    "certificate": {"commonName": "www.example.com",
                    "dnsNames": ["www.example.com", "*.shop.example.com"],
                    "privateKey": {"algorithm": "RSA", "size": 3072}, "secretName": "www-tls"},
    "authorities": [{"name": "lets-encrypt"}, {"name": "internal", "namespace": "pki"}],
    "renewal": {"before": "30d", "beforePercent": 33, "policy": "OnRequest"},
    "approval": {
      "renewal": {"layers": [{"name": "team", "required": 2,
                              "approvers": {"users": ["dora"], "groups": ["edge"]}}],
                  "timeout": "36h"},
      "deployment": {"layers": [{"name": "team", "approvers": {"users": ["dora"]}},
                                {"name": "change-board", "required": 1,
                                 "approvers": {"groups": ["cab"]}}],
                     "timeout": "5d"},
      "requester": "Allowed"},
    "deployment": {"at": "01:30", "timeZone": "Europe/Istanbul", "retryLimit": 5,
                   "retryBackoff": "10s", "waves": [
      {"name": "first", "parallelism": 2, "endpoints": ["192.0.2.7:443"], "targets": [
        {"targetRef": {"name": "cluster", "namespace": "web"}, "retryLimit": 1,
         "retryBackoff": "1m", "kubernetes": {"secretName": "copy-tls"}},
        {"targetRef": {"name": "cluster"}, "kubernetes": {}}]},
      {"name": "second", "targets": [
        {"targetRef": {"name": "edge"},
         "nginx": {"certificateFile": "/etc/nginx/tls/www.pem",
                   "keyFile": "/etc/nginx/tls/www.key"}},
        {"targetSelector": {"namespaces": ["web", "shop"], "matchLabels": {"tier": "web"},
                            "matchExpressions": [{"key": "site", "operator": "In",
                                                  "values": ["a", "b"]}]},
         "nginx": {"certificateFile": "/etc/nginx/tls/www.pem",
                   "keyFile": "/etc/nginx/tls/www.key"}}]}]},
    "purge": [{"channelRef": {"name": "cdn", "namespace": "ops"}, "hosts": ["www.example.com"],
               "urls": ["https://www.example.com/app.js"]}],
    "validation": {"endpoints": ["www.example.com:443"], "serverName": "shop.example.com",
                   "trust": "Authority", "minTLS": "1.3", "timeout": "90s"},
    "rollback": {"policy": "Manual"},
    "notifications": [{"channelRef": {"name": "mail", "namespace": "ops"},
                       "events": ["ApprovalRequested", "Completed"], "to": ["a@example.com"],
                       "cc": ["b@example.com"], "bcc": ["c@example.com"],
                       "subject": {"Completed": "done"}, "body": {"Completed": "well done"}}],
    "historyLimit": {"successful": 3, "failed": 4}})";
}

std::string SmallSpecJson() {
  return R"({
    "suspend": false,
    "certificate": {"dnsNames": ["www.example.com"], "privateKey": {"algorithm": "ECDSA"},
                    "secretName": "www-tls"},
    "authorities": [{"name": "internal"}],
    "renewal": {"policy": "Automatic"}, "approval": {"requester": "Forbidden"},
    "deployment": {"retryLimit": 3},
    "validation": {"minTLS": "1.2", "timeout": "2m", "trust": "System"},
    "rollback": {"policy": "Automatic"}, "historyLimit": {"failed": 10, "successful": 10}})";
}

namespace {

constexpr const char* kWorkflowMetadata = R"({
  "name": "www", "namespace": "web", "uid": "b1c7f2f0-93c6-4d51-9f2c-6a1fb5a3b9d1",
  "resourceVersion": "1042", "generation": 7, "creationTimestamp": "2026-11-01T08:00:00Z",
  "annotations": {"certflow.dev/renew": "now by dora",
                  "kubectl.kubernetes.io/last-applied-configuration": "{...}"},
  "labels": {"app": "www"},
  "managedFields": [{"manager": "kubectl-client-side-apply", "operation": "Update",
                     "apiVersion": "certflow.dev/v1alpha1", "time": "2026-11-01T08:00:00Z",
                     "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}]})";

}  // namespace

std::string WorkflowJson() {
  Json document = {{"apiVersion", "certflow.dev/v1alpha1"},
                   {"kind", "CertificateWorkflow"},
                   {"metadata", Json::parse(kWorkflowMetadata)},
                   {"spec", Json::parse(FullSpecJson())},
                   {"status", {{"observedGeneration", -1}}}};
  return document.dump();
}

CertificateStatus FullCertificate(std::string_view version) {
  CertificateStatus certificate;
  certificate.serial = "04:ab:19";
  certificate.fingerprint = "9f86d081884c7d65";
  certificate.issuer = "CN=Internal CA";
  certificate.signature_type = "ecdsa-with-SHA256";
  certificate.common_name = "www.example.com";
  certificate.dns_names = {"www.example.com", "*.shop.example.com"};
  certificate.not_before = At("2026-11-01T00:00:00Z");
  certificate.not_after = At("2027-01-30T00:00:00Z");
  certificate.version = version;
  return certificate;
}

namespace {

std::vector<Condition> FullConditions() {
  std::vector<Condition> conditions;
  SetCondition(conditions, kReady, ConditionStatus::kTrue, "Issued", "good", 7,
               At("2026-11-21T02:00:00Z"));
  SetCondition(conditions, kReconciling, ConditionStatus::kUnknown, "RunActive", "run", 7,
               At("2026-11-21T02:00:00Z"));
  SetCondition(conditions, kStalled, ConditionStatus::kFalse, "Moves", "", 7,
               At("2026-11-21T02:00:00Z"));
  return conditions;
}

LedgerEntry FullEntry() {
  LedgerEntry entry;
  entry.id = "deploy/1/0-edge";
  entry.step = "Deployment";
  entry.target = "1/0-edge";
  entry.state = EntryState::kIntended;
  entry.attempts = 2;
  entry.started_at = At("2026-11-21T02:10:00Z");
  entry.ended_at = At("2026-11-21T02:11:00Z");
  entry.not_before = At("2026-11-21T02:12:00Z");
  entry.reason = "Unavailable";
  entry.message = "connection refused";
  entry.memo = {{"touched", "true"}, {"previous", "st-0123456789"}};
  return entry;
}

void FillLists(RunStatus& status) {
  WallTime time = At("2026-11-21T02:13:00Z");
  status.ledger = {FullEntry()};
  status.checks = {{"Owner", "edge", "edge@example.com", "Warning", "nobody", "Start"}};
  status.approvals = {{"renewal",
                       "team",
                       "dora",
                       {"edge", "cab"},
                       true,
                       time,
                       std::string(kSampleDigest),
                       "CHG0031337",
                       "renewal by dora"},
                      {"deployment",
                       "team",
                       "emil",
                       {"edge"},
                       false,
                       time,
                       std::string(kSampleDigest),
                       "not today",
                       "deployment by emil"}};
  status.refusals = {{time, "renewal by mallory", "mallory", "not among the approvers"}};
  status.evidence = {{1, "www.example.com:443", "192.0.2.7:443", "9f86", "CN=Internal CA",
                      "TLSv1.3", "as expected", true, time, time},
                     {0, "www.example.com:443", "192.0.2.8:443", "9f86", "CN=Internal CA",
                      "TLSv1.2", "another one", false, time, time}};
  status.outbox = {{"st-0123456789.Completed.0",
                    "Completed",
                    {"mail", "ops"},
                    1,
                    OutboxState::kPending,
                    3,
                    time,
                    "421 try later"}};
  status.challenges = {{"www.example.com", "token", "token.thumbprint"}};
  DeploymentRecord record;
  record.id = "1/0-edge.0";
  record.target = "1/0-edge";
  record.type = "nginx";
  record.wave = 1;
  record.device = "edge.example.com";
  record.address = "192.0.2.7";
  record.port = 443;
  record.virtual_host = "*:443";
  record.server_name = "www.example.com";
  record.side = "ClientSide";
  record.profile = "/Common/www";
  record.location = "/etc/nginx/tls/www.pem";
  record.state = "Deployed";
  record.version = "st-0b6c4befb1";
  record.previous = "st-0123456789";
  record.fingerprint = "9f86";
  record.time = time;
  status.deployments = {record};
  status.rollback = RollbackAnswer{"rollback: no by dora", "st-1111111111"};
}

}  // namespace

Workflow FullWorkflow() {
  auto decoded = DecodeWorkflow(Doc(WorkflowJson()));
  EXPECT_TRUE(decoded.ok());
  Workflow workflow = std::move(*decoded);
  WorkflowStatus& status = workflow.status;
  status.observed_generation = 7;
  status.conditions = FullConditions();
  status.phase = "Renewal";
  status.certificate = FullCertificate("st-0123456789");
  status.next_renewal = At("2027-01-15T00:00:00Z");
  status.active_run =
      ActiveRunStatus{"st-0123456789", "Renewal", "the authority", At("2026-11-26T00:00:00Z")};
  status.last_run =
      LastRunStatus{"st-9876543210", "Failed", "no answer", At("2026-11-20T00:00:00Z")};
  status.runs = 12;
  status.issuances = {At("2026-11-20T00:00:00Z"), At("2026-11-21T00:00:00Z")};
  status.handled_renewal = "now by dora";
  status.rolled_back_at = At("2026-11-22T00:00:00Z");
  status.spec_digest = kSampleDigest;
  return workflow;
}

std::vector<PlannedTarget> FullTargets() {
  auto spec = DecodeWorkflowSpec(FullSpecJson(), "web");
  EXPECT_TRUE(spec.ok()) << (spec.ok() ? "" : spec.error().message);
  auto select = [](const LabelSelector& selector, std::string_view type, std::string_view ns) {
    EXPECT_EQ(type, "nginx");
    EXPECT_TRUE(selector.Matches({{"tier", "web"}, {"site", "a"}}));
    return std::vector<Reference>{{ns == "web" ? "edge-a" : "edge-b", std::string(ns)}};
  };
  auto targets = PlanTargets(*spec, "web", select);
  EXPECT_TRUE(targets.ok()) << (targets.ok() ? "" : targets.error().message);
  return *targets;
}

RollbackPlan FullRollback() {
  return {"st-0b6c4befb1",
          true,
          FullCertificate("st-0123456789"),
          {{"1/0-edge", {{"previous", "st-0123456789"}}}, {"0/0-secret", {}}}};
}

NewRun FullNewRun() {
  auto spec = DecodeWorkflowSpec(FullSpecJson(), "web");
  EXPECT_TRUE(spec.ok()) << (spec.ok() ? "" : spec.error().message);
  NewRun run;
  run.name = "st-0b6c4befb1";
  run.ns = "web";
  run.workflow_name = "www";
  run.workflow_uid = "b1c7f2f0-93c6-4d51-9f2c-6a1fb5a3b9d1";
  run.number = 13;
  run.trigger = {TriggerReason::kRequested, Urgency::kEmergency, "dora", "now by dora"};
  const std::string json = FullSpecJson();
  run.plan_json =
      CanonicalPlan({json, {"internal", "pki"}, "ca", "the first is not ready", FullTargets()});
  run.plan_digest = DigestOf(run.plan_json);
  run.finalizer = true;
  return run;
}

Run FullRun() {
  Json document = Json::parse(EncodeNewRun(FullNewRun()));
  document["metadata"]["uid"] = "5f0c1f8e-0000-4000-8000-000000000001";
  document["metadata"]["resourceVersion"] = "2042";
  document["metadata"]["generation"] = 1;
  document["metadata"]["creationTimestamp"] = "2026-11-21T02:00:00Z";
  auto decoded = DecodeRun(Doc(document.dump()));
  EXPECT_TRUE(decoded.ok());
  Run run = std::move(*decoded);
  RunStatus& status = run.status;
  status.state = RunState::kWaiting;
  status.step = "Deployment";
  status.waiting_for = "the device";
  status.reason = "Unavailable";
  status.message = "no answer";
  status.until = At("2026-11-21T03:00:00Z");
  status.started_at = At("2026-11-21T02:00:01Z");
  status.ended_at = At("2026-11-21T02:59:00Z");
  status.conditions = FullConditions();
  status.certificate = FullCertificate("st-0b6c4befb1");
  status.previous = FullCertificate("st-0123456789");
  FillLists(status);
  return run;
}

ProviderObject FullAuthority() {
  auto decoded = DecodeProviderObject(Doc(R"({
    "apiVersion": "certflow.dev/v1alpha1", "kind": "CertificateAuthority",
    "metadata": {"name": "lets-encrypt", "namespace": "pki", "uid": "u-1",
                 "resourceVersion": "7", "generation": 3},
    "spec": {"allowedNamespaces": {"from": "Selector", "selector": {
               "matchLabels": {"stage": "production"},
               "matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}},
             "trustBundle": "-----BEGIN CERTIFICATE-----",
             "acme": {"server": "https://acme.example.com/directory", "email": "x@example.com"}},
    "status": {"observedGeneration": -1}})"));
  EXPECT_TRUE(decoded.ok());
  ProviderObject object = std::move(*decoded);
  object.status.observed_generation = 3;
  object.status.conditions = FullConditions();
  object.status.account_url = "https://acme.example.com/acct/1";
  object.status.ca_subject = "CN=Internal CA";
  object.status.ca_fingerprint = "9f86";
  object.status.ca_not_after = At("2030-01-01T00:00:00Z");
  return object;
}

std::string StoredRunJson(const Run& run) {
  Json document = Json::parse(EncodeNewRun(FullNewRun()));
  Json written = Json::parse(EncodeRunStatus(run));
  document["status"] = written["status"];
  document["metadata"].update(written["metadata"]);
  return document.dump();
}

}  // namespace certflow::api
