#include "providers/targets/host/haproxy_target.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/contract/host/host_world.h"
#include "tests/contract/target/target_contract.h"
#include "tests/peers/local_shell.h"

namespace certflow::contract {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::unique_ptr<TargetWorld> SocketOverSsh() {
  return std::make_unique<HostWorld>("haproxy-dir", true);
}
std::unique_ptr<TargetWorld> ByFrontend() {
  return std::make_unique<HostWorld>("haproxy-list", false);
}
INSTANTIATE_TEST_SUITE_P(HaproxyBySocketOverSsh, TargetContract, testing::Values(&SocketOverSsh));
INSTANTIATE_TEST_SUITE_P(HaproxyByFrontend, TargetContract, testing::Values(&ByFrontend));

class HaproxyTargetTest : public testing::TestWithParam<const char*> {
 protected:
  explicit HaproxyTargetTest(const std::string& layout = GetParam())
      : world_(layout, true), at_(world_.Binding("site")) {
    world_.Empty(at_);
    world_.PutForeign(at_, original_);
    Deploy(original_, "st-0");
  }

  Context ctx() { return {*clock_}; }
  void Deploy(const Pair& pair, const std::string& version) {
    auto target = world_.Connect();
    ASSERT_TRUE(target->Stage(ctx(), at_, pair.AsBundle(version)).ok());
    const auto active = target->Activate(ctx(), at_, {version});
    ASSERT_TRUE(active.ok()) << active.error().message;
  }

  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  HostWorld world_;
  seams::Binding at_;
  const Pair original_ = MakePair("site.test");
  const Pair first_ = MakePair("site.test");
  const Pair second_ = MakePair("site.test");
};
INSTANTIATE_TEST_SUITE_P(Layouts, HaproxyTargetTest,
                         testing::Values("haproxy-dir", "haproxy-list"));

// R-53
TEST_P(HaproxyTargetTest, ServesTheNewCertificateAndTheOldOneAfterGoingBack) {
  Deploy(first_, "st-1");
  EXPECT_TRUE(world_.AwaitServed(first_.fingerprint));
  EXPECT_NE(world_.Served("other.test"), first_.fingerprint);
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), at_, {"st-0", true}).ok());
  EXPECT_TRUE(world_.AwaitServed(original_.fingerprint));
}

TEST_P(HaproxyTargetTest, TheProbeTellsVersionAndBrokenConfiguration) {
  auto shell = WebhostShell(world_.host(), true, *clock_);
  auto ready = providers::host::CheckHaproxyHost(ctx(), world_.settings(), *shell);
  ASSERT_TRUE(ready.ok()) << ready.error().message;
  EXPECT_TRUE(ready->server.starts_with("HAProxy version")) << ready->server;
  EXPECT_EQ(ready->warning, "");
  json settings = json::parse(world_.settings());
  settings["configFile"] = "/dev/null/x";
  ready = providers::host::CheckHaproxyHost(ctx(), settings.dump(), *shell);
  ASSERT_TRUE(ready.ok());
  EXPECT_NE(ready->warning, "");
  settings["haproxyPath"] = "/no/haproxy";
  EXPECT_EQ(providers::host::CheckHaproxyHost(ctx(), settings.dump(), *shell).error().reason,
            "HaproxyMissing");
}

// A host that has one of the tools only.
class OneToolShell : public net::Shell {
 public:
  explicit OneToolShell(std::string tool) : tool_(std::move(tool)) {}
  Result<net::CommandResult> Run(const Context& ctx, std::string_view command,
                                 std::string_view input) override {
    constexpr std::string_view kTools = "for tool in socat perl python3 nc";
    std::string text(command);
    const std::size_t at = text.find(kTools);
    if (at != std::string::npos) text.replace(at, kTools.size(), "for tool in " + tool_);
    return inner_.Run(ctx, text, input);
  }

 private:
  std::string tool_;
  test::LocalShell inner_;
};

class HaproxySocketTest : public HaproxyTargetTest {
 protected:
  HaproxySocketTest() : HaproxyTargetTest("haproxy-dir") {}
  std::string Ask(const std::string& commands) {
    test::LocalShell shell;
    auto result = shell.Run(ctx(), "socat - UNIX-CONNECT:" + world_.host()["socket"], commands);
    return result.ok() ? result->out : "";
  }
};
INSTANTIATE_TEST_SUITE_P(Tools, HaproxySocketTest, testing::Values("socat", "perl", "python3"));

// R-53
TEST_P(HaproxySocketTest, TheRunningProcessIsToldByWhatTheHostHas) {
  auto target = world_.ConnectBy(std::make_unique<OneToolShell>(GetParam()));
  ASSERT_TRUE(target->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  const auto active = target->Activate(ctx(), at_, {"st-1"});
  ASSERT_TRUE(active.ok()) << active.error().message;
  EXPECT_EQ(world_.Served(), first_.fingerprint) << "at once, without a reload";
  EXPECT_TRUE(target->Observe(ctx(), at_)->running);
}

TEST_P(HaproxySocketTest, AHostWithoutAnyToolIsToldBeforeAnythingIsDone) {
  OneToolShell shell("no-such-tool");
  const auto ready = providers::host::CheckHaproxyHost(ctx(), world_.settings(), shell);
  ASSERT_FALSE(ready.ok());
  EXPECT_EQ(ready.error().reason, "SocketToolMissing");
}

// R-53: a new file in the folder, which the running process has never seen.
TEST_P(HaproxySocketTest, ANewFileInTheFolderIsLoadedByAReload) {
  const seams::Binding fresh = world_.Binding("fresh");
  world_.Empty(fresh);
  auto target = world_.Connect();
  const Pair pair = MakePair("fresh.test");
  ASSERT_TRUE(target->Stage(ctx(), fresh, pair.AsBundle("st-1")).ok());
  const auto active = target->Activate(ctx(), fresh, {"st-1"});
  ASSERT_TRUE(active.ok()) << active.error().message;
  EXPECT_TRUE(world_.AwaitServed(pair.fingerprint, "fresh.test"));
  ASSERT_TRUE(target->Deactivate(ctx(), fresh, {}).ok());
  EXPECT_FALSE(world_.Live(fresh).has_value());
  world_.Empty(fresh);
}

// R-53: both or neither.
TEST_P(HaproxySocketTest, WhatTheProcessDoesNotTakeIsNotLeftOnDisk) {
  const std::string outside = world_.host().folder() / "tls/outside.pem";
  seams::Binding at = world_.Binding("outside");
  at.settings = json{{"certificateFile", outside}}.dump();
  auto target = world_.Connect();
  ASSERT_TRUE(target->Stage(ctx(), at, second_.AsBundle("st-1")).ok());
  const auto active = target->Activate(ctx(), at, {"st-1"});
  ASSERT_FALSE(active.ok());
  EXPECT_EQ(active.error().reason, "ReloadFailed");
  EXPECT_NE(active.error().message.find("does not name"), std::string::npos)
      << active.error().message;
  EXPECT_FALSE(fs::exists(outside));
  EXPECT_EQ(world_.Served(), original_.fingerprint);
}

// R-53: the running process is looked at, not only the file.
TEST_P(HaproxySocketTest, AProcessThatHoldsAnotherCertificateIsToldAgain) {
  Deploy(first_, "st-1");
  const std::string cert = world_.host()["cert"];
  const std::string done =
      Ask("set ssl cert " + cert + " <<\n" + second_.chain + second_.key + "\n");
  ASSERT_NE(done.find("Transaction"), std::string::npos) << done;
  ASSERT_NE(Ask("commit ssl cert " + cert + "\n").find("Success"), std::string::npos);
  ASSERT_EQ(world_.Served(), second_.fingerprint);
  EXPECT_FALSE(world_.Connect()->Observe(ctx(), at_)->running);
  ASSERT_TRUE(world_.Connect()->Activate(ctx(), at_, {"st-1"}).ok());
  EXPECT_EQ(world_.Served(), first_.fingerprint);
}

// HAProxy has one transaction at a time. One that a script of ours left behind when it was killed
// is ended; one of somebody else is named.
TEST_P(HaproxySocketTest, ATransactionThatWasLeftBehindStopsNobody) {
  Deploy(first_, "st-1");
  const seams::Binding fresh = world_.Binding("fresh");
  world_.Empty(fresh);
  auto target = world_.ConnectBy(std::make_unique<OneToolShell>(GetParam()));
  const Pair pair = MakePair("fresh.test");
  ASSERT_TRUE(target->Stage(ctx(), fresh, pair.AsBundle("st-1")).ok());
  const std::string ours = world_.host()["cert"];
  const std::string foreign = world_.host().folder() / "tls/certs/default.pem";
  for (const std::string& busy : {foreign, ours}) {
    const std::string begun =
        Ask("set ssl cert " + busy + " <<\n" + second_.chain + second_.key + "\n");
    ASSERT_NE(begun.find("Transaction created"), std::string::npos) << begun;
    const auto active = target->Activate(ctx(), fresh, {"st-1"});
    if (busy == ours) {
      ASSERT_TRUE(active.ok()) << active.error().message;
      continue;
    }
    ASSERT_FALSE(active.ok());
    EXPECT_EQ(active.error().reason, "ReloadFailed");
    EXPECT_NE(active.error().message.find("\"abort ssl cert " + busy + "\""), std::string::npos)
        << active.error().message;
    ASSERT_NE(Ask("abort ssl cert " + busy + "\n").find("aborted"), std::string::npos);
  }
  EXPECT_TRUE(world_.AwaitServed(pair.fingerprint, "fresh.test"));
  EXPECT_EQ(world_.Served(), first_.fingerprint);
  ASSERT_TRUE(target->Deactivate(ctx(), fresh, {}).ok());
  world_.Empty(fresh);
}

TEST_P(HaproxySocketTest, NoPrivateKeyIsInACommand) {
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
  ASSERT_TRUE(target->Activate(ctx(), at_, {"st-1"}).ok());
  EXPECT_EQ(ear.seen.find("PRIVATE KEY"), std::string::npos);
  EXPECT_EQ(ear.seen.find(first_.key.substr(30, 40)), std::string::npos);
}

// R-03, R-53
TEST(HaproxyListTest, AFrontendAndANameLeadToTheFile) {
  HostWorld world("haproxy-list", false);
  const auto clock = MakeSystemClock();
  const auto state = world.Connect()->Observe({*clock}, world.Binding("site"));
  ASSERT_TRUE(state.ok()) << state.error().message;
  ASSERT_EQ(state->placements.size(), 1u);
  EXPECT_EQ(state->placements.front().virtual_host, "web");
  EXPECT_EQ(state->placements.front().address, "127.0.0.1");
  EXPECT_EQ(state->placements.front().location, world.host()["cert"]);
  seams::Binding other = world.Binding("site");
  other.settings = R"({"frontend":"web","serverName":"other.test"})";
  const auto by_certificate = world.Connect()->Observe({*clock}, other);
  ASSERT_TRUE(by_certificate.ok()) << by_certificate.error().message;
  EXPECT_TRUE(by_certificate->placements.front().location.ends_with("/tls/other.pem"));
  other.settings = R"({"frontend":"web"})";
  EXPECT_EQ(world.Connect()->Observe({*clock}, other).error().reason, "VirtualHostAmbiguous");
  other.settings = R"({"frontend":"plain","serverName":"site.test"})";
  EXPECT_EQ(world.Connect()->Observe({*clock}, other).error().reason, "VirtualHostNotFound");
}

}  // namespace
}  // namespace certflow::contract
