#include "tests/envtest/api/cluster.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace certflow::envtest {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kPolicyLimit{60};

constexpr std::string_view kTeam = R"(
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: approvers, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: certflow-approver}
subjects:
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: dora@example.com}
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: emil@example.com}
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: gwen@example.com}
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: Pat Doe}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: editors, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: certflow-editor}
subjects:
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: erin@example.com}
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: gwen@example.com}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: run-patcher, namespace: team}
rules: [{apiGroups: [certflow.dev], resources: [workflowruns], verbs: [patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: run-patcher, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: run-patcher}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: erin@example.com}]
)";

std::vector<controlplane::Identity> Users() {
  return {{std::string(kDora), {"web-team"}}, {std::string(kEmil), {"cab"}},
          {std::string(kGwen), {"web-team"}}, {std::string(kErin), {"web-team"}},
          {std::string(kMallory), {}},        {std::string(kSpaced), {"web-team"}},
          {std::string(kController), {}}};
}

}  // namespace

std::unique_ptr<Cluster> Cluster::Start(bool fill_in, std::string* why) {
  controlplane::Options options;
  options.users = Users();
  auto plane = controlplane::ControlPlane::Start(std::move(options));
  if (!plane.ok()) {
    *why = plane.error().message;
    return nullptr;
  }
  std::unique_ptr<Cluster> cluster(new Cluster(std::move(*plane)));
  if (auto installed = cluster->Install(fill_in); !installed.ok()) {
    ADD_FAILURE() << installed.error().message;
    *why = installed.error().message;
    return nullptr;
  }
  return cluster;
}

Result<void> Cluster::Install(bool fill_in) {
  CF_RETURN_IF_ERROR(plane_->ApplyFile(SourcePath("crds")));
  CF_RETURN_IF_ERROR(plane_->ApplyFile(SourcePath("manifests/install")));
  if (!fill_in) {
    Kubectl({"delete", "mutatingadmissionpolicybinding/certflow-approvals",
             "mutatingadmissionpolicy/certflow-approvals"});
  }
  CF_RETURN_IF_ERROR(plane_->ApplyText(kTeam));
  if (!WaitForPolicies(fill_in)) {
    return MakeError(ErrorCode::kTimeout, "NoPolicy", "the policies do not come into force");
  }
  return {};
}

bool Cluster::WaitForPolicies(bool fill_in) {
  const std::string probe = WorkflowYaml("probe");
  const std::string forged = WorkflowYaml("probe", "{certflow.dev/changed-by: somebody}");
  const auto limit = steady_clock::now() + kPolicyLimit;
  while (steady_clock::now() < limit) {
    Answer refused =
        Kubectl({"create", "-n", "team", "--dry-run=server", "-f", "-"}, kAdmin, forged);
    Answer filled =
        Kubectl({"create", "-n", "team", "--dry-run=server", "-o",
                 R"(jsonpath={.metadata.annotations.certflow\.dev/changed-by})", "-f", "-"},
                kAdmin, probe);
    if (!refused.ok() && filled.ok() && filled.out == (fill_in ? "admin" : "")) return true;
  }
  return false;
}

Answer Cluster::Kubectl(std::vector<std::string> args, std::string_view user, std::string input) {
  auto result = plane_->Kubectl(std::move(args), user, std::move(input));
  if (!result.ok()) return {-1, "", result.error().message};
  return {result->exit_code, result->out, result->err};
}

Answer Cluster::Create(const std::string& object, std::string_view user) {
  return Kubectl({"create", "-n", "team", "--validate=strict", "-f", "-"}, user, object);
}

Answer Cluster::Annotate(const std::string& object, const std::string& annotation,
                         std::string_view user) {
  return Kubectl({"annotate", "-n", "team", "--overwrite", object, annotation}, user);
}

std::string Cluster::Get(const std::string& object, const std::string& jsonpath) {
  Answer answer = Kubectl({"get", "-n", "team", object, "-o", "jsonpath=" + jsonpath});
  return answer.ok() ? answer.out : "error: " + answer.err;
}

std::string Cluster::Annotation(const std::string& object, const std::string& name) {
  std::string escaped;
  for (char c : name) escaped += c == '.' ? std::string("\\.") : std::string(1, c);
  return Get(object, "{.metadata.annotations." + escaped + "}");
}

std::string Cluster::NewRun() {
  char name[32];
  std::snprintf(name, sizeof name, "st-%010x", ++count_);
  Answer made = Create(RunYaml(name));
  EXPECT_TRUE(made.ok()) << made.err;
  return std::string("workflowrun/") + name;
}

std::string Cluster::NewWorkflow(std::string_view user) {
  const std::string name = "wf-" + std::to_string(++count_);
  Answer made = Create(WorkflowYaml(name), user);
  EXPECT_TRUE(made.ok()) << made.err;
  return "certificateworkflow/" + name;
}

std::string SourcePath(std::string_view path) {
  return std::string(CERTFLOW_SOURCE_DIR) + "/" + std::string(path);
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string RunYaml(const std::string& name, const std::string& annotations) {
  return "apiVersion: certflow.dev/v1alpha1\nkind: WorkflowRun\nmetadata: {name: " + name +
         ", annotations: " + annotations + R"(}
spec:
  workflowRef: {name: shop, uid: 0f0e0d0c-0b0a-4908-8706-050403020100}
  number: 1
  trigger: {reason: Threshold, urgency: Normal, requestedBy: erin@example.com}
  plan:
    spec:
      certificate: {dnsNames: [shop.example.com], secretName: shop-tls}
      authorities: [{name: company-ca}]
    authority: {name: company-ca, namespace: team, type: ca, reason: the first one}
    targets: [{id: 0/0-secret, wave: 0, type: kubernetes, namespace: team}]
  planDigest: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  runbookVersion: "1"
)";
}

std::string WorkflowYaml(const std::string& name, const std::string& annotations) {
  return "apiVersion: certflow.dev/v1alpha1\nkind: CertificateWorkflow\nmetadata: {name: " + name +
         ", annotations: " + annotations + R"(}
spec:
  certificate: {commonName: shop.example.com, dnsNames: [shop.example.com], secretName: shop-tls}
  authorities: [{name: company-ca}]
)";
}

void ClusterTest::SetUp() {
  static std::string why;
  static const std::unique_ptr<Cluster> shared = Cluster::Start(true, &why);
  cluster_ = shared.get();
  if (cluster_ != nullptr) return;
  if (controlplane::Required()) FAIL() << why;
  GTEST_SKIP() << why;
}

}  // namespace certflow::envtest
