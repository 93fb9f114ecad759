#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "controller/api/workflow.h"
#include "tests/unit/api/samples.h"

namespace certflow::api {
namespace {

using Json = nlohmann::json;
using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// R-05, R-30, R-31, R-70: threshold, gates with layers, waves and notifications are read as
// written.
TEST(WorkflowSpecTest, ReadsEachMember) {
  auto spec = DecodeWorkflowSpec(FullSpecJson(), "web");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_TRUE(spec->suspend);
  EXPECT_EQ(spec->environment, "production");
  EXPECT_EQ(spec->owner_team, "edge");
  EXPECT_EQ(spec->owner_contact, "edge@example.com");
  EXPECT_THAT(spec->owner_escalation, ElementsAre("head@example.com"));
  EXPECT_EQ(spec->common_name, "www.example.com");
  EXPECT_THAT(spec->dns_names, ElementsAre("www.example.com", "*.shop.example.com"));
  EXPECT_EQ(spec->key, (pki::KeySpec{pki::KeyAlgorithm::kRsa, 3072}));
  EXPECT_EQ(spec->secret_name, "www-tls");
  EXPECT_THAT(spec->authorities,
              ElementsAre(Reference{"lets-encrypt", "web"}, Reference{"internal", "pki"}));
  EXPECT_EQ(spec->renew_before, seconds(hours(30 * 24)));
  EXPECT_EQ(spec->renew_before_percent, 33);
  EXPECT_FALSE(spec->renew_automatically);
  EXPECT_TRUE(spec->requester_may_approve);
  EXPECT_EQ(spec->retry.limit, 5);
  EXPECT_THAT(spec->endpoints, ElementsAre("www.example.com:443"));
  EXPECT_EQ(spec->server_name, "shop.example.com");
  EXPECT_EQ(spec->trust, Trust::kAuthority);
  EXPECT_EQ(spec->min_tls, "1.3");
  EXPECT_EQ(spec->validation_timeout, seconds(90));
  EXPECT_EQ(spec->rollback, RollbackPolicy::kManual);
  EXPECT_EQ(spec->keep_successful, 3);
  EXPECT_EQ(spec->keep_failed, 4);
}

TEST(WorkflowSpecTest, ReadsGatesWavesAndNotifications) {
  auto spec = DecodeWorkflowSpec(FullSpecJson(), "web");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  ASSERT_TRUE(spec->renewal_gate && spec->deployment_gate);
  EXPECT_EQ(spec->renewal_gate->timeout, hours(36));
  ASSERT_EQ(spec->renewal_gate->layers.size(), 1U);
  EXPECT_EQ(spec->renewal_gate->layers[0].required, 2);
  EXPECT_THAT(spec->renewal_gate->layers[0].users, ElementsAre("dora"));
  EXPECT_THAT(spec->renewal_gate->layers[0].groups, ElementsAre("edge"));
  ASSERT_EQ(spec->deployment_gate->layers.size(), 2U);
  EXPECT_EQ(spec->deployment_gate->layers[0].required, 1) << "where nothing is said";
  EXPECT_EQ(spec->deployment_gate->layers[1].name, "change-board");

  ASSERT_EQ(spec->waves.size(), 2U);
  EXPECT_EQ(spec->waves[1].name, "second");
  ASSERT_EQ(spec->waves[0].targets.size(), 2U);
  EXPECT_EQ(spec->waves[0].targets[0].target, (Reference{"cluster", "web"}));
  EXPECT_EQ(spec->waves[0].targets[0].type, "kubernetes");
  EXPECT_EQ(spec->waves[0].targets[0].settings, R"({"secretName":"copy-tls"})");
  EXPECT_EQ(spec->waves[1].targets[0].type, "nginx");

  ASSERT_EQ(spec->notifications.size(), 1U);
  const NotificationRule& rule = spec->notifications[0];
  EXPECT_EQ(rule.channel, (Reference{"mail", "ops"}));
  EXPECT_THAT(rule.events, ElementsAre("ApprovalRequested", "Completed"));
  EXPECT_THAT(rule.to, ElementsAre("a@example.com"));
  EXPECT_THAT(rule.cc, ElementsAre("b@example.com"));
  EXPECT_THAT(rule.bcc, ElementsAre("c@example.com"));
  EXPECT_EQ(rule.subject.at("Completed"), "done");
  EXPECT_EQ(rule.body.at("Completed"), "well done");
}

TEST(WorkflowSpecTest, DefaultsAreThoseOfTheSchemaWithOrWithoutTheServersHelp) {
  const std::string least = R"({"certificate": {"dnsNames": ["www.example.com"],
      "secretName": "www-tls"}, "authorities": [{"name": "internal"}]})";
  for (const std::string& json : {SmallSpecJson(), least}) {
    auto spec = DecodeWorkflowSpec(json, "web");
    ASSERT_TRUE(spec.ok()) << spec.error().message;
    EXPECT_FALSE(spec->suspend);
    EXPECT_EQ(spec->key, (pki::KeySpec{pki::KeyAlgorithm::kEcdsa, 256}));
    EXPECT_FALSE(spec->renew_before || spec->renew_before_percent);
    EXPECT_TRUE(spec->renew_automatically);
    EXPECT_FALSE(spec->renewal_gate || spec->deployment_gate);
    EXPECT_FALSE(spec->requester_may_approve);
    EXPECT_EQ(spec->retry.limit, 3);
    EXPECT_THAT(spec->waves, IsEmpty());
    EXPECT_EQ(spec->trust, Trust::kSystem);
    EXPECT_EQ(spec->min_tls, "1.2");
    EXPECT_EQ(spec->validation_timeout, seconds(120));
    EXPECT_EQ(spec->rollback, RollbackPolicy::kAutomatic);
    EXPECT_EQ(spec->keep_successful, 10);
    EXPECT_EQ(spec->keep_failed, 10);
  }
}

TEST(WorkflowSpecTest, AnRsaKeyHas2048BitsWhereNothingIsSaid) {
  Json json = Json::parse(SmallSpecJson());
  json["certificate"]["privateKey"] = {{"algorithm", "RSA"}};
  auto spec = DecodeWorkflowSpec(json.dump(), "web");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->key, (pki::KeySpec{pki::KeyAlgorithm::kRsa, 2048}));
}

struct RollbackCase {
  const char* policy;
  RollbackPolicy read;
};

// R-61
TEST(WorkflowSpecTest, ReadsTheRollbackPolicy) {
  for (const RollbackCase& c : {RollbackCase{"Automatic", RollbackPolicy::kAutomatic},
                                RollbackCase{"Manual", RollbackPolicy::kManual},
                                RollbackCase{"Hold", RollbackPolicy::kHold}}) {
    Json json = Json::parse(SmallSpecJson());
    json["rollback"]["policy"] = c.policy;
    auto spec = DecodeWorkflowSpec(json.dump(), "web");
    ASSERT_TRUE(spec.ok());
    EXPECT_EQ(spec->rollback, c.read) << c.policy;
  }
}

struct WrongCase {
  const char* name;
  const char* pointer;  // where the full spec is changed
  const char* value;    // JSON; empty: removed
  const char* says;
};

TEST(WorkflowSpecTest, AWrongShapeNamesItsField) {
  const WrongCase cases[] = {
      {"number for a word", "/environment", "7", "spec.environment must be a string"},
      {"word for a switch", "/suspend", R"("yes")", "spec.suspend must be true or false"},
      {"text for an object", "/owner", R"("me")", "spec.owner must be an object"},
      {"one name for a list", "/owner/escalation", R"("a")",
       "spec.owner.escalation must be a list of strings"},
      {"numbers in a list", "/owner/escalation", "[1]",
       "spec.owner.escalation must be a list of strings"},
      {"no names", "/certificate/dnsNames", "[]",
       "spec.certificate.dnsNames must be a list of at least one DNS name"},
      {"names left out", "/certificate/dnsNames", "",
       "spec.certificate.dnsNames must be a list of at least one DNS name"},
      {"no certificate", "/certificate", "",
       "spec.certificate.dnsNames must be a list of at least one DNS name"},
      {"no Secret", "/certificate/secretName", "",
       "spec.certificate.secretName must be the name of a Secret"},
      {"a fraction", "/certificate/privateKey/size", "256.5",
       "spec.certificate.privateKey.size must be an integer"},
      {"no authorities", "/authorities", "",
       "spec.authorities must be a list of at least one authority"},
      {"object for a list", "/authorities", "{}", "spec.authorities must be a list"},
      {"nameless authority", "/authorities/1/name", "",
       "spec.authorities[1].name must be the name of an authority"},
      {"a duration without unit", "/renewal/before", R"("15")", "spec.renewal.before must be a"},
      {"a number as duration", "/renewal/before", "15", "spec.renewal.before must be a duration"},
      {"percent as text", "/renewal/beforePercent", R"("33")",
       "spec.renewal.beforePercent must be an integer"},
      {"gate without layers", "/approval/renewal/layers", "",
       "spec.approval.renewal.layers must be a list of at least one layer"},
      {"layer that is a word", "/approval/renewal/layers/0", R"("team")",
       "spec.approval.renewal.layers[0] must be an object"},
      {"users as text", "/approval/renewal/layers/0/approvers/users", R"("dora")",
       "spec.approval.renewal.layers[0].approvers.users must be a list of strings"},
      {"gate timeout", "/approval/deployment/timeout", R"("soon")",
       "spec.approval.deployment.timeout must be a duration"},
      {"target without type", "/deployment/waves/1/targets/0/nginx", "",
       "spec.deployment.waves[1].targets[0] must be a targetRef or a targetSelector, and the "
       "settings of one type"},
      {"target without reference", "/deployment/waves/1/targets/0/targetRef", "",
       "spec.deployment.waves[1].targets[0] must be a targetRef or a targetSelector, and the "
       "settings of one type"},
      {"subjects as a list", "/notifications/0/subject", "[]",
       "spec.notifications[0].subject must be a map of strings"},
      {"subject that is a number", "/notifications/0/subject", R"({"Completed": 1})",
       "spec.notifications[0].subject must be a map of strings"},
  };
  for (const WrongCase& c : cases) {
    Json json = Json::parse(FullSpecJson());
    Json::json_pointer at(c.pointer);
    if (*c.value != 0) {
      json[at] = Json::parse(c.value);
    } else {
      json[at.parent_pointer()].erase(at.back());
    }
    auto spec = DecodeWorkflowSpec(json.dump(), "web");
    ASSERT_FALSE(spec.ok()) << c.name;
    EXPECT_THAT(spec.error().message, HasSubstr(c.says)) << c.name;
    EXPECT_EQ(spec.error().code, ErrorCode::kInvalid) << c.name;
    EXPECT_EQ(spec.error().reason, "InvalidSpec") << c.name;
  }
}

TEST(WorkflowSpecTest, TextThatIsNoObjectIsRefused) {
  for (const char* text : {"", "null", "[]", "7", "{", R"("spec")"}) {
    auto spec = DecodeWorkflowSpec(text, "web");
    ASSERT_FALSE(spec.ok()) << text;
    EXPECT_EQ(spec.error().reason, "InvalidSpec") << text;
    EXPECT_THAT(spec.error().message, HasSubstr("spec")) << text;
  }
}

TEST(WorkflowCodecTest, ReadsWhatConcernsCertflowFromMetadata) {
  auto workflow = DecodeWorkflow(Doc(WorkflowJson()));
  ASSERT_TRUE(workflow.ok()) << workflow.error().message;
  EXPECT_EQ(workflow->meta.name, "www");
  EXPECT_EQ(workflow->meta.ns, "web");
  EXPECT_EQ(workflow->meta.uid, "b1c7f2f0-93c6-4d51-9f2c-6a1fb5a3b9d1");
  EXPECT_EQ(workflow->meta.resource_version, "1042");
  EXPECT_EQ(workflow->meta.generation, 7);
  EXPECT_EQ(workflow->meta.created, At("2026-11-01T08:00:00Z"));
  EXPECT_FALSE(workflow->meta.deleting);
  EXPECT_THAT(workflow->meta.annotations,
              ElementsAre(std::pair("certflow.dev/renew", "now by dora")));
  EXPECT_EQ(workflow->status.observed_generation, -1) << "the server's default";
}

TEST(WorkflowCodecTest, DecodesWhatItWrote) {
  Workflow workflow = FullWorkflow();
  Json document = Json::parse(WorkflowJson());
  const std::string written = EncodeWorkflowStatus(workflow);
  document["status"] = Json::parse(written)["status"];
  auto again = DecodeWorkflow(Doc(document.dump()));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(EncodeWorkflowStatus(*again), written);
  EXPECT_EQ(again->status.active_run, workflow.status.active_run);
  EXPECT_EQ(again->status.issuances, workflow.status.issuances);
  EXPECT_EQ(again->status.certificate->not_after, workflow.status.certificate->not_after);
  EXPECT_EQ(again->status.handled_renewal, "now by dora");
  EXPECT_EQ(again->status.runs, 12);
}

TEST(WorkflowCodecTest, AStatusWriteNamesObjectAndVersion) {
  Json body = Json::parse(EncodeWorkflowStatus(FullWorkflow()));
  EXPECT_EQ(body["apiVersion"], "certflow.dev/v1alpha1");
  EXPECT_EQ(body["kind"], "CertificateWorkflow");
  EXPECT_EQ(body["metadata"], (Json{{"name", "www"},
                                    {"namespace", "web"},
                                    {"uid", "b1c7f2f0-93c6-4d51-9f2c-6a1fb5a3b9d1"},
                                    {"resourceVersion", "1042"}}));
  EXPECT_FALSE(body.contains("spec"));
}

TEST(WorkflowCodecTest, WhatIsNotUtf8IsReplacedAndNotThrown) {
  Workflow workflow = FullWorkflow();
  workflow.status.last_run->message = "bad \xff byte";
  Json body = Json::parse(EncodeWorkflowStatus(workflow), nullptr, false);
  EXPECT_FALSE(body.is_discarded());
}

TEST(WorkflowCodecTest, AWrongStatusNamesItsField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"runs": "many"})", "status.runs must be an integer"},
      {R"({"nextRenewal": "soon"})", "status.nextRenewal must be an RFC 3339 time"},
      {R"({"certificate": {"notAfter": 7}})",
       "status.certificate.notAfter must be an RFC 3339 time"},
      {R"({"conditions": [{"type": 1}]})", "status.conditions[0].type must be a string"},
      {R"([])", "status must be an object"},
  };
  for (const auto& [status, says] : cases) {
    Json document = Json::parse(WorkflowJson());
    document["status"] = Json::parse(status);
    auto workflow = DecodeWorkflow(Doc(document.dump()));
    ASSERT_FALSE(workflow.ok()) << status;
    EXPECT_EQ(workflow.error().message, says);
  }
}

}  // namespace
}  // namespace certflow::api
