#include "providers/validators/tls/tls_validator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/tls1.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/tls/test_certificate.h"
#include "tests/fakes/tls/tls_server.h"

namespace certflow::providers {
namespace {

using fakes::CertificateSpec;
using fakes::MakeCertificate;
using fakes::MakeHierarchy;
using fakes::SimulatedClock;
using fakes::TestCertificate;
using fakes::TestHierarchy;
using fakes::TlsBehaviour;
using fakes::TlsServer;
using fakes::TlsServerOptions;
using seams::ProbeRequest;
using seams::Served;
using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class TlsValidatorTest : public ::testing::Test {
 protected:
  TlsServerOptions Serving(const std::string& chain, const pki::PrivateKey& key) const {
    TlsServerOptions options;
    options.chain_pem = chain;
    options.key_pem = key.ToPem();
    return options;
  }
  TlsServerOptions Serving(const TestHierarchy& three) const {
    return Serving(three.served_chain(), three.leaf.key);
  }

  ProbeRequest Request(const TlsServer& server) const {
    return {server.endpoint(), "a.example", three_.root.pem, "1.2"};
  }

  // The one address of a server.
  Served Probe(const ProbeRequest& request) {
    auto all = validator_.Probe(ctx_, request);
    EXPECT_TRUE(all.ok()) << all.error().message;
    if (!all.ok() || all->size() != 1) return {};
    return std::move(all->front());
  }
  Served Probe(const TlsServerOptions& options) {
    const auto server = TlsServer::Start(options);
    return Probe(Request(*server));
  }
  static std::string Fault(const Served& served) {
    if (!served.fault) return "";
    EXPECT_EQ(served.fault->code, ErrorCode::kUntrusted);
    return served.fault->reason;
  }

  SimulatedClock clock_;
  Context ctx_{.clock = clock_};
  TestHierarchy three_ = MakeHierarchy("DNS:a.example,DNS:*.w.example,IP:127.0.0.1", clock_.Now());
  TlsValidator validator_;
};

TEST_F(TlsValidatorTest, GoodServerIsDescribedWithoutFault) {
  const auto server = TlsServer::Start(Serving(three_));
  const Served served = Probe(Request(*server));
  EXPECT_EQ(Fault(served), "");
  const pki::CertificateInfo leaf = pki::ReadChain(three_.leaf.pem).value().at(0);
  EXPECT_EQ(served.address, server->endpoint());
  EXPECT_EQ(served.fingerprint, leaf.fingerprint);
  EXPECT_EQ(served.serial, leaf.serial);
  EXPECT_EQ(served.issuer, "CN=Test Intermediate");
  EXPECT_THAT(served.dns_names, ElementsAre("a.example", "*.w.example"));
  EXPECT_EQ(served.not_after, leaf.not_after);
  EXPECT_EQ(served.tls_version, "TLSv1.3");
}

TEST_F(TlsValidatorTest, AsksForTheNameThatItVerifies) {
  struct Case {
    std::string server_name, sni;
  };
  for (const Case& c : {Case{"a.example", "a.example"}, Case{"A.Example", "a.example"},
                        Case{"*.w.example", "certflow-probe.w.example"}, Case{"", ""}}) {
    const auto server = TlsServer::Start(Serving(three_));
    ProbeRequest request = Request(*server);
    request.server_name = c.server_name;
    EXPECT_EQ(Fault(Probe(request)), "") << c.server_name;
    EXPECT_EQ(server->server_name(), c.sni);
  }
}

TEST_F(TlsValidatorTest, WrongNameIsAFault) {
  EXPECT_EQ(Fault(Probe(Serving(MakeHierarchy("DNS:b.example", clock_.Now())))),
            "ChainUntrusted");  // by another root
  const auto server = TlsServer::Start(Serving(three_));
  ProbeRequest request = Request(*server);
  request.server_name = "b.example";
  EXPECT_EQ(Fault(Probe(request)), "NameMismatch");
}

TEST_F(TlsValidatorTest, TimeIsJudgedByTheContextsClock) {
  const TlsServerOptions options = Serving(three_);
  clock_.SetWall(SimulatedClock::kStart + hours(24 * 366));
  const Served expired = Probe(options);
  EXPECT_EQ(Fault(expired), "CertificateExpired");
  EXPECT_NE(expired.fingerprint, "");
  clock_.SetWall(SimulatedClock::kStart - hours(48));
  EXPECT_EQ(Fault(Probe(options)), "CertificateNotYetValid");
}

TEST_F(TlsValidatorTest, MissingIntermediateIsAFault) {
  EXPECT_EQ(Fault(Probe(Serving(three_.leaf.pem, three_.leaf.key))), "ChainIncomplete");
}

TEST_F(TlsValidatorTest, SelfSignedAndUnknownRootsAreFaults) {
  CertificateSpec spec;
  spec.names = "DNS:a.example";
  spec.not_before = clock_.Now() - hours(1);
  spec.not_after = clock_.Now() + hours(1);
  const TestCertificate alone = MakeCertificate(spec);
  EXPECT_EQ(Fault(Probe(Serving(alone.pem, alone.key))), "ChainUntrusted");
  const auto server = TlsServer::Start(Serving(three_));
  ProbeRequest request = Request(*server);
  request.trust_pem.clear();  // the system's roots
  EXPECT_EQ(Fault(Probe(request)), "ChainUntrusted");
}

TEST_F(TlsValidatorTest, OldTlsIsSeenAndIsAFault) {
  struct Case {
    int highest;
    std::string lowest, seen, fault;
  };
  for (const Case& c : {Case{TLS1_VERSION, "1.2", "TLSv1", "TlsTooOld"},
                        Case{TLS1_1_VERSION, "1.2", "TLSv1.1", "TlsTooOld"},
                        Case{TLS1_2_VERSION, "1.2", "TLSv1.2", ""},
                        Case{TLS1_2_VERSION, "1.3", "TLSv1.2", "TlsTooOld"},
                        Case{TLS1_3_VERSION, "1.3", "TLSv1.3", ""}}) {
    TlsServerOptions options = Serving(three_);
    options.highest_version = c.highest;
    const auto server = TlsServer::Start(options);
    ProbeRequest request = Request(*server);
    request.min_tls = c.lowest;
    const Served served = Probe(request);
    EXPECT_EQ(served.tls_version, c.seen);
    EXPECT_EQ(Fault(served), c.fault) << c.seen;
  }
}

TEST_F(TlsValidatorTest, ServerThatWantsAClientCertificateIsStillSeen) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsServerOptions options = Serving(three_);
    options.highest_version = version;
    options.require_client_certificate = true;
    EXPECT_EQ(Fault(Probe(options)), "");
  }
}

TEST_F(TlsValidatorTest, EveryAddressIsJudgedForItself) {
  const TestHierarchy other = MakeHierarchy("DNS:a.example", clock_.Now());
  std::unique_ptr<TlsServer> first, second;
  // The second needs the first one's port, which somebody else may hold at its address.
  for (int i = 0; i < 20 && !second; ++i) {
    first = TlsServer::Start(Serving(three_));
    TlsServerOptions options = Serving(other);
    options.address = "127.0.0.2";
    options.port = first->port();
    second = TlsServer::Start(options);
  }
  ASSERT_TRUE(second);
  TlsValidator validator([](const Context&, std::string_view host) {
    EXPECT_EQ(host, "www.a.example");
    return Result<std::vector<std::string>>({"127.0.0.1", "127.0.0.2"});
  });
  const std::string port = std::to_string(first->port());
  const auto all =
      validator.Probe(ctx_, {"www.a.example:" + port, "a.example", three_.root.pem, "1.2"});
  ASSERT_TRUE(all.ok()) << all.error().message;
  ASSERT_THAT(*all, SizeIs(2));
  EXPECT_EQ((*all)[0].address, "127.0.0.1:" + port);
  EXPECT_EQ(Fault((*all)[0]), "");
  EXPECT_EQ((*all)[1].address, "127.0.0.2:" + port);
  EXPECT_EQ(Fault((*all)[1]), "ChainUntrusted");
  EXPECT_NE((*all)[0].fingerprint, (*all)[1].fingerprint);
}

TEST_F(TlsValidatorTest, OneDeadAddressFailsTheProbe) {
  const auto server = TlsServer::Start(Serving(three_));
  TlsValidator validator([](const Context&, std::string_view) {
    return Result<std::vector<std::string>>({"127.0.0.1", "127.0.0.3"});
  });
  const auto all = validator.Probe(
      ctx_, {"h:" + std::to_string(server->port()), "a.example", three_.root.pem, "1.2"});
  ASSERT_FALSE(all.ok());
  EXPECT_EQ(all.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(all.error().message, HasSubstr("127.0.0.3:"));
}

TEST_F(TlsValidatorTest, AddressesAreBounded) {
  const auto server = TlsServer::Start(Serving(three_));
  TlsValidator validator([](const Context&, std::string_view) {
    return Result<std::vector<std::string>>(std::vector<std::string>(40, "127.0.0.1"));
  });
  const auto all = validator.Probe(
      ctx_, {"h:" + std::to_string(server->port()), "a.example", three_.root.pem, "1.2"});
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), TlsValidator::kMaxAddresses);
}

TEST_F(TlsValidatorTest, WhatIsNoTlsIsUnavailable) {
  for (const TlsBehaviour behaviour : {TlsBehaviour::kClose, TlsBehaviour::kGarbage}) {
    const auto server = TlsServer::Start({.behaviour = behaviour});
    const auto all = validator_.Probe(ctx_, Request(*server));
    ASSERT_FALSE(all.ok());
    EXPECT_EQ(all.error().code, ErrorCode::kUnavailable) << all.error().message;
    EXPECT_THAT(all.error().message, HasSubstr(server->endpoint()));
  }
}

TEST_F(TlsValidatorTest, NobodyListeningIsUnavailable) {
  auto server = TlsServer::Start(Serving(three_));
  const ProbeRequest request = Request(*server);
  server.reset();
  EXPECT_EQ(validator_.Probe(ctx_, request).error().code, ErrorCode::kUnavailable);
}

TEST_F(TlsValidatorTest, HangingServerEndsWithTheDeadline) {
  const auto server = TlsServer::Start({.behaviour = TlsBehaviour::kHang});
  Context ctx = ctx_.WithTimeout(Duration(2'000));
  std::jthread time([&](const std::stop_token& stop) {
    while (server->accepted() == 0 && !stop.stop_requested()) std::this_thread::yield();
    clock_.Advance(Duration(2'000));
  });
  EXPECT_EQ(validator_.Probe(ctx, Request(*server)).error().code, ErrorCode::kTimeout);
}

TEST_F(TlsValidatorTest, HangingServerEndsWithItsOwnLimitWithoutADeadline) {
  const auto server = TlsServer::Start({.behaviour = TlsBehaviour::kHang});
  std::jthread time([&](const std::stop_token& stop) {
    while (server->accepted() == 0 && !stop.stop_requested()) std::this_thread::yield();
    clock_.Advance(TlsValidator::kProbeTimeout);
  });
  EXPECT_EQ(validator_.Probe(ctx_, Request(*server)).error().code, ErrorCode::kTimeout);
}

TEST_F(TlsValidatorTest, StopTakesEffectAtOnce) {
  const auto server = TlsServer::Start({.behaviour = TlsBehaviour::kHang});
  std::stop_source source;
  const Context ctx = ctx_.WithStop(source.get_token());
  std::chrono::steady_clock::time_point stopped;
  std::jthread stopper([&](const std::stop_token& stop) {
    while (server->accepted() == 0 && !stop.stop_requested()) std::this_thread::yield();
    stopped = std::chrono::steady_clock::now();
    source.request_stop();
  });
  const auto all = validator_.Probe(ctx, Request(*server));
  const auto ended = std::chrono::steady_clock::now();
  stopper.join();
  EXPECT_EQ(all.error().code, ErrorCode::kCancelled);
  // 50 ms are promised; a loaded machine may take longer to run this thread at all.
  EXPECT_LT(ended - stopped, std::chrono::seconds(2));
  EXPECT_EQ(validator_.Probe(ctx, Request(*server)).error().code, ErrorCode::kCancelled);
  EXPECT_EQ(server->accepted(), 1) << "a stopped context does not even connect";
}

TEST_F(TlsValidatorTest, RequestsThatMakeNoSenseAreInvalid) {
  const ProbeRequest good{"127.0.0.1:1", "a.example", three_.root.pem, "1.2"};
  for (const auto& [field, value] :
       std::vector<std::pair<std::string ProbeRequest::*, std::string>>{
           {&ProbeRequest::endpoint, ""},
           {&ProbeRequest::endpoint, "127.0.0.1:0x1"},
           {&ProbeRequest::server_name, "a.example,email:x"},
           {&ProbeRequest::server_name, "a.example\r\nHost: b"},
           {&ProbeRequest::min_tls, "1.1"},
           {&ProbeRequest::min_tls, "TLS"}}) {
    ProbeRequest request = good;
    request.*field = value;
    EXPECT_EQ(validator_.Probe(ctx_, request).error().code, ErrorCode::kInvalid) << value;
  }
}

TEST_F(TlsValidatorTest, RootsThatCannotBeReadAreInvalidNotAFault) {
  const auto server = TlsServer::Start(Serving(three_));
  ProbeRequest request = Request(*server);
  request.trust_pem = "garbage";
  EXPECT_EQ(validator_.Probe(ctx_, request).error().code, ErrorCode::kInvalid);
}

TEST_F(TlsValidatorTest, MetadataAddressesAreRefused) {
  const auto all =
      validator_.Probe(ctx_, {"169.254.169.254:443", "a.example", three_.root.pem, "1.2"});
  ASSERT_FALSE(all.ok());
  EXPECT_EQ(all.error().code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace certflow::providers
