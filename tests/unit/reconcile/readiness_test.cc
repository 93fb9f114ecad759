// What stands outside is looked at again and again, and what would stop a deployment is said before
// a certificate is asked for.
#include <atomic>

#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

using fakes::InterceptedRequest;
using fakes::Interception;

class ReadinessTest : public ReconcileTest {
 protected:
  ReadinessTest() { world.config.check_interval = seconds(600); }
  std::string Ready(const char* plural, const char* name) const {
    return Condition(world.Get(plural, name), "Ready");
  }
  static json OnHost(const fakes::FakeHost& host) {
    return {{"spec",
             {{"deployment",
               {{"retryLimit", 1},
                {"waves",
                 json::array({{{"name", "w"},
                               {"targets",
                                json::array({{{"targetRef", {{"name", host.name()}}},
                                              {"nginx", json::parse(host.binding())}}})}}})}}}}}};
  }
  std::string Check(const std::string& name, const std::string& value) const {
    const json checks = RunStatus().value("checks", json::array());
    for (const json& check : checks) {
      if (check.value("name", "") == name && check.value("value", "") == value) {
        return check.value("verdict", "") + ": " + check.value("message", "");
      }
    }
    return "";
  }
};

TEST_F(ReadinessTest, AnAuthorityWhoseSecretWentAwayIsFoundWithinAQuarterOfAnHour) {
  StartWithCa();
  world.Patch("secrets", "company-pair",
              {{"metadata", {{"labels", {{"certflow.dev/allow", nullptr}}}}}});
  ASSERT_TRUE(
      world.Until([&] { return Ready("certificateauthorities", "company").starts_with("False"); },
                  seconds(910)));
  EXPECT_TRUE(world.Until([&] { return HasEvent("SecretNotAllowed", "company-pair"); }));
  world.Patch("secrets", "company-pair",
              {{"metadata", {{"labels", {{"certflow.dev/allow", "true"}}}}}});
  EXPECT_TRUE(
      world.Until([&] { return Ready("certificateauthorities", "company").starts_with("True"); },
                  seconds(360)));
}

TEST_F(ReadinessTest, LookingAgainWritesNothingWhenNothingChanged) {
  world.AddHost("one", "www.example.test");
  StartWithCa();
  ASSERT_TRUE(world.Until([&] { return Ready("deploymenttargets", "one").starts_with("True"); }));
  world.Pass(seconds(60));
  world.api.ResetCounts();
  const double looks = world.activity->counter("certflow_provider_looks_total");
  world.Pass(seconds(3000));
  EXPECT_EQ(world.TotalWrites(), 0u);
  // Two objects, each after 10 to 15 minutes.
  EXPECT_GE(world.activity->counter("certflow_provider_looks_total") - looks, 6);
  EXPECT_LE(world.activity->counter("certflow_provider_looks_total") - looks, 10);
}

TEST_F(ReadinessTest, AHostThatDiesAndComesBackIsSeen) {
  fakes::FakeHost& host = world.AddHost("one", "www.example.test");
  StartWithCa();
  ASSERT_TRUE(world.Until([&] { return Ready("deploymenttargets", "one").starts_with("True"); }));
  // A run meets the dead host often enough to open its breaker: nobody waits for the next look.
  world.shells.SetDown("one", true);
  json patch = OnHost(host);
  patch["spec"]["deployment"]["retryLimit"] = 10;
  CreateSite(patch);
  ASSERT_TRUE(world.Until([&] { return Ready("deploymenttargets", "one").starts_with("False: "); },
                          seconds(120)));
  world.shells.SetDown("one", false);
  EXPECT_TRUE(world.Until([&] { return Ready("deploymenttargets", "one").starts_with("True"); },
                          seconds(400)));
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
}

TEST_F(ReadinessTest, AnApiServerThatDoesNotServeMakesNothingUnready) {
  StartWithCa();
  std::atomic<int> met{0};
  world.api.Intercept([&](const InterceptedRequest& request) {
    if (request.resource != "secrets" || met > 4) return Interception();
    ++met;
    return Interception{Interception::Kind::kFailBefore, 0, "", 0};
  });
  world.api.ResetCounts();
  world.Pass(seconds(1800));
  EXPECT_EQ(met, 5);
  EXPECT_TRUE(Ready("certificateauthorities", "company").starts_with("True"));
  EXPECT_EQ(world.TotalWrites(), 0u);
  world.Kill();
  world.api.Intercept(nullptr);
}

TEST_F(ReadinessTest, AForeignSecretIsNamedBeforeACertificateIsAskedFor) {
  StartWithCa();
  world.Secret("site-tls", {{"tls.crt", "theirs"}, {"tls.key", "theirs"}}, false);
  CreateSite();
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Failed"); }));
  EXPECT_TRUE(Check("Target", "0/0-secret").starts_with("Failed")) << RunStatus()["checks"].dump(1);
  EXPECT_FALSE(RunStatus().contains("certificate")) << RunStatus().dump(1);
  EXPECT_EQ(Entry("Renewal"), "Pending");
}

TEST_F(ReadinessTest, WhatIsWrongWithAHostIsAWarningBeforeTheRenewal) {
  fakes::FakeHost& host = world.AddHost("one", "www.example.test");
  host.BreakConfiguration(true);
  StartWithCa();
  ASSERT_TRUE(world.Until([&] {
    return Ready("deploymenttargets", "one").starts_with("True: UsableWithWarning: ");
  })) << Ready("deploymenttargets", "one");
  EXPECT_TRUE(world.Until([&] { return HasEvent("UsableWithWarning", "nginx"); }));
  CreateSite(OnHost(host));
  ASSERT_TRUE(world.Until(
      [&] { return world.RunIs("site", "RolledBack") || world.RunIs("site", "Failed"); }));
  const json checks = RunStatus()["checks"];
  EXPECT_TRUE(std::any_of(checks.begin(), checks.end(), [](const json& check) {
    return check["verdict"] == "Warning" &&
           check.value("message", "").find("warning: ") != std::string::npos;
  })) << checks.dump(1);
}

}  // namespace
}  // namespace certflow
