#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/controlplane/controlplane.h"

namespace certflow::envtest {

// Who takes part. Approvers hold certflow-approver in the namespace "team" by a RoleBinding.
inline constexpr std::string_view kAdmin = "admin";
inline constexpr std::string_view kDora = "dora@example.com";  // web-team, approver
inline constexpr std::string_view kEmil = "emil@example.com";  // cab, approver
inline constexpr std::string_view kGwen = "gwen@example.com";  // web-team, approver and editor
inline constexpr std::string_view kErin = "erin@example.com";  // editor who may patch runs
inline constexpr std::string_view kMallory = "mallory@example.com";  // nothing
inline constexpr std::string_view kSpaced = "Pat Doe";               // approver
inline constexpr std::string_view kController = "system:serviceaccount:certflow-system:certflow";

struct Answer {
  int code = 0;
  std::string out;
  std::string err;
  bool ok() const { return code == 0; }
};

// A real API server with crds/ and manifests/install as they are shipped.
class Cluster {
 public:
  // Null, with `why` set, when there is no control plane to start. `fill_in` false leaves the
  // MutatingAdmissionPolicy out, as on servers before 1.36. Policies are in force on return.
  static std::unique_ptr<Cluster> Start(bool fill_in, std::string* why);

  Answer Kubectl(std::vector<std::string> args, std::string_view user = kAdmin,
                 std::string input = "");
  // kubectl create of JSON or YAML in the namespace "team".
  Answer Create(const std::string& object, std::string_view user = kAdmin);
  Answer Annotate(const std::string& object, const std::string& annotation, std::string_view user);
  // The value of an annotation; empty when it is not there.
  std::string Annotation(const std::string& object, const std::string& name);
  std::string Get(const std::string& object, const std::string& jsonpath);

  // Objects with names of their own, made by the administrator (by `user`).
  std::string NewRun();                                     // "workflowrun/st-..."
  std::string NewWorkflow(std::string_view user = kAdmin);  // "certificateworkflow/wf-..."

 private:
  explicit Cluster(std::unique_ptr<controlplane::ControlPlane> plane) : plane_(std::move(plane)) {}
  Result<void> Install(bool fill_in);
  bool WaitForPolicies(bool fill_in);

  std::unique_ptr<controlplane::ControlPlane> plane_;
  int count_ = 0;
};

std::string SourcePath(std::string_view path);
std::string ReadText(const std::string& path);
std::string RunYaml(const std::string& name, const std::string& annotations = "{}");
std::string WorkflowYaml(const std::string& name, const std::string& annotations = "{}");

// One cluster for all tests of the program. Without the control plane's programs a test says that
// it was skipped, or fails with CERTFLOW_REQUIRE_ENVTEST=1.
class ClusterTest : public testing::Test {
 protected:
  void SetUp() override;
  Cluster& cluster() { return *cluster_; }

 private:
  Cluster* cluster_ = nullptr;
};

}  // namespace certflow::envtest
