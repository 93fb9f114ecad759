#include "controller/net/shell.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "controller/net/waiter.h"
#include "tests/fakes/net/loopback.h"
#include "tests/unit/net/http_fixture.h"
#include "tests/unit/net/sshd_fixture.h"

namespace certflow::net {
namespace {

class ShellTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = std::make_unique<SshServer>(); }
  static void TearDownTestSuite() { server_.reset(); }

  Context Ctx(Duration limit = Duration(30'000)) const {
    Context ctx{*clock_};
    ctx.deadline = clock_->Steady() + limit;
    return ctx;
  }
  SshEndpoint Endpoint(const std::string& user_key = "ed25519",
                       const std::string& host_key = "ed25519") const {
    SshEndpoint endpoint;
    endpoint.host = "127.0.0.1";
    endpoint.port = server_->port();
    endpoint.user = server_->user();
    endpoint.private_key_pem = SecretBytes(server_->UserKey(user_key));
    endpoint.host_keys = {server_->HostKey(host_key)};
    return endpoint;
  }
  std::unique_ptr<Shell> Open(const SshEndpoint& endpoint) const {
    auto shell = MakeSshConnector()->Connect(Ctx(), endpoint);
    EXPECT_TRUE(shell.ok());
    return std::move(shell).value();
  }
  std::unique_ptr<Shell> Open() const { return Open(Endpoint()); }
  // A file that a command makes, to know that it runs.
  std::string Marker() const {
    return server_->folder() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  // Runs `then` as soon as the marker is there.
  template <typename Action>
  std::jthread WhenRunning(Action then) const {
    return std::jthread([this, marker = Marker(), then] {
      const SteadyTime limit = clock_->Steady() + std::chrono::seconds(20);
      while (!std::filesystem::exists(marker) && clock_->Steady() < limit) {
        clock_->WaitUntil(clock_->Steady() + Duration(2), {});
      }
      then();
    });
  }
  std::string LongCommand() const { return "touch " + ShellQuote(Marker()) + "; exec sleep 60"; }

  static std::unique_ptr<SshServer> server_;
  std::unique_ptr<Clock> clock_ = MakeSystemClock();
};

std::unique_ptr<SshServer> ShellTest::server_;

TEST_F(ShellTest, CommandsRunOneAfterTheOtherOnOneConnection) {
  auto shell = Open();
  const int before = server_->connections();
  const auto first = shell->Run(Ctx(), "echo out; echo err >&2; exit 3", "");
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->exit_code, 3);
  EXPECT_EQ(first->out, "out\n");
  EXPECT_EQ(first->err, "err\n");
  const auto second = shell->Run(Ctx(), "true", "");
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->exit_code, 0);
  EXPECT_EQ(server_->connections(), before + 1);
}

TEST_F(ShellTest, InputIsFedWholeAndClosed) {
  auto shell = Open();
  const std::string input(5'000'000, 'x');
  const auto counted = shell->Run(Ctx(), "wc -c", input);
  ASSERT_TRUE(counted.ok()) << counted.error().message;
  EXPECT_EQ(std::stoul(counted->out), input.size());
  EXPECT_EQ(shell->Run(Ctx(), "cat", "secret")->out, "secret");
  EXPECT_EQ(shell->Run(Ctx(), "cat", "")->out, "");
}

TEST_F(ShellTest, CommandThatReadsNoInputStillEnds) {
  const auto done = Open()->Run(Ctx(), "exit 5", std::string(5'000'000, 'x'));
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->exit_code, 5);
}

TEST_F(ShellTest, OutputIsCutAtItsLimitAndTheCommandEnds) {
  const auto done = Open()->Run(Ctx(), "head -c 3000000 /dev/zero; echo e >&2", "");
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->out.size(), kMaxCommandOutput);
  EXPECT_EQ(done->err, "e\n");
  EXPECT_EQ(done->exit_code, 0);
}

TEST_F(ShellTest, CommandThatASignalEndsSaysSo) {
  const auto done = Open()->Run(Ctx(), "kill -TERM $$", "");
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->exit_code, 128 + 15);
}

TEST_F(ShellTest, EveryKindOfKeyWorks) {
  for (const char* user : {"ed25519", "ecdsa", "rsa", "rsa_pem", "ecdsa_pem"}) {
    const auto done = Open(Endpoint(user))->Run(Ctx(), "true", "");
    EXPECT_TRUE(done.ok()) << user << ": " << done.error().message;
  }
  for (const char* host : {"ed25519", "ecdsa", "rsa"}) {
    const auto done = Open(Endpoint("ed25519", host))->Run(Ctx(), "true", "");
    EXPECT_TRUE(done.ok()) << host << ": " << done.error().message;
  }
}

TEST_F(ShellTest, HostKeyMayBePinnedByFingerprint) {
  SshEndpoint endpoint = Endpoint();
  endpoint.host_keys = {server_->HostFingerprint("ed25519")};
  EXPECT_TRUE(Open(endpoint)->Run(Ctx(), "true", "").ok());
}

TEST_F(ShellTest, OtherHostKeyIsUntrusted) {
  SshEndpoint endpoint = Endpoint();
  SshServer other;
  endpoint.host_keys = {other.HostKey("ed25519"), other.HostFingerprint("rsa")};
  EXPECT_EQ(CodeOf(Open(endpoint)->Run(Ctx(), "touch " + Marker(), "")), ErrorCode::kUntrusted);
  EXPECT_FALSE(std::filesystem::exists(Marker()));
}

TEST_F(ShellTest, UnknownKeyIsUnauthorized) {
  SshEndpoint endpoint = Endpoint();
  endpoint.private_key_pem = SecretBytes(server_->StrangerKey());
  EXPECT_EQ(CodeOf(Open(endpoint)->Run(Ctx(), "true", "")), ErrorCode::kUnauthorized);
}

TEST_F(ShellTest, EndpointsThatCannotBeTrustedAreInvalid) {
  const auto connector = MakeSshConnector();
  SshEndpoint endpoint = Endpoint();
  endpoint.host_keys.clear();
  EXPECT_EQ(CodeOf(connector->Connect(Ctx(), endpoint)), ErrorCode::kInvalid);
  endpoint.host_keys = {"nonsense"};
  EXPECT_EQ(CodeOf(connector->Connect(Ctx(), endpoint)), ErrorCode::kInvalid);
  endpoint.host_keys = {"SHA256:short"};
  EXPECT_EQ(CodeOf(connector->Connect(Ctx(), endpoint)), ErrorCode::kInvalid);
  endpoint = Endpoint();
  endpoint.private_key_pem = SecretBytes("no key");
  EXPECT_EQ(CodeOf(connector->Connect(Ctx(), endpoint)), ErrorCode::kInvalid);
}

TEST_F(ShellTest, RefusedAndDeadAddresses) {
  SshEndpoint endpoint = Endpoint();
  endpoint.host = "169.254.169.254";
  EXPECT_EQ(CodeOf(Open(endpoint)->Run(Ctx(), "true", "")), ErrorCode::kRefused);
  endpoint.host = "127.0.0.1";
  endpoint.port = 1;
  EXPECT_EQ(CodeOf(Open(endpoint)->Run(Ctx(), "true", "")), ErrorCode::kUnavailable);
}

TEST_F(ShellTest, ConnectionLostWhileACommandRunsIsAnUnknownOutcome) {
  auto shell = Open();
  const auto cutter = WhenRunning([] { server_->CutConnections(); });
  EXPECT_EQ(CodeOf(shell->Run(Ctx(), LongCommand(), "")), ErrorCode::kUnknownOutcome);
}

TEST_F(ShellTest, ConnectionLostBetweenCommandsIsMadeAgain) {
  auto shell = Open();
  ASSERT_TRUE(shell->Run(Ctx(), "true", "").ok());
  server_->CutConnections();
  const auto again = shell->Run(Ctx(), "true", "");
  EXPECT_TRUE(again.ok()) << again.error().message;
}

TEST_F(ShellTest, DeadlineWhileACommandRunsIsAnUnknownOutcome) {
  auto shell = Open();
  ASSERT_TRUE(shell->Run(Ctx(), "true", "").ok());
  EXPECT_EQ(CodeOf(shell->Run(Ctx(Duration(150)), "sleep 60", "")), ErrorCode::kUnknownOutcome);
  EXPECT_TRUE(shell->Run(Ctx(), "true", "").ok()) << "the shell goes on with a new connection";
}

TEST_F(ShellTest, StopTakesEffectAtOnce) {
  auto shell = Open();
  std::stop_source stop;
  SteadyTime stopped;
  auto stopper = WhenRunning([&] {
    stopped = clock_->Steady();
    stop.request_stop();
  });
  const auto ended = shell->Run(Ctx().WithStop(stop.get_token()), LongCommand(), "");
  const auto late = clock_->Steady();
  stopper.join();
  EXPECT_EQ(CodeOf(ended), ErrorCode::kCancelled);
  EXPECT_LT(late - stopped, std::chrono::milliseconds(500));
}

TEST_F(ShellTest, HostThatAcceptsAndSaysNothingEndsAtTheDeadline) {
  const OwnedFd listener(fakes::ListenOnLoopback());
  SshEndpoint endpoint = Endpoint();
  endpoint.port = fakes::PortOf(listener.get());
  EXPECT_EQ(CodeOf(Open(endpoint)->Run(Ctx(Duration(100)), "true", "")), ErrorCode::kTimeout);
}

TEST(ShellQuoteTest, MakesOneWordOfAnything) {
  EXPECT_EQ(ShellQuote(""), "''");
  EXPECT_EQ(ShellQuote("a b$(c)`d`\n"), "'a b$(c)`d`\n'");
  EXPECT_EQ(ShellQuote("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellQuote(std::string_view("a\0b", 3)), "'a'");
}

}  // namespace
}  // namespace certflow::net
