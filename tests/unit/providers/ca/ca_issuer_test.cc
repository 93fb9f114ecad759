#include "providers/issuers/ca/ca_issuer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>

#include "controller/pki/certificate.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/tls/test_certificate.h"

namespace certflow::providers {
namespace {

using fakes::CertificateSpec;
using fakes::MakeCertificate;
using fakes::MakeHierarchy;
using fakes::SimulatedClock;
using fakes::TestCertificate;
using fakes::TestHierarchy;
using std::chrono::hours;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kSettings = R"({"secretName":"our-ca"})";

class CaIssuerTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<seams::Issuer>> Make(const std::string& chain, const std::string& root,
                                              const pki::PrivateKey& key,
                                              std::string_view settings = kSettings) const {
    return MakeCaIssuer(settings, chain, root, key.ToPem());
  }
  std::unique_ptr<seams::Issuer> MustMake(const std::string& chain, const std::string& root,
                                          const pki::PrivateKey& key,
                                          std::string_view settings = kSettings) const {
    auto issuer = Make(chain, root, key, settings);
    EXPECT_TRUE(issuer.ok()) << issuer.error().message;
    return std::move(issuer).value();
  }
  Result<seams::Issuance> Advance(seams::Issuer& issuer) {
    return issuer.Advance(ctx_, request_, {});
  }
  seams::Issued Issue(seams::Issuer& issuer) {
    auto issuance = Advance(issuer);
    EXPECT_TRUE(issuance.ok()) << issuance.error().message;
    return issuance.ok() ? std::get<seams::Issued>(std::move(issuance).value()) : seams::Issued{};
  }
  pki::CertificateInfo Leaf(const seams::Issued& issued) const {
    return pki::ReadChain(issued.chain_pem).value().at(0);
  }
  CertificateSpec CaSpec() const {
    CertificateSpec spec;
    spec.common_name = "Our CA";
    spec.ca = true;
    spec.not_before = clock_.Now() - hours(1);
    spec.not_after = clock_.Now() + hours(24 * 365);
    return spec;
  }

  SimulatedClock clock_;
  Context ctx_{.clock = clock_};
  TestHierarchy three_ = MakeHierarchy("DNS:x.example", clock_.Now());
  pki::PrivateKey key_ = pki::PrivateKey::Generate({}).value();
  seams::IssueRequest request_{"st-1", {"a.example", {"a.example", "*.a.example"}}, key_};
};

TEST_F(CaIssuerTest, ObserveHasNothingToFindAndAdvanceIssues) {
  const auto issuer = MustMake(three_.intermediate.pem, three_.root.pem, three_.intermediate.key);
  const auto observed = issuer->Observe(ctx_, request_, {{"kept", "value"}});
  ASSERT_TRUE(observed.ok());
  const auto& needed = std::get<seams::IssueNeedsAction>(*observed);
  EXPECT_EQ(needed.action, "Sign");
  EXPECT_EQ(needed.memo, (seams::StepMemo{{"kept", "value"}}));
  const seams::Issued issued = Issue(*issuer);
  EXPECT_EQ(issued.ca_pem, three_.root.pem);
  EXPECT_TRUE(pki::CheckPair(issued.chain_pem, key_).ok());
  EXPECT_TRUE(pki::VerifyServerChain({.chain_der = pki::PemToDer(issued.chain_pem).value(),
                                      .trust_pem = three_.root.pem,
                                      .dns_names = {"a.example", "w.a.example"},
                                      .at = clock_.Now()})
                  .ok());
  EXPECT_TRUE(issuer->Cleanup(ctx_, request_, {}).ok());
}

TEST_F(CaIssuerTest, SigningMayBeRepeated) {
  const auto issuer = MustMake(three_.intermediate.pem, "", three_.intermediate.key);
  const pki::CertificateInfo first = Leaf(Issue(*issuer));
  const pki::CertificateInfo second = Leaf(Issue(*issuer));
  EXPECT_EQ(first.public_key_fingerprint, second.public_key_fingerprint);
  EXPECT_NE(first.serial, second.serial);
}

TEST_F(CaIssuerTest, SelfSignedCaIsItsOwnRoot) {
  const TestCertificate ca = MakeCertificate(CaSpec());
  const auto issuer = MustMake(ca.pem, "", ca.key);
  const seams::Issued issued = Issue(*issuer);
  EXPECT_EQ(issued.ca_pem, ca.pem);
  EXPECT_THAT(issued.chain_pem, Not(HasSubstr(ca.pem)));
}

TEST_F(CaIssuerTest, LifetimeIsNinetyDaysUnlessSaidOtherwise) {
  const auto issuer = MustMake(three_.root.pem, "", three_.root.key);
  EXPECT_EQ(Leaf(Issue(*issuer)).not_after, clock_.Now() + hours(24 * 90));
  const auto shorter = MustMake(three_.root.pem, "", three_.root.key,
                                R"({"secretName":"our-ca","duration":"1d12h"})");
  EXPECT_EQ(Leaf(Issue(*shorter)).not_after, clock_.Now() + hours(36));
}

TEST_F(CaIssuerTest, CertificateEndsWithItsCa) {
  CertificateSpec spec = CaSpec();
  spec.not_after = clock_.Now() + hours(24 * 10);
  const TestCertificate ca = MakeCertificate(spec);
  EXPECT_EQ(Leaf(Issue(*MustMake(ca.pem, "", ca.key))).not_after, spec.not_after);
}

TEST_F(CaIssuerTest, ExpiredCaIsRefusedForGood) {
  const auto issuer = MustMake(three_.root.pem, "", three_.root.key);
  clock_.Advance(hours(24 * 366));
  const auto issuance = Advance(*issuer);
  ASSERT_FALSE(issuance.ok());
  EXPECT_EQ(issuance.error().code, ErrorCode::kRefused);
  EXPECT_EQ(issuance.error().reason, "CaExpired");
  EXPECT_EQ(issuance.error().retry, Retry::kNever);
  EXPECT_THAT(issuance.error().message, HasSubstr("our-ca"));
}

TEST_F(CaIssuerTest, ChainThatNobodyWouldTrustIsRefused) {
  const TestHierarchy other = MakeHierarchy("DNS:x.example", clock_.Now());
  const auto foreign_root =
      MustMake(three_.intermediate.pem, other.root.pem, three_.intermediate.key);
  EXPECT_EQ(Advance(*foreign_root).error().reason, "CaChainBroken");
  // A CA that may have no CA below it, and has one.
  CertificateSpec spec = CaSpec();
  const TestCertificate root = MakeCertificate(spec);
  spec.common_name = "not a CA";
  spec.ca = false;
  const TestCertificate middle = MakeCertificate(spec, &root);
  spec.common_name = "below";
  spec.ca = true;
  const TestCertificate below = MakeCertificate(spec, &middle);
  const auto issuer = MustMake(below.pem + middle.pem + root.pem, root.pem, below.key);
  const auto issuance = Advance(*issuer);
  ASSERT_FALSE(issuance.ok());
  EXPECT_EQ(issuance.error().code, ErrorCode::kRefused);
  EXPECT_EQ(issuance.error().reason, "CaChainBroken");
}

TEST_F(CaIssuerTest, BadNamesAreInvalid) {
  const auto issuer = MustMake(three_.root.pem, "", three_.root.key);
  const seams::IssueRequest request{"st-1", {"", {"a.example,email:x"}}, key_};
  EXPECT_EQ(issuer->Advance(ctx_, request, {}).error().code, ErrorCode::kInvalid);
}

TEST_F(CaIssuerTest, StoppedContextSignsNothing) {
  const auto issuer = MustMake(three_.root.pem, "", three_.root.key);
  std::stop_source source;
  source.request_stop();
  const Context stopped = ctx_.WithStop(source.get_token());
  EXPECT_EQ(issuer->Advance(stopped, request_, {}).error().code, ErrorCode::kCancelled);
}

TEST_F(CaIssuerTest, SettingsAndSecretsThatCannotWorkNameFieldAndRemedy) {
  struct Case {
    std::string settings, chain, root;
    const pki::PrivateKey& key;
    std::string field, remedy;
  };
  const std::string good(kSettings);
  const std::string ca = three_.root.pem;
  const pki::PrivateKey& key = three_.root.key;
  for (const Case& c : {
           Case{"{}", ca, "", key, "spec.ca.secretName", "name the Secret"},
           Case{R"({"secretName":7})", ca, "", key, "spec.ca.secretName", "name the Secret"},
           Case{R"({"secretName":""})", ca, "", key, "spec.ca.secretName", "name the Secret"},
           Case{"nonsense", ca, "", key, "spec.ca", "JSON"},
           Case{R"({"secretName":"s","duration":90})", ca, "", key, "spec.ca.duration", "90d"},
           Case{R"({"secretName":"s","duration":"90 days"})", ca, "", key, "spec.ca.duration", ""},
           Case{R"({"secretName":"s","duration":"0s"})", ca, "", key, "spec.ca.duration", ""},
           Case{good, "", "", key, "tls.crt", "put the CA's certificate there"},
           Case{good, "garbage", "", key, "tls.crt", "put the CA's certificate there"},
           Case{good, three_.leaf.pem, "", three_.leaf.key, "tls.crt", "put the CA that signs"},
           Case{good, ca, "garbage", key, "ca.crt", "put the root's certificate there"},
           Case{good, ca, "", three_.leaf.key, "tls.key", "put the key of tls.crt's"},
       }) {
    const auto issuer = Make(c.chain, c.root, c.key, c.settings);
    ASSERT_FALSE(issuer.ok()) << c.field;
    EXPECT_EQ(issuer.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(issuer.error().message, HasSubstr(c.field));
    EXPECT_THAT(issuer.error().message, HasSubstr(c.remedy));
  }
  const auto no_key = MakeCaIssuer(kSettings, ca, "", SecretBytes("garbage"));
  ASSERT_FALSE(no_key.ok());
  EXPECT_THAT(no_key.error().message, HasSubstr("our-ca"));
  EXPECT_THAT(no_key.error().message, HasSubstr("tls.key"));
}

}  // namespace
}  // namespace certflow::providers
