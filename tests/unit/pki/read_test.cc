#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <chrono>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "controller/base/base64.h"
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const WallTime kNow = ParseTime("2026-11-21T00:00:00Z").value();

CertificateSpec Spec() {
  CertificateSpec spec;
  spec.common_name = "a.example";
  spec.names = "DNS:a.example,DNS:*.b.example,IP:192.0.2.7,IP:2001:db8::1,email:x@example.com";
  spec.not_before = kNow - hours(1);
  spec.not_after = kNow + hours(24 * 90);
  return spec;
}

std::string OneDer(const TestCertificate& certificate) {
  return PemToDer(certificate.pem).value().at(0);
}

TEST(ReadChainTest, TellsWhatPeopleAndStatusNeed) {
  CertificateSpec spec = Spec();
  spec.serial_hex = "00aBcdEF";
  const TestCertificate certificate = MakeCertificate(spec);
  const auto chain = ReadChain(certificate.pem);
  ASSERT_TRUE(chain.ok()) << chain.error().message;
  ASSERT_THAT(*chain, SizeIs(1));
  const CertificateInfo& info = chain->front();
  EXPECT_EQ(info.subject, "CN=a.example");
  EXPECT_EQ(info.common_name, "a.example");
  EXPECT_EQ(info.issuer, "CN=a.example");
  EXPECT_EQ(info.issuer_common_name, "a.example");
  EXPECT_THAT(info.dns_names, ElementsAre("a.example", "*.b.example"));
  EXPECT_THAT(info.ip_addresses, ElementsAre("192.0.2.7", "2001:db8::1"));
  EXPECT_EQ(info.serial, "abcdef");
  EXPECT_EQ(info.fingerprint, Sha256Hex(OneDer(certificate)));
  EXPECT_EQ(info.public_key_fingerprint, certificate.key.PublicKeyFingerprint());
  EXPECT_EQ(info.signature_type, "ECDSA P-256");
  EXPECT_EQ(info.not_before, spec.not_before);
  EXPECT_EQ(info.not_after, spec.not_after);
  EXPECT_FALSE(info.is_ca);
}

TEST(ReadChainTest, KeepsTheOrderOfTheText) {
  const TestHierarchy three = MakeHierarchy("DNS:a.example", kNow);
  const auto chain = ReadChain(three.root.pem + three.leaf.pem + three.intermediate.pem);
  ASSERT_TRUE(chain.ok());
  ASSERT_THAT(*chain, SizeIs(3));
  EXPECT_EQ((*chain)[0].common_name, "Test Root");
  EXPECT_TRUE((*chain)[0].is_ca);
  EXPECT_EQ((*chain)[1].common_name, "");
  EXPECT_EQ((*chain)[1].issuer_common_name, "Test Intermediate");
  EXPECT_EQ((*chain)[2].common_name, "Test Intermediate");
}

TEST(ReadChainTest, TimesBeyondTheClockAreClamped) {
  CertificateSpec spec = Spec();
  spec.not_after = WallTime::max();  // the fake writes the year 2262
  const TestCertificate certificate = MakeCertificate(spec);
  std::string der = OneDer(certificate);
  const std::size_t at = der.find("22620411");  // of a GeneralizedTime
  ASSERT_NE(at, std::string::npos);
  der.replace(at, 14, "99991231235959");
  const auto info = ReadDer(der);
  ASSERT_TRUE(info.ok()) << info.error().message;
  EXPECT_GT(info->not_after, kNow + hours(24 * 365 * 200));
}

TEST(ReadChainTest, NamesFromOutsideAreSanitized) {
  CertificateSpec spec = Spec();
  spec.common_name = "evil\n\x1b[31m\tname";
  spec.names = "DNS:plain.example";
  const TestCertificate certificate = MakeCertificate(spec);
  std::string der = OneDer(certificate);
  der.replace(der.find("plain.example"), 5, std::string("p\0\n\x01n", 5));
  const auto info = ReadDer(der);
  ASSERT_TRUE(info.ok());
  for (const std::string& text : {info->subject, info->common_name, info->dns_names.at(0)}) {
    for (const char c : text) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << text;
  }
}

TEST(ReadChainTest, BoundsAreKept) {
  const TestCertificate one = MakeCertificate(Spec());
  std::string pem;
  for (std::size_t i = 0; i < kMaxChainCertificates; ++i) pem += one.pem;
  EXPECT_THAT(ReadChain(pem).value(), SizeIs(kMaxChainCertificates));
  EXPECT_EQ(ReadChain(pem + one.pem).error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(ReadChain(one.pem + std::string(kMaxPemBytes - one.pem.size(), '\n')).ok());
  EXPECT_EQ(ReadChain(one.pem + std::string(kMaxPemBytes, '\n')).error().code, ErrorCode::kInvalid);
  EXPECT_FALSE(ReadDer(std::string(kMaxPemBytes + 1, '0')).ok());
}

TEST(ReadChainTest, CertificateWithTooManyNamesIsInvalid) {
  CertificateSpec spec = Spec();
  spec.names = "DNS:n.example";
  for (int i = 1; i < 1000; ++i) spec.names += ",DNS:n.example";
  EXPECT_TRUE(ReadChain(MakeCertificate(spec).pem).ok());
  spec.names += ",DNS:n.example";
  EXPECT_FALSE(ReadChain(MakeCertificate(spec).pem).ok());
}

TEST(ReadChainTest, GarbageIsInvalidAndLeavesNoErrorBehind) {
  const std::string good = MakeCertificate(Spec()).pem;
  const std::string begin = "-----BEGIN CERTIFICATE-----\n";
  const std::string end = "-----END CERTIFICATE-----\n";
  for (const std::string& pem :
       {std::string(), std::string("hello"), begin, begin + end, begin + "AAAA\n" + end,
        begin + "!!!!\n" + end, good + begin, good.substr(0, good.size() / 2),
        good + begin + "MIIB\n" + end, std::string(1000, '\0'),
        std::string("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}) {
    const auto chain = ReadChain(pem);
    ASSERT_FALSE(chain.ok()) << pem;
    EXPECT_EQ(chain.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(ERR_peek_error(), 0U);
  }
}

TEST(ReadChainTest, OtherBlocksAndTextAreSkipped) {
  const TestCertificate certificate = MakeCertificate(Spec());
  const std::string key(certificate.key.ToPem().Reveal());
  EXPECT_THAT(ReadChain("Subject: x\n" + key + certificate.pem + "trailing\n").value(), SizeIs(1));
}

TEST(ReadChainTest, WhatWasReadBeforeReadsTheSame) {
  // More than are kept in memory, so that the first are forgotten and read again.
  constexpr int kCount = 150;
  std::vector<std::string> pems, prints;
  for (int i = 0; i < kCount; ++i) {
    CertificateSpec spec = Spec();
    spec.common_name = "n" + std::to_string(i) + ".example";
    pems.push_back(MakeCertificate(spec).pem);
    prints.push_back(LeafFingerprint(pems.back()).value());
  }
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 4; ++reader) {
    readers.emplace_back([&, reader] {
      for (int i = 0; i < 2 * kCount; ++i) {
        const int which = (i * (reader + 1)) % kCount;
        const auto chain = ReadChain(pems[which]);
        ASSERT_TRUE(chain.ok());
        EXPECT_EQ(chain->front().fingerprint, prints[which]);
        EXPECT_EQ(chain->front().common_name, "n" + std::to_string(which) + ".example");
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
}

TEST(ReadChainTest, BytesBehindACertificateAreInvalid) {
  const std::string der = OneDer(MakeCertificate(Spec()));
  EXPECT_TRUE(ReadChain(DerToPem(der)).ok());
  EXPECT_FALSE(ReadChain(DerToPem(der + "x")).ok());
}

TEST(ReadDerTest, TrailingBytesAreInvalid) {
  const std::string der = OneDer(MakeCertificate(Spec()));
  EXPECT_TRUE(ReadDer(der).ok());
  EXPECT_FALSE(ReadDer(der + "x").ok());
  EXPECT_FALSE(ReadDer(der + der).ok());
  EXPECT_FALSE(ReadDer("").ok());
}

TEST(DerToPemTest, IsTheReverseOfPemToDer) {
  const TestHierarchy three = MakeHierarchy("DNS:a.example", kNow);
  const std::string pem = three.leaf.pem + three.intermediate.pem + three.root.pem;
  const std::vector<std::string> ders = PemToDer(pem).value();
  std::string again;
  for (const std::string& der : ders) again += DerToPem(der);
  EXPECT_EQ(again, pem);
}

// What a fuzzer would do, bounded: whatever comes in, reading ends without a crash, and what is
// accepted keeps its promises.
class MutationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    seed_ = std::random_device{}();
    random_.seed(seed_);
    std::cout << "seed " << seed_ << std::endl;  // also there after a crash
  }

  std::string Mutate(std::string bytes) {
    const int edits = 1 + Below(4);
    for (int i = 0; i < edits && !bytes.empty(); ++i) {
      const std::size_t at = Below(bytes.size());
      switch (Below(5)) {
        case 0:
          bytes[at] = static_cast<char>(Below(256));
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
          break;
        case 2:
          bytes.erase(at, Below(16));
          break;
        case 3:
          bytes.insert(at, Below(16), static_cast<char>(Below(256)));
          break;
        case 4:
          bytes.insert(at, bytes.substr(Below(bytes.size()), Below(64)));
          break;
      }
    }
    return bytes;
  }

  void CheckDer(const std::string& der) {
    const auto info = ReadDer(der);
    if (!info.ok()) {
      ASSERT_EQ(info.error().code, ErrorCode::kInvalid);
    } else {
      ASSERT_EQ(info->fingerprint.size(), 64U);
      ASSERT_EQ(Sanitize(info->subject), info->subject);
    }
    const auto verified = VerifyServerChain(
        {.chain_der = {der}, .trust_pem = trust_, .dns_names = {"a.example"}, .at = kNow});
    ASSERT_TRUE(verified.ok() || verified.error().code == ErrorCode::kUntrusted);
    ASSERT_EQ(ERR_peek_error(), 0U);
  }

  std::size_t Below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  unsigned seed_ = 0;
  std::mt19937 random_;
  std::string trust_ = MakeCertificate(Spec()).pem;
};

TEST_F(MutationTest, MutatedDerNeverCrashes) {
  CertificateSpec spec = Spec();
  spec.extensions = {{"keyUsage", "digitalSignature"}, {"extendedKeyUsage", "serverAuth"}};
  const std::string good = OneDer(MakeCertificate(spec));
  for (int i = 0; i < 2000 && !HasFatalFailure(); ++i) CheckDer(Mutate(good));
  for (std::size_t size = 0; size < good.size() && !HasFatalFailure(); ++size) {
    CheckDer(good.substr(0, size));
  }
}

TEST(ReadFingerprintTest, DevicesWriteItInManyWays) {
  const std::string plain(64, 'a');
  std::string colons = "AA";
  for (int i = 0; i < 31; ++i) colons += ":AA";
  for (const std::string& text : {plain, colons, "SHA256/" + colons, "SHA256/" + plain}) {
    EXPECT_EQ(ReadFingerprint(text), plain) << text;
  }
  for (const std::string& text :
       {std::string(), plain.substr(1), plain + "a", "SHA1/" + plain, plain.substr(1) + "g"}) {
    EXPECT_EQ(ReadFingerprint(text), "") << text;
  }
}

TEST_F(MutationTest, MutatedPemNeverCrashes) {
  const TestHierarchy three = MakeHierarchy("DNS:a.example", kNow);
  const std::string good = three.leaf.pem + three.intermediate.pem + three.root.pem;
  const std::string key(three.leaf.key.ToPem().Reveal());
  for (int i = 0; i < 1000; ++i) {
    const std::string pem = Mutate(good);
    const auto chain = ReadChain(pem);
    if (chain.ok()) {
      ASSERT_GE(chain->size(), 1U);
      ASSERT_LE(chain->size(), kMaxChainCertificates);
    }
    static_cast<void>(OrderChain(pem).ok());
    static_cast<void>(CheckPair(pem, three.leaf.key).ok());
    static_cast<void>(PrivateKey::FromPem(Mutate(key)).ok());
    ASSERT_EQ(ERR_peek_error(), 0U);
  }
}

}  // namespace
}  // namespace certflow::pki
