#include "tests/fakes/world/csr_signer.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

#include "controller/pki/key.h"
#include "controller/pki/request.h"

namespace certflow::fakes {
namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};
void FreeNames(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }
void FreeExtensions(STACK_OF(X509_EXTENSION) * list) {
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Request = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Free<FreeNames>>;
using Extensions = std::unique_ptr<STACK_OF(X509_EXTENSION), Free<FreeExtensions>>;

constexpr std::chrono::hours kYear{24 * 365};

Bio Reading(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::vector<std::string> NamesIn(const STACK_OF(X509_EXTENSION) * extensions) {
  std::vector<std::string> out;
  const Names names(static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                     static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  std::sort(out.begin(), out.end());
  return out;
}

void Fill(X509* leaf, X509_REQ* request, X509* root, WallTime now, std::chrono::seconds lifetime) {
  const std::time_t begin = std::chrono::system_clock::to_time_t(now);
  X509_set_version(leaf, X509_VERSION_3);
  BIGNUM* serial = BN_new();
  BN_rand(serial, 120, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
  BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(leaf));
  BN_free(serial);
  ASN1_TIME_set(X509_getm_notBefore(leaf), begin);
  ASN1_TIME_set(X509_getm_notAfter(leaf), begin + lifetime.count());
  X509_set_subject_name(leaf, X509_REQ_get_subject_name(request));
  X509_set_issuer_name(leaf, X509_get_subject_name(root));
  X509_set_pubkey(leaf, X509_REQ_get0_pubkey(request));
}

std::string ToPem(X509* certificate) {
  const Bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

CsrSigner::CsrSigner(WallTime now) {
  auto key = pki::PrivateKey::Generate({pki::KeyAlgorithm::kEcdsa, 256});
  root_pem_ = *pki::MakeSelfSignedCa(*key, "certflow fake ACME root", 20 * kYear, now);
  key_pem_ = key->ToPem();
}

std::string CsrSigner::Sign(std::string_view csr_der, std::vector<std::string> names, WallTime now,
                            std::chrono::seconds lifetime) const {
  auto* bytes = reinterpret_cast<const unsigned char*>(csr_der.data());
  const Request request(d2i_X509_REQ(nullptr, &bytes, static_cast<long>(csr_der.size())));
  if (!request || X509_REQ_verify(request.get(), X509_REQ_get0_pubkey(request.get())) != 1) {
    return "";
  }
  const Extensions extensions(X509_REQ_get_extensions(request.get()));
  std::sort(names.begin(), names.end());
  if (NamesIn(extensions.get()) != names) return "";
  const Certificate root(PEM_read_bio_X509(Reading(root_pem_).get(), nullptr, nullptr, nullptr));
  const Key key(
      PEM_read_bio_PrivateKey(Reading(key_pem_.Reveal()).get(), nullptr, nullptr, nullptr));
  const Certificate leaf(X509_new());
  Fill(leaf.get(), request.get(), root.get(), now, lifetime);
  const int san = X509v3_get_ext_by_NID(extensions.get(), NID_subject_alt_name, -1);
  X509_add_ext(leaf.get(), X509v3_get_ext(extensions.get(), san), -1);
  X509_sign(leaf.get(), key.get(), EVP_sha256());
  return ToPem(leaf.get());
}

}  // namespace certflow::fakes
