#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string_view>

#include "controller/pki/key.h"

// OpenSSL's handles with owners. For the .cc files of this folder only: no other folder sees an EVP
// or X509 type.
namespace certflow::pki {

template <auto kFree>
struct OpenSslFree {
  template <typename T>
  void operator()(T* handle) const noexcept {
    kFree(handle);
  }
};

// What OPENSSL_free is a macro for.
inline void FreeOpenSslMemory(void* memory) noexcept { OPENSSL_free(memory); }
inline void FreeCertificateStack(STACK_OF(X509) * stack) noexcept {
  sk_X509_pop_free(stack, X509_free);
}
inline void FreeExtensionStack(STACK_OF(X509_EXTENSION) * stack) noexcept {
  sk_X509_EXTENSION_pop_free(stack, X509_EXTENSION_free);
}

using BignumPtr = std::unique_ptr<BIGNUM, OpenSslFree<BN_free>>;
using BioPtr = std::unique_ptr<BIO, OpenSslFree<BIO_free_all>>;
using DecoderPtr = std::unique_ptr<OSSL_DECODER_CTX, OpenSslFree<OSSL_DECODER_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, OpenSslFree<EVP_MD_CTX_free>>;
using EcdsaSignaturePtr = std::unique_ptr<ECDSA_SIG, OpenSslFree<ECDSA_SIG_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, OpenSslFree<X509_EXTENSION_free>>;
using ExtensionStackPtr =
    std::unique_ptr<STACK_OF(X509_EXTENSION), OpenSslFree<FreeExtensionStack>>;
using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, OpenSslFree<GENERAL_NAMES_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, OpenSslFree<EVP_PKEY_CTX_free>>;
using OpenSslMemory = std::unique_ptr<unsigned char, OpenSslFree<FreeOpenSslMemory>>;
using KeyInfoPtr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, OpenSslFree<PKCS8_PRIV_KEY_INFO_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpenSslFree<EVP_PKEY_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, OpenSslFree<X509_REQ_free>>;
using StorePtr = std::unique_ptr<X509_STORE, OpenSslFree<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, OpenSslFree<X509_STORE_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, OpenSslFree<X509_free>>;
using CertificateStackPtr = std::unique_ptr<STACK_OF(X509), OpenSslFree<FreeCertificateStack>>;

// Leaves the thread's error queue empty, however the function ends: a stale entry would be taken
// for the failure of a later call on this thread.
class ErrorQueueScope {
 public:
  ErrorQueueScope() { ERR_clear_error(); }
  ~ErrorQueueScope() { ERR_clear_error(); }
  ErrorQueueScope(const ErrorQueueScope&) = delete;
  ErrorQueueScope& operator=(const ErrorQueueScope&) = delete;
};

inline std::string_view BytesView(const unsigned char* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}
inline const unsigned char* BytesOf(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// A BIO that reads from `text`, which must outlive it.
inline BioPtr ReadOnlyBio(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

struct PrivateKey::Impl {
  KeyPtr key;
  KeySpec spec;
};

// The algorithm and size of a public or private key; kInvalid for what certflow does not use.
Result<KeySpec> SpecOfKey(const EVP_PKEY* key);

// Our own call into OpenSSL failed where it must not; `what` names it.
Error OpenSslFailed(std::string_view what);

// The digest that goes with a signing key: SHA-384 for P-384, else SHA-256.
const EVP_MD* DigestFor(const KeySpec& spec);

}  // namespace certflow::pki
