#include "controller/kube/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "controller/base/base64.h"
#include "controller/kube/program.h"
#include "tests/fakes/clock/simulated_clock.h"

namespace certflow::kube {
namespace {

namespace fs = std::filesystem;

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "certflow-config-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (const char* name :
         {"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "POD_NAMESPACE"}) {
      ::unsetenv(name);
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = folder_ + "/" + name;
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::trunc) << text;
    return path;
  }
  std::string Config(const std::string& cluster, const std::string& user,
                     const std::string& name = "config") const {
    return Write(name,
                 "current-context: c\nclusters: [{name: c, cluster: {" + cluster +
                     "}}]\nusers: [{name: u, user: {" + user +
                     "}}]\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: n}}]\n");
  }
  std::string Script(const std::string& body) const {
    const std::string path = Write("plugin", "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n" + body);
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  std::string ExecConfig(const std::string& more = "interactiveMode: Never") const {
    return Config(
        "server: 'https://a'",
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, " + more + "}");
  }
  static std::string Credential(const std::string& status) {
    return "printf '%s' '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{" +
           status + "}}'\n";
  }
  int Runs() const {
    std::ifstream in(folder_ + "/runs");
    return static_cast<int>(std::count(std::istreambuf_iterator<char>(in), {}, '\n'));
  }
  std::string Token(ClientConfig& config) {
    auto credential = config.Current(ctx_);
    return credential.ok() ? std::string(credential->bearer_token.Reveal())
                           : "error: " + credential.error().message;
  }

  fakes::SimulatedClock clock_;
  Context ctx_{clock_, SteadyTime::max(), {}, {}};
  std::string folder_;
};

TEST_F(ConfigTest, FirstFileWinsEntryByEntryAndPathsAreTheFilesOwn) {
  Write("one/ca.pem", "CA-ONE");
  Write("two/ca.pem", "CA-TWO");
  Write(
      "one/config",
      "clusters: [{name: c, cluster: {server: 'https://one/', certificate-authority: ca.pem}}]\n");
  Write("two/config",
        "current-context: c\nclusters: [{name: c, cluster: {server: 'https://two'}}]\n"
        "users: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: c, user: "
        "u}}]\n");
  ::setenv("KUBECONFIG",
           (folder_ + "/missing:" + folder_ + "/one/config:" + folder_ + "/two/config").c_str(), 1);
  auto config = LoadConfig("", "");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ((*config)->server(), "https://one");
  EXPECT_EQ((*config)->default_namespace(), "default");
  auto credential = (*config)->Current(ctx_);
  ASSERT_TRUE(credential.ok()) << credential.error().message;
  EXPECT_EQ(credential->tls->ca_pem, "CA-ONE");
  EXPECT_EQ(credential->bearer_token.Reveal(), "t");
}

TEST_F(ConfigTest, DataWinsOverFilesAndNamesAreKept) {
  const std::string path =
      Config("server: 'https://a', certificate-authority: none.pem, certificate-authority-data: " +
                 Base64Encode("CA") + ", tls-server-name: real.name, proxy-url: 'http://p:1'",
             "client-certificate-data: " + Base64Encode("CERT") +
                 ", client-key-data: " + Base64Encode("KEY"));
  auto config = LoadKubeconfig(path, "");
  ASSERT_TRUE(config.ok()) << config.error().message;
  auto credential = (*config)->Current(ctx_);
  ASSERT_TRUE(credential.ok()) << credential.error().message;
  EXPECT_EQ(credential->tls->ca_pem, "CA");
  EXPECT_EQ(credential->tls->client_cert_pem, "CERT");
  EXPECT_EQ(credential->tls->client_key_pem.Reveal(), "KEY");
  EXPECT_EQ(credential->tls->server_name, "real.name");
  EXPECT_EQ((*config)->proxy(), "http://p:1");
  EXPECT_EQ((*config)->default_namespace(), "n");
}

TEST_F(ConfigTest, ChangedCertificateMakesNewOptionsAndUnchangedKeepsThem) {
  Write("c.pem", "CERT-1");
  Write("k.pem", "KEY-1");
  auto config = LoadKubeconfig(
      Config("server: 'https://a'", "client-certificate: c.pem, client-key: k.pem"), "");
  ASSERT_TRUE(config.ok());
  const auto first = (*config)->Current(ctx_)->tls;
  clock_.Advance(Duration{2'000});
  EXPECT_EQ((*config)->Current(ctx_)->tls, first);
  Write("c.pem", "CERT-22");
  clock_.Advance(Duration{2'000});
  const auto second = (*config)->Current(ctx_)->tls;
  EXPECT_NE(second, first);
  EXPECT_EQ(second->client_cert_pem, "CERT-22");
}

TEST_F(ConfigTest, TokenFileIsReadAgainAndKeptWhenItVanishes) {
  Write("token", " one\n");
  auto config = LoadKubeconfig(Config("server: 'https://a'", "tokenFile: token"), "");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(Token(**config), "one");
  Write("token", "two-longer");
  clock_.Advance(Duration{61'000});
  EXPECT_EQ(Token(**config), "two-longer");
  fs::remove(folder_ + "/token");
  clock_.Advance(Duration{61'000});
  EXPECT_EQ(Token(**config), "two-longer");
}

TEST_F(ConfigTest, NothingSecretGoesOverPlainText) {
  auto config = LoadKubeconfig(Config("server: 'http://a'", "token: t"), "");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(Token(**config), "");
}

TEST_F(ConfigTest, WrongFilesAreRefusedByName) {
  const std::pair<std::string, std::string> cases[] = {
      {Config("server: a", "", "n"), "https://"},
      {Config("server: 'https://a', insecure-skip-tls-verify: true, certificate-authority: x", "",
              "o"),
       "exclude"},
      {Config("server: 'https://a', proxy-url: 'ftp://x'", "", "p"), "proxy-url"},
      {Config("server: 'https://a'", "client-certificate: c", "q"), "belong together"},
      {Config("server: 'https://a'", "as: root", "r"), "as is not supported"},
      {Config("server: 'https://a'", "token: t, client-key-data: '%%', client-certificate: c", "s"),
       "base64"},
      {Write("t", "current-context: x\n"), "context \"x\""},
      {Write("v", "clusters: [\n"), "not YAML"},
      {folder_ + "/none", "cannot be read"},
  };
  for (const auto& [path, expected] : cases) {
    auto config = LoadKubeconfig(path, "");
    ASSERT_FALSE(config.ok()) << expected;
    EXPECT_NE(config.error().message.find(expected), std::string::npos) << config.error().message;
  }
}

TEST_F(ConfigTest, ServiceAccountBracketsIPv6AndReadsItsNamespace) {
  Write("sa/token", "tok\n");
  Write("sa/namespace", "certflow-system\n");
  ::setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  ::setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  auto config = LoadInCluster(folder_ + "/sa");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ((*config)->server(), "https://[fd00::1]:443");
  EXPECT_EQ((*config)->default_namespace(), "certflow-system");
  EXPECT_EQ(Token(**config), "tok");
  EXPECT_FALSE(LoadInCluster(folder_ + "/nothing").ok());
}

TEST_F(ConfigTest, PluginRunsOnceUntilItsCredentialEnds) {
  Script("echo >>runs\n" +
         Credential("\"token\":\"t\",\"expirationTimestamp\":\"2026-01-01T01:00:00Z\""));
  auto config = LoadKubeconfig(ExecConfig(), "");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(Token(**config), "t");
  EXPECT_EQ(Token(**config), "t");
  EXPECT_EQ(Runs(), 1);
  clock_.Advance(std::chrono::minutes(60));
  EXPECT_EQ(Token(**config), "t");
  EXPECT_EQ(Runs(), 2);
}

TEST_F(ConfigTest, RefusalsInABunchRunThePluginOnce) {
  Script("echo >>runs\n" + Credential("\"token\":\"t\""));
  auto config = LoadKubeconfig(ExecConfig(), "");
  ASSERT_TRUE(config.ok());
  Token(**config);
  for (int i = 0; i < 5; ++i) {
    (*config)->Refused();
    Token(**config);
  }
  EXPECT_EQ(Runs(), 2);
  clock_.Advance(Duration{6'000});
  Token(**config);
  EXPECT_EQ(Runs(), 3) << "refused again since: it is asked once more";
}

TEST_F(ConfigTest, PluginCertificateIsUsed) {
  Script(Credential("\"clientCertificateData\":\"CERT\",\"clientKeyData\":\"KEY\""));
  auto config = LoadKubeconfig(ExecConfig(), "");
  ASSERT_TRUE(config.ok());
  auto credential = (*config)->Current(ctx_);
  ASSERT_TRUE(credential.ok()) << credential.error().message;
  EXPECT_EQ(credential->tls->client_cert_pem, "CERT");
  EXPECT_EQ(credential->tls->client_key_pem.Reveal(), "KEY");
}

TEST_F(ConfigTest, PluginsThatGiveNothingAreAnErrorWithAReason) {
  const std::pair<std::string, std::string> cases[] = {
      {"echo broken >&2; exit 3", "exit code 3, broken"},
      {"echo hello", "not JSON"},
      {Credential(""), "neither"},
      {Credential("\"clientKeyData\":\"K\""), "belong together"},
      {"printf '{\"apiVersion\":\"other\",\"status\":{}}'", "apiVersion"},
      {Credential("\"token\":\"t\",\"expirationTimestamp\":\"soon\""), "expirationTimestamp"},
      {"head -c 3000000 /dev/zero", "wrote too much"},
  };
  for (const auto& [body, expected] : cases) {
    Script(body + "\n");
    auto config = LoadKubeconfig(ExecConfig(), "");
    ASSERT_TRUE(config.ok());
    auto credential = (*config)->Current(ctx_);
    ASSERT_FALSE(credential.ok()) << expected;
    EXPECT_EQ(credential.error().code, ErrorCode::kUnauthorized);
    EXPECT_NE(credential.error().message.find(expected), std::string::npos)
        << credential.error().message;
  }
}

TEST_F(ConfigTest, PluginThatNeedsATerminalIsRefused) {
  EXPECT_FALSE(LoadKubeconfig(ExecConfig("interactiveMode: Always"), "").ok());
  EXPECT_FALSE(LoadKubeconfig(ExecConfig("args: []"), "").ok()) << "v1 wants interactiveMode";
}

TEST(ProgramTest, HangingProgramDiesWithItsDeadline) {
  const auto clock = MakeSystemClock();
  const Context ctx = Context{*clock, SteadyTime::max(), {}, {}}.WithTimeout(Duration{100});
  auto result = RunProgram(ctx, {{"sleep", "60"}, OwnEnvironment(), ""});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kTimeout);
}

TEST(ProgramTest, InputGoesInAndBothOutputsComeOut) {
  const auto clock = MakeSystemClock();
  const Context ctx{*clock, SteadyTime::max(), {}, {}};
  const std::string input(300'000, 'x');
  auto result =
      RunProgram(ctx, {{"sh", "-c", "cat; echo err >&2; exit 4"}, OwnEnvironment(), input});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->out, input);
  EXPECT_EQ(result->err, "err\n");
  EXPECT_EQ(result->exit_code, 4);
  auto deaf = RunProgram(ctx, {{"true"}, OwnEnvironment(), input});
  ASSERT_TRUE(deaf.ok()) << "a program that does not read is no trouble";
  EXPECT_EQ(RunProgram(ctx, {{"no-such-program"}, {}, ""}).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace certflow::kube
