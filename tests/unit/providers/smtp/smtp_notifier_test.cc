#include "providers/notifiers/smtp/smtp_notifier.h"

#include <gtest/gtest.h>

#include <sstream>

#include "controller/base/base64.h"
#include "providers/notifiers/smtp/message.h"
#include "tests/fakes/clock/simulated_clock.h"

namespace certflow::providers::smtp {
namespace {

// Keeps what would have been sent.
class KeepingMailClient : public net::MailClient {
 public:
  Result<void> Send(const Context&, const net::MailServer& server, const net::Envelope& envelope,
                    const std::string& message) override {
    port = server.port;
    security = server.security;
    password = server.password.Reveal();
    sent_envelope = envelope;
    sent = message;
    return {};
  }
  std::uint16_t port = 0;
  net::MailTls security = net::MailTls::kNone;
  std::string password;
  net::Envelope sent_envelope;
  std::string sent;
};

constexpr const char* kSettings =
    R"({"host":"mail.test","from":"certflow <certflow@example.com>"})";

class SmtpNotifierTest : public testing::Test {
 protected:
  Result<void> Send(const seams::Notification& notification, const char* settings = kSettings) {
    auto notifier = MakeSmtpNotifier(settings, SecretBytes("secret"), client_);
    if (!notifier.ok()) return std::move(notifier).error();
    return (*notifier)->Send({clock_}, notification);
  }
  static seams::Notification Simple() {
    return {"st-1/Completed/mail", {"a@example.com"}, {}, {}, "Renewed", "Good news.\n"};
  }
  // The message's header of that name, unfolded.
  std::string HeaderOf(const std::string& name) const {
    const std::string head = client_.sent.substr(0, client_.sent.find("\r\n\r\n") + 2);
    std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "(none)";
    at += name.size() + 4;
    std::string value;
    for (; at < head.size(); ++at) {
      if (head.compare(at, 2, "\r\n") == 0) {
        if (at + 2 >= head.size() || head[at + 2] != ' ') break;
        ++at;
        continue;
      }
      value += head[at];
    }
    return value;
  }
  void ExpectWellFormed() const {
    std::size_t start = 0;
    for (std::size_t end; (end = client_.sent.find('\n', start)) != std::string::npos;
         start = end + 1) {
      ASSERT_GT(end, 0u);
      ASSERT_EQ(client_.sent[end - 1], '\r') << "every line ends with CRLF";
      EXPECT_LE(end - 1 - start, 78u) << client_.sent.substr(start, end - start);
    }
    EXPECT_EQ(start, client_.sent.size());
    for (const char c : client_.sent) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
  }

  fakes::SimulatedClock clock_;
  KeepingMailClient client_;
};

TEST_F(SmtpNotifierTest, ASimpleMailIsPlain) {
  ASSERT_TRUE(Send(Simple()).ok());
  ExpectWellFormed();
  EXPECT_TRUE(client_.sent.starts_with("Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"));
  EXPECT_EQ(HeaderOf("From"), "\"certflow\" <certflow@example.com>");
  EXPECT_EQ(HeaderOf("To"), "a@example.com");
  EXPECT_EQ(HeaderOf("Subject"), "Renewed");
  EXPECT_TRUE(HeaderOf("Message-ID").ends_with("@example.com>"));
  EXPECT_TRUE(client_.sent.ends_with("\r\n\r\nGood news.\r\n"));
  EXPECT_EQ(client_.port, 587);
  EXPECT_EQ(client_.security, net::MailTls::kStartTls);
}

TEST_F(SmtpNotifierTest, TheIdMakesTheMessageIdSoThatARepeatCanBeTold) {
  ASSERT_TRUE(Send(Simple()).ok());
  const std::string first = HeaderOf("Message-ID");
  ASSERT_TRUE(Send(Simple()).ok());
  EXPECT_EQ(HeaderOf("Message-ID"), first);
  auto other = Simple();
  other.id = "st-1/Completed/mail>\r\nX: y";
  ASSERT_TRUE(Send(other).ok());
  EXPECT_NE(HeaderOf("Message-ID"), first);
  EXPECT_EQ(HeaderOf("X"), "(none)");
  ExpectWellFormed();
}

TEST_F(SmtpNotifierTest, BccIsInTheEnvelopeAlone) {
  auto notification = Simple();
  notification.cc = {"Ada <b@example.com>", "a@example.com"};
  notification.bcc = {"hidden@example.com"};
  ASSERT_TRUE(Send(notification).ok());
  EXPECT_EQ(client_.sent_envelope.to,
            (std::vector<std::string>{"a@example.com", "b@example.com", "hidden@example.com"}));
  EXPECT_EQ(client_.sent.find("hidden"), std::string::npos);
  EXPECT_EQ(HeaderOf("Bcc"), "(none)");
  EXPECT_EQ(HeaderOf("Cc"), "\"Ada\" <b@example.com>, a@example.com");
}

TEST_F(SmtpNotifierTest, NothingCanBeSmuggledIntoTheHeaders) {
  auto notification = Simple();
  notification.subject = "x\r\nBcc: evil@example.com\r\n\r\nbody";
  ASSERT_TRUE(Send(notification).ok());
  EXPECT_EQ(HeaderOf("Bcc"), "(none)");
  ExpectWellFormed();
  for (const std::string& bad : std::vector<std::string>{
           "a@example.com\r\nBcc: b@example.com", "a b@example.com",
           "a@example.com>, <b@example.com", "@example.com", "a@", "a", "-oQ/tmp@example.com",
           "a@ex ample.com", "\"a\n\" <a@b.c>", "a@b@c.example,d@e", ""}) {
    notification = Simple();
    notification.to = {bad};
    EXPECT_EQ(Send(notification).error().code, ErrorCode::kInvalid) << bad;
  }
}

TEST_F(SmtpNotifierTest, UnicodeIsEncodedAndNoCharacterIsSplit) {
  auto notification = Simple();
  notification.to = {"Dora Gül <dora@example.com>"};
  for (int i = 0; i < 40; ++i) notification.subject += "ş€😀";
  notification.body = "Şimdi = hazır.\n.\nFrom here\n  trailing \n" + std::string(300, 'x');
  ASSERT_TRUE(Send(notification).ok());
  ExpectWellFormed();
  std::string decoded;
  std::istringstream words(HeaderOf("Subject"));
  for (std::string word; words >> word;) {
    ASSERT_LE(word.size(), 75u);
    ASSERT_TRUE(word.starts_with("=?UTF-8?B?") && word.ends_with("?=")) << word;
    const auto piece = Base64Decode(word.substr(10, word.size() - 12));
    ASSERT_TRUE(piece.ok());
    const std::string text(piece->Reveal());
    EXPECT_EQ(Sanitize(text, 4096), text) << "whole characters in every word";
    decoded += text;
  }
  EXPECT_EQ(decoded.substr(0, 60), notification.subject.substr(0, decoded.size()).substr(0, 60));
  EXPECT_NE(client_.sent.find("=C5=9Eimdi =3D haz=C4=B1r.\r\n=2E\r\n=46rom here\r\n"),
            std::string::npos);
  EXPECT_NE(client_.sent.find("  trailing=20\r\n"), std::string::npos);
}

TEST_F(SmtpNotifierTest, LongPlainSubjectsAreFoldedAtSpaces) {
  auto notification = Simple();
  notification.subject.clear();
  for (int i = 0; i < 30; ++i) notification.subject += "word" + std::to_string(i) + " ";
  ASSERT_TRUE(Send(notification).ok());
  ExpectWellFormed();
  EXPECT_EQ(HeaderOf("Subject") + " ", notification.subject);
}

TEST_F(SmtpNotifierTest, BoundsHold) {
  auto notification = Simple();
  notification.body = std::string(kMaxBodyBytes + 1, 'a');
  ASSERT_TRUE(Send(notification).ok());
  EXPECT_NE(client_.sent.find("too long"), std::string::npos);
  notification = Simple();
  notification.to.clear();
  EXPECT_EQ(Send(notification).error().code, ErrorCode::kInvalid);
  for (std::size_t i = 0; i < kMaxRecipients; ++i) {
    notification.to.push_back("u" + std::to_string(i) + "@example.com");
  }
  EXPECT_TRUE(Send(notification).ok());
  notification.cc = {"one-more@example.com"};
  EXPECT_EQ(Send(notification).error().code, ErrorCode::kInvalid);
}

TEST_F(SmtpNotifierTest, WrongSettingsNameTheField) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"({"from":"a@b.c"})", "host"},
      {R"({"host":"m x","from":"a@b.c"})", "host"},
      {R"({"host":"m"})", "from"},
      {R"({"host":"m","from":"nobody"})", "from"},
      {R"({"host":"m","from":"a@b.c","tls":"Maybe"})", "tls"},
      {R"({"host":"m","from":"a@b.c","port":70000})", "port"},
      {R"({"host":"m","from":"a@b.c","tls":"None","username":"u"})", "username"},
  };
  for (const auto& [settings, field] : kCases) {
    const auto sent = Send(Simple(), settings);
    ASSERT_FALSE(sent.ok()) << settings;
    EXPECT_EQ(sent.error().code, ErrorCode::kInvalid);
    EXPECT_TRUE(sent.error().message.starts_with(field)) << sent.error().message;
    EXPECT_EQ(sent.error().message.find("secret"), std::string::npos);
  }
}

TEST_F(SmtpNotifierTest, ThePortFollowsTheProtection) {
  ASSERT_TRUE(
      Send(Simple(), R"({"host":"m","from":"a@b.c","tls":"Implicit","username":"u"})").ok());
  EXPECT_EQ(client_.port, 465);
  EXPECT_EQ(client_.password, "secret");
  ASSERT_TRUE(Send(Simple(), R"({"host":"m","from":"a@b.c","tls":"None"})").ok());
  EXPECT_EQ(client_.port, 25);
}

}  // namespace
}  // namespace certflow::providers::smtp
