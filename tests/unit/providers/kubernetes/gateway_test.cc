// listeners of a Gateway that are made to name the Secret.
#include "providers/targets/kubernetes/gateway.h"

#include <gmock/gmock.h>

#include "providers/targets/kubernetes/cluster_target.h"
#include "tests/unit/providers/kubernetes/cluster_scene.h"

namespace certflow::providers::kubernetes {
namespace {

using testing::HasSubstr;

class GatewayTest : public ClusterScene {
 protected:
  GatewayTest() {
    settings_["gateways"] = json::array({"gw"});
    Use({"https", "tls"});
  }
  void Use(const std::vector<std::string>& listeners) {
    binding_["gateway"] = {{"name", "gw"}, {"listeners", listeners}};
  }
  void ChangeListener(std::size_t which, const json& patch) {
    json listeners = Get("Gateway", "gw")["spec"]["listeners"];
    listeners[which].merge_patch(patch);
    const kube::Resource gateways{"gateway.networking.k8s.io", "v1", "gateways", "Gateway", true};
    ASSERT_TRUE(client_
                    ->MergePatch(ctx(), gateways, {"edge", "gw"}, "",
                                 json{{"spec", {{"listeners", listeners}}}}.dump())
                    .ok());
  }
  static json Ref(const std::string& name) {
    return json::array({{{"group", ""}, {"kind", "Secret"}, {"name", name}}});
  }
};

TEST_F(GatewayTest, ListenersAreMadeToNameTheSecretAndOthersStay) {
  PlaceGateway();
  const json before = Get("Gateway", "gw")["spec"]["listeners"];
  ASSERT_TRUE(Deploy("st-1").ok());
  EXPECT_EQ(RefsOf("https"), Ref("site-tls"));
  EXPECT_EQ(RefsOf("tls"), Ref("site-tls"));
  const json after = Get("Gateway", "gw")["spec"]["listeners"];
  EXPECT_EQ(after[0], before[0]);
  EXPECT_EQ(after[1]["hostname"], "site.test");
  EXPECT_EQ(after[2]["tls"]["options"], before[2]["tls"]["options"]);
  api_.ResetCounts();
  ASSERT_TRUE(Deploy("st-2").ok());
  EXPECT_EQ(api_.Count("patch", "gateways"), 0u) << "they name it already";
}

//
TEST_F(GatewayTest, TheWayBackPutsBackWhatTheListenersReferredTo) {
  PlaceGateway();
  EXPECT_FALSE(Connect()->remembers_previous()) << "the ledger has to keep the way back";
  const seams::WayBack way_back = Observe().way_back;
  EXPECT_EQ(way_back.size(), 2u);
  ASSERT_TRUE(Deploy("st-1").ok());
  EXPECT_TRUE(Observe().way_back.empty()) << "nothing is left to change";
  ASSERT_TRUE(GoBack("", way_back).ok());
  EXPECT_EQ(RefsOf("https"), Ref("old-tls"));
  EXPECT_EQ(RefsOf("tls"), json()) << "there was none";
  EXPECT_EQ(api_.Peek("secrets", {"edge", "site-tls"}), "");
  ASSERT_TRUE(GoBack("", way_back).ok()) << "twice is once";
}

TEST_F(GatewayTest, AListenerThatNamedTheSecretBeforeKeepsIt) {
  PlaceGateway();
  ASSERT_TRUE(Deploy("st-1").ok());
  const seams::WayBack way_back = Observe().way_back;
  ASSERT_TRUE(Deploy("st-2").ok());
  ASSERT_TRUE(GoBack("st-1", way_back).ok());
  EXPECT_EQ(LiveVersion(), "st-1");
  EXPECT_EQ(RefsOf("https"), Ref("site-tls"));
}

TEST_F(GatewayTest, WhatSomebodyElseWroteSinceIsLeftAlone) {
  PlaceGateway();
  const seams::WayBack way_back = Observe().way_back;
  ASSERT_TRUE(Deploy("st-1").ok());
  ChangeListener(1, {{"tls", {{"certificateRefs", Ref("theirs")}}}});
  ASSERT_TRUE(GoBack("", way_back).ok());
  EXPECT_EQ(RefsOf("https"), Ref("theirs"));
  EXPECT_EQ(RefsOf("tls"), json());
}

TEST_F(GatewayTest, TheSecretStaysWhileAListenerCannotBeTakenOffIt) {
  PlaceGateway();
  const seams::WayBack way_back = Observe().way_back;
  ASSERT_TRUE(Deploy("st-1").ok());
  Answer("patch", "gateways", 403);
  const auto back = GoBack("", way_back);
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().reason, "GatewayForbidden");
  EXPECT_EQ(LiveVersion(), "st-1");
}

TEST_F(GatewayTest, TheWayBackGoesOnWithoutTheGateway) {
  PlaceGateway();
  ASSERT_TRUE(Deploy("st-1").ok());
  ASSERT_TRUE(Deploy("st-2").ok());
  const kube::Resource gateways{"gateway.networking.k8s.io", "v1", "gateways", "Gateway", true};
  ASSERT_TRUE(client_
                  ->Delete(ctx(), gateways, {"edge", "gw"},
                           {client_->Get(ctx(), gateways, {"edge", "gw"})->uid()})
                  .ok());
  ASSERT_TRUE(GoBack("st-1").ok());
  EXPECT_EQ(LiveVersion(), "st-1");
  EXPECT_EQ(Observe().placements.size(), 1u);
}

TEST_F(GatewayTest, AWriteOfSomebodyElseInBetweenIsNotOverwritten) {
  PlaceGateway();
  bool once = true;
  api_.Intercept([&](const fakes::InterceptedRequest& request) {
    if (request.verb == "patch" && request.resource == "gateways" && once) {
      once = false;
      ChangeListener(0, {{"port", 8080}});
    }
    return fakes::Interception();
  });
  const auto deployed = Deploy("st-1");
  ASSERT_FALSE(deployed.ok());
  EXPECT_EQ(deployed.error().code, ErrorCode::kUnknownOutcome);
  ASSERT_TRUE(Deploy("st-1").ok());
  EXPECT_EQ(RefsOf("https"), Ref("site-tls"));
  EXPECT_EQ(Get("Gateway", "gw")["spec"]["listeners"][0]["port"], 8080);
}

//
TEST_F(GatewayTest, PlacesAreListenersAtTheAddressesOfTheGateway) {
  PlaceGateway();
  EXPECT_EQ(Observe().placements.size(), 3u);
  SetStatus("Gateway", "gw",
            {{"addresses", json::array({{{"type", "IPAddress"}, {"value", "192.0.2.7"}},
                                        {{"type", "Hostname"}, {"value", "lb.example.com"}}})}});
  const auto placements = Observe().placements;
  ASSERT_EQ(placements.size(), 5u);
  EXPECT_EQ(placements[0].location, "Secret edge/site-tls");
  EXPECT_EQ(placements[1].virtual_host, "Gateway edge/gw");
  EXPECT_EQ(placements[1].profile, "listener https");
  EXPECT_EQ(placements[1].server_name, "site.test");
  EXPECT_EQ(placements[1].port, 443);
  EXPECT_EQ(placements[1].address, "192.0.2.7");
  EXPECT_EQ(placements[2].address, "lb.example.com");
  EXPECT_EQ(placements[4].profile, "listener tls");
}

TEST_F(GatewayTest, TheTargetSettlesUntilTheListenerHasTakenItIn) {
  PlaceGateway();
  const auto tell = [&](int generation) {
    SetStatus("Gateway", "gw",
              {{"listeners",
                json::array({{{"name", "https"},
                              {"conditions", json::array({{{"type", "Programmed"},
                                                           {"observedGeneration", generation},
                                                           {"status", "True"}}})}}})}});
  };
  tell(1);
  EXPECT_EQ(Observe().settling, "");
  ASSERT_TRUE(Deploy("st-1").ok());
  EXPECT_EQ(Observe().settling, "Gateway edge/gw: listener https has not taken in the change");
  tell(2);
  EXPECT_EQ(Observe().settling, "");
}

TEST_F(GatewayTest, AListenerThatCannotNameItIsRefusedBeforeTheSecretIsTouched) {
  PlaceGateway();
  const json kRoute = {{"group", "x.example"}, {"kind", "Certificate"}, {"name", "c"}};
  const json kElsewhere = {{"kind", "Secret"}, {"name", "c"}, {"namespace", "other"}};
  const struct {
    const char* listener;
    json tls;
    const char* says;
  } kCases[] = {
      {"absent", {}, "listener absent of Gateway edge/gw does not exist; there are: http, https"},
      {"http", {}, "has protocol HTTP and no certificate: name one of protocol HTTPS or TLS"},
      {"https", {{"mode", "Passthrough"}}, "name one with tls.mode Terminate"},
      {"https",
       {{"mode", "Terminate"}, {"certificateRefs", json::array({kRoute})}},
       "has a certificateRef of kind Certificate"},
      {"https",
       {{"certificateRefs", json::array({kElsewhere})}},
       "to a Secret of namespace other, which needs a ReferenceGrant"},
      {"https",
       {{"certificateRefs", json::array({Ref("a")[0], Ref("b")[0]})}},
       "has 2 certificateRefs, and which one to replace is not certain"},
  };
  for (const auto& one : kCases) {
    if (!one.tls.is_null()) ChangeListener(1, {{"tls", one.tls}});
    Use({one.listener});
    const json before = Get("Gateway", "gw")["spec"];
    const auto deployed = Deploy("st-1");
    ASSERT_FALSE(deployed.ok()) << one.says;
    EXPECT_EQ(deployed.error().reason, "ListenerUnusable");
    EXPECT_THAT(deployed.error().message, HasSubstr(one.says));
    EXPECT_EQ(Get("Gateway", "gw")["spec"], before);
    EXPECT_EQ(LiveVersion(), "");
  }
  // One of several is fine where it is ours already.
  ChangeListener(1,
                 {{"tls", {{"certificateRefs", json::array({Ref("a")[0], Ref("site-tls")[0]})}}}});
  Use({"https"});
  ASSERT_TRUE(Deploy("st-1").ok());
  EXPECT_EQ(RefsOf("https").size(), 2u);
}

TEST_F(GatewayTest, OnlyWhatTheTargetListsIsUsed) {
  PlaceGateway();
  const auto connect = [&] {
    return ConnectClusterTarget(*store_, *client_,
                                {Provider(), {"0/1-x", "prod", "site", "uid", binding_.dump()}});
  };
  settings_["gateways"] = json::array({"another"});
  EXPECT_EQ(connect().error().reason, "GatewayNotListed");
  settings_.erase("gateways");
  EXPECT_EQ(connect().error().reason, "GatewayNotListed") << "none where none is named";
  settings_ = {{"gateways", json::array({"gw"})}, {"secretNames", json::array({"other"})}};
  EXPECT_EQ(connect().error().reason, "SecretNotListed");
}

TEST_F(GatewayTest, ReadinessTellsWhatIsMissing) {
  const auto ready = [&] { return CheckClusterTarget(ctx(), *client_, Provider()); };
  EXPECT_EQ(ready().error().reason, "GatewayNotFound");
  EXPECT_EQ(Deploy("st-1").error().reason, "GatewayNotFound");
  EXPECT_EQ(LiveVersion(), "");
  PlaceGateway();
  ASSERT_TRUE(ready().ok());
  Answer("patch", "gateways", 403);
  EXPECT_EQ(ready().error().reason, "GatewayForbidden");
  EXPECT_THAT(ready().error().message, HasSubstr("--clusterrole=certflow-gateways"));
}

}  // namespace
}  // namespace certflow::providers::kubernetes
