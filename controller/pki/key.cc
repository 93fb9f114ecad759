#include "controller/pki/key.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <string>
#include <utility>

#include "controller/base/base64.h"
#include "controller/pki/openssl.h"

namespace certflow::pki {
namespace {

constexpr std::size_t kMaxKeyPemBytes = 64u << 10;
// Larger keys would make every signature a matter of seconds.
constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;

// Without a callback OpenSSL would ask at the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

Error KeyInvalid(std::string_view message) {
  return MakeError(ErrorCode::kInvalid, "KeyInvalid", message);
}

// A number of the public key, big-endian; `width` pads it (RFC 7518 section 6.2.1.2), 0 does not.
std::string NumberOf(const EVP_PKEY* key, const char* name, int width) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return {};
  const BignumPtr number(raw);
  std::string bytes(width > 0 ? width : BN_num_bytes(number.get()), '\0');
  BN_bn2binpad(number.get(), reinterpret_cast<unsigned char*>(bytes.data()),
               static_cast<int>(bytes.size()));
  return bytes;
}

// DER (RFC 3279) to r||s (RFC 7518 section 3.4).
Result<std::string> JoseSignature(const std::string& der, int width) {
  const unsigned char* position = BytesOf(der);
  const EcdsaSignaturePtr signature(
      d2i_ECDSA_SIG(nullptr, &position, static_cast<long>(der.size())));
  if (!signature) return OpenSslFailed("read the signature");
  std::string jose(2 * static_cast<std::size_t>(width), '\0');
  auto* out = reinterpret_cast<unsigned char*>(jose.data());
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, width) != width ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + width, width) != width) {
    return OpenSslFailed("convert the signature");
  }
  return jose;
}

// Which of OpenSSL's decoders a private key is for; without an algorithm all are tried.
struct KeyForm {
  const char* structure;
  const char* algorithm;
};

KeyForm FormOf(std::string_view label, std::string_view der) {
  if (label == PEM_STRING_ECPRIVATEKEY) return {"type-specific", "EC"};
  if (label == PEM_STRING_RSA) return {"type-specific", "RSA"};
  KeyForm form{"PrivateKeyInfo", nullptr};
  const unsigned char* position = BytesOf(der);
  const KeyInfoPtr info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &position, static_cast<long>(der.size())));
  const ASN1_OBJECT* algorithm = nullptr;
  if (!info || PKCS8_pkey_get0(&algorithm, nullptr, nullptr, nullptr, info.get()) != 1) return form;
  const int nid = OBJ_obj2nid(algorithm);
  if (nid == NID_X9_62_id_ecPublicKey) form.algorithm = "EC";
  if (nid == NID_rsaEncryption) form.algorithm = "RSA";
  return form;
}

// The first private key of a PEM text, or null. Told the algorithm, OpenSSL takes a quarter of the
// time that it needs to set up every decoder it has.
KeyPtr ReadKey(std::string_view pem) {
  const BioPtr bio = ReadOnlyBio(pem);
  unsigned char* raw = nullptr;
  long size = 0;
  char* raw_label = nullptr;
  if (!bio || PEM_bytes_read_bio_secmem(&raw, &size, &raw_label, PEM_STRING_EVP_PKEY, bio.get(),
                                        NoPassword, nullptr) != 1) {
    return nullptr;
  }
  const SecretBytes der(BytesView(raw, static_cast<std::size_t>(size)));
  const std::string label(raw_label);
  OPENSSL_secure_clear_free(raw, static_cast<std::size_t>(size));
  OPENSSL_secure_free(raw_label);
  const KeyForm form = FormOf(label, der.Reveal());
  EVP_PKEY* key = nullptr;
  const DecoderPtr decoder(OSSL_DECODER_CTX_new_for_pkey(
      &key, "DER", form.structure, form.algorithm, EVP_PKEY_KEYPAIR, nullptr, nullptr));
  const unsigned char* position = BytesOf(der.Reveal());
  std::size_t left = der.size();
  const bool read = decoder && OSSL_DECODER_from_data(decoder.get(), &position, &left) == 1;
  KeyPtr owned(key);
  return read ? std::move(owned) : nullptr;
}

bool SizeExists(const KeySpec& spec) {
  switch (spec.algorithm) {
    case KeyAlgorithm::kEcdsa:
      return spec.size == 256 || spec.size == 384;
    case KeyAlgorithm::kRsa:
      return spec.size == 2048 || spec.size == 3072 || spec.size == 4096;
  }
  return false;
}

}  // namespace

std::string KeySpecName(const KeySpec& spec) {
  const bool rsa = spec.algorithm == KeyAlgorithm::kRsa;
  return (rsa ? "RSA " : "ECDSA P-") + std::to_string(spec.size);
}

Error OpenSslFailed(std::string_view what) {
  std::array<char, 256> detail{};
  if (const unsigned long code = ERR_peek_last_error(); code != 0) {
    ERR_error_string_n(code, detail.data(), detail.size());
  }
  return MakeError(ErrorCode::kInternal, "OpenSslFailed",
                   Sanitize(std::string(what) + ": " + detail.data()));
}

const EVP_MD* DigestFor(const KeySpec& spec) {
  return spec == KeySpec{KeyAlgorithm::kEcdsa, 384} ? EVP_sha384() : EVP_sha256();
}

Result<KeySpec> SpecOfKey(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA")) {
    const KeySpec spec{KeyAlgorithm::kRsa, EVP_PKEY_get_bits(key)};
    if (spec.size < kMinRsaBits || spec.size > kMaxRsaBits) {
      return KeyInvalid("the RSA key must have 2048 to 8192 bits");
    }
    return spec;
  }
  std::array<char, 64> group{};
  std::size_t size = 0;
  if (EVP_PKEY_is_a(key, "EC") &&
      EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(),
                                     &size) == 1) {
    const std::string_view name(group.data(), size);
    if (name == "prime256v1") return KeySpec{KeyAlgorithm::kEcdsa, 256};
    if (name == "secp384r1") return KeySpec{KeyAlgorithm::kEcdsa, 384};
  }
  return KeyInvalid("the key must be RSA, or ECDSA on P-256 or P-384");
}

PrivateKey::PrivateKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PrivateKey::PrivateKey(PrivateKey&&) noexcept = default;
PrivateKey& PrivateKey::operator=(PrivateKey&&) noexcept = default;
PrivateKey::~PrivateKey() = default;

Result<PrivateKey> PrivateKey::Generate(const KeySpec& spec) {
  const ErrorQueueScope errors;
  if (!SizeExists(spec)) {
    return KeyInvalid("no such key: " + KeySpecName(spec) +
                      "; use ECDSA 256 or 384, or RSA 2048, 3072 or 4096");
  }
  KeyPtr key;
  switch (spec.algorithm) {
    case KeyAlgorithm::kEcdsa:
      key.reset(EVP_EC_gen(spec.size == 256 ? "P-256" : "P-384"));
      break;
    case KeyAlgorithm::kRsa:
      key.reset(EVP_RSA_gen(static_cast<unsigned int>(spec.size)));
      break;
  }
  if (!key) return OpenSslFailed("generate a key");
  return PrivateKey(std::make_unique<Impl>(std::move(key), spec));
}

Result<PrivateKey> PrivateKey::FromPem(std::string_view pem) {
  const ErrorQueueScope errors;
  if (pem.size() > kMaxKeyPemBytes) return KeyInvalid("the private key is larger than 64 KiB");
  KeyPtr key = ReadKey(pem);
  if (!key) {
    return KeyInvalid("not a private key in PEM (PKCS#8, PKCS#1 or SEC1) without a passphrase");
  }
  CF_ASSIGN_OR_RETURN(const KeySpec spec, SpecOfKey(key.get()));
  // A SEC1 file carries its public half as it likes. (RSA is left out: its check is a primality
  // test, and OpenSSL verifies each RSA signature that it makes.)
  if (spec.algorithm == KeyAlgorithm::kEcdsa) {
    const KeyContextPtr check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
    if (!check || EVP_PKEY_pairwise_check(check.get()) != 1) {
      return KeyInvalid("the private and public half of the key do not belong together");
    }
  }
  return PrivateKey(std::make_unique<Impl>(std::move(key), spec));
}

SecretBytes PrivateKey::ToPem() const {
  const ErrorQueueScope errors;
  const BioPtr bio(BIO_new(BIO_s_secmem()));  // wipes its buffer when it is freed
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), impl_->key.get(), nullptr, nullptr, 0,
                                            nullptr, nullptr) != 1) {
    return {};
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return SecretBytes({data, static_cast<std::size_t>(size)});
}

KeySpec PrivateKey::spec() const { return impl_->spec; }

std::string PrivateKey::PublicJwk() const {
  const ErrorQueueScope errors;
  const EVP_PKEY* key = impl_->key.get();
  const auto number = [key](const char* name, int width) {
    return Base64UrlEncode(NumberOf(key, name, width));
  };
  switch (impl_->spec.algorithm) {
    case KeyAlgorithm::kRsa:
      return R"({"e":")" + number(OSSL_PKEY_PARAM_RSA_E, 0) + R"(","kty":"RSA","n":")" +
             number(OSSL_PKEY_PARAM_RSA_N, 0) + "\"}";
    case KeyAlgorithm::kEcdsa: {
      const int width = impl_->spec.size / 8;
      return R"({"crv":"P-)" + std::to_string(impl_->spec.size) + R"(","kty":"EC","x":")" +
             number(OSSL_PKEY_PARAM_EC_PUB_X, width) + R"(","y":")" +
             number(OSSL_PKEY_PARAM_EC_PUB_Y, width) + "\"}";
    }
  }
  return {};
}

std::string PrivateKey::JoseAlgorithm() const {
  if (impl_->spec.algorithm == KeyAlgorithm::kRsa) return "RS256";
  return impl_->spec.size == 384 ? "ES384" : "ES256";
}

Result<std::string> PrivateKey::SignJose(std::string_view input) const {
  const ErrorQueueScope errors;
  const DigestContextPtr context(EVP_MD_CTX_new());
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(impl_->key.get()));
  std::string signature(size, '\0');
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, DigestFor(impl_->spec), nullptr,
                         impl_->key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     BytesOf(input), input.size()) != 1) {
    return OpenSslFailed("sign");
  }
  signature.resize(size);
  if (impl_->spec.algorithm == KeyAlgorithm::kRsa) return signature;
  return JoseSignature(signature, impl_->spec.size / 8);
}

std::string PrivateKey::PublicKeyFingerprint() const {
  const ErrorQueueScope errors;
  unsigned char* raw = nullptr;
  const int size = i2d_PUBKEY(impl_->key.get(), &raw);
  const OpenSslMemory der(raw);
  return size > 0 ? Sha256Hex(BytesView(der.get(), static_cast<std::size_t>(size))) : "";
}

}  // namespace certflow::pki
