// What is wrong is said: in a condition, in an event, with the field and the remedy; and mail that
// does not go out is in nobody's way.
#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

class RefusalTest : public ReconcileTest {
 protected:
  // The workflow is stalled, says why in a condition and in an event, and has made nothing.
  void ExpectStalled(std::string_view reason, std::string_view remedy) {
    const std::string stalled = Condition(Workflow(), "Stalled");
    EXPECT_TRUE(stalled.starts_with("True: " + std::string(reason))) << stalled;
    EXPECT_NE(stalled.find(remedy), std::string::npos) << stalled;
    EXPECT_TRUE(world.Until([&] { return HasEvent(reason, remedy); }));
    EXPECT_EQ(Live(), "");
  }
  static json InOther(json object) {
    object["metadata"]["namespace"] = "other";
    return object;
  }
};

TEST_F(RefusalTest, MissingAuthorityIsNamed) {
  world.Start();
  CreateSite();
  world.Pass(seconds(120));
  ExpectStalled("CertificateAuthorityNotFound", "web/company does not exist; create it");
  world.AddInternalCa("company");
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  EXPECT_TRUE(world.Until([&] { return Condition(Workflow(), "Stalled").empty(); }));
}

TEST_F(RefusalTest, AuthorityOfAnotherNamespaceMustAllowIt) {
  StartWithCa();
  json workflow = InOther(fakes::WorkflowObject("site", "www.example.test", "company"));
  workflow["spec"]["authorities"][0]["namespace"] = "web";
  world.Create(workflow);
  world.Pass(seconds(120));
  const json refused = world.Get("certificateworkflows", "site", "other");
  const std::string stalled = Condition(refused, "Stalled");
  EXPECT_TRUE(stalled.starts_with("True: ReferenceNotAllowed")) << stalled;
  EXPECT_NE(stalled.find("spec.allowedNamespaces"), std::string::npos) << stalled;
  EXPECT_TRUE(
      world.Until([&] { return HasEvent("ReferenceNotAllowed", "spec.allowedNamespaces"); }));
  EXPECT_EQ(Runs(), 0u);
  world.Patch("certificateauthorities", "company",
              {{"spec", {{"allowedNamespaces", {{"from", "All"}}}}}});
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(world.Get("secrets", "site-tls", "other").is_null(), false);
}

TEST_F(RefusalTest, SecretWithoutTheAllowLabelIsNotRead) {
  world.AddInternalCa("company");
  world.Patch("secrets", "company-pair",
              {{"metadata", {{"labels", {{"certflow.dev/allow", nullptr}}}}}});
  world.Start();
  CreateSite();
  world.Pass(seconds(120));
  const std::string ready = Condition(world.Get("certificateauthorities", "company"), "Ready");
  EXPECT_TRUE(ready.starts_with("False: SecretNotAllowed")) << ready;
  EXPECT_NE(ready.find("certflow.dev/allow"), std::string::npos) << ready;
  EXPECT_TRUE(world.Until([&] { return HasEvent("SecretNotAllowed", "certflow.dev/allow"); }));
  EXPECT_NE(Condition(Workflow(), "Stalled").find("certflow.dev/allow"), std::string::npos);
  EXPECT_EQ(Live(), "");
  // Nobody tells the controller about a Secret: it looks again.
  world.Patch("secrets", "company-pair",
              {{"metadata", {{"labels", {{"certflow.dev/allow", "true"}}}}}});
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
}

TEST_F(RefusalTest, SecretOfSomebodyElseIsReplacedOnlyWhenItIsAllowed) {
  StartWithCa();
  world.Secret("site-tls", {{"tls.crt", "theirs"}, {"tls.key", "theirs"}}, false);
  CreateSite();
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Failed"); }));
  EXPECT_EQ(world.Get("secrets", "site-tls")["data"]["tls.crt"], "dGhlaXJz");
  const std::string message = RunStatus()["message"];
  EXPECT_NE(message.find("kubectl label secret -n web site-tls certflow.dev/allow=true"),
            std::string::npos)
      << message;
  EXPECT_TRUE(world.Until([&] { return HasEvent("SecretNotAllowed", "certflow.dev/allow"); }));
  world.Patch("secrets", "site-tls",
              {{"metadata", {{"labels", {{"certflow.dev/allow", "true"}}}}}});
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(Live().size(), 64u);
}

TEST_F(RefusalTest, MissingTargetIsNamedBeforeAnythingIsIssued) {
  StartWithCa();
  CreateSite(
      {{"spec",
        {{"deployment",
          {{"waves",
            json::array({{{"name", "w"},
                          {"targets", json::array({{{"targetRef", {{"name", "ghost"}}},
                                                    {"kubernetes", json::object()}}})}}})}}}}}});
  world.Pass(seconds(120));
  ExpectStalled("DeploymentTargetNotFound", "web/ghost does not exist; create it or correct");
  EXPECT_EQ(Runs(), 0u);
  world.Create(fakes::Object("DeploymentTarget", "ghost", {{"kubernetes", json::object()}}));
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
}

TEST_F(RefusalTest, ForgedRunIsRefused) {
  StartWithCa();
  Issue();
  json forged = Run();
  forged["metadata"] = {{"name", "st-00000000aa"}, {"namespace", "web"}};
  forged["spec"]["planDigest"] = "sha256:" + std::string(64, 'a');
  forged.erase("status");
  world.Create(forged);
  ASSERT_TRUE(world.Until([&] {
    return world.Get("workflowruns", "st-00000000aa")
               .value("status", json::object())
               .value("state", "") == "Failed";
  }));
  EXPECT_EQ(world.Get("workflowruns", "st-00000000aa")["status"]["reason"], "PlanDigestMismatch");
}

nlohmann::json Told(const nlohmann::json& events) {
  using nlohmann::json;
  return {{"spec",
           {{"notifications", json::array({{{"channelRef", {{"name", "mail"}}},
                                            {"events", events},
                                            {"to", {"team@example.test"}}}})}}}};
}

TEST_F(RefusalTest, MailServerThatIsDownDelaysNothing) {
  world.AddMailChannel("mail");
  StartWithCa();
  world.mail.SetMood(fakes::FakeMail::Mood::kRefuseConnection);
  Issue(Told({"Completed"}));  // ends while nothing goes out
  world.Pass(kHour / 4);
  const json entry = RunStatus()["outbox"][0];
  EXPECT_EQ(entry["state"], "Pending") << entry.dump();
  EXPECT_GE(entry.value("attempts", 0), 2);
  EXPECT_NE(entry.value("message", "").find("refused"), std::string::npos) << entry.dump();
  world.mail.SetMood(fakes::FakeMail::Mood::kServe);
  EXPECT_TRUE(world.Until([&] { return RunStatus()["outbox"][0]["state"] == "Sent"; }));
  EXPECT_EQ(world.mail.Count("Completed"), 1u);
}

TEST_F(RefusalTest, MailServerThatHangsDelaysNothing) {
  world.AddMailChannel("mail");
  StartWithCa();
  world.mail.SetMood(fakes::FakeMail::Mood::kHang);
  Issue(Told({"Completed"}));  // ends while nothing goes out
  world.mail.SetMood(fakes::FakeMail::Mood::kServe);
  EXPECT_TRUE(world.Until([&] { return RunStatus()["outbox"][0]["state"] == "Sent"; }));
}

TEST_F(RefusalTest, MailThatNeverGoesOutIsShownAsFailed) {
  world.AddMailChannel("mail");
  StartWithCa();
  world.mail.SetMood(fakes::FakeMail::Mood::kRefuseConnection);
  Issue(Told({"Completed"}));
  ASSERT_TRUE(world.Until([&] { return RunStatus()["outbox"][0]["state"] == "Failed"; }, 2 * kDay));
  EXPECT_TRUE(world.Until([&] { return HasEvent("NotificationFailed", "Completed to mail"); }));
  EXPECT_EQ(world.RunIs("site", "Succeeded"), true);
}

TEST_F(RefusalTest, RateLimitedOrderWaitsAsLongAsTheCaSays) {
  fakes::FakeHost& host = world.AddHost("one", "www.example.test");
  world.AddAcme("acme");
  world.Start();
  world.acme.AnswerWith({"/new-order", 429, "rateLimited", 7200, 1});
  json workflow = fakes::WorkflowObject("site", "www.example.test", "acme");
  workflow["spec"]["deployment"]["waves"] =
      json::array({{{"name", "w"},
                    {"targets", json::array({{{"targetRef", {{"name", "one"}}},
                                              {"nginx", json::parse(host.binding())}}})}}});
  world.Create(workflow);
  ASSERT_TRUE(world.Until([&] {
    return RunStatus().value("waitingFor", "").find("Renewal") != std::string::npos;
  })) << RunStatus().dump(1);
  world.Pass(seconds(7000));
  EXPECT_EQ(world.acme.orders(), 0);
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); })) << RunStatus().dump(1);
  EXPECT_EQ(world.acme.orders(), 1);
  EXPECT_EQ(host.Loaded().fingerprint, Live());
}

}  // namespace
}  // namespace certflow
