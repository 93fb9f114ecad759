#include "providers/targets/host/host_files.h"

#include <gtest/gtest.h>

#include <utility>

#include "providers/targets/host/host_settings.h"
#include "providers/targets/host/nginx_target.h"
#include "tests/fakes/clock/simulated_clock.h"

namespace certflow::providers::host {
namespace {

// Answers every command alike and keeps the last one.
class ScriptedShell : public net::Shell {
 public:
  ScriptedShell(Result<net::CommandResult> answer, std::string& command)
      : answer_(std::move(answer)), command_(command) {}
  Result<net::CommandResult> Run(const Context&, std::string_view command,
                                 std::string_view) override {
    command_ = command;
    return answer_;
  }

 private:
  Result<net::CommandResult> answer_;
  std::string& command_;
};

class HostAnswerTest : public testing::Test {
 protected:
  std::unique_ptr<seams::Target> Connect(Result<net::CommandResult> answer, bool sudo = false) {
    const std::string settings =
        std::string(R"({"host":"web.test","sudo":)") + (sudo ? "true}" : "false}");
    return std::move(
        *MakeNginxTarget(settings, std::make_unique<ScriptedShell>(std::move(answer), command_)));
  }
  Context ctx() { return {clock_}; }

  fakes::SimulatedClock clock_;
  std::string command_;
  const seams::Binding at_{"0/web", "prod", "site", "uid",
                           R"({"certificateFile":"/etc/a.pem","keyFile":"/etc/a.key"})"};
};

TEST_F(HostAnswerTest, CommandsGoThroughSudoOnlyWhenAsked) {
  (void)Connect(net::CommandResult{0, "certflow ok\n", ""})->Deactivate(ctx(), at_, {}).ok();
  EXPECT_TRUE(command_.starts_with("sh -c '"));
  (void)Connect(net::CommandResult{0, "certflow ok\n", ""}, true)->Deactivate(ctx(), at_, {}).ok();
  EXPECT_TRUE(command_.starts_with("sudo -n sh -c '"));
}

TEST_F(HostAnswerTest, SudoThatRefusesIsToldAsSuch) {
  const auto done = Connect(net::CommandResult{1, "", "sudo: a password is required\n"}, true)
                        ->Deactivate(ctx(), at_, {});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kForbidden);
  EXPECT_EQ(done.error().reason, "SudoRefused");
}

TEST_F(HostAnswerTest, AChangeWithoutAnAnswerIsUnknownAndALookIsNot) {
  const net::CommandResult killed{137, "", "Killed\n"};
  EXPECT_EQ(Connect(killed)->Activate(ctx(), at_, {"st-1"}).error().code,
            ErrorCode::kUnknownOutcome);
  EXPECT_EQ(Connect(killed)->Observe(ctx(), at_).error().code, ErrorCode::kUnavailable);
  const Error lost = MakeError(ErrorCode::kUnknownOutcome, "ConnectionLost", "lost");
  EXPECT_EQ(Connect(lost)->Prune(ctx(), at_, {}).error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(Connect(lost)->Observe(ctx(), at_).error().code, ErrorCode::kUnavailable);
}

TEST_F(HostAnswerTest, WhatALoginShellPrintsBeforeIsSkipped) {
  const auto state =
      Connect(net::CommandResult{0,
                                 "Welcome!\ncertflow is nice\n\ncertflow ok\ncertificate ours\n"
                                 "key ours\nlive st-1\nreloaded st-1\nversion st-1\n",
                                 ""})
          ->Observe(ctx(), at_);
  // A line that only looks like an answer is not understood, and nothing is made of it.
  EXPECT_FALSE(state.ok());
  const auto good = Connect(net::CommandResult{0,
                                               "Welcome!\ncertflow ok\ncertificate ours\nkey "
                                               "ours\nlive st-1\nreloaded st-0\nversion st-1\n",
                                               ""})
                        ->Observe(ctx(), at_);
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(good->active, "st-1");
  EXPECT_FALSE(good->running) << "switched, and not loaded yet";
}

TEST_F(HostAnswerTest, OutputOfTheServerIsBoundedAndCleaned) {
  const std::string noise(100'000, 'x');
  const auto done = Connect(net::CommandResult{0,
                                               "certflow failed ConfigTestFailed\nnginx: [warn] w\n"
                                               "nginx: [emerg] \x1b[31mbad\x07 " +
                                                   noise + "\n",
                                               ""})
                        ->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kRefused);
  EXPECT_EQ(done.error().reason, "ConfigTestFailed");
  EXPECT_NE(done.error().message.find("[emerg]"), std::string::npos);
  EXPECT_EQ(done.error().message.find('\x1b'), std::string::npos);
  EXPECT_LT(done.error().message.size(), 1024u);
}

TEST_F(HostAnswerTest, UnknownOutcomeWinsOverTheReasonsOwnClass) {
  const auto done = Connect(net::CommandResult{0, "certflow unknown WriteFailed\nno space\n", ""})
                        ->Activate(ctx(), at_, {"st-1"});
  EXPECT_EQ(done.error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(done.error().reason, "WriteFailed");
}

TEST(NginxSettingsTest, WrongSettingsNameTheField) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"({})", "host"},
      {R"({"host":"h","port":0})", "port"},
      {R"({"host":"h","port":"22"})", "port"},
      {R"({"host":"h","sudo":"yes"})", "sudo"},
      {R"({"host":"h","nginxPath":"nginx"})", "nginxPath"},
      {R"({"host":"h","configFile":"/etc/../x"})", "configFile"},
      {R"({"host":"h","challengeDirectory":"/a//b"})", "challengeDirectory"},
  };
  for (const auto& [json, field] : kCases) {
    const auto settings = ParseNginxSettings(json);
    ASSERT_FALSE(settings.ok()) << json;
    EXPECT_EQ(settings.error().code, ErrorCode::kInvalid);
    EXPECT_TRUE(settings.error().message.starts_with(field)) << settings.error().message;
  }
  EXPECT_FALSE(ParseNginxSettings("[]").ok());
  EXPECT_TRUE(ParseNginxSettings(R"({"host":"h","port":65535})").ok());
}

TEST(RemotePathTest, TheLimitIsTheLimit) {
  EXPECT_TRUE(CheckRemotePath("f", "/" + std::string(kMaxRemotePath - 1, 'a')).ok());
  EXPECT_FALSE(CheckRemotePath("f", "/" + std::string(kMaxRemotePath, 'a')).ok());
  EXPECT_FALSE(CheckRemotePath("f", std::string("/a\0b", 4)).ok());
}

}  // namespace
}  // namespace certflow::providers::host
