#include "providers/stores/kubernetes/secret_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/secrets/memory_secret_store.h"

namespace certflow::providers::store {
namespace {

using nlohmann::json;

constexpr const char* kSecret = R"({
  "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
  "metadata": {"name": "n", "namespace": "ns", "uid": "u", "resourceVersion": "7",
    "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["f/x"],
    "ownerReferences": [
      {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "pu"},
      {"apiVersion": "certflow.dev/v1alpha1", "kind": "CertificateWorkflow", "name": "w",
       "uid": "wu", "controller": true}]},
  "data": {"tls.crt": "Y2VydA==", "tls.key": "a2V5", "empty": ""}})";

TEST(SecretJsonTest, WhatIsReadIsWrittenBackWhole) {
  kube::Document document = *kube::ParseDocument(kSecret);
  const auto secret = DecodeSecret(document, true);
  ASSERT_TRUE(secret.ok()) << secret.error().message;
  EXPECT_EQ(secret->data.at("tls.key").Reveal(), "key");
  EXPECT_EQ(secret->owner_uid, "wu");
  const json written = json::parse(EncodeSecret(*secret).Reveal());
  json wanted = json::parse(kSecret);
  EXPECT_EQ(written["data"], wanted["data"]);
  EXPECT_EQ(written["metadata"], wanted["metadata"]);
  EXPECT_EQ(written["type"], wanted["type"]);
}

TEST(SecretJsonTest, TheDocumentIsWipedAlsoAfterAFault) {
  for (const bool good : {true, false}) {
    json text = json::parse(kSecret);
    if (!good) text["data"]["a"] = "!!!";
    kube::Document document = *kube::ParseDocument(text.dump());
    EXPECT_EQ(DecodeSecret(document, true).ok(), good);
    EXPECT_EQ(kube::Dump(kube::Json(document)).find("a2V5"), std::string::npos);
  }
}

TEST(SecretJsonTest, HostileAnswersAreRefused) {
  for (const char* text :
       {R"({})", R"({"metadata":[]})", R"({"metadata":{},"data":[]})",
        R"({"metadata":{},"data":{"k":7}})", R"({"metadata":{"labels":7}})",
        R"({"metadata":{"labels":{"a":1}}})", R"({"metadata":{"ownerReferences":"x"}})",
        R"({"metadata":{},"data":{"k":"*"}})"}) {
    kube::Document document = *kube::ParseDocument(text);
    const auto secret = DecodeSecret(document, true);
    ASSERT_FALSE(secret.ok()) << text;
    EXPECT_EQ(secret.error().code, ErrorCode::kInvalid);
  }
  kube::Document odd = *kube::ParseDocument(
      R"({"metadata":{"ownerReferences":[{"controller":"yes"}, 7],"name":7},"type":{}})");
  EXPECT_TRUE(DecodeSecret(odd, true).ok());
}

TEST(SecretJsonTest, KeysAreEscaped) {
  seams::SecretObject secret;
  secret.name = "n\"";
  secret.data["a\"b\\"] = SecretBytes("v");
  const json written = json::parse(EncodeSecret(secret).Reveal());
  EXPECT_EQ(written["data"]["a\"b\\"], "dg==");
  EXPECT_FALSE(written["metadata"].contains("resourceVersion")) << "a create";
}

class ReadSecretKeyTest : public testing::Test {
 protected:
  void Place(std::map<std::string, std::string> labels) {
    seams::SecretObject secret;
    secret.ns = "ns";
    secret.name = "n";
    secret.labels = std::move(labels);
    secret.data["password"] = SecretBytes("hunter2");
    store_.Place(std::move(secret));
  }
  Result<SecretBytes> Read(std::string_view name, std::string_view key) {
    return seams::ReadSecretKey({clock_}, store_, "ns", name, key);
  }
  fakes::SimulatedClock clock_;
  fakes::MemorySecretStore store_;
};

TEST_F(ReadSecretKeyTest, OnlyOurOwnAndAllowedSecretsAreRead) {
  Place({{"certflow.dev/allow", "yes"}});
  const auto refused = Read("n", "password");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().reason, "SecretNotAllowed");
  EXPECT_NE(refused.error().message.find("kubectl label secret -n ns n certflow.dev/allow=true"),
            std::string::npos);
  EXPECT_EQ(refused.error().message.find("hunter2"), std::string::npos);
  Place({{"certflow.dev/allow", "true"}});
  EXPECT_EQ(Read("n", "password")->Reveal(), "hunter2");
  Place({{"app.kubernetes.io/managed-by", "certflow"}});
  EXPECT_EQ(Read("n", "password")->Reveal(), "hunter2");
}

TEST_F(ReadSecretKeyTest, WhatIsMissingIsNamed) {
  Place({{"certflow.dev/allow", "true"}});
  EXPECT_EQ(Read("m", "password").error().reason, "SecretMissing");
  const auto key = Read("n", "pass");
  EXPECT_EQ(key.error().reason, "SecretKeyMissing");
  EXPECT_EQ(key.error().code, ErrorCode::kNotFound);
  EXPECT_NE(key.error().message.find("\"pass\""), std::string::npos);
}

}  // namespace
}  // namespace certflow::providers::store
