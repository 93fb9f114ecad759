#include "controller/api/resources.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/api/samples.h"

namespace certflow::api {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

TEST(ProviderObjectTest, ReadsTypeSettingsAndPermission) {
  ProviderObject object = FullAuthority();
  EXPECT_EQ(object.meta.name, "lets-encrypt");
  EXPECT_EQ(object.type, "acme");
  EXPECT_EQ(Json::parse(object.settings)["server"], "https://acme.example.com/directory");
  EXPECT_EQ(object.trust_bundle, "-----BEGIN CERTIFICATE-----");
  EXPECT_EQ(object.allowed.from, AllowedNamespaces::From::kSelector);
  EXPECT_EQ(object.allowed.selector.match_labels.at("stage"), "production");
  ASSERT_EQ(object.allowed.selector.match_expressions.size(), 1U);
  EXPECT_EQ(object.allowed.selector.match_expressions[0].op, "In");
  EXPECT_TRUE(object.ready());
}

TEST(ProviderObjectTest, DecodesWhatItWrote) {
  ProviderObject object = FullAuthority();
  std::string written = EncodeProviderStatus(object, AuthorityResource());
  Json document = {{"metadata", Json::parse(written)["metadata"]},
                   {"spec", {{"ca", {{"secretName", "ca"}}}}},
                   {"status", Json::parse(written)["status"]}};
  auto again = DecodeProviderObject(Doc(document.dump()));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(EncodeProviderStatus(*again, AuthorityResource()), written);
  EXPECT_EQ(again->status.account_url, "https://acme.example.com/acct/1");
  EXPECT_EQ(again->status.ca_not_after, At("2030-01-01T00:00:00Z"));
}

TEST(ProviderObjectTest, AFreshOneIsNotReadyAndForItsOwnNamespace) {
  auto object = DecodeProviderObject(Doc(
      R"({"metadata": {"name": "edge", "namespace": "web"},
          "spec": {"allowedNamespaces": {"from": "Same"}, "nginx": {"host": "h"}},
          "status": {"observedGeneration": -1}})"));
  ASSERT_TRUE(object.ok());
  EXPECT_FALSE(object->ready());
  EXPECT_EQ(object->type, "nginx");
  EXPECT_EQ(object->allowed.from, AllowedNamespaces::From::kSame);
  EXPECT_EQ(object->status.observed_generation, -1);
}

TEST(ProviderObjectTest, AWordOfALaterVersionAllowsNobodyElse) {
  auto object = DecodeProviderObject(
      Doc(R"({"spec": {"allowedNamespaces": {"from": "Friends"}, "ca": {}}})"));
  ASSERT_TRUE(object.ok());
  EXPECT_EQ(object->allowed.from, AllowedNamespaces::From::kSame);
}

TEST(ProviderObjectTest, AWrongShapeNamesItsField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"spec": []})", "spec must be an object"},
      {R"({"spec": {"trustBundle": 7}})", "spec.trustBundle must be a string"},
      {R"({"spec": {"allowedNamespaces": "All"}})", "spec.allowedNamespaces must be an object"},
      {R"({"spec": {"allowedNamespaces": {"selector": {"matchLabels": {"a": 1}}}}})",
       "spec.allowedNamespaces.selector.matchLabels must be a map of strings"},
      {R"({"spec": {"allowedNamespaces": {"selector": {"matchExpressions": [7]}}}})",
       "spec.allowedNamespaces.selector.matchExpressions[0] must be an object"},
      {R"({"status": {"ca": {"notAfter": "never"}}})",
       "status.ca.notAfter must be an RFC 3339 time"},
  };
  for (const auto& [document, says] : cases) {
    auto object = DecodeProviderObject(Doc(document));
    ASSERT_FALSE(object.ok()) << document;
    EXPECT_EQ(object.error().message, says);
  }
}

TEST(NamespaceTest, ReadsItsLabels) {
  auto ns = DecodeNamespace(
      Doc(R"({"metadata": {"name": "web", "labels": {"kubernetes.io/metadata.name": "web"}}})"));
  ASSERT_TRUE(ns.ok());
  EXPECT_EQ(ns->meta.name, "web");
  EXPECT_EQ(ns->labels.at("kubernetes.io/metadata.name"), "web");
  EXPECT_FALSE(DecodeNamespace(Doc(R"({"metadata": {"labels": {"a": 1}}})")).ok());
}

TEST(ResourceTest, AreServedWhereTheSchemasSay) {
  EXPECT_EQ(WorkflowResource().plural, "certificateworkflows");
  EXPECT_EQ(RunResource().ApiVersion(), "certflow.dev/v1alpha1");
  EXPECT_EQ(AuthorityResource().kind, "CertificateAuthority");
  EXPECT_EQ(TargetResource().plural, "deploymenttargets");
  EXPECT_EQ(ChannelResource().kind, "NotificationChannel");
  EXPECT_EQ(NamespaceResource().ApiVersion(), "v1");
  EXPECT_FALSE(NamespaceResource().namespaced);
}

}  // namespace
}  // namespace certflow::api
