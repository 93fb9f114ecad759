// A TLS Secret whose users are a Deployment that is restarted, and a listener of a Gateway.
#include "providers/targets/kubernetes/cluster_target.h"

#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "providers/stores/kubernetes/kube_secret_store.h"
#include "tests/contract/target/target_contract.h"
#include "tests/fakes/kube/memory_api_server.h"

namespace certflow::contract {
namespace {

using nlohmann::json;

const kube::Resource kDeployments{"apps", "v1", "deployments", "Deployment", true};
const kube::Resource kGateways{"gateway.networking.k8s.io", "v1", "gateways", "Gateway", true};
const kube::Resource kSecrets{"", "v1", "secrets", "Secret", true};
constexpr const char* kNs = "edge";

// R-52
class ClusterWorld : public TargetWorld {
 public:
  explicit ClusterWorld(bool gateway) : gateway_(gateway) {
    api_.Serve({kDeployments});
    api_.Serve({kGateways});
    api_.Intercept([this](const fakes::InterceptedRequest& request) {
      fakes::Interception out;
      if (rolling_) return out;
      if (request.verb == "get" && request.resource == "deployments") RollOut();
      if (++count_ != cut_.interaction) return out;
      out.kind = cut_.after ? fakes::Interception::Kind::kFailAfter
                            : fakes::Interception::Kind::kFailBefore;
      return out;
    });
  }

  std::unique_ptr<seams::Target> Connect() override {
    seams::TargetRef target;
    target.provider.type = "kubernetes";
    target.provider.ns = kNs;
    target.provider.name = "cluster";
    target.provider.settings =
        R"({"gateways": ["gw"], "restart": [{"kind": "Deployment", "name": "web"}]})";
    target.binding = Binding("site");
    return std::move(providers::kubernetes::ConnectClusterTarget(*store_, *client_, target))
        .value();
  }
  seams::Binding Binding(const std::string& workflow) const override {
    json settings = {{"secretName", workflow + "-tls"}};
    if (gateway_) settings["gateway"] = {{"name", "gw"}, {"listeners", {"https"}}};
    return {"0/cluster", "prod", workflow, "uid", settings.dump()};
  }
  void PutForeign(const seams::Binding& at, const Pair& pair) override {
    const kube::ObjectKey key{kNs, Name(at)};
    const std::string there = api_.Peek("secrets", key);
    json secret = there.empty() ? json{{"apiVersion", "v1"},
                                       {"kind", "Secret"},
                                       {"type", "kubernetes.io/tls"},
                                       {"metadata", {{"name", key.name}}}}
                                : json::parse(there);
    secret["metadata"]["labels"]["certflow.dev/allow"] = "true";
    secret["data"] = {{"tls.crt", Base64Encode(pair.chain)}, {"tls.key", Base64Encode(pair.key)}};
    const auto done =
        there.empty() ? client_->CreateSecretBody(ctx_, kSecrets, kNs, SecretBytes(secret.dump()))
                      : client_->ReplaceSecretBody(ctx_, kSecrets, key, SecretBytes(secret.dump()));
    ASSERT_TRUE(done.ok()) << done.error().message;
  }
  void Empty(const seams::Binding& at) override {
    for (const kube::ObjectKey& key : api_.Keys("secrets")) {
      if (key.name.starts_with(Name(at))) Remove(kSecrets, key);
    }
    for (const kube::Resource& resource : {kDeployments, kGateways}) {
      for (const kube::ObjectKey& key : api_.Keys(resource.plural)) Remove(resource, key);
    }
    Make(kDeployments, "web", {{"template", {{"metadata", json::object()}}}});
    Make(kGateways, "gw",
         {{"listeners",
           json::array({{{"name", "https"},
                         {"protocol", "HTTPS"},
                         {"tls", {{"certificateRefs", json::array({{{"name", "old-tls"}}})}}}}})}});
  }
  std::optional<Pair> Live(const seams::Binding& at) override {
    const std::string text = api_.Peek("secrets", {kNs, Name(at)});
    if (text.empty()) return std::nullopt;
    const json secret = json::parse(text);
    Pair pair{Value(secret, "tls.crt"), Value(secret, "tls.key"), ""};
    const auto chain = pki::ReadChain(pair.chain);
    if (chain.ok()) pair.fingerprint = chain->front().fingerprint;
    return pair;
  }
  void Arm(Cut cut) override {
    cut_ = cut;
    count_ = 0;
  }
  int interactions() const override { return count_; }

 private:
  // What the Deployment's controller and the nodes have done when it is looked at.
  void RollOut() {
    rolling_ = true;
    const json web = json::parse(api_.Peek("deployments", {kNs, "web"}));
    const json status = {{"status",
                          {{"observedGeneration", web["metadata"]["generation"]},
                           {"replicas", 1},
                           {"updatedReplicas", 1},
                           {"availableReplicas", 1}}}};
    const auto done =
        client_->MergePatch(ctx_, kDeployments, {kNs, "web"}, "status", status.dump());
    EXPECT_TRUE(done.ok());
    rolling_ = false;
  }
  static std::string Name(const seams::Binding& at) { return at.workflow_name + "-tls"; }
  static std::string Value(const json& secret, const char* key) {
    return std::string(Base64Decode(secret["data"][key].get<std::string>())->Reveal());
  }
  void Remove(const kube::Resource& resource, const kube::ObjectKey& key) {
    const auto live = client_->Get(ctx_, resource, key);
    ASSERT_TRUE(live.ok()) << live.error().message;
    ASSERT_TRUE(client_->Delete(ctx_, resource, key, {live->uid()}).ok());
  }
  void Make(const kube::Resource& resource, const std::string& name, const json& spec) {
    const json object = {{"apiVersion", resource.ApiVersion()},
                         {"kind", resource.kind},
                         {"metadata", {{"name", name}}},
                         {"spec", spec}};
    const auto made = client_->Create(ctx_, resource, kNs, object.dump());
    ASSERT_TRUE(made.ok()) << made.error().message;
  }

  const bool gateway_;
  fakes::SimulatedClock clock_;
  const Context ctx_{clock_};
  fakes::MemoryApiServer api_{clock_};
  std::unique_ptr<kube::Client> client_ = api_.NewClient();
  std::unique_ptr<seams::SecretStore> store_ = providers::store::MakeKubeSecretStore(*client_);
  bool rolling_ = false;
  Cut cut_;
  int count_ = 0;
};

std::unique_ptr<TargetWorld> WithRestart() { return std::make_unique<ClusterWorld>(false); }
std::unique_ptr<TargetWorld> WithGateway() { return std::make_unique<ClusterWorld>(true); }

INSTANTIATE_TEST_SUITE_P(SecretWithARestart, TargetContract, testing::Values(&WithRestart));
INSTANTIATE_TEST_SUITE_P(SecretOfAGateway, TargetContract, testing::Values(&WithGateway));

}  // namespace
}  // namespace certflow::contract
