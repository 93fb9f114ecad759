#include "tests/envtest/controller/stage.h"

#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "tests/envtest/controller/await.h"

namespace certflow::envtest {
namespace {

constexpr std::string_view kController = "system:serviceaccount:certflow-system:certflow";

constexpr const char* kPeople = R"(
apiVersion: v1
kind: Namespace
metadata: {name: "{ns}", labels: {{labels}}}
---
apiVersion: v1
kind: Secret
metadata: {name: corp-ca, namespace: "{ns}", labels: {certflow.dev/allow: "true"}}
type: kubernetes.io/tls
data: {tls.crt: "{ca_pem}", tls.key: "{ca_key}"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: approvers, namespace: "{ns}"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: certflow-approver}
subjects:
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: dora@example.com}
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: emil@example.com}
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: frida@example.com}
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: mallory@example.com}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: editors, namespace: "{ns}"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: certflow-editor}
subjects:
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: dora@example.com}
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: erin@example.com}
---
apiVersion: certflow.dev/v1alpha1
kind: CertificateAuthority
metadata: {name: corp, namespace: "{ns}"}
spec: {ca: {secretName: corp-ca}}
)";

}  // namespace

std::unique_ptr<Stage> Stage::Start(std::string* why) {
  std::unique_ptr<Stage> stage(new Stage);
  controlplane::Options options;
  options.users = {{std::string(kDora), {"web-team"}}, {std::string(kEmil), {"cab"}},
                   {std::string(kFrida), {"cab"}},     {std::string(kErin), {"web-team"}},
                   {std::string(kMallory), {}},        {std::string(kController), {}}};
  auto plane = controlplane::ControlPlane::Start(std::move(options));
  if (!plane.ok()) {
    *why = plane.error().message;
    return nullptr;
  }
  stage->plane_ = std::move(*plane);
  if (auto installed = stage->Install(); !installed.ok()) {
    ADD_FAILURE() << installed.error().message;
    *why = installed.error().message;
    return nullptr;
  }
  stage->MakeAuthorityPair();
  return stage;
}

Stage::~Stage() = default;

Result<void> Stage::Install() {
  const std::string source = CERTFLOW_SOURCE_DIR;
  CF_RETURN_IF_ERROR(plane_->ApplyFile(source + "/crds"));
  CF_RETURN_IF_ERROR(plane_->ApplyFile(source + "/manifests/install"));
  const auto installed = std::chrono::steady_clock::now();
  // Decisions of the first seconds do not count: a policy takes effect a moment after it is
  // written.
  if (!AwaitPolicies() || !Await([&] { return SecondsSince(installed) > 6.5; }, 10)) {
    return MakeError(ErrorCode::kTimeout, "NoPolicy", "the policies do not come into force");
  }
  Answer token =
      Kubectl({"create", "token", "certflow", "-n", "certflow-system", "--duration", "9h"});
  if (!token.ok()) return MakeError(ErrorCode::kUnavailable, "NoToken", token.err);
  token_ = token.out.substr(0, token.out.find('\n'));
  KeepSecret(token_);
  return {};
}

bool Stage::AwaitPolicies() {
  const std::string probe = R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: probe, annotations: {NOTES}}
spec:
  certificate: {dnsNames: [probe.example.com], secretName: probe-tls}
  authorities: [{name: corp}]
)";
  auto dry = [&](const std::string& notes) {
    std::string text = probe;
    text.replace(text.find("NOTES"), 5, notes);
    return Kubectl({"create", "-n", "default", "--dry-run=server", "-o",
                    R"(jsonpath={.metadata.annotations.certflow\.dev/changed-by})", "-f", "-"},
                   kAdmin, text);
  };
  return Await(
      [&] { return !dry("certflow.dev/changed-by: nobody").ok() && dry("").out == "admin"; }, 60);
}

void Stage::MakeAuthorityPair() {
  const std::string key = folder_ / "ca.key";
  const std::string certificate = folder_ / "ca.crt";
  RunTool({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
           "-nodes", "-days", "30", "-subj", "/CN=corp CA", "-keyout", key, "-out", certificate,
           "-addext", "keyUsage=critical,keyCertSign,cRLSign"});
  ca_pem_ = test::ReadFile(certificate);
  ca_key_ = test::ReadFile(key);
}

std::string Stage::Kubeconfig(const std::string& server, const std::string& ca_file) {
  const std::string path = folder_ / ("kubeconfig-" + std::to_string(++count_));
  test::WriteFile(path, R"(apiVersion: v1
kind: Config
current-context: x
clusters: [{name: c, cluster: {server: ")" +
                            (server.empty() ? plane_->url() : server) +
                            "\", certificate-authority: \"" +
                            (ca_file.empty() ? plane_->ca_file() : ca_file) +
                            "\"}}]\nusers: [{name: u, user: {token: \"" + token_ +
                            "\"}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n");
  return path;
}

std::unique_ptr<Replica> Stage::NewReplica(std::vector<std::string> args, std::string server,
                                           std::string ca_file) {
  std::string kubeconfig = Kubeconfig(server, ca_file);
  logs_.push_back(folder_ / ("certflow-" + std::to_string(++count_) + ".log"));
  return std::make_unique<Replica>(keeper_, kubeconfig, logs_.back(), std::move(args));
}

Replica& Stage::controller() {
  if (!controller_) {
    controller_ = NewReplica({"--http01-port", std::to_string(http01_port_)});
  }
  if (!controller_->Running()) {
    controller_->Start();
    EXPECT_TRUE(controller_->AwaitLeading()) << controller_->Log();
  }
  return *controller_;
}

void Stage::StopController() {
  if (!controller_ || !controller_->Running()) return;
  EXPECT_TRUE(controller_->Stop());
}

Answer Stage::Kubectl(std::vector<std::string> args, std::string_view user, std::string input) {
  auto result = plane_->Kubectl(std::move(args), user, std::move(input));
  if (!result.ok()) return {-1, "", result.error().message};
  return {result->exit_code, result->out, result->err};
}

Answer Stage::Annotate(const std::string& ns, const std::string& object,
                       const std::string& annotation, std::string_view user) {
  return Kubectl({"annotate", "-n", ns, "--overwrite", object, annotation}, user);
}

void Stage::Create(const std::string& ns, const std::string& yaml, std::string_view user) {
  std::vector<std::string> args = {"create", "--validate=strict", "-f", "-"};
  if (!ns.empty()) args.insert(args.end(), {"-n", ns});
  Answer made = Kubectl(std::move(args), user, yaml);
  ASSERT_TRUE(made.ok()) << made.err << yaml;
}

std::string Stage::NewNamespace(const std::string& labels) {
  std::string ns = "t" + std::to_string(++count_);
  Create("", Fill(kPeople, {{"ns", ns},
                            {"labels", labels},
                            {"ca_pem", Base64Encode(ca_pem_)},
                            {"ca_key", Base64Encode(ca_key_)}}));
  return ns;
}

void Stage::MakeSecret(const std::string& ns, const std::string& name,
                       const std::map<std::string, std::string>& data, bool allowed,
                       const std::string& type) {
  Json secret = {{"apiVersion", "v1"},
                 {"kind", "Secret"},
                 {"type", type},
                 {"metadata", {{"name", name}}},
                 {"stringData", data}};
  if (allowed) secret["metadata"]["labels"] = {{"certflow.dev/allow", "true"}};
  Create(ns, secret.dump());
}

namespace {

std::unique_ptr<Stage>& Shared() {
  static std::unique_ptr<Stage> stage;
  return stage;
}

// After all tests: whatever they did, nothing secret has been seen.
class LastLook : public testing::Environment {
 public:
  void TearDown() override {
    if (Shared() != nullptr) Shared()->ExpectNothingLeaked();
    Shared().reset();
  }
};
[[maybe_unused]] testing::Environment* const last_look =
    testing::AddGlobalTestEnvironment(new LastLook);

}  // namespace

void StageTest::SetUp() {
  static std::string why;
  if (Shared() == nullptr && why.empty()) Shared() = Stage::Start(&why);
  stage_ = Shared().get();
  if (stage_ != nullptr) return;
  if (controlplane::Required()) FAIL() << why;
  GTEST_SKIP() << why;
}

void NamespaceTest::SetUp() {
  StageTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  stage().controller();
  ns_ = stage().NewNamespace();
  Prepare();
}

}  // namespace certflow::envtest
