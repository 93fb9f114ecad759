#include "controller/pki/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>

#include "controller/pki/certificate.h"
#include "controller/pki/openssl.h"
#include "tests/fakes/tls/test_certificate.h"

namespace certflow::pki {
namespace {

using fakes::CertificateSpec;
using fakes::MakeCertificate;
using fakes::TestCertificate;
using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const WallTime kNow = ParseTime("2026-11-21T00:00:00Z").value();
constexpr KeySpec kP256{KeyAlgorithm::kEcdsa, 256};
constexpr hours kNinetyDays{24 * 90};

class RequestTest : public ::testing::Test {
 protected:
  Result<std::string> Sign(const std::string& ca_pem, const PrivateKey& ca_key,
                           std::chrono::seconds lifetime = kNinetyDays) {
    return SignServerCertificate(ca_pem, ca_key, key_, names_, lifetime, kNow);
  }

  CertificateSpec CaSpec() const {
    CertificateSpec spec;
    spec.common_name = "Test CA";
    spec.ca = true;
    spec.not_before = kNow - hours(24);
    spec.not_after = kNow + hours(24 * 365);
    return spec;
  }

  PrivateKey key_ = PrivateKey::Generate(kP256).value();
  RequestNames names_{"a.example", {"a.example", "*.b.example"}};
};

std::string SanText(X509_REQ* request) {
  const ExtensionStackPtr extensions(X509_REQ_get_extensions(request));
  EXPECT_EQ(sk_X509_EXTENSION_num(extensions.get()), 1) << "nothing but the SAN is asked for";
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509V3_EXT_print(bio.get(), sk_X509_EXTENSION_value(extensions.get(), 0), 0, 0);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

TEST_F(RequestTest, RequestHoldsTheNamesAndIsSignedByItsKey) {
  for (const KeySpec& spec :
       {kP256, KeySpec{KeyAlgorithm::kEcdsa, 384}, KeySpec{KeyAlgorithm::kRsa, 2048}}) {
    const PrivateKey key = PrivateKey::Generate(spec).value();
    const auto der = MakeCertificateRequest(key, names_);
    ASSERT_TRUE(der.ok()) << der.error().message;
    const unsigned char* position = BytesOf(*der);
    const RequestPtr request(d2i_X509_REQ(nullptr, &position, static_cast<long>(der->size())));
    ASSERT_TRUE(request);
    EXPECT_EQ(X509_REQ_verify(request.get(), X509_REQ_get0_pubkey(request.get())), 1);
    EXPECT_EQ(X509_NAME_entry_count(X509_REQ_get_subject_name(request.get())), 1);
    EXPECT_EQ(SanText(request.get()), "DNS:a.example, DNS:*.b.example");
  }
}

TEST_F(RequestTest, RepeatedNamesAreAskedForOnce) {
  names_ = {"", {"a.example", "b.example", "a.example"}};
  const std::string der = MakeCertificateRequest(key_, names_).value();
  const unsigned char* position = BytesOf(der);
  const RequestPtr request(d2i_X509_REQ(nullptr, &position, static_cast<long>(der.size())));
  EXPECT_EQ(SanText(request.get()), "DNS:a.example, DNS:b.example");
  EXPECT_EQ(X509_NAME_entry_count(X509_REQ_get_subject_name(request.get())), 0);
}

TEST_F(RequestTest, NamesThatMustNotBeSignedAreInvalidInRequestAndCertificate) {
  const std::string ca = MakeSelfSignedCa(key_, "ca", kNinetyDays, kNow).value();
  const std::string long_name = std::string(60, 'a') + ".example";
  RequestNames too_many;
  for (std::size_t i = 0; i <= kMaxRequestNames; ++i) {
    too_many.dns_names.push_back("n" + std::to_string(i) + ".example");
  }
  for (const RequestNames& names :
       {RequestNames{}, RequestNames{"", {"a.example,email:x"}},
        RequestNames{"", {"a.example,DNS:evil.example"}}, RequestNames{"", {""}},
        RequestNames{"", {"a.example", "A.example"}}, RequestNames{"b.example", {"a.example"}},
        RequestNames{"a.example/O=x", {"a.example"}}, RequestNames{long_name, {long_name}},
        too_many}) {
    const auto request = MakeCertificateRequest(key_, names);
    ASSERT_FALSE(request.ok());
    EXPECT_EQ(request.error().code, ErrorCode::kInvalid);
    const auto signed_chain = SignServerCertificate(ca, key_, key_, names, kNinetyDays, kNow);
    ASSERT_FALSE(signed_chain.ok());
    EXPECT_EQ(signed_chain.error().code, ErrorCode::kInvalid);
  }
  too_many.dns_names.pop_back();
  EXPECT_TRUE(MakeCertificateRequest(key_, too_many).ok());
}

TEST_F(RequestTest, SignedCertificateIsWhatRfc5280Wants) {
  const PrivateKey ca_key = PrivateKey::Generate(kP256).value();
  const std::string ca = MakeSelfSignedCa(ca_key, "Our CA", hours(24 * 365), kNow).value();
  const auto chain = Sign(ca, ca_key);
  ASSERT_TRUE(chain.ok()) << chain.error().message;
  const auto infos = ReadChain(*chain).value();
  ASSERT_THAT(infos, SizeIs(1)) << "the root is not served";
  EXPECT_EQ(infos[0].common_name, "a.example");
  EXPECT_THAT(infos[0].dns_names, ElementsAre("a.example", "*.b.example"));
  EXPECT_EQ(infos[0].issuer_common_name, "Our CA");
  EXPECT_EQ(infos[0].not_before, kNow - minutes(5));
  EXPECT_EQ(infos[0].not_after, kNow + kNinetyDays);
  EXPECT_FALSE(infos[0].is_ca);
  EXPECT_EQ(infos[0].public_key_fingerprint, key_.PublicKeyFingerprint());
  EXPECT_TRUE(CheckPair(*chain, key_).ok());
  EXPECT_TRUE(VerifyServerChain({.chain_der = PemToDer(*chain).value(),
                                 .trust_pem = ca,
                                 .dns_names = {"a.example", "x.b.example"},
                                 .at = kNow})
                  .ok());
}

TEST_F(RequestTest, ExtensionsFollowTheKindOfKey) {
  const PrivateKey rsa = PrivateKey::Generate({KeyAlgorithm::kRsa, 2048}).value();
  const std::string ca = MakeSelfSignedCa(rsa, "RSA CA", kNinetyDays * 2, kNow).value();
  struct Case {
    const PrivateKey* key;
    std::uint32_t usage;
  };
  for (const Case& c : {Case{&key_, KU_DIGITAL_SIGNATURE},
                        Case{&rsa, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT}}) {
    const auto pem = SignServerCertificate(ca, rsa, *c.key, {"", {"a.example"}}, kNinetyDays, kNow);
    const std::string der = PemToDer(pem.value()).value().at(0);
    const unsigned char* position = BytesOf(der);
    const CertificatePtr leaf(d2i_X509(nullptr, &position, static_cast<long>(der.size())));
    EXPECT_EQ(X509_get_key_usage(leaf.get()), c.usage);
    EXPECT_EQ(X509_get_extended_key_usage(leaf.get()), std::uint32_t{XKU_SSL_SERVER});
    EXPECT_NE(X509_get0_subject_key_id(leaf.get()), nullptr);
    EXPECT_NE(X509_get0_authority_key_id(leaf.get()), nullptr);
    // Without a subject the names are critical.
    const int at = X509_get_ext_by_NID(leaf.get(), NID_subject_alt_name, -1);
    EXPECT_EQ(X509_EXTENSION_get_critical(X509_get_ext(leaf.get(), at)), 1);
  }
}

TEST_F(RequestTest, CertificateNeverOutlivesItsCa) {
  CertificateSpec root_spec = CaSpec();
  root_spec.not_after = kNow + hours(24 * 10);
  const TestCertificate root = MakeCertificate(root_spec);
  const TestCertificate intermediate = MakeCertificate(CaSpec(), &root);
  // The intermediate claims to live longer than the root above it.
  const auto chain = Sign(intermediate.pem + root.pem, intermediate.key);
  ASSERT_TRUE(chain.ok()) << chain.error().message;
  const auto infos = ReadChain(*chain).value();
  ASSERT_THAT(infos, SizeIs(2)) << "the intermediate is served, the root is not";
  EXPECT_EQ(infos[0].not_after, kNow + hours(24 * 10));
}

TEST_F(RequestTest, CertificateNeverBeginsBeforeItsCa) {
  CertificateSpec spec = CaSpec();
  spec.not_before = kNow - minutes(1);
  const TestCertificate ca = MakeCertificate(spec);
  EXPECT_EQ(ReadChain(Sign(ca.pem, ca.key).value()).value()[0].not_before, spec.not_before);
}

TEST_F(RequestTest, SaysWhyACaCannotSign) {
  const TestCertificate ca = MakeCertificate(CaSpec());
  CertificateSpec spec = CaSpec();
  spec.ca = false;
  const TestCertificate no_ca = MakeCertificate(spec);
  spec = CaSpec();
  spec.extensions = {{"keyUsage", "critical,digitalSignature"}};
  const TestCertificate no_signer = MakeCertificate(spec);
  spec = CaSpec();
  spec.not_after = kNow;
  const TestCertificate expired = MakeCertificate(spec);
  spec = CaSpec();
  spec.not_before = kNow + hours(1);
  const TestCertificate early = MakeCertificate(spec);
  struct Case {
    const TestCertificate& certificate;
    const PrivateKey& key;
    ErrorCode code;
    std::string reason;
  };
  for (const Case& c : {Case{ca, key_, ErrorCode::kInvalid, "KeyMismatch"},
                        Case{no_ca, no_ca.key, ErrorCode::kInvalid, "NotCa"},
                        Case{no_signer, no_signer.key, ErrorCode::kInvalid, "NotCa"},
                        Case{expired, expired.key, ErrorCode::kRefused, "CaExpired"},
                        Case{early, early.key, ErrorCode::kRefused, "CaNotYetValid"}}) {
    const auto chain = Sign(c.certificate.pem, c.key);
    ASSERT_FALSE(chain.ok()) << c.reason;
    EXPECT_EQ(chain.error().code, c.code);
    EXPECT_EQ(chain.error().reason, c.reason);
    EXPECT_EQ(chain.error().retry, Retry::kNever);
  }
  EXPECT_EQ(Sign("garbage", ca.key).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(Sign(ca.pem, ca.key, std::chrono::seconds(0)).error().code, ErrorCode::kInvalid);
}

TEST_F(RequestTest, NamesThatTheCaMayNotCertifyAreInvalid) {
  CertificateSpec spec = CaSpec();
  spec.extensions = {{"nameConstraints", "critical,permitted;DNS:example"}};
  const TestCertificate ca = MakeCertificate(spec);
  EXPECT_TRUE(Sign(ca.pem, ca.key).ok());
  names_ = {"", {"a.example", "www.other.test"}};
  const auto refused = Sign(ca.pem, ca.key);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().reason, "NameInvalid");
}

TEST_F(RequestTest, CaWithoutKeyIdentifierStillSigns) {
  CertificateSpec spec = CaSpec();
  spec.key_ids = false;
  const TestCertificate ca = MakeCertificate(spec);
  const auto chain = Sign(ca.pem, ca.key);
  ASSERT_TRUE(chain.ok()) << chain.error().message;
  EXPECT_TRUE(VerifyServerChain({.chain_der = PemToDer(*chain).value(),
                                 .trust_pem = ca.pem,
                                 .dns_names = {"a.example"},
                                 .at = kNow})
                  .ok());
}

TEST_F(RequestTest, ThousandKeysAndCertificatesAreAMatterOfSeconds) {
  const PrivateKey ca_key = PrivateKey::Generate(kP256).value();
  const std::string ca = MakeSelfSignedCa(ca_key, "Our CA", hours(24 * 365), kNow).value();
  std::set<std::string> serials;
  for (int i = 0; i < 1000; ++i) {
    const PrivateKey key = PrivateKey::Generate(kP256).value();
    const auto chain = SignServerCertificate(ca, ca_key, key, names_, kNinetyDays, kNow);
    ASSERT_TRUE(chain.ok());
    const std::string serial = ReadChain(*chain).value()[0].serial;
    ASSERT_LE(serial.size(), 40U);
    ASSERT_NE(serial.front(), '-');
    serials.insert(serial);
  }
  EXPECT_EQ(serials.size(), 1000U);
}

TEST_F(RequestTest, NamesOfACaAreBounded) {
  EXPECT_FALSE(MakeSelfSignedCa(key_, "", kNinetyDays, kNow).ok());
  EXPECT_FALSE(MakeSelfSignedCa(key_, std::string(65, 'a'), kNinetyDays, kNow).ok());
  EXPECT_FALSE(MakeSelfSignedCa(key_, "ca", std::chrono::seconds(-1), kNow).ok());
  const auto ca = ReadChain(MakeSelfSignedCa(key_, "Bücher CA", kNinetyDays, kNow).value());
  EXPECT_EQ(ca->front().common_name, "Bücher CA");
  EXPECT_TRUE(ca->front().is_ca);
}

}  // namespace
}  // namespace certflow::pki
