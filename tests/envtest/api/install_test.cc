// manifests/install: rights, policies as they are compared, pod security.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/envtest/api/cluster.h"

namespace certflow::envtest {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class InstallTest : public ClusterTest {
 protected:
  // `resource` may have a name after '/' and a subresource after '#'.
  bool May(std::string_view user, const std::string& verb, const std::string& resource,
           const std::string& ns) {
    const std::size_t mark = resource.find('#');
    std::vector<std::string> args = {"auth", "can-i", verb, resource.substr(0, mark)};
    if (mark != std::string::npos) args.push_back("--subresource=" + resource.substr(mark + 1));
    if (ns == "*") {
      args.push_back("--all-namespaces");
    } else {
      args.insert(args.end(), {"-n", ns});
    }
    const Answer answer = cluster().Kubectl(std::move(args), user);
    EXPECT_THAT(answer.out, testing::AnyOf("yes\n", "no\n")) << answer.err;
    return answer.out == "yes\n";
  }
};

struct Right {
  const char* verb;
  const char* resource;
  const char* ns;  // "*": everywhere
  bool granted;
};

constexpr Right kControllersRights[] = {
    {"list", "certificateworkflows.certflow.dev", "*", true},
    {"watch", "workflowruns.certflow.dev", "*", true},
    {"watch", "notificationchannels.certflow.dev", "*", true},
    {"create", "workflowruns.certflow.dev", "team", true},
    {"patch", "workflowruns.certflow.dev", "team", true},
    {"delete", "workflowruns.certflow.dev", "team", true},
    {"update", "workflowruns.certflow.dev#status", "team", true},
    {"update", "certificateworkflows.certflow.dev#status", "team", true},
    {"patch", "certificateauthorities.certflow.dev#status", "team", true},
    {"get", "secrets", "team", true},
    {"create", "secrets", "team", true},
    {"update", "secrets", "team", true},
    {"delete", "secrets", "team", true},
    {"watch", "namespaces", "*", true},
    {"create", "events.events.k8s.io", "team", true},
    {"patch", "events.events.k8s.io", "team", true},
    {"get", "validatingadmissionpolicies.admissionregistration.k8s.io/certflow-approvals", "*",
     true},
    {"get", "validatingadmissionpolicybindings.admissionregistration.k8s.io/certflow-approvals",
     "*", true},
    {"create", "tokenreviews.authentication.k8s.io", "*", false},
    {"create", "subjectaccessreviews.authorization.k8s.io", "*", false},
    {"create", "leases.coordination.k8s.io", "certflow-system", true},
    {"patch", "leases.coordination.k8s.io/certflow", "certflow-system", true},
    {"create", "ingresses.networking.k8s.io", "certflow-system", true},
    {"delete", "ingresses.networking.k8s.io", "certflow-system", true},

    {"list", "secrets", "*", false},
    {"watch", "secrets", "*", false},
    {"list", "secrets", "certflow-system", false},
    {"watch", "secrets", "certflow-system", false},
    {"deletecollection", "secrets", "team", false},
    {"patch", "secrets", "team", false},
    {"approve", "workflowruns.certflow.dev", "team", false},
    {"approve", "workflowruns.certflow.dev", "*", false},
    {"update", "workflowruns.certflow.dev", "team", false},
    {"patch", "certificateworkflows.certflow.dev", "team", false},
    {"create", "certificateworkflows.certflow.dev", "team", false},
    {"delete", "certificateworkflows.certflow.dev", "team", false},
    {"patch", "deploymenttargets.certflow.dev", "team", false},
    {"update", "validatingadmissionpolicies.admissionregistration.k8s.io/certflow-approvals", "*",
     false},
    {"get", "validatingadmissionpolicies.admissionregistration.k8s.io/another", "*", false},
    {"delete", "validatingadmissionpolicybindings.admissionregistration.k8s.io/certflow-approvals",
     "*", false},
    {"escalate", "clusterroles.rbac.authorization.k8s.io", "*", false},
    {"bind", "clusterroles.rbac.authorization.k8s.io", "*", false},
    {"create", "rolebindings.rbac.authorization.k8s.io", "team", false},
    {"impersonate", "users", "*", false},
    {"create", "pods", "certflow-system", false},
    {"create", "serviceaccounts#token", "certflow-system", false},
    {"get", "configmaps", "team", false},
    {"update", "namespaces", "*", false},
    {"patch", "leases.coordination.k8s.io/another", "certflow-system", false},
    {"create", "leases.coordination.k8s.io", "team", false},
    {"create", "ingresses.networking.k8s.io", "team", false},
    {"*", "*", "*", false},
};

TEST_F(InstallTest, R32_TheControllerMayDoWhatItNeedsAndNothingMore) {
  for (const Right& right : kControllersRights) {
    EXPECT_EQ(May(kController, right.verb, right.resource, right.ns), right.granted)
        << right.verb << " " << right.resource << " in " << right.ns;
  }
}

TEST_F(InstallTest, R32_SecretsAreReadByNameOnly) {
  Answer listed = cluster().Kubectl({"get", "secrets", "-n", "team"}, kController);
  EXPECT_THAT(listed.err, HasSubstr("cannot list resource \"secrets\""));
  Answer read = cluster().Kubectl({"get", "secret", "absent", "-n", "team"}, kController);
  EXPECT_THAT(read.err, HasSubstr("not found"));
}

TEST_F(InstallTest, R31_ApproversDecideAndChangeNothingElse) {
  constexpr Right kRights[] = {
      {"get", "workflowruns.certflow.dev", "team", true},
      {"patch", "workflowruns.certflow.dev", "team", true},
      {"approve", "workflowruns.certflow.dev", "team", true},
      {"watch", "certificateworkflows.certflow.dev", "team", true},
      {"patch", "certificateworkflows.certflow.dev", "team", false},
      {"update", "workflowruns.certflow.dev#status", "team", false},
      {"create", "workflowruns.certflow.dev", "team", false},
      {"delete", "workflowruns.certflow.dev", "team", false},
      {"get", "secrets", "team", false},
      {"approve", "workflowruns.certflow.dev", "default", false},
  };
  for (const Right& right : kRights) {
    EXPECT_EQ(May(kDora, right.verb, right.resource, right.ns), right.granted)
        << right.verb << " " << right.resource << " in " << right.ns;
  }
  EXPECT_FALSE(May(kErin, "approve", "workflowruns.certflow.dev", "team")) << "an editor";
  EXPECT_TRUE(May(kErin, "create", "certificateworkflows.certflow.dev", "team"));
  EXPECT_FALSE(May(kErin, "update", "certificateworkflows.certflow.dev#status", "team"));
  EXPECT_FALSE(May(kMallory, "get", "workflowruns.certflow.dev", "team"));
}

// The controller compares what is in the cluster with what was shipped: nothing may be filled in by
// the server, or a good policy would look edited.
TEST_F(InstallTest, R32_ThePoliciesStandAsTheyAreShipped) {
  const auto expect_same = [&](const std::string& file) {
    Answer shipped = cluster().Kubectl({"create", "--dry-run=client", "--validate=false", "-o",
                                        "json", "-f", SourcePath("manifests/install/" + file)});
    ASSERT_TRUE(shipped.ok()) << shipped.err;
    std::istringstream documents(shipped.out);
    for (int i = 0; i < 2; ++i) {
      json item;
      documents >> item;
      const std::string kind = item["kind"];
      Answer live = cluster().Kubectl({"get", kind, "certflow-approvals", "-o", "json"});
      ASSERT_TRUE(live.ok()) << live.err;
      EXPECT_EQ(json::parse(live.out)["spec"], item["spec"]) << kind;
    }
  };
  expect_same("20-approvals.yaml");
  expect_same("21-approvals-fill-in.yaml");
}

TEST_F(InstallTest, R92_ThePodOfTheDeploymentIsAdmittedUnderRestrictedPodSecurity) {
  Answer deployment =
      cluster().Kubectl({"get", "deployment", "certflow", "-n", "certflow-system", "-o", "json"});
  ASSERT_TRUE(deployment.ok()) << deployment.err;
  const json spec = json::parse(deployment.out)["spec"];
  EXPECT_EQ(spec["replicas"], 2);
  json pod = {{"apiVersion", "v1"},
              {"kind", "Pod"},
              {"metadata", {{"name", "probe"}, {"namespace", "certflow-system"}}},
              {"spec", spec["template"]["spec"]}};
  const auto create = [&](const json& object) {
    return cluster().Kubectl({"create", "--dry-run=server", "-f", "-"}, kAdmin, object.dump());
  };
  Answer admitted = create(pod);
  EXPECT_TRUE(admitted.ok()) << admitted.err;
  pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true;
  EXPECT_THAT(create(pod).err, HasSubstr("violates PodSecurity \"restricted"));
}

}  // namespace
}  // namespace certflow::envtest
