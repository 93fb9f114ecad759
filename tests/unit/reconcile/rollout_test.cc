// whole runs that restart a Deployment, and copies, with the real program in its world.
#include <memory>

#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

using nlohmann::json;

const kube::Resource kDeployments{"apps", "v1", "deployments", "Deployment", true};
constexpr const char* kTold = "/spec/template/metadata/annotations/secret.certflow.dev~1pods-tls";

// A Deployment "web" beside the workflow, whose pods the test rolls.
class Pods {
 public:
  explicit Pods(fakes::World& world) : world_(world) {
    world.api.Serve({kDeployments});
    client_ = world.api.NewClient();
    const json web = {{"apiVersion", "apps/v1"},
                      {"kind", "Deployment"},
                      {"metadata", {{"name", "web"}}},
                      {"spec", {{"replicas", 1}, {"template", {{"metadata", json::object()}}}}}};
    EXPECT_TRUE(client_->Create({world.clock}, kDeployments, "web", web.dump()).ok());
    RollOut();
    world.Create({{"apiVersion", "certflow.dev/v1alpha1"},
                  {"kind", "DeploymentTarget"},
                  {"metadata", {{"name", "pods"}, {"namespace", "web"}}},
                  {"spec",
                   {{"kubernetes",
                     {{"restart", json::array({{{"kind", "Deployment"}, {"name", "web"}}})}}}}}});
  }
  static json Use() {
    return {
        {"spec",
         {{"deployment",
           {{"retryLimit", 1},
            {"waves",
             json::array({{{"name", "pods"},
                           {"targets",
                            json::array({{{"targetRef", {{"name", "pods"}}},
                                          {"kubernetes", {{"secretName", "pods-tls"}}}}})}}})}}}}}};
  }
  int generation() const { return Get()["metadata"]["generation"]; }
  std::string told() const { return Get().value(json::json_pointer(kTold), ""); }
  // What the Deployment's controller and the nodes do, if there is something to do.
  void RollOut() {
    if (Get().value(json::json_pointer("/status/observedGeneration"), 0) == generation()) return;
    const json status = {{"status",
                          {{"observedGeneration", generation()},
                           {"replicas", 1},
                           {"updatedReplicas", 1},
                           {"availableReplicas", 1}}}};
    EXPECT_TRUE(
        client_->MergePatch({world_.clock}, kDeployments, {"web", "web"}, "status", status.dump())
            .ok());
  }

 private:
  json Get() const { return json::parse(world_.api.Peek("deployments", {"web", "web"})); }
  fakes::World& world_;
  std::unique_ptr<kube::Client> client_;
};

class RolloutTest : public ReconcileTest {};

TEST_F(RolloutTest, ARunIsThroughWhenThePodsAreNew) {
  Pods pods(world);
  StartWithCa();
  CreateSite(Pods::Use());
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("Deployment web/web"); })) << RunStatus();
  EXPECT_EQ(pods.told(), Run()["metadata"]["name"]);
  world.Pass(std::chrono::minutes(5));
  EXPECT_TRUE(RunWaitsFor("Deployment web/web: the rollout has not begun"));
  pods.RollOut();
  ASSERT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); })) << RunStatus();
  EXPECT_EQ(pods.generation(), 2);
}

//
TEST_F(RolloutTest, ARolloutThatHangsIsTakenBackWithTheVersionBefore) {
  Pods pods(world);
  StartWithCa();
  CreateSite(Pods::Use());
  ASSERT_TRUE(world.Until([&] {
    pods.RollOut();
    return world.RunIs("site", "Succeeded");
  }));
  const std::string first = pods.told();
  const std::string before = world.SecretFingerprint("pods-tls");
  world.Annotate("certificateworkflows", "site", "certflow.dev/renew", "again by dora");
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("the rollout has not begun"); }));
  ASSERT_TRUE(world.Until([&] { return pods.told() == first; }, std::chrono::minutes(20)))
      << RunStatus().dump(1);
  EXPECT_TRUE(world.Until([&] { return Entry("Deployment", "0/1-pods") == "Failed"; }));
  ASSERT_TRUE(world.Until([&] {
    pods.RollOut();
    return world.RunIs("site", "RolledBack");
  })) << RunStatus().dump(1);
  EXPECT_EQ(world.SecretFingerprint("pods-tls"), before);
  EXPECT_EQ(pods.generation(), 4) << "there and back";
}

// Wherever the program dies, the pods are rolled once, and the run ends well.
TEST_F(RolloutTest, PodsAreRolledOnceWhereverTheProgramDies) {
  for (const bool after : {false, true}) {
    for (int n = 1;; ++n) {
      SCOPED_TRACE("killed " + std::string(after ? "after " : "before ") + std::to_string(n));
      fakes::World place;
      Pods pods(place);
      place.AddInternalCa("company");
      json workflow = fakes::WorkflowObject("site", "www.example.test", "company");
      workflow.merge_patch(Pods::Use());
      place.Create(workflow);
      place.CutNextLife({n, after});
      place.Start();
      const auto ended = [&] {
        pods.RollOut();
        return place.life.dead() || place.RunIs("site", "Succeeded");
      };
      ASSERT_TRUE(place.Until(ended));
      const bool died = place.life.dead();
      if (died) {
        place.Start();
        ASSERT_TRUE(place.Until(ended));
      }
      ASSERT_EQ(pods.told(), place.Runs("site").back()["metadata"]["name"]);
      ASSERT_EQ(pods.generation(), 2);
      if (!died) break;
    }
  }
}

// a namespace that is listed and has no target is named, and so is one that does not allow.
TEST_F(RolloutTest, CopiesGoToEveryNamespaceOrTheRunDoesNotStart) {
  const auto target = [&](const std::string& ns, const std::string& from) {
    world.Create(
        {{"apiVersion", "certflow.dev/v1alpha1"},
         {"kind", "DeploymentTarget"},
         {"metadata", {{"name", "copy"}, {"namespace", ns}, {"labels", {{"tls", "x"}}}}},
         {"spec", {{"allowedNamespaces", {{"from", from}}}, {"kubernetes", json::object()}}}});
  };
  target("web", "Same");
  StartWithCa();
  json patch = Pods::Use();
  patch["spec"]["deployment"]["waves"][0]["targets"][0] = {
      {"targetSelector", {{"matchLabels", {{"tls", "x"}}}, {"namespaces", {"web", "other"}}}},
      {"kubernetes", {{"secretName", "copy-tls"}}}};
  CreateSite(patch);
  ASSERT_TRUE(world.Until([&] { return Condition(Workflow(), "Stalled").starts_with("True"); }));
  EXPECT_NE(Condition(Workflow(), "Stalled").find("in namespace other has"), std::string::npos)
      << Condition(Workflow(), "Stalled");
  target("other", "Same");
  ASSERT_TRUE(world.Until([&] {
    return Condition(Workflow(), "Stalled")
               .find("DeploymentTarget other/copy does not allow namespace web") !=
           std::string::npos;
  })) << Condition(Workflow(), "Stalled");
  EXPECT_EQ(Runs(), 0u);
  EXPECT_EQ(world.SecretFingerprint("copy-tls"), "");
}

}  // namespace
}  // namespace certflow
