#include "controller/net/mail_client.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/fakes/net/raw_smtp_server.h"
#include "tests/fakes/net/test_ca.h"
#include "tests/unit/net/http_fixture.h"

namespace certflow::net {
namespace {

using fakes::RawSmtpServer;
using fakes::SmtpOptions;
using fakes::SmtpScript;

constexpr char kMessage[] = "Subject: hi\r\n\r\nline\r\n.dot\r\n";

class MailTest : public testing::Test {
 protected:
  Context Ctx(Duration limit = Duration(20'000)) const {
    Context ctx{*clock_};
    ctx.deadline = clock_->Steady() + limit;
    return ctx;
  }
  SmtpOptions Secure(SmtpScript script = {}) const {
    const fakes::PemPair pair = ca_.Issue({"127.0.0.1"});
    return SmtpOptions{std::move(script), {pair.cert, pair.key, {}}};
  }
  MailServer At(const RawSmtpServer& server, MailTls security = MailTls::kStartTls) const {
    auto tls = std::make_shared<TlsOptions>();
    tls->ca_pem = ca_.pem();
    MailServer at;
    at.host = "127.0.0.1";
    at.port = server.port();
    at.security = security;
    at.tls = std::move(tls);
    return at;
  }
  MailServer WithLogin(MailServer server) const {
    server.user = "robot";
    server.password = SecretBytes("p4ss");
    return server;
  }
  Result<void> Send(const MailServer& server) {
    return mail_->Send(Ctx(), server, {"a@example.com", {"b@example.com", "c@example.com"}},
                       kMessage);
  }

  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  std::unique_ptr<MailClient> mail_ = MakeCurlMailClient();
  fakes::TestCa ca_;
};

TEST_F(MailTest, MessageArrivesUnchangedOverStartTlsWithLogin) {
  RawSmtpServer server(Secure());
  const auto sent = Send(WithLogin(At(server)));
  ASSERT_TRUE(sent.ok()) << sent.error().message;
  const auto messages = server.messages();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].text, kMessage);
  EXPECT_EQ(messages[0].from, "a@example.com");
  EXPECT_EQ(messages[0].to, (std::vector<std::string>{"b@example.com", "c@example.com"}));
  EXPECT_TRUE(messages[0].tls);
  EXPECT_EQ(messages[0].login, std::string("\0robot\0p4ss", 11));
}

TEST_F(MailTest, ImplicitTlsAndNoTls) {
  SmtpOptions implicit = Secure();
  implicit.implicit_tls = true;
  RawSmtpServer secure(implicit);
  EXPECT_TRUE(Send(WithLogin(At(secure, MailTls::kImplicit))).ok());
  EXPECT_TRUE(secure.messages().at(0).tls);
  RawSmtpServer plain(SmtpOptions{});
  EXPECT_TRUE(Send(At(plain, MailTls::kNone)).ok());
  EXPECT_FALSE(plain.messages().at(0).tls);
}

TEST_F(MailTest, StartTlsNeverFallsBackToPlainText) {
  SmtpOptions options = Secure();
  options.offer_starttls = false;
  RawSmtpServer silent(options);
  EXPECT_EQ(CodeOf(Send(WithLogin(At(silent)))), ErrorCode::kUnavailable);
  RawSmtpServer refusing(Secure({{"STARTTLS", "454 not now"}}));
  EXPECT_EQ(CodeOf(Send(WithLogin(At(refusing)))), ErrorCode::kUnavailable);
  for (const auto* server : {&silent, &refusing}) {
    for (const std::string& line : server->commands()) {
      EXPECT_FALSE(line.starts_with("AUTH") || line.starts_with("MAIL")) << line;
    }
  }
}

TEST_F(MailTest, LoginIsNeverSentWithoutTls) {
  RawSmtpServer server(SmtpOptions{});
  EXPECT_EQ(CodeOf(Send(WithLogin(At(server, MailTls::kNone)))), ErrorCode::kInvalid);
  EXPECT_TRUE(server.commands().empty());
}

TEST_F(MailTest, ForeignCertificateIsUntrusted) {
  RawSmtpServer server(Secure());
  MailServer at = At(server);
  at.tls = nullptr;
  EXPECT_EQ(CodeOf(Send(at)), ErrorCode::kUntrusted);
}

TEST_F(MailTest, ServerNameIsTheNameThatIsVerified) {
  const fakes::PemPair pair = ca_.Issue({"mail.internal"});
  RawSmtpServer server(SmtpOptions{{}, {pair.cert, pair.key, {}}});
  EXPECT_EQ(CodeOf(Send(At(server))), ErrorCode::kUntrusted);
  auto tls = std::make_shared<TlsOptions>();
  tls->ca_pem = ca_.pem();
  tls->server_name = "mail.internal";
  MailServer at = At(server);
  at.tls = tls;
  const auto sent = Send(at);
  EXPECT_TRUE(sent.ok()) << sent.error().message;
}

TEST_F(MailTest, RepliesAreToldApart) {
  const struct {
    const char* step;
    const char* reply;
    ErrorCode code;
  } cases[] = {
      {"GREETING", "421 busy", ErrorCode::kUnavailable},
      {"GREETING", "554 go away", ErrorCode::kRefused},
      {"AUTH", "535 wrong", ErrorCode::kUnauthorized},
      {"AUTH", "454 try later", ErrorCode::kUnavailable},
      {"MAIL", "550 no such sender", ErrorCode::kRefused},
      {"MAIL", "530 log in first", ErrorCode::kUnauthorized},
      {"RCPT", "550 no such user", ErrorCode::kRefused},
      {"RCPT", "451 later", ErrorCode::kUnavailable},
      {"DATA", "452 no space", ErrorCode::kUnavailable},
      {"DATA", "554 no", ErrorCode::kRefused},
      {"MESSAGE", "451 later", ErrorCode::kUnavailable},
      {"MESSAGE", "552 spam", ErrorCode::kRefused},
      {"MESSAGE", "close", ErrorCode::kUnknownOutcome},
      {"GREETING", "close", ErrorCode::kUnavailable},
      {"RCPT", "close", ErrorCode::kUnavailable},
      {"DATA", "close", ErrorCode::kUnavailable},
  };
  for (const auto& c : cases) {
    RawSmtpServer server(Secure({{c.step, c.reply}}));
    const auto sent = Send(WithLogin(At(server)));
    ASSERT_FALSE(sent.ok()) << c.step << " " << c.reply;
    EXPECT_EQ(sent.error().code, c.code)
        << c.step << " " << c.reply << ": " << sent.error().message;
    EXPECT_EQ(sent.error().message.find("p4ss"), std::string::npos);
  }
}

TEST_F(MailTest, AcceptedMailIsSentEvenWhenTheServerHangsAtTheEnd) {
  RawSmtpServer server(Secure({{"QUIT", "hang"}}));
  const auto before = clock_->Steady();
  EXPECT_TRUE(Send(At(server)).ok());
  EXPECT_LT(clock_->Steady() - before, std::chrono::seconds(5));
}

TEST_F(MailTest, StopAndDeadlineTakeEffectAtOnce) {
  for (const auto& [step, code] :
       {std::pair("GREETING", ErrorCode::kCancelled), std::pair("RCPT", ErrorCode::kCancelled),
        std::pair("MESSAGE", ErrorCode::kUnknownOutcome)}) {
    RawSmtpServer server(Secure({{step, "hang"}}));
    std::stop_source stop;
    SteadyTime stopped;
    std::jthread stopper([&] {
      server.WaitForCommand("hanging");
      stopped = clock_->Steady();
      stop.request_stop();
    });
    const auto sent = mail_->Send(Ctx().WithStop(stop.get_token()), At(server),
                                  {"a@example.com", {"b@example.com"}}, kMessage);
    const auto late = clock_->Steady();
    stopper.join();
    EXPECT_EQ(CodeOf(sent), code) << step;
    EXPECT_LT(late - stopped, std::chrono::milliseconds(500)) << step;
  }
  RawSmtpServer server(Secure({{"EHLO", "hang"}}));
  EXPECT_EQ(CodeOf(mail_->Send(Ctx(Duration(60)), At(server), {"a@example.com", {"b@example.com"}},
                               kMessage)),
            ErrorCode::kTimeout);
}

TEST_F(MailTest, AddressesThatCouldCarryCommandsAreInvalid) {
  RawSmtpServer server(Secure());
  const MailServer at = At(server);
  for (const char* bad :
       {"", "nobody", "@x", "x@", "a b@x", "a@x>\r\nRCPT TO:<c@x", "<a@x>", "a@x,b@x"}) {
    EXPECT_EQ(CodeOf(mail_->Send(Ctx(), at, {"a@example.com", {bad}}, kMessage)),
              ErrorCode::kInvalid);
    EXPECT_EQ(CodeOf(mail_->Send(Ctx(), at, {bad, {"a@example.com"}}, kMessage)),
              ErrorCode::kInvalid);
  }
  EXPECT_EQ(CodeOf(mail_->Send(Ctx(), at, {"a@example.com", {}}, kMessage)), ErrorCode::kInvalid);
  EXPECT_TRUE(server.commands().empty());
}

TEST_F(MailTest, MetadataAddressIsRefused) {
  MailServer at;
  at.host = "169.254.169.254";
  EXPECT_EQ(ReasonOf(Send(at)), "AddressRefused");
}

}  // namespace
}  // namespace certflow::net
