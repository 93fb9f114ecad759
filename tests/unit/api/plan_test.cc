#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "controller/api/run.h"
#include "tests/unit/api/samples.h"

namespace certflow::api {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string PlanOf(const std::string& spec_json) {
  auto spec = DecodeWorkflowSpec(spec_json, "web");
  EXPECT_TRUE(spec.ok());
  return CanonicalPlan({spec_json, {"internal", "pki"}, "ca", "the first in order", FullTargets()});
}

// The full spec with one member changed; an empty value removes it.
std::string With(const char* pointer, const char* value) {
  Json json = Json::parse(FullSpecJson());
  Json::json_pointer at(pointer);
  if (*value == 0) {
    json[at.parent_pointer()].erase(at.back());
  } else {
    json[at] = Json::parse(value);
  }
  return json.dump();
}

// R-07: several servers, wave by wave.
TEST(PlanTargetsTest, TheWorkflowsOwnSecretIsFirstThenWaveByWave) {
  auto spec = DecodeWorkflowSpec(FullSpecJson(), "web");
  ASSERT_TRUE(spec.ok());
  std::vector<std::string> ids;
  for (const auto& target : FullTargets()) ids.push_back(target.id);
  EXPECT_THAT(ids, ElementsAre("0/0-secret", "0/1-cluster", "0/2-cluster", "1/0-edge", "1/1-edge-a",
                               "1/2-edge-b"));
}

TEST(PlanTargetsTest, EachTargetKnowsWhereAndWhat) {
  auto spec = DecodeWorkflowSpec(FullSpecJson(), "web");
  ASSERT_TRUE(spec.ok());
  auto targets = FullTargets();
  ASSERT_EQ(targets.size(), 6U);
  EXPECT_EQ(targets[0].target, (Reference{"", "web"}));
  EXPECT_EQ(targets[0].type, "kubernetes");
  EXPECT_EQ(targets[0].settings, R"({"secretName":"www-tls"})");
  EXPECT_EQ(targets[1].settings, R"({"secretName":"copy-tls"})") << "its own name stays";
  EXPECT_EQ(targets[2].settings, R"({"secretName":"www-tls"})") << "the certificate's by default";
  EXPECT_EQ(targets[3].wave, 1);
  EXPECT_EQ(targets[3].type, "nginx");
  EXPECT_EQ(Json::parse(targets[3].settings)["keyFile"], "/etc/nginx/tls/www.key");
}

TEST(PlanTargetsTest, WithoutWavesThereIsTheSecretAlone) {
  auto spec = DecodeWorkflowSpec(SmallSpecJson(), "web");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(PlanTargets(*spec, "web", nullptr)->size(), 1U);
}

// R-54: what a target says of itself, what a wave and the deployment say otherwise.
TEST(PlanTargetsTest, EachTargetHasItsRetries) {
  auto targets = FullTargets();
  EXPECT_EQ(targets[1].retry.limit, 1);
  EXPECT_EQ(targets[1].retry.backoff, std::chrono::seconds(60));
  EXPECT_EQ(targets[2].retry.limit, 5);
  EXPECT_EQ(targets[2].retry.backoff, std::chrono::seconds(10));
  EXPECT_EQ(targets[0].retry.limit, 5) << "the workflow's own Secret";
}

TEST(PlanTargetsTest, ASelectorThatFindsNothingAndAPlanThatIsTooLargeAreRefused) {
  auto spec = DecodeWorkflowSpec(FullSpecJson(), "web");
  ASSERT_TRUE(spec.ok());
  auto nothing = [](const LabelSelector&, std::string_view, std::string_view) {
    return std::vector<Reference>();
  };
  auto none = PlanTargets(*spec, "web", nothing);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().reason, "NoTargetMatches");
  EXPECT_EQ(none.error().retry, Retry::kBackoff) << "a label may come at any time";
  // Beside the Secret, three that are named and one of the other namespace.
  auto many = [](const LabelSelector&, std::string_view, std::string_view ns) {
    return std::vector<Reference>(ns == "web" ? 196 : 1, {"edge", "web"});
  };
  EXPECT_EQ(PlanTargets(*spec, "web", many)->size(), kMaxTargets);
  auto more = [](const LabelSelector&, std::string_view, std::string_view ns) {
    return std::vector<Reference>(ns == "web" ? 197 : 1, {"edge", "web"});
  };
  EXPECT_EQ(PlanTargets(*spec, "web", more).error().reason, "TooManyTargets");
}

// R-52: one entry makes copies in many namespaces, and none is left out unseen.
TEST(PlanTargetsTest, ASelectorLooksInEachOfItsNamespaces) {
  Json json = Json::parse(SmallSpecJson());
  json["deployment"]["waves"] = Json::parse(R"([{"name": "copies", "targets": [
      {"targetSelector": {"matchLabels": {"tls": "shop"}, "namespaces": ["b", "a"]},
       "kubernetes": {}}]}])");
  auto spec = DecodeWorkflowSpec(json.dump(), "web");
  ASSERT_TRUE(spec.ok());
  auto one_each = [](const LabelSelector&, std::string_view, std::string_view ns) {
    return std::vector<Reference>{{"copy", std::string(ns)}};
  };
  auto targets = PlanTargets(*spec, "web", one_each);
  ASSERT_TRUE(targets.ok());
  ASSERT_EQ(targets->size(), 3U);
  EXPECT_EQ((*targets)[1].target, (Reference{"copy", "b"})) << "in the order that is written";
  EXPECT_EQ((*targets)[1].id, "0/1-copy");
  EXPECT_EQ((*targets)[2].target, (Reference{"copy", "a"}));
  EXPECT_EQ((*targets)[2].id, "0/2-copy");
  EXPECT_EQ((*targets)[2].settings, R"({"secretName":"www-tls"})");
  auto not_in_a = [](const LabelSelector&, std::string_view, std::string_view ns) {
    return std::vector<Reference>(ns == "a" ? 0 : 1, {"copy", std::string(ns)});
  };
  auto none = PlanTargets(*spec, "web", not_in_a);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().reason, "NoTargetMatches");
  EXPECT_THAT(none.error().message, HasSubstr("in namespace a has"));
}

TEST(CanonicalPlanTest, ARollbackComesBackAsItWasPlanned) {
  auto plan = DecodePlan(CanonicalRollbackPlan(PlanOf(FullSpecJson()), FullRollback()), "web");
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  ASSERT_TRUE(plan->rollback.has_value());
  EXPECT_EQ(plan->rollback->run, "st-0b6c4befb1");
  EXPECT_TRUE(plan->rollback->force);
  EXPECT_EQ(plan->rollback->certificate->version, "st-0123456789");
  ASSERT_EQ(plan->rollback->items.size(), 2U);
  EXPECT_EQ(plan->rollback->items[0].memo.at("previous"), "st-0123456789");
  EXPECT_EQ(plan->targets.size(), 6U);
}

TEST(CanonicalPlanTest, DecodesToWhatWasPlanned) {
  auto plan = DecodePlan(PlanOf(FullSpecJson()), "web");
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->authority, (Reference{"internal", "pki"}));
  EXPECT_EQ(plan->authority_type, "ca");
  EXPECT_EQ(plan->authority_reason, "the first in order");
  EXPECT_EQ(plan->targets.size(), 6U);
  EXPECT_EQ(plan->spec.secret_name, "www-tls");
  EXPECT_FALSE(plan->spec.suspend) << "does not bind a run, so it is not in the plan";
}

TEST(CanonicalPlanTest, AWrongPlanNamesItsField) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "spec must be an object"},
      {"[]", "spec must be an object"},
      {"{}", "spec must be an object"},
      {R"({"spec": {}})", "spec.certificate.dnsNames"},
      {R"({"authority": {"type": 7}, "spec": )" + FullSpecJson() + "}",
       "spec.plan.authority.type must be a string"},
      {R"({"authority": "ca", "spec": )" + FullSpecJson() + "}",
       "spec.plan.authority must be an object"},
  };
  for (const auto& [json, says] : cases) {
    auto plan = DecodePlan(json, "web");
    ASSERT_FALSE(plan.ok()) << json;
    EXPECT_THAT(plan.error().message, HasSubstr(says));
  }
}

TEST(CanonicalPlanTest, ListsTheTargetsForPeopleAndLeavesNoEmptyName) {
  Json plan = Json::parse(PlanOf(FullSpecJson()));
  EXPECT_EQ(
      plan["targets"][0],
      (Json{{"id", "0/0-secret"}, {"wave", 0}, {"type", "kubernetes"}, {"namespace", "web"}}));
  EXPECT_EQ(plan["targets"][3]["name"], "edge");
}

// RFC 8785: members sorted, no blanks, the shortest escapes, all else as it is.
TEST(CanonicalPlanTest, IsCanonicalJson) {
  EXPECT_EQ(
      BindingSpecOfPlan(
          R"({"spec": { "b" : [ 1 , true ], "a" : "\u00fc \u20ac \/ \u001f \n \"", "B": {} }})"),
      "{\"B\":{},\"a\":\"ü € / \\u001f \\n \\\"\",\"b\":[1,true]}");
}

TEST(DigestTest, HasTheFormThatTheSchemaAsksFor) {
  EXPECT_EQ(DigestOf("{}"),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

TEST(DigestTest, DoesNotDependOnTheOrderOfMembers) {
  // FullSpecJson is written in another order than dump() sorts into.
  std::string sorted = Json::parse(FullSpecJson()).dump();
  ASSERT_NE(sorted, FullSpecJson());
  EXPECT_EQ(DigestOf(PlanOf(FullSpecJson())), DigestOf(PlanOf(sorted)));
  EXPECT_EQ(WantedDigest(FullSpecJson()), WantedDigest(sorted));
  EXPECT_FALSE(SpecStandingOf(sorted, PlanOf(FullSpecJson())).superseded);
}

TEST(DigestTest, OfAStoredPlanIsTheOneThatWasTaken) {
  std::string plan = PlanOf(FullSpecJson());
  EXPECT_EQ(PlanDigest(plan), DigestOf(plan));
  EXPECT_EQ(PlanDigest(Json::parse(plan).dump(2)), DigestOf(plan)) << "blanks";
}

TEST(DigestTest, DefaultsOfWhatDoesNotBindDoNotChangeIt) {
  Json stored = Json::parse(PlanOf(FullSpecJson()));
  stored["spec"]["suspend"] = false;
  stored["spec"]["historyLimit"] = {{"successful", 10}, {"failed", 10}};
  EXPECT_EQ(PlanDigest(stored.dump()), DigestOf(PlanOf(FullSpecJson())));
  EXPECT_FALSE(SpecStandingOf(FullSpecJson(), stored.dump()).superseded);
}

TEST(DigestTest, TextThatIsNoPlanDoesNotThrow) {
  for (const char* text : {"", "[]", "7", "{", R"({"spec": 7})", R"({"spec": []})"}) {
    EXPECT_EQ(PlanDigest(text).size(), kSampleDigest.size()) << text;
    BindingSpecOfPlan(text);
    EXPECT_FALSE(SpecStandingOf(text, text).suspended) << text;
    WantedDigest(text);
  }
  EXPECT_EQ(BindingSpecOfPlan("{}"), "") << "a plan that memory has dropped";
}

TEST(SpecStandingTest, SuspensionIsReadFromTheWorkflowAndNotFromThePlan) {
  const std::string plan = PlanOf(With("/suspend", "true"));
  EXPECT_TRUE(SpecStandingOf(With("/suspend", "true"), plan).suspended);
  EXPECT_FALSE(SpecStandingOf(With("/suspend", "false"), plan).suspended);
  EXPECT_FALSE(SpecStandingOf(With("/suspend", ""), plan).suspended);
}

TEST(SpecStandingTest, APlanThatIsNoPlanIsAnotherOne) {
  EXPECT_TRUE(SpecStandingOf(FullSpecJson(), "{}").superseded);
}

struct BindsCase {
  const char* name;
  const char* pointer;
  const char* value;
  bool plan;    // another plan, so another approval
  bool wanted;  // another certificate
};

// R-12: a change of the wanted certificate, and only that, asks for a new one.
TEST(DigestTest, WhatBindsTheRunAndWhatTheCertificate) {
  const BindsCase cases[] = {
      {"suspend", "/suspend", "false", false, false},
      {"suspend left out", "/suspend", "", false, false},
      {"history", "/historyLimit/failed", "9", false, false},
      {"history left out", "/historyLimit", "", false, false},
      {"a name more", "/certificate/dnsNames/2", R"("new.example.com")", true, true},
      {"key size", "/certificate/privateKey/size", "4096", true, true},
      {"Secret", "/certificate/secretName", R"("other-tls")", true, true},
      {"authority", "/authorities/0/name", R"("other")", true, true},
      {"threshold", "/renewal/before", R"("20d")", true, false},
      {"approver", "/approval/renewal/layers/0/required", "1", true, false},
      {"target", "/deployment/waves/1/targets/0/targetRef/name", R"("edge-2")", true, false},
      {"endpoint", "/validation/endpoints/0", R"("www.example.com:8443")", true, false},
      {"rollback", "/rollback/policy", R"("Hold")", true, false},
      {"owner", "/owner/team", R"("web")", true, false},
      {"notification", "/notifications/0/to/0", R"("z@example.com")", true, false},
  };
  for (const BindsCase& c : cases) {
    std::string changed = With(c.pointer, c.value);
    EXPECT_EQ(DigestOf(PlanOf(changed)) != DigestOf(PlanOf(FullSpecJson())), c.plan) << c.name;
    EXPECT_EQ(SpecStandingOf(changed, PlanOf(FullSpecJson())).superseded, c.plan) << c.name;
    EXPECT_EQ(WantedDigest(changed) != WantedDigest(FullSpecJson()), c.wanted) << c.name;
  }
}

// R-21: the choice of the authority and its reason are part of what is approved.
TEST(DigestTest, TheChosenAuthorityBinds) {
  const std::string json = FullSpecJson();
  auto spec = DecodeWorkflowSpec(FullSpecJson(), "web");
  ASSERT_TRUE(spec.ok());
  auto targets = FullTargets();
  std::string first = CanonicalPlan({json, {"a", "web"}, "ca", "r", targets});
  EXPECT_NE(first, CanonicalPlan({json, {"b", "web"}, "ca", "r", targets}));
  EXPECT_NE(first, CanonicalPlan({json, {"a", "pki"}, "ca", "r", targets}));
  EXPECT_NE(first, CanonicalPlan({json, {"a", "web"}, "acme", "r", targets}));
  EXPECT_NE(first, CanonicalPlan({json, {"a", "web"}, "ca", "s", targets}));
}

TEST(DigestTest, SurvivesTheWayThroughTheServer) {
  api::Run run = FullRun();
  auto again = DecodeRun(Doc(StoredRunJson(run)));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(PlanDigest(again->plan_json), FullNewRun().plan_digest);
}

}  // namespace
}  // namespace certflow::api
