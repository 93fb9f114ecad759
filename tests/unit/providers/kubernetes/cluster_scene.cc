#include "tests/unit/providers/kubernetes/cluster_scene.h"

#include "controller/pki/key.h"
#include "providers/stores/kubernetes/kube_secret_store.h"
#include "providers/targets/kubernetes/cluster_target.h"
#include "providers/targets/kubernetes/workloads.h"
#include "tests/fakes/tls/test_certificate.h"

namespace certflow::providers::kubernetes {
namespace {

using nlohmann::json;

kube::Resource ResourceOf(std::string_view kind) {
  if (kind == "Gateway") return {"gateway.networking.k8s.io", "v1", "gateways", "Gateway", true};
  if (kind == "StatefulSet") return {"apps", "v1", "statefulsets", "StatefulSet", true};
  if (kind == "DaemonSet") return {"apps", "v1", "daemonsets", "DaemonSet", true};
  return {"apps", "v1", "deployments", "Deployment", true};
}

}  // namespace

ClusterScene::ClusterScene() : store_(store::MakeKubeSecretStore(*client_)) {
  for (const char* kind : {"Deployment", "StatefulSet", "DaemonSet", "Gateway"}) {
    api_.Serve({ResourceOf(kind)});
  }
}

void ClusterScene::Place(std::string_view kind, const std::string& name, const json& rest) {
  const kube::Resource resource = ResourceOf(kind);
  json object = {{"apiVersion", resource.ApiVersion()},
                 {"kind", resource.kind},
                 {"metadata", {{"name", name}}}};
  object.update(rest);
  const auto made = client_->Create(ctx(), resource, "edge", object.dump());
  ASSERT_TRUE(made.ok()) << made.error().message;
}

void ClusterScene::PlaceWorkload(std::string_view kind, const std::string& name, const json& spec) {
  json all = {{"replicas", 3},
              {"template",
               {{"metadata", {{"annotations", {{"team", "edge"}}}}},
                {"spec", {{"containers", json::array()}}}}}};
  if (!spec.is_null()) all.update(spec);
  Place(kind, name, {{"spec", std::move(all)}});
  RollOut(kind, name);
}

void ClusterScene::RollOut(std::string_view kind, const std::string& name) {
  const int generation = Get(kind, name)["metadata"].value("generation", 0);
  SetStatus(kind, name,
            kind == "DaemonSet" ? json{{"observedGeneration", generation},
                                       {"desiredNumberScheduled", 3},
                                       {"updatedNumberScheduled", 3},
                                       {"numberAvailable", 3}}
                                : json{{"observedGeneration", generation},
                                       {"replicas", 3},
                                       {"updatedReplicas", 3},
                                       {"availableReplicas", 3}});
}

void ClusterScene::SetStatus(std::string_view kind, const std::string& name, const json& status) {
  const auto done = client_->MergePatch(ctx(), ResourceOf(kind), {"edge", name}, "status",
                                        json{{"status", status}}.dump());
  ASSERT_TRUE(done.ok()) << done.error().message;
}

json ClusterScene::Get(std::string_view kind, const std::string& name) const {
  return json::parse(api_.Peek(ResourceOf(kind).plural, {"edge", name}));
}

std::string ClusterScene::ToldVersion(std::string_view kind, const std::string& name,
                                      const std::string& secret) const {
  return Get(kind, name)["spec"]["template"]["metadata"]["annotations"].value(
      RestartAnnotation(secret), "");
}

void ClusterScene::PlaceGateway(const std::string& name) {
  Place("Gateway", name, json::parse(R"({"spec": {"gatewayClassName": "x", "listeners": [
    {"name": "http", "protocol": "HTTP", "port": 80},
    {"name": "https", "protocol": "HTTPS", "port": 443, "hostname": "site.test",
     "tls": {"mode": "Terminate",
             "certificateRefs": [{"group": "", "kind": "Secret", "name": "old-tls"}]}},
    {"name": "tls", "protocol": "TLS", "port": 8443,
     "tls": {"mode": "Terminate", "options": {"vendor.example/certificate": "built-in"}}}]}})"));
}

json ClusterScene::RefsOf(const std::string& listener, const std::string& gateway) const {
  const json object = Get("Gateway", gateway);
  for (const json& one : object["spec"]["listeners"]) {
    if (one["name"] == listener && one.contains("tls")) {
      return one["tls"].value("certificateRefs", json());
    }
  }
  return {};
}

void ClusterScene::Answer(const std::string& verb, const std::string& resource, int status) {
  api_.Intercept([=](const fakes::InterceptedRequest& request) {
    fakes::Interception out;
    if (request.verb != verb || request.resource != resource) return out;
    out.kind = fakes::Interception::Kind::kAnswer;
    out.status = status;
    out.body = json{
        {"kind", "Status"},
        {"apiVersion", "v1"},
        {"status", "Failure"},
        {"reason", status == 403 ? "Forbidden" : "InternalError"},
        {"message", resource + ": not for certflow"},
        {"code",
         status}}.dump();
    return out;
  });
}

seams::ProviderRef ClusterScene::Provider() const {
  seams::ProviderRef out;
  out.type = "kubernetes";
  out.ns = "edge";
  out.name = "cluster";
  out.settings = settings_.dump();
  return out;
}

std::unique_ptr<seams::Target> ClusterScene::Connect() {
  seams::TargetRef target{Provider(), {"0/1-cluster", "prod", "site", "uid", binding_.dump()}};
  auto made = ConnectClusterTarget(*store_, *client_, target);
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
  return std::move(made).value();
}

Result<void> ClusterScene::Deploy(const std::string& version) {
  auto& [pem, key] = made_[version];
  if (pem.empty()) {
    fakes::CertificateSpec spec;
    spec.names = "DNS:site.test";
    spec.not_before = fakes::SimulatedClock::kStart;
    spec.not_after = fakes::SimulatedClock::kStart + std::chrono::hours(24);
    const auto made = fakes::MakeCertificate(spec);
    pem = made.pem;
    key = made.key.ToPem().Reveal();
  }
  const seams::Binding at{"0/1-cluster", "prod", "site", "uid", binding_.dump()};
  auto target = Connect();
  CF_RETURN_IF_ERROR(target->Stage(ctx(), at, {version, pem, "", SecretBytes(key)}));
  return target->Activate(ctx(), at, {version});
}

Result<void> ClusterScene::GoBack(const std::string& version, const seams::WayBack& way_back) {
  const seams::Binding at{"0/1-cluster", "prod", "site", "uid", binding_.dump()};
  if (version.empty()) return Connect()->Deactivate(ctx(), at, way_back);
  return Connect()->Activate(ctx(), at, {version, true, way_back});
}

seams::TargetState ClusterScene::Observe() {
  const seams::Binding at{"0/1-cluster", "prod", "site", "uid", binding_.dump()};
  auto state = Connect()->Observe(ctx(), at);
  EXPECT_TRUE(state.ok()) << (state.ok() ? "" : state.error().message);
  return state.ok() ? std::move(state).value() : seams::TargetState();
}

std::string ClusterScene::LiveVersion(const std::string& name) const {
  const std::string text = api_.Peek("secrets", {"edge", name});
  if (text.empty()) return "";
  return json::parse(text)["metadata"]
      .value("annotations", json::object())
      .value("certflow.dev/version", "");
}

}  // namespace certflow::providers::kubernetes
