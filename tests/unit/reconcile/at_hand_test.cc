// A certificate that a run got and could not bring into force is not asked for again.
#include "controller/base/base64.h"
#include "controller/pki/key.h"
#include "controller/pki/request.h"
#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

class AtHandTest : public ReconcileTest {
 protected:
  AtHandTest() : host_(world.AddHost("one", "www.example.test")) {}

  json OnHost() const {
    return {{"spec",
             {{"deployment",
               {{"retryLimit", 0},
                {"waves",
                 json::array({{{"name", "w"},
                               {"targets",
                                json::array({{{"targetRef", {{"name", "one"}}},
                                              {"nginx", json::parse(host_.binding())}}})}}})}}}}}};
  }
  // The first run fails at the host, whose configuration is broken; what it got is at hand.
  void FailFirst(const json& more = json::object()) {
    host_.BreakConfiguration(true);
    StartWithCa();
    json patch = OnHost();
    patch.merge_patch(more);
    Issue(patch, "RolledBack");
    first_ = RunStatus()["certificate"]["fingerprint"];
    first_run_ = Run()["metadata"]["name"];
    EXPECT_EQ(VersionFingerprint(first_run_), first_);
  }
  std::string VersionFingerprint(const std::string& run) const {
    return world.SecretFingerprint("site-tls." + run);
  }
  void AwaitSuccess() {
    host_.BreakConfiguration(false);
    // After many failures the next try is hours away.
    ASSERT_TRUE(world.Until([&] { return Runs() >= 2 && world.RunIs("site", "Succeeded"); }, kDay))
        << RunStatus().dump(1);
    ASSERT_TRUE(world.Until([&] { return Status().value("phase", "") == "Idle"; }));
  }
  std::string RenewalReason() const {
    const json ledger = RunStatus()["ledger"];
    for (const json& entry : ledger) {
      if (entry["step"] == "Renewal") return entry.value("reason", "");
    }
    return "";
  }
  std::size_t VersionSecrets() const {
    std::size_t count = 0;
    for (const auto& key : world.api.Keys("secrets")) count += key.name.starts_with("site-tls.");
    return count;
  }

  fakes::FakeHost& host_;
  std::string first_, first_run_;
};

TEST_F(AtHandTest, TheNextRunDeploysIt) {
  FailFirst();
  AwaitSuccess();
  EXPECT_EQ(Live(), first_);
  EXPECT_EQ(host_.Loaded().fingerprint, first_);
  EXPECT_EQ(Entry("Renewal"), "Skipped");
  EXPECT_EQ(RenewalReason(), "CertificateAtHand");
  // Outside it has the name of the run that brought it into force, and the earlier one's is gone.
  EXPECT_EQ(VersionFingerprint(Run()["metadata"]["name"]), first_);
  EXPECT_EQ(VersionFingerprint(first_run_), "");
  EXPECT_EQ(VersionSecrets(), 1u);
  // One issuance: the reissue breaker is not nearer than before.
  EXPECT_EQ(Status()["issuances"].size(), 1u) << Status().dump(1);
  ExpectNoKeyShown();
}

TEST_F(AtHandTest, ManyFailuresUseUpOneCertificate) {
  FailFirst();
  ASSERT_TRUE(world.Until([&] { return Runs() >= 4 && world.RunIs("site", "RolledBack"); }, kDay));
  EXPECT_EQ(RunStatus()["certificate"]["fingerprint"], first_);
  EXPECT_EQ(VersionSecrets(), 1u);
  EXPECT_EQ(Condition(Workflow(), "Stalled").find("ReissueBreaker"), std::string::npos);
  AwaitSuccess();
  EXPECT_EQ(Live(), first_);
}

TEST_F(AtHandTest, AnotherWishMakesAnotherCertificate) {
  FailFirst();
  world.Patch("certificateworkflows", "site",
              {{"spec", {{"certificate", {{"dnsNames", {"www.example.test", "b.test"}}}}}}});
  AwaitSuccess();
  EXPECT_NE(Live(), first_);
  EXPECT_EQ(Entry("Renewal"), "Done");
  EXPECT_EQ(VersionFingerprint(first_run_), "");
}

TEST_F(AtHandTest, AfterTwoDaysItMayBeTheCertificateThatIsWrong) {
  FailFirst();
  world.Kill();
  world.clock.Advance(std::chrono::hours(49));
  world.Start();
  AwaitSuccess();
  EXPECT_NE(Live(), first_);
  EXPECT_EQ(VersionSecrets(), 1u);
}

TEST_F(AtHandTest, ASecretThatWasForgedIsNotDeployed) {
  FailFirst();
  // Somebody puts a pair of theirs there, under the same name and labels.
  auto key = pki::PrivateKey::Generate({pki::KeyAlgorithm::kEcdsa, 256});
  auto theirs =
      pki::MakeSelfSignedCa(*key, "www.example.test", std::chrono::hours(240), world.clock.Now());
  world.Patch(
      "secrets", "site-tls." + first_run_,
      {{"data",
        {{"tls.crt", Base64Encode(*theirs)}, {"tls.key", Base64Encode(key->ToPem().Reveal())}}}});
  AwaitSuccess();
  EXPECT_NE(Live(), first_);
  EXPECT_EQ(Entry("Renewal"), "Done");
}

TEST_F(AtHandTest, WhatSomebodyRejectedIsNotKept) {
  world.Install(true);
  StartWithCa();
  CreateSite(
      {{"spec",
        {{"approval",
          {{"deployment",
            {{"layers", json::array({{{"name", "board"},
                                      {"approvers", {{"users", json::array({"dora"})}}}}})}}}}}}}});
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("approval"); })) << RunStatus().dump(1);
  world.Annotate("workflowruns", Run()["metadata"]["name"], "certflow.dev/reject",
                 "deployment by dora");
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Failed"); }));
  EXPECT_TRUE(world.Until([&] { return VersionSecrets() == 0; }));
}

}  // namespace
}  // namespace certflow
