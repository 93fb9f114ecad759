// What the documents show: every object is one that the API server takes, and every kubectl command
// has flags and resources that exist.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "tests/controlplane/controlplane.h"
#include "tests/envtest/docs/fences.h"

namespace certflow::envtest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kProbe = R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateWorkflow
metadata: {name: probe, namespace: default}
spec:
  certificate: {dnsNames: [probe.example.com], secretName: probe}
  authorities: [{name: probe}]
)";

std::vector<Fence> AllFences() {
  const std::filesystem::path root = CERTFLOW_SOURCE_DIR;
  std::vector<std::filesystem::path> files = {root / "README.md", root / "CONTRIBUTING.md",
                                              root / "controller/README.md",
                                              root / "providers/README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Fence> all;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    EXPECT_TRUE(in.good()) << file;
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    for (Fence& fence : FencesOf(file.lexically_relative(root).string(), text)) {
      all.push_back(std::move(fence));
    }
  }
  return all;
}

// One API server with crds/ and manifests/install for all tests of the program.
class DocsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto started = controlplane::ControlPlane::Start({});
    if (!started.ok()) {
      why_ = started.error().message;
      return;
    }
    plane_ = std::move(*started);
    for (const char* folder : {"crds", "manifests/install"}) {
      auto applied = plane_->ApplyFile(std::string(CERTFLOW_SOURCE_DIR) + "/" + folder);
      ASSERT_TRUE(applied.ok()) << applied.error().message;
    }
    ASSERT_TRUE(AwaitPolicies());
  }
  // The admission plugins learn of our kinds a moment after they are served.
  static bool AwaitPolicies() {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < limit) {
      if (DryApply(std::string(kProbe)).exit_code == 0) return true;
    }
    return false;
  }
  static void TearDownTestSuite() { plane_.reset(); }
  void SetUp() override {
    if (plane_ != nullptr) return;
    if (controlplane::Required()) FAIL() << why_;
    GTEST_SKIP() << why_;
  }

  static kube::ProgramOutput Kubectl(std::vector<std::string> args, std::string input = "") {
    auto result = plane_->Kubectl(std::move(args), "admin", std::move(input));
    if (!result.ok()) return {-1, "", result.error().message};
    return std::move(*result);
  }
  static kube::ProgramOutput DryApply(const std::string& yaml) {
    for (const std::string& name : NamespacesIn(yaml)) {
      if (!made_.insert(name).second) continue;
      Kubectl({"create", "namespace", name});  // some are there already
    }
    return Kubectl({"apply", "--dry-run=server", "--validate=strict", "-f", "-"}, yaml);
  }
  // Whether `kubectl COMMAND --help` or the flags of every command have it.
  static bool HasFlag(std::vector<std::string> command, const std::string& flag) {
    command.emplace_back("--help");
    std::string& help = help_[command];
    if (help.empty()) help = Kubectl(command).out + Kubectl({"options"}).out;
    const bool is_long = flag.starts_with("--");
    return help.find(is_long ? flag + "=" : "    " + flag + ", ") != std::string::npos;
  }
  static bool IsResource(const std::string& name) {
    return Kubectl({"get", name, "--all-namespaces"}).exit_code == 0;
  }

 private:
  static inline std::unique_ptr<controlplane::ControlPlane> plane_;
  static inline std::string why_;
  static inline std::set<std::string> made_;
  static inline std::map<std::vector<std::string>, std::string> help_;
};

TEST(FencesTest, BlocksAreFoundWithLanguageAndPlace) {
  const auto fences = FencesOf("a.md", "text\n```yaml\na: 1\nb: 2\n```\n\n  ```sh\n  ls\n  ```\n");
  ASSERT_EQ(fences.size(), 2u);
  EXPECT_EQ(fences[0].where, "a.md:2");
  EXPECT_EQ(fences[0].language, "yaml");
  EXPECT_EQ(fences[0].text, "a: 1\nb: 2\n");
  EXPECT_EQ(fences[1].language, "sh");
}

TEST(FencesTest, NamespacesAreFoundInBothStyles) {
  EXPECT_THAT(NamespacesIn("metadata: {name: x, namespace: web}\n---\n  namespace: shop\n"
                           "  namespace: web\n"),
              ElementsAre("web", "shop"));
}

TEST(FencesTest, CommandsAreCutAsAShellDoes) {
  const auto commands = CommandsOf(
      "# kubectl no\nkubectl annotate cwr st-1 \\\n  x/approve='renewal by me'  # why\n"
      "kubectl get cwf | cat -n\nls\n",
      "kubectl");
  ASSERT_EQ(commands.size(), 2u);
  EXPECT_THAT(commands[0],
              ElementsAre("kubectl", "annotate", "cwr", "st-1", "x/approve=renewal by me"));
  EXPECT_THAT(commands[1], ElementsAre("kubectl", "get", "cwf"));
}

TEST(FencesTest, FlagsAndKindsOfACommandAreFound) {
  const KubectlUse get = UseOf({"kubectl", "get", "-n", "web", "cwf,cwr/st-1", "--sort-by=.a"});
  EXPECT_THAT(get.command, ElementsAre("get"));
  EXPECT_THAT(get.flags, ElementsAre("-n", "--sort-by"));
  EXPECT_THAT(get.kinds, ElementsAre("cwf", "cwr"));
  const KubectlUse create = UseOf({"kubectl", "create", "secret", "tls", "-n", "web", "a"});
  EXPECT_THAT(create.command, ElementsAre("create", "secret", "tls"));
  EXPECT_TRUE(create.kinds.empty());
}

TEST_F(DocsTest, EveryObjectIsAccepted) {
  int objects = 0;
  for (const Fence& fence : AllFences()) {
    if (fence.language != "yaml" || fence.text.find("apiVersion:") == std::string::npos) continue;
    const auto answer = DryApply(fence.text);
    EXPECT_EQ(answer.exit_code, 0) << fence.where << "\n" << answer.err;
    EXPECT_THAT(answer.err, testing::Not(HasSubstr("Warning:"))) << fence.where;
    ++objects;
  }
  EXPECT_GT(objects, 10) << "the documents have lost their examples";
}

TEST_F(DocsTest, AWrongFieldWouldBeFound) {
  const auto answer = DryApply(R"(
apiVersion: certflow.dev/v1alpha1
kind: CertificateAuthority
metadata: {name: a, namespace: default}
spec: {ca: {secretNam: x}}
)");
  EXPECT_NE(answer.exit_code, 0);
  EXPECT_THAT(answer.err, HasSubstr("secretNam"));
}

TEST_F(DocsTest, EveryKubectlCommandHasFlagsAndResourcesThatExist) {
  std::set<std::string> good;
  int commands = 0;
  for (const Fence& fence : AllFences()) {
    if (fence.language != "sh") continue;
    for (const auto& words : CommandsOf(fence.text, "kubectl")) {
      const KubectlUse use = UseOf(words);
      ++commands;
      for (const std::string& flag : use.flags) {
        EXPECT_TRUE(HasFlag(use.command, flag))
            << fence.where << ": kubectl " << use.command[0] << " has no " << flag;
      }
      for (const std::string& kind : use.kinds) {
        if (!good.insert(kind).second) continue;
        EXPECT_TRUE(IsResource(kind)) << fence.where << ": there is no resource " << kind;
      }
    }
  }
  EXPECT_GT(commands, 10);
}

}  // namespace
}  // namespace certflow::envtest
