#include "tests/fakes/net/test_ca.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdexcept>

#include "controller/net/address.h"

namespace certflow::fakes {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<&EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, Deleter<&X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<&BIO_free_all>>;

void Must(bool done) {
  if (!done) throw std::runtime_error("OpenSSL failed while making a test certificate");
}

std::string TextOf(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::string CertPem(X509* cert) {
  const Bio bio(BIO_new(BIO_s_mem()));
  Must(PEM_write_bio_X509(bio.get(), cert) == 1);
  return TextOf(bio);
}

std::string KeyPem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  Must(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return TextOf(bio);
}

void AddExtension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  Must(extension != nullptr);
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
}

Cert NewCert(EVP_PKEY* key, const std::string& common_name, long serial) {
  Cert cert(X509_new());
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 86400);
  X509_set_pubkey(cert.get(), key);
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.c_str());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.get()), "CN", MBSTRING_UTF8, text, -1, -1,
                             0);
  return cert;
}

std::string SubjectAltName(const std::vector<std::string>& names) {
  std::string value;
  for (const std::string& name : names) {
    if (!value.empty()) value += ",";
    value += (net::IsIpAddress(name) ? "IP:" : "DNS:") + name;
  }
  return value;
}

}  // namespace

struct TestCa::State {
  Key key{EVP_EC_gen("P-256")};
  Cert cert;
  std::string pem;
  long next_serial = 2;
};

TestCa::TestCa(const std::string& common_name) : state_(std::make_unique<State>()) {
  Must(state_->key != nullptr);
  state_->cert = NewCert(state_->key.get(), common_name, 1);
  X509* cert = state_->cert.get();
  X509_set_issuer_name(cert, X509_get_subject_name(cert));
  AddExtension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
  AddExtension(cert, cert, NID_subject_key_identifier, "hash");
  Must(X509_sign(cert, state_->key.get(), EVP_sha256()) > 0);
  state_->pem = CertPem(cert);
}

TestCa::~TestCa() = default;

const std::string& TestCa::pem() const { return state_->pem; }

PemPair TestCa::Issue(const std::vector<std::string>& names) const {
  const Key key(EVP_EC_gen("P-256"));
  Must(key != nullptr);
  const Cert cert = NewCert(key.get(), names.at(0), state_->next_serial++);
  X509_set_issuer_name(cert.get(), X509_get_subject_name(state_->cert.get()));
  AddExtension(cert.get(), state_->cert.get(), NID_subject_alt_name, SubjectAltName(names));
  AddExtension(cert.get(), state_->cert.get(), NID_authority_key_identifier, "keyid");
  Must(X509_sign(cert.get(), state_->key.get(), EVP_sha256()) > 0);
  return {CertPem(cert.get()), KeyPem(key.get())};
}

}  // namespace certflow::fakes
