// Reading and writing objects: the same on the API server in memory and on the real one.

#include "tests/contract/kube/backend.h"

namespace certflow::contract {
namespace {

using kube::Json;
using nlohmann::json;

TEST_P(KubeContract, CreateGivesTheObjectItsIdentity) {
  json widget = Widget("a");
  widget["status"]["phase"] = "Invented";
  const kube::Document made = MustCreate(widget);
  EXPECT_FALSE(made.uid().empty());
  EXPECT_FALSE(made.resource_version().empty());
  EXPECT_EQ(Json(made)["metadata"]["generation"], 1);
  EXPECT_TRUE(ParseTime(Json(made)["metadata"]["creationTimestamp"].get<std::string>()).ok());
  EXPECT_FALSE(Json(made).contains("status")) << "status belongs to its subresource";
  auto read = client().Get(ctx(), kWidgets, Key("a"));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(Json(*read)["spec"]["size"], 1);
  EXPECT_EQ(read->uid(), made.uid());
  EXPECT_EQ(read->ns(), ns());
}

TEST_P(KubeContract, SecondCreateSaysAlreadyExists) {
  MustCreate(Widget("a"));
  auto again = client().Create(ctx(), kWidgets, ns(), Widget("a").dump());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists) << again.error().message;
}

TEST_P(KubeContract, MissingObjectIsNotFound) {
  auto read = client().Get(ctx(), kWidgets, Key("none"));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read.error().reason, "NotFound");
  auto patched = client().MergePatch(ctx(), kWidgets, Key("none"), "", R"({"spec":{"size":2}})");
  ASSERT_FALSE(patched.ok());
  EXPECT_EQ(patched.error().code, ErrorCode::kNotFound);
}

TEST_P(KubeContract, UnknownResourceIsNotServed) {
  kube::Resource unknown = kWidgets;
  unknown.plural = "gadgets";
  auto listed = client().List(ctx(), unknown, {.ns = ns()}, 0, "", "");
  ASSERT_FALSE(listed.ok());
  EXPECT_EQ(listed.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(listed.error().reason, "ApiNotServed") << listed.error().message;
  EXPECT_EQ(client().Raw(ctx(), "/apis/none.example/v1").error().code, ErrorCode::kNotFound);
}

TEST_P(KubeContract, RawTellsWhatIsServed) {
  auto served = client().Raw(ctx(), "/apis/contract.certflow.dev/v1");
  ASSERT_TRUE(served.ok()) << served.error().message;
  EXPECT_NE(served->find("\"widgets\""), std::string::npos);
  EXPECT_TRUE(client().Raw(ctx(), "/version").ok());
}

TEST_P(KubeContract, NamesThatLeadElsewhereAreRefusedBeforeTheyLeave) {
  for (const char* name : {"..", ".", "", "a/b", "a%2fb", "a\nb"}) {
    auto read = client().Get(ctx(), kWidgets, Key(name));
    ASSERT_FALSE(read.ok()) << name;
    EXPECT_EQ(read.error().code, ErrorCode::kInvalid) << name;
  }
}

TEST_P(KubeContract, PagesAreOneSnapshot) {
  for (int i = 0; i < 5; ++i) MustCreate(Widget("w" + std::to_string(i)));
  auto first = List(2);
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->items.size(), 2u);
  ASSERT_FALSE(first->continue_token.empty());
  MustCreate(Widget("w9"));
  std::vector<std::string> names{first->items[0].name(), first->items[1].name()};
  std::string token = first->continue_token;
  while (!token.empty()) {
    auto page = List(2, token);
    ASSERT_TRUE(page.ok()) << page.error().message;
    EXPECT_EQ(page->resource_version, first->resource_version);
    for (const kube::Document& item : page->items) names.push_back(item.name());
    token = page->continue_token;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"w0", "w1", "w2", "w3", "w4"}));
}

TEST_P(KubeContract, ContinueTokenThatIsNoneIsRefused) {
  auto page = List(2, "garbage");
  ASSERT_FALSE(page.ok());
  EXPECT_TRUE(page.error().code == ErrorCode::kExpired || page.error().code == ErrorCode::kInvalid);
}

TEST_P(KubeContract, ListFromTheFutureSaysSo) {
  auto page = client().List(ctx(), kWidgets, {.ns = ns()}, 0, "", "99999999999");
  ASSERT_FALSE(page.ok());
  EXPECT_EQ(page.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(page.error().reason, "ResourceVersionTooLarge") << page.error().message;
  EXPECT_EQ(page.error().retry, Retry::kAfter);
}

TEST_P(KubeContract, SelectorsChoose) {
  json red = Widget("red");
  red["metadata"]["labels"] = {{"tier", "web"}};
  red["spec"]["color"] = "red";
  MustCreate(red);
  MustCreate(Widget("plain"));
  const auto names = [&](kube::ListOptions select) {
    select.ns = ns();
    auto page = client().List(ctx(), kWidgets, select, 0, "", "");
    EXPECT_TRUE(page.ok()) << page.error().message;
    std::vector<std::string> result;
    for (const kube::Document& item : page->items) result.push_back(item.name());
    return result;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({.label_selector = "tier=web"}), Names{"red"});
  EXPECT_EQ(names({.label_selector = "tier!=web"}), Names{"plain"});
  EXPECT_EQ(names({.label_selector = "tier in (web,db)"}), Names{"red"});
  EXPECT_EQ(names({.label_selector = "!tier"}), Names{"plain"});
  EXPECT_EQ(names({.field_selector = "metadata.name=plain"}), Names{"plain"});
  EXPECT_EQ(names({.field_selector = "spec.color=red"}), Names{"red"});
}

TEST_P(KubeContract, MetadataOnlyHidesTheRest) {
  MustCreate(Widget("a"));
  auto page = client().List(ctx(), kWidgets, {.ns = ns(), .metadata_only = true}, 0, "", "");
  ASSERT_TRUE(page.ok()) << page.error().message;
  ASSERT_EQ(page->items.size(), 1u);
  EXPECT_FALSE(Json(page->items[0]).contains("spec"));
  EXPECT_EQ(page->items[0].name(), "a");
  auto one = client().Get(ctx(), kWidgets, Key("a"), true);
  ASSERT_TRUE(one.ok());
  EXPECT_FALSE(Json(*one).contains("spec"));
  EXPECT_EQ(Json(*one)["kind"], "PartialObjectMetadata");
}

TEST_P(KubeContract, ItemsOfBuiltInTypesKnowTheirKind) {
  const json map{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", "m"}}}};
  ASSERT_TRUE(client().Create(ctx(), kConfigMaps, ns(), map.dump()).ok());
  auto page = client().List(ctx(), kConfigMaps, {.ns = ns()}, 0, "", "");
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->items.size(), 1u);
  EXPECT_EQ(Json(page->items[0])["kind"], "ConfigMap");
  EXPECT_EQ(Json(page->items[0])["apiVersion"], "v1");
}

TEST_P(KubeContract, StatusIsWrittenAloneAndConditionally) {
  const kube::Document made = MustCreate(Widget("a", 1));
  json body = Widget("a", 77);
  body["metadata"]["resourceVersion"] = made.resource_version();
  body["metadata"]["labels"] = {{"not", "mine"}};
  body["status"] = {{"phase", "Ready"}};
  auto written = client().ReplaceStatus(ctx(), kWidgets, Key("a"), body.dump());
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_EQ(Json(*written)["status"]["phase"], "Ready");
  EXPECT_EQ(Json(*written)["spec"]["size"], 1);
  EXPECT_FALSE(Json(*written)["metadata"].contains("labels"));
  EXPECT_EQ(Json(*written)["metadata"]["generation"], 1);
  auto stale = client().ReplaceStatus(ctx(), kWidgets, Key("a"), body.dump());
  ASSERT_FALSE(stale.ok());
  EXPECT_EQ(stale.error().code, ErrorCode::kConflict) << stale.error().message;
}

TEST_P(KubeContract, StatusBodyNeedsOnlyNameVersionAndStatus) {
  const kube::Document made = MustCreate(Widget("a", 3));
  const json body{
      {"apiVersion", "contract.certflow.dev/v1"},
      {"kind", "Widget"},
      {"metadata",
       {{"name", "a"}, {"namespace", ns()}, {"resourceVersion", made.resource_version()}}},
      {"status", {{"count", 2}}}};
  auto written = client().ReplaceStatus(ctx(), kWidgets, Key("a"), body.dump());
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_EQ(Json(*written)["spec"]["size"], 3);
  EXPECT_EQ(Json(*written)["status"]["count"], 2);
}

TEST_P(KubeContract, MergePatchChangesSpecAndCountsTheGeneration) {
  MustCreate(Widget("a", 1));
  auto patched =
      client().MergePatch(ctx(), kWidgets, Key("a"), "", R"({"spec":{"size":2,"color":"red"}})");
  ASSERT_TRUE(patched.ok()) << patched.error().message;
  EXPECT_EQ(Json(*patched)["metadata"]["generation"], 2);
  patched = client().MergePatch(ctx(), kWidgets, Key("a"), "", R"({"spec":{"color":null}})");
  ASSERT_TRUE(patched.ok());
  EXPECT_FALSE(Json(*patched)["spec"].contains("color"));
  patched = client().MergePatch(ctx(), kWidgets, Key("a"), "",
                                R"({"metadata":{"annotations":{"k":"v"}},"status":{"phase":"X"}})");
  ASSERT_TRUE(patched.ok());
  EXPECT_EQ(Json(*patched)["metadata"]["generation"], 3) << "annotations do not count";
  EXPECT_FALSE(Json(*patched).contains("status")) << "status belongs to its subresource";
}

TEST_P(KubeContract, MergePatchOfStatusLeavesSpecAlone) {
  MustCreate(Widget("a", 1));
  auto patched = client().MergePatch(ctx(), kWidgets, Key("a"), "status",
                                     R"({"spec":{"size":9},"status":{"phase":"Ready"}})");
  ASSERT_TRUE(patched.ok()) << patched.error().message;
  EXPECT_EQ(Json(*patched)["spec"]["size"], 1);
  EXPECT_EQ(Json(*patched)["status"]["phase"], "Ready");
  EXPECT_EQ(Json(*patched)["metadata"]["generation"], 1);
}

TEST_P(KubeContract, MergePatchWithResourceVersionIsConditional) {
  const kube::Document made = MustCreate(Widget("a", 1));
  const json patch{{"metadata", {{"resourceVersion", made.resource_version()}}},
                   {"spec", {{"size", 2}}}};
  ASSERT_TRUE(client().MergePatch(ctx(), kWidgets, Key("a"), "", patch.dump()).ok());
  auto again = client().MergePatch(ctx(), kWidgets, Key("a"), "", patch.dump());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kConflict) << again.error().message;
}

TEST_P(KubeContract, WriteThatChangesNothingIsNoWrite) {
  MustCreate(Widget("a", 1));
  auto first =
      client().MergePatch(ctx(), kWidgets, Key("a"), "status", R"({"status":{"phase":"Ready"}})");
  ASSERT_TRUE(first.ok());
  auto second =
      client().MergePatch(ctx(), kWidgets, Key("a"), "status", R"({"status":{"phase":"Ready"}})");
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->resource_version(), first->resource_version());
  json same = Json(*second);
  auto third = client().ReplaceStatus(ctx(), kWidgets, Key("a"), same.dump());
  ASSERT_TRUE(third.ok()) << third.error().message;
  EXPECT_EQ(third->resource_version(), first->resource_version());
}

TEST_P(KubeContract, DryRunLeavesNothing) {
  auto made = client().Create(ctx(), kWidgets, ns(), Widget("ghost").dump(), true);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(client().Get(ctx(), kWidgets, Key("ghost")).error().code, ErrorCode::kNotFound);
  MustCreate(Widget("a", 1));
  auto patched = client().MergePatch(ctx(), kWidgets, Key("a"), "", R"({"spec":{"size":5}})", true);
  ASSERT_TRUE(patched.ok());
  EXPECT_EQ(Json(*patched)["spec"]["size"], 5);
  EXPECT_EQ(Json(*client().Get(ctx(), kWidgets, Key("a")))["spec"]["size"], 1);
}

TEST_P(KubeContract, DeleteHoldsToItsPreconditions) {
  const kube::Document made = MustCreate(Widget("a"));
  auto wrong =
      client().Delete(ctx(), kWidgets, Key("a"), {.uid = "00000000-0000-4000-8000-0000000000ff"});
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, ErrorCode::kConflict) << wrong.error().message;
  ASSERT_TRUE(client().MergePatch(ctx(), kWidgets, Key("a"), "", R"({"spec":{"size":2}})").ok());
  wrong = client().Delete(ctx(), kWidgets, Key("a"),
                          {.uid = made.uid(), .resource_version = made.resource_version()});
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, ErrorCode::kConflict);
  EXPECT_TRUE(client().Delete(ctx(), kWidgets, Key("a"), {.uid = made.uid()}).ok());
  EXPECT_EQ(client().Get(ctx(), kWidgets, Key("a")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(client().Delete(ctx(), kWidgets, Key("a"), {.uid = made.uid()}).error().code,
            ErrorCode::kNotFound);
}

TEST_P(KubeContract, FinalizersHoldTheObjectUntilTheLastIsGone) {
  json widget = Widget("a");
  widget["metadata"]["finalizers"] = {"certflow.dev/one", "certflow.dev/two"};
  const kube::Document made = MustCreate(widget);
  ASSERT_TRUE(client().Delete(ctx(), kWidgets, Key("a"), {.uid = made.uid()}).ok());
  auto waiting = client().Get(ctx(), kWidgets, Key("a"));
  ASSERT_TRUE(waiting.ok());
  EXPECT_TRUE(Json(*waiting)["metadata"].contains("deletionTimestamp"));
  EXPECT_EQ(Json(*waiting)["metadata"]["generation"], 2);
  EXPECT_EQ(Json(*waiting)["metadata"]["deletionGracePeriodSeconds"], 0);
  auto recreated = client().Create(ctx(), kWidgets, ns(), Widget("a").dump());
  ASSERT_FALSE(recreated.ok());
  EXPECT_EQ(recreated.error().code, ErrorCode::kAlreadyExists);
  auto added = client().MergePatch(
      ctx(), kWidgets, Key("a"), "",
      R"({"metadata":{"finalizers":["certflow.dev/one","certflow.dev/two","certflow.dev/new"]}})");
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code, ErrorCode::kInvalid) << added.error().message;
  ASSERT_TRUE(client()
                  .MergePatch(ctx(), kWidgets, Key("a"), "",
                              R"({"metadata":{"finalizers":["certflow.dev/two"]}})")
                  .ok());
  ASSERT_TRUE(client().Get(ctx(), kWidgets, Key("a")).ok());
  ASSERT_TRUE(
      client().MergePatch(ctx(), kWidgets, Key("a"), "", R"({"metadata":{"finalizers":[]}})").ok());
  EXPECT_EQ(client().Get(ctx(), kWidgets, Key("a")).error().code, ErrorCode::kNotFound);
}

TEST_P(KubeContract, SecretWritesAreAnsweredWithoutTheirData) {
  const json secret{{"apiVersion", "v1"},
                    {"kind", "Secret"},
                    {"metadata", {{"name", "s"}}},
                    {"data", {{"key", "c2VjcmV0"}}}};
  auto made = client().CreateSecretBody(ctx(), kSecrets, ns(), SecretBytes(secret.dump()));
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_FALSE(Json(*made).contains("data"));
  json next = secret;
  next["metadata"]["resourceVersion"] = made->resource_version();
  next["data"]["key"] = "b3RoZXI=";
  auto replaced = client().ReplaceSecretBody(ctx(), kSecrets, Key("s"), SecretBytes(next.dump()));
  ASSERT_TRUE(replaced.ok()) << replaced.error().message;
  EXPECT_FALSE(Json(*replaced).contains("data"));
  EXPECT_NE(replaced->resource_version(), made->resource_version());
  EXPECT_EQ(Json(*client().Get(ctx(), kSecrets, Key("s")))["data"]["key"], "b3RoZXI=");
  auto stale = client().ReplaceSecretBody(ctx(), kSecrets, Key("s"), SecretBytes(next.dump()));
  ASSERT_FALSE(stale.ok());
  EXPECT_EQ(stale.error().code, ErrorCode::kConflict);
}

TEST_P(KubeContract, LeaseIsCreatedAndReplacedUnderItsVersion) {
  json lease{{"apiVersion", "coordination.k8s.io/v1"},
             {"kind", "Lease"},
             {"metadata", {{"name", "l"}, {"namespace", ns()}}},
             {"spec",
              {{"holderIdentity", "me"},
               {"leaseDurationSeconds", 15},
               {"renewTime", FormatMicroTime(clock_->Now())},
               {"leaseTransitions", 0}}}};
  auto made = client().Create(ctx(), kLeases, ns(), lease.dump());
  ASSERT_TRUE(made.ok()) << made.error().message;
  const json patch{{"metadata", {{"resourceVersion", made->resource_version()}}},
                   {"spec", {{"holderIdentity", "other"}}}};
  ASSERT_TRUE(client().MergePatch(ctx(), kLeases, Key("l"), "", patch.dump()).ok());
  lease["metadata"]["resourceVersion"] = made->resource_version();
  auto stale = client().ReplaceSecretBody(ctx(), kLeases, Key("l"), SecretBytes(lease.dump()));
  ASSERT_FALSE(stale.ok());
  EXPECT_EQ(stale.error().code, ErrorCode::kConflict);
}

INSTANTIATE_TEST_SUITE_P(, KubeContract, ::testing::Values("Memory", "Real"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace certflow::contract
