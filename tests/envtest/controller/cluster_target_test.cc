// R-52 on the real API server: copies in many namespaces, restarts, listeners of a Gateway; with
// the rights and policies as they are shipped. No kubelet and no controllers run, so the test plays
// them by writing status.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"

namespace certflow::envtest {
namespace {

using testing::HasSubstr;

constexpr std::string_view kController = "system:serviceaccount:certflow-system:certflow";
constexpr const char* kTarget = R"(
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: copy, labels: {tls: shop}}
spec:
  allowedNamespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: {from}}}}
  kubernetes: {settings}
)";
constexpr const char* kWorkflow = R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: {name}}
spec:
  certificate: {dnsNames: [shop.example.com], secretName: {secret}}
  authorities: [{name: corp}]
  deployment: {retryLimit: 0, waves: {waves}}
)";
constexpr const char* kDeployment = R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {team: web}}
    spec: {containers: [{name: web, image: registry.example.com/web}]}
)";
constexpr const char* kGateway = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: any
  listeners:
    - {name: http, protocol: HTTP, port: 80}
    - {name: https, protocol: HTTPS, port: 443, hostname: shop.example.com,
       tls: {certificateRefs: [{name: old-tls}]}}
)";

class ClusterTargetTest : public NamespaceTest {
 protected:
  void MakeTarget(const std::string& ns, const std::string& settings = "{}",
                  const std::string& from = "") {
    stage().Create(ns,
                   Fill(kTarget, {{"from", from.empty() ? ns_ : from}, {"settings", settings}}));
  }
  void MakeWorkflow(const std::string& waves, const std::string& name = "shop",
                    const std::string& secret = "shop-tls") {
    stage().Create(ns_, Fill(kWorkflow, {{"name", name}, {"secret", secret}, {"waves", waves}}));
  }
  static std::string Copies(const std::string& namespaces) {
    return "[{name: copies, targets: [{targetSelector: {matchLabels: {tls: shop}, namespaces: [" +
           namespaces + "]}, kubernetes: {secretName: copy-tls}}]}]";
  }
  void AskFor(const std::string& what) {
    Answer asked =
        stage().Annotate(ns_, "certificateworkflow/shop", "certflow.dev/renew=" + what, kErin);
    ASSERT_TRUE(asked.ok()) << asked.err;
  }
  std::string Stalled() { return Condition(stage().Get("workflows", ns_, "shop"), "Stalled"); }
  bool AwaitStalled(const std::string& text) {
    return Await([&] { return Stalled().find(text) != std::string::npos; }, 30);
  }
  bool AwaitReady(const std::string& ns, const std::string& text) {
    return Await(
        [&] { return Condition(stage().Get("targets", ns, "copy"), "Ready").starts_with(text); },
        40);
  }
  Json GetJson(const std::string& ns, const std::string& object) {
    Answer got = stage().Kubectl({"get", "-n", ns, object, "-o", "json"});
    EXPECT_TRUE(got.ok()) << got.err;
    return Json::parse(got.out, nullptr, false);
  }
  void Change(const std::string& ns, const std::string& object, const std::string& patch,
              bool status = false) {
    std::vector<std::string> args = {"patch", "-n", ns, object, "--type=merge", "-p", patch};
    if (status) args.emplace_back("--subresource=status");
    Answer done = stage().Kubectl(std::move(args));
    ASSERT_TRUE(done.ok()) << done.err;
  }
  void Grant(const std::string& role, const std::string& file) {
    const std::string path = std::string(CERTFLOW_SOURCE_DIR) + "/manifests/install/optional/";
    Answer applied = stage().Kubectl({"apply", "-f", path + file});
    ASSERT_TRUE(applied.ok()) << applied.err;
    Answer bound = stage().Kubectl({"create", "rolebinding", role, "--clusterrole=" + role,
                                    "--serviceaccount=certflow-system:certflow", "-n", ns_});
    ASSERT_TRUE(bound.ok()) << bound.err;
  }
  std::string Told() {
    return GetJson(ns_, "deployment/web")["spec"]["template"]["metadata"]["annotations"].value(
        "secret.certflow.dev/shop-tls", "");
  }
};

TEST_F(ClusterTargetTest, R52_CopiesGoIntoEveryNamespaceThatIsListedAndAllowsIt) {
  const std::string one = stage().NewNamespace();
  const std::string two = stage().NewNamespace();
  MakeTarget(one);
  MakeWorkflow(Copies(one + ", " + two));
  EXPECT_TRUE(AwaitStalled("in namespace " + two)) << Stalled();
  EXPECT_THAT(Stalled(), HasSubstr("NoTargetMatches"));
  MakeTarget(two, "{}", "nobody");
  EXPECT_TRUE(AwaitStalled("ReferenceNotAllowed")) << Stalled();
  EXPECT_THAT(Stalled(), HasSubstr("DeploymentTarget " + two + "/copy does not allow"));
  EXPECT_EQ(stage().SecretValue(one, "copy-tls", "tls.crt"), "") << "nothing starts before";
  Change(two, "deploymenttarget/copy",
         R"({"spec": {"allowedNamespaces": {"from": "All", "selector": null}}})");
  Json run = stage().AwaitState(ns_, "shop", "Succeeded", 60);
  EXPECT_EQ(run["spec"]["plan"]["targets"].size(), 3u);
  const std::string wanted = stage().SecretValue(ns_, "shop-tls", "tls.crt");
  for (const std::string& ns : {one, two}) {
    EXPECT_EQ(stage().SecretValue(ns, "copy-tls", "tls.crt"), wanted);
    const Json notes = stage().Get("secrets", ns, "copy-tls")["metadata"]["annotations"];
    EXPECT_EQ(notes["certflow.dev/workflow"], ns_ + "/shop");
    EXPECT_EQ(notes["certflow.dev/version"], NameOf(run));
  }
  // Off the list it stays as it is, and says whose it is and which version.
  const Json left = stage().Get("secrets", two, "copy-tls");
  Change(ns_, "certificateworkflow/shop",
         R"({"spec": {"deployment": {"waves": [{"name": "copies", "targets": [{"targetSelector":
             {"matchLabels": {"tls": "shop"}, "namespaces": [")" +
             one + R"("]}, "kubernetes": {"secretName": "copy-tls"}}]}]}}})");
  AskFor("second");
  Json second = stage().AwaitState(ns_, "shop", "Succeeded", 60, 2);
  EXPECT_EQ(
      stage().Get("secrets", one, "copy-tls")["metadata"]["annotations"]["certflow.dev/version"],
      NameOf(second));
  EXPECT_EQ(stage().Get("secrets", two, "copy-tls"), left);
}

TEST_F(ClusterTargetTest, R52_ACopyIsNotTakenFromAnotherWorkflowNorFromPeople) {
  const std::string one = stage().NewNamespace();
  const std::string two = stage().NewNamespace();
  MakeTarget(one);
  MakeWorkflow(Copies(one));
  stage().AwaitState(ns_, "shop", "Succeeded", 60);
  const Json taken = stage().Get("secrets", one, "copy-tls");
  MakeWorkflow(Copies(one), "thief", "thief-tls");
  // The checks see it before anything is issued.
  Json run = stage().AwaitState(ns_, "thief", "Failed", 60);
  EXPECT_THAT(run["status"]["message"].get<std::string>(),
              HasSubstr("belongs to workflow " + ns_ + "/shop"));
  EXPECT_EQ(stage().Get("secrets", one, "copy-tls"), taken);
  // The copy in the first namespace stays, when the second one's Secret is somebody's.
  MakeTarget(two);
  stage().MakeSecret(two, "copy-tls", {{"tls.crt", "theirs"}, {"tls.key", "theirs"}}, false);
  Change(ns_, "certificateworkflow/shop",
         R"({"spec": {"deployment": {"waves": [{"name": "copies", "targets": [{"targetSelector":
             {"matchLabels": {"tls": "shop"}, "namespaces": [")" +
             one + R"(", ")" + two + R"("]}, "kubernetes": {"secretName": "copy-tls"}}]}]}}})");
  AskFor("second");
  Json second = stage().AwaitState(ns_, "shop", "Failed", 60, 2);
  EXPECT_THAT(second["status"]["message"].get<std::string>(),
              HasSubstr("Secret " + two + "/copy-tls"));
  EXPECT_EQ(stage().SecretValue(two, "copy-tls", "tls.crt"), "theirs");
  EXPECT_EQ(stage().SecretValue(one, "copy-tls", "tls.crt"),
            stage().SecretValue(ns_, "shop-tls", "tls.crt"));
}

constexpr const char* kRestart = "{restart: [{kind: Deployment, name: web}]}";

TEST_F(ClusterTargetTest, R52_R32_AWorkloadIsRestartedOnlyWithTheRightThatItsNamespaceGives) {
  stage().Create(ns_, kDeployment);
  MakeTarget(ns_, kRestart);
  EXPECT_TRUE(AwaitReady(ns_, "False RestartForbidden"));
  EXPECT_THAT(Condition(stage().Get("targets", ns_, "copy"), "Ready"),
              HasSubstr("kubectl create rolebinding certflow-restart"));
  Grant("certflow-restart", "restart.yaml");
  stage().Delete("targets", ns_, "copy");
  MakeTarget(ns_, kRestart);
  EXPECT_TRUE(AwaitReady(ns_, "True"));
  MakeWorkflow(
      "[{name: cluster, targets: [{targetRef: {name: copy}, kubernetes: {secretName: shop-tls}}]}]",
      "shop", "own-tls");
  stage().AwaitRun(ns_, "shop", "the rollout", [](Json& run) {
    return run["status"].value("waitingFor", "").find("Deployment") != std::string::npos;
  });
  Json run = stage().NewestRun(ns_, "shop");
  EXPECT_EQ(Told(), NameOf(run));
  EXPECT_EQ(GetJson(ns_, "deployment/web")["metadata"]["generation"], 2);
  Change(ns_, "deployment/web",
         R"({"status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2,
             "readyReplicas": 2, "availableReplicas": 2}})",
         true);
  run = stage().AwaitState(ns_, "shop", "Succeeded", 60);
  EXPECT_EQ(GetJson(ns_, "deployment/web")["metadata"]["generation"], 2) << "once";
  EXPECT_THAT(run["status"]["deployments"].dump(), HasSubstr("Deployment " + ns_ + "/web"));
}

// Whoever may patch a workload can run anything in it; the policy that is shipped takes that out.
TEST_F(ClusterTargetTest, R32_TheRightToRestartIsGoodForNothingElse) {
  stage().Create(ns_, kDeployment);
  Grant("certflow-restart", "restart.yaml");
  const auto as_certflow = [&](const std::string& patch) {
    return stage().Kubectl(
        {"patch", "-n", ns_, "deployment/web", "--type=strategic", "--dry-run=server", "-p", patch},
        kController);
  };
  const std::string image =
      R"({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "evil"}]}}}})";
  EXPECT_TRUE(Await([&] { return !as_certflow(image).ok(); }, 20)) << "the policy is in force";
  EXPECT_THAT(as_certflow(image).err, HasSubstr("certflow restarts pods and changes nothing"));
  const auto annotate = [](const std::string& key) {
    return Json{{"spec", {{"template", {{"metadata", {{"annotations", {{key, "x"}}}}}}}}}}.dump();
  };
  EXPECT_THAT(as_certflow(annotate("inject.example/image")).err, HasSubstr("writes only annotat"));
  EXPECT_THAT(as_certflow(annotate("team")).err, HasSubstr("writes only annotations"));
  Answer good = as_certflow(annotate("secret.certflow.dev/shop-tls"));
  EXPECT_TRUE(good.ok()) << good.err;
}

TEST_F(ClusterTargetTest, R52_R61_R80_AListenerNamesTheSecretAndGoesBackWithIt) {
  const std::string crds =
      RunTool({std::string(CERTFLOW_SOURCE_DIR) + "/tests/gatewayapi/fetch", "--where"});
  Answer served =
      stage().Kubectl({"apply", "--server-side", "-f", crds.substr(0, crds.find('\n'))});
  ASSERT_TRUE(served.ok()) << served.err;
  ASSERT_TRUE(Await(
      [&] { return stage().Kubectl({"create", "-n", ns_, "-f", "-"}, kAdmin, kGateway).ok(); },
      20));
  Change(ns_, "gateway/edge",
         R"({"status": {"addresses": [{"type": "IPAddress", "value": "192.0.2.7"}]}})", true);
  MakeTarget(ns_, "{gateways: [edge]}");
  EXPECT_TRUE(AwaitReady(ns_, "False GatewayForbidden"));
  Grant("certflow-gateways", "gateways.yaml");
  stage().Delete("targets", ns_, "copy");
  MakeTarget(ns_, "{gateways: [edge]}");
  EXPECT_TRUE(AwaitReady(ns_, "True"));
  const std::string first =
      "{name: edge, targets: [{targetRef: {name: copy}, kubernetes: {secretName: edge-tls, "
      "gateway: {name: edge, listeners: [https]}}}]}";
  const std::string waves =
      "[" + first +
      ", {name: last, targets: [{targetRef: {name: copy}, kubernetes: {secretName: theirs}}]}]";
  stage().Create(ns_,
                 Fill(kWorkflow, {{"name", "shop"}, {"secret", "shop-tls"}, {"waves", waves}}) +
                     "  approval: {requester: Allowed, deployment: {layers: [{name: ops, "
                     "approvers: {users: [dora@example.com]}}]}}\n");
  const auto approve = [&](int number) {
    Json asks = stage().AwaitGate(ns_, "shop", "deployment", 60, number);
    Answer done = stage().Annotate(ns_, "workflowrun/" + NameOf(asks),
                                   "certflow.dev/approve=deployment", kDora);
    EXPECT_TRUE(done.ok()) << done.err;
  };
  // The second wave cannot be, which the checks could not see: what the first did is taken back.
  stage().AwaitGate(ns_, "shop", "deployment", 60);
  stage().MakeSecret(ns_, "theirs", {{"x", "y"}}, false);
  approve(1);
  Json run = stage().AwaitState(ns_, "shop", "RolledBack", 60);
  const auto listener = [&] { return GetJson(ns_, "gateway/edge")["spec"]["listeners"][1]; };
  EXPECT_EQ(listener()["tls"]["certificateRefs"][0]["name"], "old-tls");
  EXPECT_EQ(GetJson(ns_, "gateway/edge")["metadata"]["generation"], 3) << "there and back";
  EXPECT_TRUE(stage().Get("secrets", ns_, "edge-tls").is_null());
  Change(ns_, "certificateworkflow/shop",
         R"({"spec": {"deployment": {"waves": [{"name": "edge", "targets": [
             {"targetRef": {"name": "copy"}, "kubernetes": {"secretName": "edge-tls",
              "gateway": {"name": "edge", "listeners": ["https"]}}}]}]}}})");
  AskFor("second");
  approve(2);
  run = stage().AwaitState(ns_, "shop", "Succeeded", 60, 2);
  EXPECT_EQ(listener()["tls"]["certificateRefs"].size(), 1u);
  EXPECT_EQ(listener()["tls"]["certificateRefs"][0]["name"], "edge-tls");
  EXPECT_EQ(listener()["hostname"], "shop.example.com");
  Json place;
  for (const Json& one : run["status"]["deployments"]) {
    if (one.value("profile", "") == "listener https") place = one;
  }
  EXPECT_EQ(place["address"], "192.0.2.7") << run["status"]["deployments"].dump(1);
  EXPECT_EQ(place["port"], 443);
  EXPECT_EQ(place["serverName"], "shop.example.com");
  EXPECT_EQ(place["virtualHost"], "Gateway " + ns_ + "/edge");
}

}  // namespace
}  // namespace certflow::envtest
