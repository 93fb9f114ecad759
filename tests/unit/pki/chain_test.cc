#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "controller/pki/certificate.h"
#include "tests/fakes/tls/test_certificate.h"

namespace certflow::pki {
namespace {

using fakes::CertificateSpec;
using fakes::MakeCertificate;
using fakes::MakeHierarchy;
using fakes::TestCertificate;
using fakes::TestHierarchy;
using std::chrono::hours;
using ::testing::HasSubstr;

const WallTime kNow = ParseTime("2026-11-21T00:00:00Z").value();

CertificateSpec Spec(const std::string& name, bool ca) {
  CertificateSpec spec;
  spec.common_name = name;
  spec.ca = ca;
  if (!ca) spec.names = "DNS:a.example";
  spec.not_before = kNow - hours(1);
  spec.not_after = kNow + hours(1000);
  return spec;
}

TEST(CheckPairTest, OnlyTheKeyOfTheFirstCertificateFits) {
  const TestHierarchy three = MakeHierarchy("DNS:a.example", kNow);
  EXPECT_TRUE(CheckPair(three.served_chain(), three.leaf.key).ok());
  const auto mismatch = CheckPair(three.served_chain(), three.intermediate.key);
  ASSERT_FALSE(mismatch.ok());
  EXPECT_EQ(mismatch.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(mismatch.error().reason, "KeyMismatch");
  EXPECT_FALSE(CheckPair("", three.leaf.key).ok());
  // Another kind of key as well.
  EXPECT_FALSE(
      CheckPair(three.served_chain(), PrivateKey::Generate({KeyAlgorithm::kRsa, 2048}).value())
          .ok());
}

TEST(OrderChainTest, AnyOrderAndRepeatsGiveTheSameChain) {
  const TestCertificate root = MakeCertificate(Spec("root", true));
  const TestCertificate upper = MakeCertificate(Spec("upper", true), &root);
  const TestCertificate lower = MakeCertificate(Spec("lower", true), &upper);
  const TestCertificate leaf = MakeCertificate(Spec("leaf", false), &lower);
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<std::string> shuffled = {root.pem, upper.pem, lower.pem, leaf.pem, upper.pem};
  for (int i = 0; i < 50; ++i) {
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    std::string pem;
    for (const std::string& one : shuffled) pem += one;
    const auto ordered = OrderChain(pem);
    ASSERT_TRUE(ordered.ok()) << ordered.error().message;
    ASSERT_EQ(*ordered, leaf.pem + lower.pem + upper.pem);
  }
}

// What is taken for a chain can be read by whoever comes next.
TEST(OrderChainTest, NamesThatCannotBeReadAreRefused) {
  const TestCertificate leaf = MakeCertificate(Spec("leaf", false), nullptr);
  ASSERT_TRUE(OrderChain(leaf.pem).ok());
  std::string der = PemToDer(leaf.pem)->front();
  const std::size_t name = der.rfind("a.example");
  ASSERT_NE(name, der.npos);
  ++der[name - 1];  // the name's length, past the end of the names
  const std::string pem = DerToPem(der);
  EXPECT_FALSE(ReadChain(pem).ok());
  const auto ordered = OrderChain(pem);
  ASSERT_FALSE(ordered.ok());
  EXPECT_EQ(ordered.error().reason, "CertificateInvalid");
}

TEST(OrderChainTest, TheSignatureDecidesAmongIssuersOfTheSameName) {
  CertificateSpec spec = Spec("ca", true);
  spec.key_ids = false;
  const TestCertificate root = MakeCertificate(Spec("root", true));
  const TestCertificate wrong = MakeCertificate(spec, &root);
  const TestCertificate right = MakeCertificate(spec, &root);
  CertificateSpec leaf_spec = Spec("leaf", false);
  leaf_spec.key_ids = false;
  const TestCertificate leaf = MakeCertificate(leaf_spec, &right);
  EXPECT_EQ(OrderChain(right.pem + leaf.pem).value(), leaf.pem + right.pem);
  EXPECT_FALSE(OrderChain(leaf.pem + wrong.pem).ok());
}

TEST(OrderChainTest, SingleCertificatesAreTheirOwnChain) {
  const TestHierarchy three = MakeHierarchy("DNS:a.example", kNow);
  EXPECT_EQ(OrderChain(three.leaf.pem).value(), three.leaf.pem);
  const TestCertificate self_signed = MakeCertificate(Spec("alone", false));
  EXPECT_EQ(OrderChain(self_signed.pem).value(), self_signed.pem);
}

TEST(OrderChainTest, WhatDoesNotBelongIsInvalid) {
  const TestHierarchy a = MakeHierarchy("DNS:a.example", kNow);
  const TestHierarchy b = MakeHierarchy("DNS:b.example", kNow);
  for (const std::string& pem :
       {a.served_chain() + b.intermediate.pem, a.served_chain() + b.leaf.pem,
        a.leaf.pem + b.intermediate.pem, a.root.pem, std::string("garbage")}) {
    const auto ordered = OrderChain(pem);
    ASSERT_FALSE(ordered.ok());
    EXPECT_EQ(ordered.error().code, ErrorCode::kInvalid);
  }
}

// What a client is served, and what is found wrong with it.
struct VerifyCase {
  std::string name;
  std::string served;
  std::string trust;
  std::string host = "a.example";
  WallTime at = kNow;
  std::string reason;  // empty: good
};

void Check(const VerifyCase& c) {
  SCOPED_TRACE(c.name);
  VerifyRequest request;
  request.chain_der = PemToDer(c.served).value();
  request.trust_pem = c.trust;
  request.dns_names = {c.host};
  request.at = c.at;
  const auto verified = VerifyServerChain(request);
  EXPECT_EQ(verified.ok(), c.reason.empty());
  if (verified.ok()) return;
  EXPECT_EQ(verified.error().code, ErrorCode::kUntrusted);
  EXPECT_EQ(verified.error().reason, c.reason) << verified.error().message;
}

TEST(VerifyServerChainTest, SaysWhatIsWrong) {
  const TestHierarchy a = MakeHierarchy("DNS:a.example,DNS:*.w.example,IP:192.0.2.7", kNow);
  const TestHierarchy b = MakeHierarchy("DNS:a.example", kNow);
  const std::string good = a.served_chain();
  for (const VerifyCase& c : std::vector<VerifyCase>{
           {"good", good, a.root.pem},
           {"good with the root served", good + a.root.pem, a.root.pem},
           {"wildcard", good, a.root.pem, "x.w.example"},
           {"the wildcard itself", good, a.root.pem, "*.w.example"},
           {"address", good, a.root.pem, "192.0.2.7"},
           {"several roots", good, b.root.pem + a.root.pem},
           {"a trusted intermediate is enough", a.leaf.pem, a.intermediate.pem},
           {"pinned leaf", a.leaf.pem, a.leaf.pem},
           {"other name", good, a.root.pem, "b.example", kNow, "NameMismatch"},
           {"two labels", good, a.root.pem, "x.y.w.example", kNow, "NameMismatch"},
           {"other address", good, a.root.pem, "192.0.2.8", kNow, "NameMismatch"},
           {"expired", good, a.root.pem, "a.example", kNow + hours(24 * 366), "CertificateExpired"},
           {"not yet", good, a.root.pem, "a.example", kNow - hours(25), "CertificateNotYetValid"},
           {"no intermediate", a.leaf.pem, a.root.pem, "a.example", kNow, "ChainIncomplete"},
           {"other intermediate", a.leaf.pem + b.intermediate.pem, a.root.pem, "a.example", kNow,
            "ChainIncomplete"},
           {"other root", good, b.root.pem, "a.example", kNow, "ChainUntrusted"},
           {"other root served", good + a.root.pem, b.root.pem, "a.example", kNow,
            "ChainUntrusted"},
           {"the system's roots do not know it", good, "", "a.example", kNow, "ChainUntrusted"},
       }) {
    Check(c);
  }
}

TEST(VerifyServerChainTest, LeafMustBeAServerCertificateByAProperCa) {
  const TestCertificate root = MakeCertificate(Spec("root", true));
  const TestCertificate no_ca = MakeCertificate(Spec("not a ca", false), &root);
  const TestCertificate under = MakeCertificate(Spec("leaf", false), &no_ca);
  CertificateSpec mail = Spec("mail", false);
  mail.extensions = {{"extendedKeyUsage", "emailProtection"}};
  const TestCertificate mail_only = MakeCertificate(mail, &root);
  CertificateSpec old = Spec("sha1", false);
  old.digest = "SHA1";
  const TestCertificate sha1 = MakeCertificate(old, &root);
  const TestCertificate self_signed = MakeCertificate(Spec("self", false));
  const auto bad = [](const std::string& name, const std::string& served,
                      const std::string& trust) {
    return VerifyCase{name, served, trust, "a.example", kNow, "ChainUntrusted"};
  };
  Check(bad("issuer is no CA", under.pem + no_ca.pem, root.pem));
  Check(bad("purpose", mail_only.pem, root.pem));
  Check(bad("weak signature", sha1.pem, root.pem));
  Check(bad("self-signed", self_signed.pem, root.pem));
}

TEST(VerifyServerChainTest, CommonNameAloneDoesNotCount) {
  const TestCertificate root = MakeCertificate(Spec("root", true));
  CertificateSpec spec = Spec("a.example", false);
  spec.names.clear();
  Check({"CN only", MakeCertificate(spec, &root).pem, root.pem, "a.example", kNow, "NameMismatch"});
}

TEST(VerifyServerChainTest, OddInputIsUntrustedNotACrash) {
  VerifyRequest request;
  request.at = kNow;
  EXPECT_EQ(VerifyServerChain(request).error().code, ErrorCode::kUntrusted);
  request.chain_der = {"garbage"};
  EXPECT_EQ(VerifyServerChain(request).error().code, ErrorCode::kUntrusted);
  request.chain_der.assign(kMaxChainCertificates + 1, "x");
  EXPECT_EQ(VerifyServerChain(request).error().code, ErrorCode::kUntrusted);
  // Roots that cannot be read are the configuration's fault, and trust nobody.
  const TestHierarchy a = MakeHierarchy("DNS:a.example", kNow);
  request.chain_der = PemToDer(a.served_chain()).value();
  request.trust_pem = "garbage";
  EXPECT_EQ(VerifyServerChain(request).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace certflow::pki
