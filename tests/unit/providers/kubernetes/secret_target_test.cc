#include "providers/targets/kubernetes/secret_target.h"

#include <gtest/gtest.h>

#include "controller/pki/certificate.h"
#include "providers/targets/kubernetes/tls_secret.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/secrets/memory_secret_store.h"
#include "tests/fakes/tls/test_certificate.h"

namespace certflow::providers::kubernetes {
namespace {

using Counts = std::map<std::string, int>;

seams::Bundle MakeBundle(const std::string& version) {
  fakes::CertificateSpec spec;
  spec.names = "DNS:a.test";
  spec.not_before = fakes::SimulatedClock::kStart;
  spec.not_after = fakes::SimulatedClock::kStart + std::chrono::hours(24);
  const auto made = fakes::MakeCertificate(spec);
  return {version, made.pem, "", made.key.ToPem()};
}

class SecretTargetTest : public testing::Test {
 protected:
  Context ctx() { return {clock_}; }
  std::unique_ptr<seams::Target> Connect(const std::string& ns, bool by_caller = false) {
    return MakeSecretTarget(
        store_, {.ns = ns, .default_secret_name = "site-tls", .staged_by_caller = by_caller});
  }
  // Observe, Stage and Activate in one reconcile; the requests that it took.
  Counts Deploy(const std::string& ns, const std::string& version, bool by_caller) {
    const seams::Bundle bundle = MakeBundle(version);
    store_.ResetCounters();
    auto target = Connect(ns, by_caller);
    EXPECT_TRUE(target->Observe(ctx(), at_).ok());
    EXPECT_TRUE(target->Stage(ctx(), at_, bundle).ok());
    EXPECT_TRUE(target->Activate(ctx(), at_, {version}).ok());
    return store_.requests;
  }
  void PlaceLive(std::map<std::string, std::string> labels,
                 std::map<std::string, std::string> annotations) {
    seams::SecretObject secret;
    secret.ns = "prod";
    secret.name = "site-tls";
    secret.type = "Opaque";
    secret.labels = std::move(labels);
    secret.annotations = std::move(annotations);
    const seams::Bundle bundle = MakeBundle("x");
    secret.data["tls.crt"] = SecretBytes(bundle.chain_pem);
    secret.data["tls.key"] = bundle.key_pem.Clone();
    secret.data["truststore.jks"] = SecretBytes("theirs");
    store_.Place(std::move(secret));
  }

  fakes::SimulatedClock clock_;
  fakes::MemorySecretStore store_;
  const seams::Binding at_{"0/cluster", "prod", "site", "uid", "{}"};
};

// R-52: what the header promises; requests to the API server are the scarce resource.
TEST_F(SecretTargetTest, NoRequestTooMany) {
  EXPECT_EQ(Deploy("prod", "st-1", true), (Counts{{"GET", 1}, {"POST", 1}}));
  EXPECT_EQ(Deploy("prod", "st-2", true), (Counts{{"GET", 1}, {"PUT", 1}}));
  EXPECT_EQ(Deploy("edge", "st-1", true), (Counts{{"GET", 2}, {"POST", 2}}));
  EXPECT_EQ(Deploy("edge", "st-2", true), (Counts{{"GET", 2}, {"POST", 1}, {"PUT", 2}}));
}

TEST_F(SecretTargetTest, ActivatingWhatIsActiveWritesNothing) {
  Deploy("edge", "st-1", false);
  store_.ResetCounters();
  ASSERT_TRUE(Connect("edge")->Activate(ctx(), at_, {"st-1"}).ok());
  EXPECT_EQ(store_.requests, (Counts{{"GET", 2}}));
}

TEST_F(SecretTargetTest, TheRunsOwnSecretIsFoundAndFilledIn) {
  const seams::Bundle bundle = MakeBundle("st-1");
  seams::SecretObject key;
  key.ns = "prod";
  key.name = "site-tls.st-1";
  key.type = "kubernetes.io/tls";
  key.labels[std::string(seams::kManagedLabel)] = seams::kManagedValue;
  key.annotations[std::string(kWorkflowAnnotation)] = "prod/site";
  key.data["tls.crt"] = SecretBytes("");
  key.data["tls.key"] = bundle.key_pem.Clone();
  store_.Place(std::move(key));
  ASSERT_TRUE(Connect("prod")->Stage(ctx(), at_, bundle).ok());
  EXPECT_EQ(store_.Peek("prod", "site-tls.st-1")->data.at("tls.crt").Reveal(), bundle.chain_pem);
  store_.ResetCounters();
  ASSERT_TRUE(Connect("prod")->Stage(ctx(), at_, bundle).ok());
  EXPECT_EQ(store_.requests, (Counts{{"GET", 2}}));
}

TEST_F(SecretTargetTest, AForeignSecretIsTouchedOnlyWithTheLabel) {
  PlaceLive({}, {});
  const std::string version = store_.Peek("prod", "site-tls")->version;
  // Observe tells it before anybody wants to write.
  const auto seen = Connect("prod")->Observe(ctx(), at_);
  ASSERT_TRUE(seen.ok() && seen->refusal);
  EXPECT_EQ(seen->refusal->reason, "SecretNotAllowed");
  const auto staged = Connect("prod")->Stage(ctx(), at_, MakeBundle("st-1"));
  ASSERT_FALSE(staged.ok());
  EXPECT_EQ(staged.error().reason, "SecretNotAllowed");
  EXPECT_NE(staged.error().message.find("kubectl label secret"), std::string::npos);
  EXPECT_EQ(store_.Peek("prod", "site-tls")->version, version);
}

TEST_F(SecretTargetTest, WhatIsForeignInAnAllowedSecretStays) {
  PlaceLive({{"certflow.dev/allow", "true"}, {"team", "web"}}, {{"note", "mine"}});
  Deploy("prod", "st-1", false);
  EXPECT_FALSE(Connect("prod")->Observe(ctx(), at_)->refusal);
  const seams::SecretObject* live = store_.Peek("prod", "site-tls");
  EXPECT_EQ(live->labels.at("team"), "web");
  EXPECT_EQ(live->annotations.at("note"), "mine");
  EXPECT_EQ(live->data.at("truststore.jks").Reveal(), "theirs");
  EXPECT_EQ(live->type, "Opaque") << "a type cannot be changed";
  EXPECT_EQ(live->annotations.at(std::string(kVersionAnnotation)), "st-1");
}

TEST_F(SecretTargetTest, AnotherWorkflowsAndCertflowsOtherSecretsAreRefused) {
  for (const std::map<std::string, std::string>& annotations :
       {std::map<std::string, std::string>{{"certflow.dev/workflow", "prod/other"}}, {}}) {
    PlaceLive({{std::string(seams::kManagedLabel), std::string(seams::kManagedValue)}},
              annotations);
    const auto staged = Connect("prod")->Stage(ctx(), at_, MakeBundle("st-1"));
    ASSERT_FALSE(staged.ok());
    EXPECT_EQ(staged.error().code, ErrorCode::kForbidden);
    EXPECT_EQ(staged.error().reason, "SecretOwnedByOther");
    EXPECT_EQ(store_.size(), 1u) << "and no key was put beside it";
  }
}

TEST_F(SecretTargetTest, AStaleWriteIsAConflict) {
  Deploy("edge", "st-1", false);
  auto target = Connect("edge");
  const seams::Bundle bundle = MakeBundle("st-2");
  ASSERT_TRUE(target->Stage(ctx(), at_, bundle).ok());
  store_.Place(fakes::CloneSecret(*store_.Peek("edge", "site-tls")));  // somebody else's write
  const auto active = target->Activate(ctx(), at_, {"st-2"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().code, ErrorCode::kConflict);
  EXPECT_TRUE(target->Activate(ctx(), at_, {"st-2"}).ok()) << "it reads again";
}

TEST_F(SecretTargetTest, TheListOfVersionsIsBounded) {
  for (int i = 0; i <= static_cast<int>(kMaxVersions); ++i) {
    Deploy("edge", "st-" + std::to_string(i), false);
  }
  const auto listed = ListedVersions(*store_.Peek("edge", "site-tls"));
  EXPECT_EQ(listed.size(), kMaxVersions);
  EXPECT_EQ(listed.front(), "st-1");
  EXPECT_EQ(listed.back(), "st-" + std::to_string(kMaxVersions));
}

TEST_F(SecretTargetTest, PruneWritesTheListOnlyWhenItSparesEnough) {
  for (int i = 1; i <= 4; ++i) Deploy("edge", "st-" + std::to_string(i), false);
  store_.ResetCounters();
  ASSERT_TRUE(Connect("edge")->Prune(ctx(), at_, {}).ok());
  EXPECT_EQ(store_.requests, (Counts{{"GET", 4}, {"DELETE", 3}}));
  EXPECT_EQ(store_.size(), 2u);
  Deploy("edge", "st-5", false);
  store_.ResetCounters();
  ASSERT_TRUE(Connect("edge")->Prune(ctx(), at_, {}).ok());
  EXPECT_EQ(store_.requests, (Counts{{"GET", 5}, {"DELETE", 1}, {"PUT", 1}}));
  EXPECT_EQ(ListedVersions(*store_.Peek("edge", "site-tls")), std::vector<std::string>{"st-5"});
}

TEST_F(SecretTargetTest, DeactivateInAnotherNamespaceLeavesNoKeyBehind) {
  Deploy("edge", "st-1", false);
  ASSERT_TRUE(Connect("edge")->Deactivate(ctx(), at_, {}).ok());
  EXPECT_EQ(store_.size(), 0u);
}

TEST_F(SecretTargetTest, WrongNamesAreRefused) {
  for (const char* settings : {R"({"secretName":"../x"})", R"({"secretName":7})", "[]"}) {
    seams::Binding at = at_;
    at.settings = settings;
    const auto state = Connect("prod")->Observe(ctx(), at);
    ASSERT_FALSE(state.ok()) << settings;
    EXPECT_EQ(state.error().code, ErrorCode::kInvalid);
  }
}

}  // namespace
}  // namespace certflow::providers::kubernetes
