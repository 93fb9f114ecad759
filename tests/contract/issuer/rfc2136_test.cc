#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "providers/solvers/dns_lookup.h"
#include "providers/solvers/dns_transport.h"
#include "providers/solvers/rfc2136_solver.h"
#include "providers/solvers/tsig.h"
#include "tests/contract/issuer/issuer_world.h"

// RFC 2136 and TSIG against the real BIND.
namespace certflow::contract {
namespace {

using nlohmann::json;
using providers::solvers::CheckSignedReply;
using providers::solvers::DnsLookup;
using providers::solvers::ExchangeTcp;
using providers::solvers::ExchangeWith;
using providers::solvers::MakeQuery;
using providers::solvers::MakeRfc2136Solver;
using providers::solvers::MakeTsigKey;
using providers::solvers::MakeUpdate;
using providers::solvers::RecordType;
using providers::solvers::SignedMessage;
using providers::solvers::SignMessage;
using providers::solvers::TsigKey;
using providers::solvers::TxtUpdate;

class Rfc2136Test : public testing::Test {
 protected:
  std::unique_ptr<seams::ChallengeSolver> Solver(const json& more = json::object(),
                                                 std::string secret = "") {
    json settings = {{"nameserver", AcmeWorld::Bind()["dns"]},
                     {"tsigKeyName", AcmeWorld::Bind()["key_name"]},
                     {"resolvers", {AcmeWorld::Bind()["dns"]}}};
    settings.update(more);
    if (secret.empty()) secret = AcmeWorld::Bind()["key_secret"];
    auto solver = MakeRfc2136Solver(settings.dump(), SecretBytes(secret));
    EXPECT_TRUE(solver.ok()) << solver.error().message;
    return std::move(solver).value();
  }
  static seams::Challenge Proof(const std::string& domain, const std::string& value) {
    return {domain, "token", "token.thumbprint", value};
  }
  // What an attempt to publish says.
  Error Refusal(seams::ChallengeSolver& solver, const std::string& domain,
                const Context& ctx = RealContext()) {
    const Result<void> done = solver.Present(ctx, Proof(domain, "value"));
    EXPECT_FALSE(done.ok());
    return done.ok() ? Error{} : done.error();
  }
  AcmeWorld world_;
};

TEST_F(Rfc2136Test, EveryAlgorithmAddsAndDeletesOneValueAndLeavesTheOthers) {
  const std::pair<const char*, const char*> keys[] = {
      {"acme", "hmac-sha256"}, {"acme-sha384", "hmac-sha384"}, {"acme-sha512", "hmac-sha512"}};
  for (const auto& [name, algorithm] : keys) {
    SCOPED_TRACE(algorithm);
    const auto solver = Solver({{"tsigKeyName", name}, {"tsigAlgorithm", algorithm}});
    const std::string domain = world_.Name("values");
    const auto one = Proof(domain, "one"), two = Proof(domain, "two");
    EXPECT_FALSE(solver->Visible(RealContext(), one).value());
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(solver->Present(RealContext(), one).ok());
      ASSERT_TRUE(solver->Present(RealContext(), two).ok());
    }
    EXPECT_TRUE(solver->Visible(RealContext(), one).value());
    EXPECT_TRUE(solver->Visible(RealContext(), two).value());
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(solver->Cleanup(RealContext(), one).ok());
    EXPECT_EQ(world_.DnsValues(domain), "two ");
    ASSERT_TRUE(solver->Cleanup(RealContext(), two).ok());
    EXPECT_EQ(world_.DnsValues(domain), "");
  }
}

TEST_F(Rfc2136Test, AWrongSecretIsToldFromAnUnknownKey) {
  const Error secret = Refusal(*Solver(json::object(), "d3Jvbmcgc2VjcmV0"), world_.Name("x"));
  EXPECT_EQ(secret.code, ErrorCode::kForbidden);
  EXPECT_EQ(secret.retry, Retry::kNever);
  EXPECT_NE(secret.message.find("secret is wrong"), std::string::npos) << secret.message;
  const Error key = Refusal(*Solver({{"tsigKeyName", "nobody"}}), world_.Name("x"));
  EXPECT_EQ(key.code, ErrorCode::kForbidden);
  EXPECT_NE(key.message.find("key is unknown"), std::string::npos) << key.message;
}

// The machine's clock, moved.
class SkewedClock : public Clock {
 public:
  explicit SkewedClock(std::chrono::seconds skew) : skew_(skew), real_(MakeSystemClock()) {}
  WallTime Now() const override { return real_->Now() + skew_; }
  SteadyTime Steady() const override { return real_->Steady(); }
  bool WaitUntil(SteadyTime until, std::stop_token stop) override {
    return real_->WaitUntil(until, stop);
  }

 private:
  const std::chrono::seconds skew_;
  const std::unique_ptr<Clock> real_;
};

TEST_F(Rfc2136Test, AClockThatIsOffIsNamedWithItsSkew) {
  SkewedClock ahead(std::chrono::hours(2)), behind(-std::chrono::hours(2));
  const Error early = Refusal(*Solver(), world_.Name("x"), Context{ahead});
  EXPECT_EQ(early.code, ErrorCode::kForbidden);
  EXPECT_NE(early.message.find("2h ahead of"), std::string::npos) << early.message;
  const Error late = Refusal(*Solver(), world_.Name("x"), Context{behind});
  EXPECT_NE(late.message.find("behind the name server's"), std::string::npos) << late.message;
}

TEST_F(Rfc2136Test, ANameThatThePolicyDoesNotGrantIsNotAllowed) {
  const auto solver = Solver({{"tsigKeyName", "limited"}}, AcmeWorld::Bind()["limited_secret"]);
  const Error error = Refusal(*solver, world_.Name("other"));
  EXPECT_EQ(error.code, ErrorCode::kForbidden);
  EXPECT_NE(error.message.find("refused by policy"), std::string::npos) << error.message;
  const auto granted = Proof(world_.Name("limited"), "value");
  EXPECT_TRUE(solver->Present(RealContext(), granted).ok());
  EXPECT_TRUE(solver->Cleanup(RealContext(), granted).ok());
}

TEST_F(Rfc2136Test, AZoneThatIsNotTheServersIsSaid) {
  EXPECT_EQ(Refusal(*Solver(), "www.elsewhere.invalid").reason, "DnsNoZone");
  EXPECT_EQ(Refusal(*Solver({{"zone", "other.test"}}), world_.Name("x")).reason, "DnsWrongZone");
  // The server is asked for a zone that it does not have.
  EXPECT_EQ(Refusal(*Solver({{"zone", "www.elsewhere.invalid"}}), "www.elsewhere.invalid").code,
            ErrorCode::kForbidden);
}

TEST_F(Rfc2136Test, CnamesAreFollowedIntoAnotherZoneAndToAnEnd) {
  const auto solver = Solver();
  const auto proof = Proof(world_.Name("cname"), "delegated-value");
  ASSERT_TRUE(solver->Present(RealContext(), proof).ok());
  EXPECT_TRUE(solver->Visible(RealContext(), proof).value());
  const net::HostPort server = net::ParseHostPort(AcmeWorld::Bind()["dns"]).value();
  const DnsLookup lookup(server, {});
  EXPECT_TRUE(
      lookup.HasTxt(RealContext(), server, "cname.delegated.test", "delegated-value").value());
  ASSERT_TRUE(solver->Cleanup(RealContext(), proof).ok());
  EXPECT_EQ(Refusal(*solver, world_.Name("loop")).reason, "DnsCnameLoop");
}

TEST_F(Rfc2136Test, TheServersThatCountMustAllAnswer) {
  const auto solver = Solver({{"authoritative", {AcmeWorld::Bind()["dns"], "127.0.0.1:1"}}});
  const auto proof = Proof(world_.Name("all"), "value");
  ASSERT_TRUE(solver->Present(RealContext(), proof).ok());
  const Result<bool> visible = solver->Visible(RealContext(), proof);
  ASSERT_FALSE(visible.ok());
  EXPECT_EQ(visible.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(solver->Cleanup(RealContext(), proof).ok());
}

TEST_F(Rfc2136Test, TheZonesServersAreThoseOfItsNsRecords) {
  const DnsLookup lookup(net::ParseHostPort(AcmeWorld::Bind()["dns"]).value(), {});
  EXPECT_EQ(lookup.ServersOf(RealContext(), "localhost").value(),
            std::vector<std::string>{"ns.localhost"});
}

// A changed byte anywhere in a good reply is found out.
TEST_F(Rfc2136Test, NoByteOfAReplyCanBeChanged) {
  const Context ctx = RealContext();
  const net::HostPort server = net::ParseHostPort(AcmeWorld::Bind()["dns"]).value();
  const TsigKey key = MakeTsigKey("acme", "hmac-sha256", AcmeWorld::Bind()["key_secret"]).value();
  const TxtUpdate update{"localhost", "_acme-challenge.mutant.localhost", "value", false};
  const SignedMessage request = SignMessage(key, MakeUpdate(4711, update), ctx.clock.Now()).value();
  const std::string reply = ExchangeWith(ctx, server, request.bytes).value();
  ASSERT_TRUE(CheckSignedReply(key, request, reply, ctx.clock.Now()).ok());
  for (std::size_t at = 0; at < reply.size(); ++at) {
    for (const char bit : {'\x01', '\x40', '\x80'}) {
      std::string changed = reply;
      changed[at] = static_cast<char>(changed[at] ^ bit);
      EXPECT_FALSE(CheckSignedReply(key, request, changed, ctx.clock.Now()).ok())
          << "byte " << at << " of " << reply.size();
    }
    EXPECT_FALSE(CheckSignedReply(key, request, reply.substr(0, at), ctx.clock.Now()).ok());
  }
}

// The second server that people run; it says no in another way.
TEST_F(Rfc2136Test, KnotIsUnderstoodAsWell) {
  test::Peer knot("knot", {"--zone", "knot.test"});
  const json there = {{"nameserver", knot["dns"]}};
  const auto solver = Solver(there, knot["key_secret"]);
  const auto proof = Proof("www.knot.test", "value");
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(solver->Present(RealContext(), proof).ok());
  EXPECT_TRUE(solver->Visible(RealContext(), proof).value());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(solver->Cleanup(RealContext(), proof).ok());
  EXPECT_FALSE(solver->Visible(RealContext(), proof).value());

  json limited = there;
  limited["tsigKeyName"] = "limited";
  SkewedClock ahead(std::chrono::hours(2));
  const Error refusals[] = {
      Refusal(*Solver(limited, knot["limited_secret"]), "other.knot.test"),
      Refusal(*Solver(there, "d3Jvbmcgc2VjcmV0"), "www.knot.test"),
      Refusal(*Solver(there, knot["key_secret"]), "www.knot.test", Context{ahead})};
  for (const Error& error : refusals) {
    EXPECT_EQ(error.code, ErrorCode::kForbidden) << error.message;
    EXPECT_EQ(error.reason, "DnsUpdateForbidden");
  }
  EXPECT_NE(refusals[1].message.find("secret is wrong"), std::string::npos);
  EXPECT_NE(refusals[2].message.find("2h ahead of"), std::string::npos) << refusals[2].message;
}

// Accepts connections into its backlog and never answers.
class SilentServer {
 public:
  SilentServer() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { close(fd_); }
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TEST_F(Rfc2136Test, AServerThatHangsIsLeftAtTheStopAndAtTheDeadline) {
  const SilentServer server;
  std::stop_source stop;
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point stopped;
  std::jthread stopper([&] {
    stopped = std::chrono::steady_clock::now();
    stop.request_stop();
  });
  const auto answer = ExchangeTcp(RealContext().WithStop(stop.get_token()), "127.0.0.1",
                                  server.port(), MakeQuery(1, "a.test", RecordType::kTxt, false));
  stopper.join();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - stopped, std::chrono::milliseconds(50));
  const auto late = ExchangeTcp(RealContext(Duration(30)), "127.0.0.1", server.port(), "x");
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace certflow::contract
