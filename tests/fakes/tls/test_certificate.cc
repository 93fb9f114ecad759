#include "tests/fakes/tls/test_certificate.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace certflow::fakes {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "test certificate: %s\n", what);
  std::abort();
}

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;

Bio Reading(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Key KeyOf(const pki::PrivateKey& key) {
  const SecretBytes pem = key.ToPem();
  return Key(PEM_read_bio_PrivateKey(Reading(pem.Reveal()).get(), nullptr, nullptr, nullptr));
}

void Extend(X509* certificate, X509* issuer, const std::string& name, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf(nullptr, &context, name.c_str(), value.c_str());
  Require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, name.c_str());
  X509_EXTENSION_free(extension);
}

void SetSerial(X509* certificate, const std::string& hex) {
  BIGNUM* number = BN_new();
  Require(hex.empty() ? BN_rand(number, 100, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1
                      : BN_hex2bn(&number, hex.c_str()) > 0,
          "serial");
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
}

void SetNameAndTime(X509* certificate, const CertificateSpec& spec) {
  if (!spec.common_name.empty()) {
    Require(X509_NAME_add_entry_by_NID(
                X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
                reinterpret_cast<const unsigned char*>(spec.common_name.data()),
                static_cast<int>(spec.common_name.size()), -1, 0) == 1,
            "common name");
  }
  using std::chrono::system_clock;
  ASN1_TIME_set(X509_getm_notBefore(certificate), system_clock::to_time_t(spec.not_before));
  ASN1_TIME_set(X509_getm_notAfter(certificate), system_clock::to_time_t(spec.not_after));
}

void AddExtensions(X509* certificate, X509* issuer, const CertificateSpec& spec) {
  Extend(certificate, issuer, "basicConstraints",
         spec.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (spec.key_ids) {
    Extend(certificate, issuer, "subjectKeyIdentifier", "hash");
    Extend(certificate, issuer, "authorityKeyIdentifier", "keyid:always");
  }
  if (!spec.names.empty()) Extend(certificate, issuer, "subjectAltName", spec.names);
  for (const auto& [name, value] : spec.extensions) Extend(certificate, issuer, name, value);
}

std::string ToPem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

TestCertificate MakeCertificate(const CertificateSpec& spec, const TestCertificate* issuer) {
  auto key = pki::PrivateKey::Generate({pki::KeyAlgorithm::kEcdsa, 256});
  Require(key.ok(), "key");
  const Key own = KeyOf(*key);
  const Certificate certificate(X509_new());
  const Certificate above(
      issuer == nullptr ? nullptr
                        : PEM_read_bio_X509(Reading(issuer->pem).get(), nullptr, nullptr, nullptr));
  X509* signer = above ? above.get() : certificate.get();
  X509_set_version(certificate.get(), X509_VERSION_3);
  SetSerial(certificate.get(), spec.serial_hex);
  SetNameAndTime(certificate.get(), spec);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
  X509_set_pubkey(certificate.get(), own.get());
  AddExtensions(certificate.get(), signer, spec);
  const Key signing_key = KeyOf(issuer == nullptr ? *key : issuer->key);
  Require(X509_sign(certificate.get(), signing_key.get(),
                    EVP_get_digestbyname(spec.digest.c_str())) > 0,
          "sign");
  return {ToPem(certificate.get()), std::move(key).value()};
}

TestHierarchy MakeHierarchy(const std::string& names, WallTime now) {
  using std::chrono::hours;
  CertificateSpec spec;
  spec.not_before = now - hours(24);
  spec.not_after = now + hours(24 * 365);
  spec.ca = true;
  spec.common_name = "Test Root";
  TestCertificate root = MakeCertificate(spec);
  spec.common_name = "Test Intermediate";
  TestCertificate intermediate = MakeCertificate(spec, &root);
  spec.ca = false;
  spec.common_name = "";
  spec.names = names;
  TestCertificate leaf = MakeCertificate(spec, &intermediate);
  return {std::move(root), std::move(intermediate), std::move(leaf)};
}

}  // namespace certflow::fakes
