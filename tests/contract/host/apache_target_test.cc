#include "providers/targets/host/apache_target.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/contract/host/host_world.h"
#include "tests/contract/target/target_contract.h"
#include "tests/peers/local_shell.h"

namespace certflow::contract {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::unique_ptr<TargetWorld> DebianOverSsh() {
  return std::make_unique<HostWorld>("apache-sites", true);
}
std::unique_ptr<TargetWorld> SingleFile() {
  return std::make_unique<HostWorld>("apache-single", false);
}
INSTANTIATE_TEST_SUITE_P(ApacheByVirtualHostOverSsh, TargetContract,
                         testing::Values(&DebianOverSsh));
INSTANTIATE_TEST_SUITE_P(ApacheWithOneFile, TargetContract, testing::Values(&SingleFile));

class ApacheTargetTest : public testing::TestWithParam<const char*> {
 protected:
  ApacheTargetTest() : at_(world_.Binding("site")) {
    world_.Empty(at_);
    world_.PutForeign(at_, original_);
    Deploy(original_, "st-0");
  }
  ~ApacheTargetTest() override { fs::remove(extra_); }

  Context ctx() { return {*clock_}; }
  void Deploy(const Pair& pair, const std::string& version) {
    auto target = world_.Connect();
    ASSERT_TRUE(target->Stage(ctx(), at_, pair.AsBundle(version)).ok());
    const auto active = target->Activate(ctx(), at_, {version});
    ASSERT_TRUE(active.ok()) << active.error().message;
  }
  void Configure(const std::string& text) {
    extra_ = world_.host().folder() /
             (std::string(GetParam()) == "apache-sites" ? "conf-enabled/x.conf" : "conf.d/x.conf");
    test::WriteFile(extra_, text);
  }

  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  HostWorld world_{GetParam(), true};
  seams::Binding at_;
  const Pair original_ = MakePair("original.test");
  const Pair first_ = MakePair("first.test");
  const Pair second_ = MakePair("second.test");
  std::string extra_;
};
INSTANTIATE_TEST_SUITE_P(Layouts, ApacheTargetTest,
                         testing::Values("apache-sites", "apache-single"));

// R-51: found by virtual host and ServerName, served, and put back.
TEST_P(ApacheTargetTest, ServesTheNewCertificateAndTheOldOneAfterGoingBack) {
  Deploy(first_, "st-1");
  EXPECT_EQ(world_.Served(), first_.fingerprint) << "a reload is over when Activate is";
  EXPECT_NE(world_.Served("other.test"), first_.fingerprint);
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), at_, {"st-0", true}).ok());
  EXPECT_EQ(world_.Served(), original_.fingerprint);
}

// R-03
TEST_P(ApacheTargetTest, TellsVirtualHostNameAndFile) {
  const auto state = world_.Connect()->Observe(ctx(), at_);
  ASSERT_TRUE(state.ok()) << state.error().message;
  ASSERT_EQ(state->placements.size(), 1u);
  const seams::Placement& placement = state->placements.front();
  const std::string port = world_.host()["https"].substr(world_.host()["https"].rfind(':') + 1);
  EXPECT_EQ(placement.device, "web.test");
  EXPECT_EQ(placement.virtual_host, "*:" + port);
  EXPECT_EQ(std::to_string(placement.port), port);
  EXPECT_EQ(placement.server_name, "site.test");
  EXPECT_EQ(placement.location, world_.host()["cert"]);
  EXPECT_EQ(state->way_back.at("certificateFile"), world_.host()["cert"]);
}

// R-51
TEST_P(ApacheTargetTest, AConfigurationThatIsBrokenAlreadyIsLeftAlone) {
  auto target = world_.Connect();
  ASSERT_TRUE(target->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  Configure("NoSuchThing on\n");
  const auto active = target->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().reason, "ConfigBroken");
  EXPECT_NE(active.error().message.find("NoSuchThing"), std::string::npos)
      << active.error().message;
  EXPECT_EQ(world_.Served(), original_.fingerprint);
}

// What is not found in a configuration that is broken may be behind the fault.
TEST_P(ApacheTargetTest, WhereANameIsNotFoundTheFaultOfTheConfigurationIsTold) {
  Configure("NoSuchThing on\n");
  seams::Binding gone = at_;
  gone.settings = R"({"serverName":"gone.test"})";
  const auto state = world_.Connect()->Observe(ctx(), gone);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().reason, "VirtualHostNotFound");
  EXPECT_NE(state.error().message.find("NoSuchThing"), std::string::npos) << state.error().message;
}

// Apache's own test does not see it, and its reload would be its end.
TEST_P(ApacheTargetTest, APairThatDoesNotFitDoesNotReachTheReload) {
  const std::string key =
      std::string(GetParam()) == "apache-sites" ? "privkey.pem" : "combined.pem";
  ASSERT_TRUE(world_.Connect()->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  test::WriteFile(world_.folder(at_) + "/st-1/" + key,
                  key == "privkey.pem" ? second_.key : first_.chain + second_.key);
  auto active = world_.Connect()->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().reason, "VersionDamaged");
  fs::remove(world_.folder(at_) + "/st-1/sums");
  active = world_.Connect()->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().reason, "ConfigTestFailed");
  EXPECT_NE(active.error().message.find("does not belong"), std::string::npos)
      << active.error().message;
  EXPECT_EQ(world_.Served(), original_.fingerprint);
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
}

// Somebody else's broken pair, which no test of Apache shows, ends Apache at our reload: that is
// told, and the files are put back for its next start.
TEST_P(ApacheTargetTest, AnApacheThatDiesWhileItIsReloadedGetsItsFilesBack) {
  if (std::string(GetParam()) == "apache-sites") return;  // where it starts from does not matter
  const std::string other = world_.host().folder() / "tls/other.key";
  const std::string whole = test::ReadFile(other);
  ASSERT_TRUE(world_.Connect()->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  test::WriteFile(other, second_.key);
  const auto active = world_.Connect()->Activate(ctx(), at_, {"st-1"});
  test::WriteFile(other, whole);
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().reason, "ReloadFailed");
  EXPECT_EQ(active.error().code, ErrorCode::kUnknownOutcome) << "nothing serves any more";
  EXPECT_NE(active.error().message.find("ended"), std::string::npos) << active.error().message;
  EXPECT_NE(active.error().message.find("cannot be started"), std::string::npos)
      << active.error().message;
  EXPECT_EQ(world_.Live(at_)->fingerprint, original_.fingerprint);
  test::LocalShell shell;
  ASSERT_TRUE(shell
                  .Run(ctx(),
                       world_.host()["server"] + " -f " + world_.host()["config"] +
                           " -k start >/dev/null 2>&1 </dev/null",
                       {})
                  .ok());
  EXPECT_TRUE(world_.AwaitServed(original_.fingerprint));
}

TEST_P(ApacheTargetTest, TheWayBackIsTheOneThatTheRunCame) {
  Deploy(first_, "st-1");
  const auto state = world_.Connect()->Observe(ctx(), at_);
  ASSERT_TRUE(state.ok());
  // By now the name stands for nothing.
  seams::Binding gone = at_;
  gone.settings = R"({"serverName":"gone.test"})";
  EXPECT_EQ(world_.Connect()->Observe(ctx(), gone).error().reason, "VirtualHostNotFound");
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), gone, {"st-0", true, state->way_back}).ok());
  EXPECT_EQ(world_.Served(), original_.fingerprint);
}

TEST_P(ApacheTargetTest, AStaleChainIsNotServedWithANewCertificate) {
  const std::string chain = world_.host().folder() / "tls/old-chain.pem";
  test::WriteFile(chain, second_.chain);
  Configure("SSLCertificateChainFile " + chain + "\n");
  const auto staged = world_.Connect()->Stage(ctx(), at_, first_.AsBundle("st-1"));
  ASSERT_FALSE(staged.ok());
  EXPECT_EQ(staged.error().reason, "ChainFileConfigured");
  EXPECT_NE(staged.error().message.find("remove the directive"), std::string::npos);
}

TEST_P(ApacheTargetTest, TheProbeTellsVersionAndBrokenConfiguration) {
  auto shell = WebhostShell(world_.host(), true, *clock_);
  auto ready = providers::host::CheckApacheHost(ctx(), world_.settings(), *shell);
  ASSERT_TRUE(ready.ok()) << ready.error().message;
  EXPECT_TRUE(ready->server.starts_with("Apache/")) << ready->server;
  EXPECT_EQ(ready->warning, "");
  Configure("NoSuchThing on\n");
  ready = providers::host::CheckApacheHost(ctx(), world_.settings(), *shell);
  ASSERT_TRUE(ready.ok());
  EXPECT_NE(ready->warning.find("NoSuchThing"), std::string::npos) << ready->warning;
  EXPECT_EQ(
      providers::host::CheckApacheHost(ctx(), R"({"host":"h","apachePath":"/no/apache"})", *shell)
          .error()
          .reason,
      "ApacheMissing");
}

class ApacheKeyTypeTest : public testing::Test {
 protected:
  Context ctx() { return {*clock_}; }
  seams::Binding Both(const std::string& key_type) {
    json settings = {{"serverName", "both.test"}};
    if (!key_type.empty()) settings["keyType"] = key_type;
    return {"0/web", "prod", "both", "uid", settings.dump()};
  }
  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  HostWorld world_{"apache-single", false};
};

// R-51: RSA and ECDSA beside each other.
TEST_F(ApacheKeyTypeTest, OneOfTwoCertificatesIsChosenByItsKeyType) {
  const auto unsaid = world_.Connect()->Observe(ctx(), Both(""));
  ASSERT_FALSE(unsaid.ok());
  EXPECT_EQ(unsaid.error().reason, "SeveralCertificates");
  EXPECT_NE(unsaid.error().message.find("both-rsa.pem (RSA 2048)"), std::string::npos)
      << unsaid.error().message;
  const auto ecdsa = world_.Connect()->Observe(ctx(), Both("ECDSA"));
  ASSERT_TRUE(ecdsa.ok()) << ecdsa.error().message;
  EXPECT_TRUE(ecdsa->placements.front().location.ends_with("tls/both-ec.pem"));
  const auto rsa = world_.Connect()->Observe(ctx(), Both("RSA"));
  ASSERT_TRUE(rsa.ok()) << rsa.error().message;
  EXPECT_TRUE(rsa->placements.front().location.ends_with("tls/both-rsa.pem"));
  const auto staged =
      world_.Connect()->Stage(ctx(), Both("RSA"), MakePair("both.test").AsBundle("st-1"));
  ASSERT_FALSE(staged.ok()) << "an ECDSA key in place of an RSA key";
  EXPECT_EQ(staged.error().reason, "KeyTypeMismatch");
}

}  // namespace
}  // namespace certflow::contract
