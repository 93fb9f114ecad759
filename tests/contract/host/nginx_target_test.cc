#include "providers/targets/host/nginx_target.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/contract/host/host_world.h"
#include "tests/contract/target/target_contract.h"

namespace certflow::contract {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<TargetWorld> PlainFiles() { return std::make_unique<HostWorld>("plain", false); }
std::unique_ptr<TargetWorld> OneFile() { return std::make_unique<HostWorld>("combined", false); }
std::unique_ptr<TargetWorld> OverSsh() { return std::make_unique<HostWorld>("plain", true); }
std::unique_ptr<TargetWorld> ByName() { return std::make_unique<HostWorld>("nginx-sites", false); }

INSTANTIATE_TEST_SUITE_P(NginxWithTwoFiles, TargetContract, testing::Values(&PlainFiles));
INSTANTIATE_TEST_SUITE_P(NginxWithOneFile, TargetContract, testing::Values(&OneFile));
INSTANTIATE_TEST_SUITE_P(NginxOverSsh, TargetContract, testing::Values(&OverSsh));
INSTANTIATE_TEST_SUITE_P(NginxByName, TargetContract, testing::Values(&ByName));

class NginxTargetTest : public testing::Test {
 protected:
  NginxTargetTest() : at_(world_.Binding("site")) {
    world_.Empty(at_);
    world_.PutForeign(at_, original_);
  }
  ~NginxTargetTest() override { fs::remove(broken_); }

  Context ctx() { return {*clock_}; }
  void Break() { test::WriteFile(broken_, "server { listen 127.0.0.1:1; no_such_thing on; }\n"); }
  void Deploy(const Pair& pair, const std::string& version) {
    auto target = world_.Connect();
    ASSERT_TRUE(target->Stage(ctx(), at_, pair.AsBundle(version)).ok());
    const auto active = target->Activate(ctx(), at_, {version});
    ASSERT_TRUE(active.ok()) << active.error().message;
  }
  std::string original_version() const { return "original-" + original_.fingerprint.substr(0, 8); }

  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  HostWorld world_{"plain", true};
  seams::Binding at_;
  const Pair original_ = MakePair("original.test");
  const Pair first_ = MakePair("first.test");
  const Pair second_ = MakePair("second.test");
  std::string broken_ = world_.host().folder() / "conf.d/broken.conf";
};

// R-51
TEST_F(NginxTargetTest, ServesTheNewCertificateAndTheOldOneAfterGoingBack) {
  Deploy(first_, "st-1");
  EXPECT_TRUE(world_.AwaitServed(first_.fingerprint));
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), at_, {original_version(), true}).ok());
  EXPECT_TRUE(world_.AwaitServed(original_.fingerprint));
}

// R-51
TEST_F(NginxTargetTest, OwnerAndModeAreKept) {
  const std::string cert = world_.host()["cert"], key = world_.host()["keyfile"];
  fs::permissions(cert, fs::perms(0604));
  fs::permissions(key, fs::perms(0640));
  const bool root = geteuid() == 0;
  ASSERT_TRUE(!root || chown(key.c_str(), 12345, 23456) == 0);
  Deploy(first_, "st-1");
  Deploy(second_, "st-2");
  struct stat cert_stat, key_stat;
  ASSERT_EQ(stat(cert.c_str(), &cert_stat), 0);
  ASSERT_EQ(stat(key.c_str(), &key_stat), 0);
  EXPECT_EQ(cert_stat.st_mode & 07777, 0604u);
  EXPECT_EQ(key_stat.st_mode & 07777, 0640u);
  if (root) {
    EXPECT_EQ(key_stat.st_uid, 12345u);
    EXPECT_EQ(key_stat.st_gid, 23456u);
  }
}

TEST_F(NginxTargetTest, NewFilesGetNarrowModes) {
  world_.Empty(at_);
  Deploy(first_, "st-1");
  struct stat cert_stat, key_stat;
  ASSERT_EQ(stat(world_.host()["cert"].c_str(), &cert_stat), 0);
  ASSERT_EQ(stat(world_.host()["keyfile"].c_str(), &key_stat), 0);
  EXPECT_EQ(cert_stat.st_mode & 07777, 0644u);
  EXPECT_EQ(key_stat.st_mode & 07777, 0600u);
}

// R-51
TEST_F(NginxTargetTest, AConfigurationThatIsBrokenAlreadyIsLeftAlone) {
  ASSERT_TRUE(world_.Connect()->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  Break();
  const auto active = world_.Connect()->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().code, ErrorCode::kRefused);
  EXPECT_EQ(active.error().reason, "ConfigBroken");
  EXPECT_NE(active.error().message.find("no_such_thing"), std::string::npos)
      << active.error().message;
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
  EXPECT_EQ(world_.Connect()->Observe(ctx(), at_)->active, original_version());
}

TEST_F(NginxTargetTest, WhereANameIsNotFoundTheFaultOfTheConfigurationIsTold) {
  Break();
  seams::Binding gone = at_;
  gone.settings = R"({"serverName":"gone.test"})";
  const auto state = world_.Connect()->Observe(ctx(), gone);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().reason, "VirtualHostNotFound");
  EXPECT_NE(state.error().message.find("no_such_thing"), std::string::npos)
      << state.error().message;
}

// R-51, R-61: what cannot be loaded is taken back, and the server keeps serving.
TEST_F(NginxTargetTest, FilesThatTheServerRefusesAreTakenBack) {
  ASSERT_TRUE(world_.Connect()->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  // Somebody puts another key into the version after it was staged.
  test::WriteFile(world_.folder(at_) + "/st-1/privkey.pem", second_.key);
  fs::remove(world_.folder(at_) + "/st-1/sums");
  const auto active = world_.Connect()->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().code, ErrorCode::kRefused);
  EXPECT_EQ(active.error().reason, "ConfigTestFailed");
  EXPECT_NE(active.error().message.find("[emerg]"), std::string::npos) << active.error().message;
  EXPECT_EQ(active.error().message.find('\n'), std::string::npos);
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
  const auto state = world_.Connect()->Observe(ctx(), at_);
  EXPECT_EQ(state->active, original_version());
  EXPECT_TRUE(state->running);
}

TEST_F(NginxTargetTest, TheWayBackIsNotStoppedBySomebodyElsesBrokenConfiguration) {
  Deploy(first_, "st-1");
  Break();
  const auto back = world_.Connect()->Activate(ctx(), at_, {original_version(), true});
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().code, ErrorCode::kUnknownOutcome) << "files are back, nginx is not told";
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
  EXPECT_FALSE(world_.Connect()->Observe(ctx(), at_)->running);
  fs::remove(broken_);
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), at_, {original_version(), true}).ok());
  EXPECT_TRUE(world_.Connect()->Observe(ctx(), at_)->running);
  EXPECT_TRUE(world_.AwaitServed(original_.fingerprint));
}

TEST_F(NginxTargetTest, AServerThatCannotBeReloadedGetsItsFilesBack) {
  ASSERT_TRUE(world_.Connect()->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  const std::string pid = world_.host().folder() / "nginx.pid";
  const std::string number = test::ReadFile(pid);
  test::WriteFile(pid, "");
  const auto active = world_.Connect()->Activate(ctx(), at_, {"st-1"});
  test::WriteFile(pid, number);
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().reason, "ReloadFailed") << active.error().message;
  EXPECT_EQ(active.error().code, ErrorCode::kRefused);
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
  EXPECT_TRUE(world_.Connect()->Observe(ctx(), at_)->running);
}

TEST_F(NginxTargetTest, LinksOfAnotherToolAreFollowedAndTheirContentComesBack) {
  const fs::path archive = world_.host().folder() / "archive";
  fs::create_directories(archive);
  const std::string cert = world_.host()["cert"], key = world_.host()["keyfile"];
  fs::rename(cert, archive / "cert1.pem");
  fs::rename(key, archive / "key1.pem");
  fs::create_symlink(archive / "cert1.pem", cert);
  fs::create_symlink("../archive/key1.pem", key);
  Deploy(first_, "st-1");
  EXPECT_EQ(world_.Live(at_)->fingerprint, first_.fingerprint);
  ASSERT_TRUE(world_.Connect()->Deactivate(ctx(), at_, {}).ok());
  EXPECT_EQ(*world_.Live(at_), original_);
  EXPECT_EQ(test::ReadFile(archive / "key1.pem"), original_.key) << "the tool's own file is whole";
  fs::remove_all(archive);
}

TEST_F(NginxTargetTest, TheFolderOfASimilarlyNamedWorkflowIsRefused) {
  Deploy(first_, "st-1");
  seams::Binding other = at_;
  other.workflow_ns = "prod-site";
  other.workflow_name = "x";
  seams::Binding same_folder = at_;
  same_folder.workflow_ns = "prod-site";
  same_folder.workflow_name = "x";
  fs::rename(world_.folder(at_), world_.folder(other));
  const auto staged = world_.Connect()->Stage(ctx(), same_folder, second_.AsBundle("st-2"));
  fs::rename(world_.folder(other), world_.folder(at_));
  ASSERT_FALSE(staged.ok());
  EXPECT_EQ(staged.error().reason, "FolderOwnedByOther");
  EXPECT_EQ(staged.error().code, ErrorCode::kForbidden);
}

TEST_F(NginxTargetTest, DangerousPathsAreRefusedByName) {
  const std::string nul = "/etc/a\\u0000b";
  for (const std::string& path :
       {std::string("tls/a.pem"), std::string("/etc/../a.pem"), std::string("/etc/a\\nb"), nul,
        std::string("/etc/tls/"), std::string(""), std::string("/etc/.certflow-a-b/live/x")}) {
    seams::Binding at = at_;
    at.settings = R"({"certificateFile":"/etc/ok.pem","keyFile":")" + path + "\"}";
    const auto state = world_.Connect()->Observe(ctx(), at);
    ASSERT_FALSE(state.ok()) << path;
    EXPECT_EQ(state.error().code, ErrorCode::kInvalid) << path;
    EXPECT_NE(state.error().message.find("keyFile"), std::string::npos) << state.error().message;
  }
}

// A quote, a space and a dollar in a path are just characters.
TEST_F(NginxTargetTest, OddPathsAreTakenLiterally) {
  const fs::path odd = fs::path(world_.host()["cert"]).parent_path() / "it's $(touch x) \"odd\"";
  fs::create_directories(odd);
  seams::Binding at = at_;
  at.settings = R"({"certificateFile":")" + fs::path(world_.host()["cert"]).parent_path().string() +
                R"(/it's $(touch x) \"odd\"/c.pem","keyFile":")" +
                fs::path(world_.host()["cert"]).parent_path().string() +
                R"(/it's $(touch x) \"odd\"/k.pem"})";
  auto target = world_.Connect();
  const auto staged = target->Stage(ctx(), at, first_.AsBundle("st-1"));
  ASSERT_TRUE(staged.ok()) << staged.error().message;
  ASSERT_TRUE(target->Activate(ctx(), at, {"st-1"}).ok());
  EXPECT_EQ(test::ReadFile(odd / "k.pem"), first_.key);
  fs::remove_all(odd);
}

TEST_F(NginxTargetTest, NoPrivateKeyIsInACommand) {
  struct Listening : net::Shell {
    std::string seen;
    Result<net::CommandResult> Run(const Context&, std::string_view command,
                                   std::string_view) override {
      seen += command;
      return net::CommandResult{0, "certflow ok\n", ""};
    }
  };
  auto shell = std::make_unique<Listening>();
  Listening& ear = *shell;
  auto target = world_.ConnectBy(std::move(shell));
  ASSERT_TRUE(target->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  EXPECT_EQ(ear.seen.find("PRIVATE KEY"), std::string::npos);
  EXPECT_EQ(ear.seen.find(first_.key.substr(30, 40)), std::string::npos);
}

TEST_F(NginxTargetTest, ChallengesAreServedAndRemoved) {
  auto files = std::move(*providers::host::MakeHostChallengeFiles(
      world_.settings(), WebhostShell(world_.host(), true, *clock_)));
  const std::string path = world_.host().folder() / "challenges/-tok_En";
  ASSERT_TRUE(files->Put(ctx(), "-tok_En", "-tok_En.thumb").ok());
  ASSERT_TRUE(files->Put(ctx(), "-tok_En", "-tok_En.thumb").ok());
  EXPECT_EQ(test::ReadFile(path), "-tok_En.thumb");
  ASSERT_TRUE(files->Remove(ctx(), "-tok_En").ok());
  ASSERT_TRUE(files->Remove(ctx(), "-tok_En").ok());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(files->Put(ctx(), "../x", "y").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(files->Remove(ctx(), "").error().code, ErrorCode::kInvalid);
}

TEST_F(NginxTargetTest, TheProbeTellsVersionAndBrokenConfiguration) {
  auto shell = WebhostShell(world_.host(), true, *clock_);
  auto ready = providers::host::CheckNginxHost(ctx(), world_.settings(), *shell);
  ASSERT_TRUE(ready.ok()) << ready.error().message;
  EXPECT_TRUE(ready->server.starts_with("nginx/")) << ready->server;
  EXPECT_EQ(ready->warning, "");
  Break();
  ready = providers::host::CheckNginxHost(ctx(), world_.settings(), *shell);
  ASSERT_TRUE(ready.ok());
  EXPECT_NE(ready->warning.find("no_such_thing"), std::string::npos) << ready->warning;
  const auto none =
      providers::host::CheckNginxHost(ctx(), R"({"host":"h","nginxPath":"/no/nginx"})", *shell);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().reason, "NginxMissing");
  const auto no_file = providers::host::CheckNginxHost(
      ctx(), R"({"host":"h","nginxPath":"/bin/sh","configFile":"/no/nginx.conf"})", *shell);
  ASSERT_FALSE(no_file.ok());
  EXPECT_EQ(no_file.error().reason, "ConfigFileMissing");
  EXPECT_NE(no_file.error().message.find("/no/nginx.conf"), std::string::npos);
}

// R-51
TEST_F(NginxTargetTest, AVersionThatTheDiskSpoiledIsNotActivated) {
  ASSERT_TRUE(world_.Connect()->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  test::WriteFile(world_.folder(at_) + "/st-1/privkey.pem", second_.key);
  const auto active = world_.Connect()->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().code, ErrorCode::kRefused);
  EXPECT_EQ(active.error().reason, "VersionDamaged");
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
  Deploy(first_, "st-1");
  EXPECT_EQ(*world_.Live(at_), first_) << "staging again makes it whole";
}

}  // namespace
}  // namespace certflow::contract
