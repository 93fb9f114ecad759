// R-52: workloads that read the Secret only when they start.
#include <gmock/gmock.h>

#include "providers/targets/kubernetes/cluster_target.h"
#include "providers/targets/kubernetes/workloads.h"
#include "tests/unit/providers/kubernetes/cluster_scene.h"

namespace certflow::providers::kubernetes {
namespace {

using testing::HasSubstr;

class RestartTest : public ClusterScene {
 protected:
  void Name(std::string_view kind, const std::string& name) {
    settings_["restart"].push_back({{"kind", kind}, {"name", name}});
  }
  Result<seams::Readiness> Ready() { return CheckClusterTarget(ctx(), *client_, Provider()); }
};

TEST_F(RestartTest, NothingIsAskedBeyondTheSecretWhereNothingIsNamed) {
  ASSERT_TRUE(Deploy("st-1").ok());
  api_.ResetCounts();
  Observe();
  ASSERT_TRUE(Deploy("st-2").ok());
  ASSERT_TRUE(Ready().ok());
  EXPECT_EQ(api_.Counts(),
            (Counts{{"get secrets", 3}, {"create secrets", 1}, {"update secrets", 2}}));
}

TEST_F(RestartTest, EachKindIsRolledOnceForAVersion) {
  for (const char* kind : {"Deployment", "StatefulSet", "DaemonSet"}) {
    PlaceWorkload(kind, "web");
    Name(kind, "web");
  }
  ASSERT_TRUE(Deploy("st-1").ok());
  for (const char* kind : {"Deployment", "StatefulSet", "DaemonSet"}) {
    EXPECT_EQ(ToldVersion(kind, "web"), "st-1");
    EXPECT_EQ(Get(kind, "web")["spec"]["template"]["metadata"]["annotations"]["team"], "edge");
    EXPECT_EQ(Get(kind, "web")["metadata"]["generation"], 2);
  }
  api_.ResetCounts();
  ASSERT_TRUE(Deploy("st-1").ok()) << "done again after a crash";
  for (const char* plural : {"deployments", "statefulsets", "daemonsets"}) {
    EXPECT_EQ(api_.Count("patch", plural), 0u);
  }
  ASSERT_TRUE(Deploy("st-2").ok());
  EXPECT_EQ(ToldVersion("DaemonSet", "web"), "st-2");
  EXPECT_EQ(Get("DaemonSet", "web")["metadata"]["generation"], 3);
}

TEST_F(RestartTest, TheTargetSettlesUntilThePodsAreNew) {
  PlaceWorkload("Deployment", "web");
  Name("Deployment", "web");
  EXPECT_EQ(Observe().settling, "");
  ASSERT_TRUE(Deploy("st-1").ok());
  EXPECT_EQ(Observe().settling, "Deployment edge/web: the rollout has not begun");
  EXPECT_TRUE(Observe().running);
  const struct {
    int replicas, updated, available;
    const char* settling;
  } kPhases[] = {
      {4, 1, 3, "Deployment edge/web: 1 of 3 pods are new"},
      {4, 3, 3, "Deployment edge/web: 1 old pods are left"},
      {3, 3, 2, "Deployment edge/web: 2 of 3 pods are available"},
      {3, 3, 3, ""},
  };
  for (const auto& phase : kPhases) {
    SetStatus("Deployment", "web",
              {{"observedGeneration", 2},
               {"replicas", phase.replicas},
               {"updatedReplicas", phase.updated},
               {"availableReplicas", phase.available}});
    EXPECT_EQ(Observe().settling, phase.settling);
  }
  SetStatus("Deployment", "web",
            {{"availableReplicas", 1},
             {"conditions",
              json::array({{{"type", "Progressing"}, {"reason", "ProgressDeadlineExceeded"}}})}});
  EXPECT_THAT(Observe().settling, HasSubstr("its progress deadline is exceeded"));
}

TEST_F(RestartTest, ADaemonSetSettlesByItsNodes) {
  PlaceWorkload("DaemonSet", "proxy");
  Name("DaemonSet", "proxy");
  ASSERT_TRUE(Deploy("st-1").ok());
  SetStatus("DaemonSet", "proxy", {{"observedGeneration", 2}, {"updatedNumberScheduled", 2}});
  EXPECT_EQ(Observe().settling, "DaemonSet edge/proxy: 2 of 3 pods are new");
  SetStatus("DaemonSet", "proxy", {{"updatedNumberScheduled", 3}, {"numberAvailable", 1}});
  EXPECT_EQ(Observe().settling, "DaemonSet edge/proxy: 1 of 3 pods are available");
  RollOut("DaemonSet", "proxy");
  EXPECT_EQ(Observe().settling, "");
}

TEST_F(RestartTest, ACrashBetweenSecretAndRestartIsSeenAndGoneOnWith) {
  PlaceWorkload("Deployment", "web");
  Name("Deployment", "web");
  Answer("patch", "deployments", 500);
  const auto deployed = Deploy("st-1");
  ASSERT_FALSE(deployed.ok());
  EXPECT_EQ(deployed.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(LiveVersion(), "st-1");
  EXPECT_FALSE(Observe().running);
  api_.Intercept({});
  ASSERT_TRUE(Deploy("st-1").ok());
  EXPECT_TRUE(Observe().running);
  EXPECT_EQ(ToldVersion("Deployment", "web"), "st-1");
}

// R-61
TEST_F(RestartTest, TheWayBackRestartsWithTheVersionBefore) {
  PlaceWorkload("Deployment", "web");
  Name("Deployment", "web");
  ASSERT_TRUE(Deploy("st-1").ok());
  ASSERT_TRUE(Deploy("st-2").ok());
  ASSERT_TRUE(GoBack("st-1").ok());
  EXPECT_EQ(LiveVersion(), "st-1");
  EXPECT_EQ(ToldVersion("Deployment", "web"), "st-1");
  EXPECT_EQ(Get("Deployment", "web")["metadata"]["generation"], 4);
  EXPECT_TRUE(Observe().running);
}

TEST_F(RestartTest, TheWayBackGoesOnWithoutWhatIsGone) {
  PlaceWorkload("Deployment", "web");
  PlaceWorkload("StatefulSet", "db");
  Name("Deployment", "web");
  Name("StatefulSet", "db");
  ASSERT_TRUE(Deploy("st-1").ok());
  ASSERT_TRUE(Deploy("st-2").ok());
  const kube::Resource sets{"apps", "v1", "statefulsets", "StatefulSet", true};
  ASSERT_TRUE(
      client_
          ->Delete(ctx(), sets, {"edge", "db"}, {client_->Get(ctx(), sets, {"edge", "db"})->uid()})
          .ok());
  ASSERT_TRUE(GoBack("st-1").ok());
  EXPECT_EQ(LiveVersion(), "st-1");
  EXPECT_EQ(ToldVersion("Deployment", "web"), "st-1");
}

TEST_F(RestartTest, NothingIsRestartedWhereNoSecretIsLeft) {
  PlaceWorkload("Deployment", "web");
  Name("Deployment", "web");
  ASSERT_TRUE(Deploy("st-1").ok());
  ASSERT_TRUE(GoBack("").ok());
  EXPECT_EQ(api_.Peek("secrets", {"edge", "site-tls"}), "");
  EXPECT_EQ(Get("Deployment", "web")["metadata"]["generation"], 2)
      << "its pods could not start without the Secret";
}

TEST_F(RestartTest, WhatCannotBeRestartedIsRefusedBeforeTheSecretIsTouched) {
  const struct {
    const char* kind;
    const char* spec;
    const char* says;
  } kCases[] = {
      {"Deployment", R"({"paused": true})", "it is paused: resume it"},
      {"StatefulSet", R"({"updateStrategy": {"type": "OnDelete"}})", "make it RollingUpdate"},
      {"DaemonSet", R"({"updateStrategy": {"type": "OnDelete"}})", "make it RollingUpdate"},
      {"StatefulSet", R"({"updateStrategy": {"rollingUpdate": {"partition": 2}}})", "make that 0"},
  };
  int count = 0;
  for (const auto& one : kCases) {
    const std::string name = "w" + std::to_string(++count);
    PlaceWorkload(one.kind, name, json::parse(one.spec));
    settings_["restart"] = json::array({{{"kind", one.kind}, {"name", name}}});
    const auto deployed = Deploy("st-1");
    ASSERT_FALSE(deployed.ok()) << one.spec;
    EXPECT_EQ(deployed.error().reason, "RestartRefused");
    EXPECT_THAT(deployed.error().message, HasSubstr(one.says));
    EXPECT_EQ(LiveVersion(), "");
    EXPECT_EQ(Ready().error().reason, "RestartRefused");
    EXPECT_EQ(Ready().error().message, deployed.error().message);
  }
  settings_["restart"] = json::array({{{"kind", "Deployment"}, {"name", "absent"}}});
  EXPECT_EQ(Deploy("st-1").error().reason, "WorkloadNotFound");
  EXPECT_EQ(LiveVersion(), "");
  EXPECT_EQ(Ready().error().reason, "WorkloadNotFound");
}

TEST_F(RestartTest, AMissingRightIsToldWithItsRemedy) {
  PlaceWorkload("Deployment", "web");
  Name("Deployment", "web");
  ASSERT_TRUE(Ready().ok());
  EXPECT_EQ(Ready()->message, "writes TLS Secrets here, restarts 1 workloads");
  for (const char* verb : {"get", "patch"}) {
    Answer(verb, "deployments", 403);
    const auto ready = Ready();
    ASSERT_FALSE(ready.ok()) << verb;
    EXPECT_EQ(ready.error().reason, "RestartForbidden");
    EXPECT_THAT(ready.error().message,
                HasSubstr("kubectl create rolebinding certflow-restart "
                          "--clusterrole=certflow-restart "
                          "--serviceaccount=certflow-system:certflow -n edge"));
  }
  api_.Intercept({});
  EXPECT_EQ(Get("Deployment", "web")["metadata"]["generation"], 1) << "asking changes nothing";
}

TEST_F(RestartTest, AWorkloadOfTwoSecretsIsRolledForEach) {
  PlaceWorkload("Deployment", "web");
  Name("Deployment", "web");
  ASSERT_TRUE(Deploy("st-1").ok());
  binding_["secretName"] = "other-tls";
  ASSERT_TRUE(Deploy("st-1").ok());
  EXPECT_EQ(ToldVersion("Deployment", "web"), "st-1");
  EXPECT_EQ(ToldVersion("Deployment", "web", "other-tls"), "st-1");
  EXPECT_EQ(Get("Deployment", "web")["metadata"]["generation"], 3);
}

TEST(RestartAnnotationTest, LongNamesStayApartAndFit) {
  EXPECT_EQ(RestartAnnotation("shop-tls"), "secret.certflow.dev/shop-tls");
  const std::string one = RestartAnnotation(std::string(80, 'a') + "1");
  const std::string other = RestartAnnotation(std::string(80, 'a') + "2");
  EXPECT_NE(one, other);
  EXPECT_EQ(one.size(), std::string("secret.certflow.dev/").size() + 63);
}

}  // namespace
}  // namespace certflow::providers::kubernetes
