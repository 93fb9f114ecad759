#include "providers/solvers/dns_message.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "providers/solvers/dns_lookup.h"
#include "providers/solvers/rfc2136_solver.h"
#include "providers/solvers/tsig.h"
#include "tests/fakes/clock/simulated_clock.h"

namespace certflow::providers::solvers {
namespace {

using std::string_literals::operator""s;

// An answer with a compressed name: the question's name, and a TXT record that points to it.
std::string Answer() {
  std::string out = MakeQuery(7, "a.example", RecordType::kTxt, false);
  out[2] = '\x84';  // response, authoritative
  out[7] = 1;
  out += "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x08\x03one\x03two"s;
  return out;
}

TEST(DnsMessageTest, ACompressedAnswerIsRead) {
  const auto message = ParseMessage(Answer());
  ASSERT_TRUE(message.ok()) << message.error().message;
  EXPECT_TRUE(message->response && message->authoritative);
  ASSERT_EQ(message->answers.size(), 1u);
  EXPECT_EQ(message->answers[0].name, "a.example");
  EXPECT_EQ(message->answers[0].ttl, 60u);
  EXPECT_EQ(JoinTxt(message->answers[0].data), "onetwo");
}

TEST(DnsMessageTest, LongTextIsSplitAndJoined) {
  const std::string text(600, 'x');
  const std::string update = MakeUpdate(1, {"example", "a.example", text});
  const std::size_t strings = 600 + 3;
  EXPECT_EQ(JoinTxt(update.substr(update.size() - strings)), text);
}

TEST(DnsMessageTest, PointersThatDoNotLeadBackAreRefused) {
  for (const char target : {'\x0c', '\x0d', '\x20'}) {
    std::string loop = MakeQuery(7, "a.example", RecordType::kTxt, false).substr(0, 12);
    loop += "\xc0"s + target + "\x00\x10\x00\x01"s;
    EXPECT_FALSE(ParseMessage(loop).ok());
  }
}

TEST(DnsMessageTest, EveryCutIsRefused) {
  const std::string answer = Answer();
  for (std::size_t size = 0; size < answer.size(); ++size) {
    EXPECT_FALSE(ParseMessage(answer.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseMessage(answer + "x").ok());
}

// Whatever comes is read or refused, inside of its bounds. The seed is printed.
TEST(DnsMessageTest, MutatedMessagesAreReadOrRefused) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const TsigKey key = MakeTsigKey("acme", "hmac-sha256", "c2VjcmV0").value();
  const WallTime now = fakes::SimulatedClock::kStart;
  const SignedMessage request =
      SignMessage(key, MakeUpdate(9, {"example", "a.example", "v"}), now).value();
  const std::string originals[] = {Answer(), request.bytes};
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = originals[i % 2];
    for (unsigned edits = 1 + random() % 6; edits > 0 && !bytes.empty(); --edits) {
      const std::size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.resize(at);
          break;
        case 2:
          bytes[at] = '\xc0';
          break;
        default:
          bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 32));
      }
    }
    if (const auto message = ParseMessage(bytes); message.ok()) {
      for (const DnsRecord& record : message->answers) (void)JoinTxt(record.data);
    }
    EXPECT_FALSE(CheckSignedReply(key, request, bytes, now).ok());
  }
}

TEST(DnsMessageTest, NamesAreCheckedAndLowered) {
  EXPECT_EQ(CheckName("_Acme-Challenge.WWW.Example.").value(), "_acme-challenge.www.example");
  const std::string wrong[] = {"",
                               ".",
                               "a..b",
                               ".a",
                               "a b",
                               "*.a",
                               "a/b",
                               std::string(64, 'a'),
                               std::string(128, 'a') + "." + std::string(200, 'b')};
  for (const std::string& name : wrong) EXPECT_FALSE(CheckName(name).ok()) << name;
  EXPECT_TRUE(IsWithin("a.example", "example"));
  EXPECT_FALSE(IsWithin("a.bexample", "example"));
}

TEST(DnsLookupTest, TheSystemsResolversAreRead) {
  std::string path = testing::TempDir() + "resolv-XXXXXX";
  const int fd = mkstemp(path.data());
  ASSERT_GE(fd, 0);
  close(fd);
  std::ofstream(path) << "# comment\nsearch example\nnameserver 192.0.2.1\nnameserver not-an-ip\n"
                      << "nameserver 2001:db8::1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
  const auto resolvers = SystemResolvers(path);
  std::remove(path.c_str());
  ASSERT_EQ(resolvers.size(), 3u);
  EXPECT_EQ(resolvers[1].host, "2001:db8::1");
  EXPECT_EQ(resolvers[2].host, "192.0.2.2");
  EXPECT_TRUE(SystemResolvers("/nonexistent").empty());
}

struct SettingsCase {
  const char* reason;
  const char* json;
};
TEST(Rfc2136SettingsTest, WhatIsWrongIsSaid) {
  const SettingsCase cases[] = {
      {"no JSON", "["},
      {"no name server", R"({"tsigKeyName":"k"})"},
      {"MD5", R"({"nameserver":"ns.example","tsigKeyName":"k","tsigAlgorithm":"hmac-md5"})"},
      {"no key name", R"({"nameserver":"ns.example"})"},
      {"a zone that is none", R"({"nameserver":"ns.example","tsigKeyName":"k","zone":"a b"})"},
      {"no list", R"({"nameserver":"ns.example","tsigKeyName":"k","authoritative":"x"})"},
  };
  const SecretBytes secret("c2VjcmV0");
  for (const SettingsCase& c : cases) {
    const auto solver = MakeRfc2136Solver(c.json, secret);
    ASSERT_FALSE(solver.ok()) << c.reason;
    EXPECT_EQ(solver.error().code, ErrorCode::kInvalid) << c.reason;
  }
  const char* good = R"({"nameserver":"ns.example","tsigKeyName":"k","zone":"Example."})";
  EXPECT_TRUE(MakeRfc2136Solver(good, secret).ok());
  const auto bad = MakeRfc2136Solver(good, SecretBytes("not base64!"));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message.find("not base64!"), std::string::npos);
}

}  // namespace
}  // namespace certflow::providers::solvers
