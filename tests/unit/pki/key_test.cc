#include "controller/pki/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <string>

#include "controller/base/base64.h"
#include "controller/pki/openssl.h"

namespace certflow::pki {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr KeySpec kP256{KeyAlgorithm::kEcdsa, 256};
constexpr KeySpec kP384{KeyAlgorithm::kEcdsa, 384};
constexpr KeySpec kRsa2048{KeyAlgorithm::kRsa, 2048};

PrivateKey MustGenerate(const KeySpec& spec) {
  auto key = PrivateKey::Generate(spec);
  EXPECT_TRUE(key.ok());
  return std::move(key).value();
}

// Writes the key in its old form ("EC PRIVATE KEY", "RSA PRIVATE KEY").
std::string TraditionalPem(const PrivateKey& key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey_traditional(bio.get(), key.impl().key.get(), nullptr, nullptr, 0,
                                       nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string EncryptedPem(const PrivateKey& key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  std::string password = "hunter2";
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key.impl().key.get(), EVP_aes_256_cbc(), password.data(),
                                static_cast<int>(password.size()), nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

// Any key that OpenSSL can make, also those that certflow refuses.
std::string PemOf(const KeyPtr& key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

bool Verifies(const PrivateKey& key, const std::string& input, const std::string& signature) {
  std::string der = signature;
  if (key.spec().algorithm == KeyAlgorithm::kEcdsa) {
    const int half = static_cast<int>(signature.size() / 2);
    const EcdsaSignaturePtr pair(ECDSA_SIG_new());
    ECDSA_SIG_set0(pair.get(), BN_bin2bn(BytesOf(signature), half, nullptr),
                   BN_bin2bn(BytesOf(signature) + half, half, nullptr));
    unsigned char* raw = nullptr;
    const int size = i2d_ECDSA_SIG(pair.get(), &raw);
    const OpenSslMemory memory(raw);
    der = BytesView(raw, static_cast<std::size_t>(size));
  }
  const DigestContextPtr context(EVP_MD_CTX_new());
  return EVP_DigestVerifyInit(context.get(), nullptr, DigestFor(key.spec()), nullptr,
                              key.impl().key.get()) == 1 &&
         EVP_DigestVerify(context.get(), BytesOf(der), der.size(), BytesOf(input), input.size()) ==
             1;
}

TEST(PrivateKeyTest, EveryOfferedKindIsGeneratedWithItsName) {
  struct Case {
    KeySpec spec;
    std::string name, jose;
    std::size_t signature_size;
  };
  for (const Case& c :
       {Case{kP256, "ECDSA P-256", "ES256", 64}, Case{kP384, "ECDSA P-384", "ES384", 96},
        Case{kRsa2048, "RSA 2048", "RS256", 256},
        Case{{KeyAlgorithm::kRsa, 3072}, "RSA 3072", "RS256", 384}}) {
    SCOPED_TRACE(c.name);
    const PrivateKey key = MustGenerate(c.spec);
    EXPECT_EQ(KeySpecName(key.spec()), c.name);
    EXPECT_EQ(key.JoseAlgorithm(), c.jose);
    const auto signature = key.SignJose("header.payload");
    ASSERT_TRUE(signature.ok());
    EXPECT_EQ(signature->size(), c.signature_size);
    EXPECT_TRUE(Verifies(key, "header.payload", *signature));
    EXPECT_FALSE(Verifies(key, "header.payloae", *signature));
  }
}

TEST(PrivateKeyTest, SizesThatAnAlgorithmDoesNotHaveAreInvalid) {
  for (const KeySpec& spec : {KeySpec{KeyAlgorithm::kEcdsa, 0}, KeySpec{KeyAlgorithm::kEcdsa, 2048},
                              KeySpec{KeyAlgorithm::kEcdsa, 521}, KeySpec{KeyAlgorithm::kRsa, 256},
                              KeySpec{KeyAlgorithm::kRsa, 1024}, KeySpec{KeyAlgorithm::kRsa, -1},
                              KeySpec{KeyAlgorithm::kRsa, 1 << 30}}) {
    const auto key = PrivateKey::Generate(spec);
    ASSERT_FALSE(key.ok());
    EXPECT_EQ(key.error().code, ErrorCode::kInvalid);
  }
}

TEST(PrivateKeyTest, SurvivesEveryPemFormThatItReads) {
  for (const KeySpec& spec : {kP256, kP384, kRsa2048}) {
    const PrivateKey key = MustGenerate(spec);
    const SecretBytes pkcs8 = key.ToPem();
    EXPECT_THAT(std::string(pkcs8.Reveal()), StartsWith("-----BEGIN PRIVATE KEY-----\n"));
    for (const std::string& pem : {std::string(pkcs8.Reveal()), TraditionalPem(key)}) {
      const auto read = PrivateKey::FromPem(pem);
      ASSERT_TRUE(read.ok()) << read.error().message;
      EXPECT_EQ(read->spec(), spec);
      EXPECT_EQ(read->PublicKeyFingerprint(), key.PublicKeyFingerprint());
      EXPECT_EQ(read->PublicJwk(), key.PublicJwk());
    }
  }
}

TEST(PrivateKeyTest, ReadsWhatOpensslEcparamWritesWithItsParametersInFront) {
  const PrivateKey key = MustGenerate(kP256);
  const std::string parameters =
      "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  EXPECT_TRUE(PrivateKey::FromPem(parameters + TraditionalPem(key)).ok());
}

TEST(PrivateKeyTest, EncryptedKeyIsRefusedWithoutAskingForItsPassphrase) {
  const auto read = PrivateKey::FromPem(EncryptedPem(MustGenerate(kP256)));
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().message, HasSubstr("without a passphrase"));
}

TEST(PrivateKeyTest, KindsThatAreNotUsedAreInvalid) {
  const KeyPtr ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const KeyPtr p521(EVP_EC_gen("P-521"));
  const KeyPtr rsa1024(EVP_RSA_gen(1024));
  for (const KeyPtr* key : {&ed25519, &p521, &rsa1024}) {
    const auto read = PrivateKey::FromPem(PemOf(*key));
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(read.error().reason, "KeyInvalid");
  }
}

TEST(PrivateKeyTest, GarbageIsInvalidAndIsNotQuoted) {
  const std::string secret = "MC4CAQAwBQYDK2VwBCIEIsecretsecretsecret";
  for (const std::string& pem :
       {std::string(), std::string("hello"), std::string("-----BEGIN PRIVATE KEY-----\n"),
        "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n",
        std::string(100'000, '-'), std::string(10, '\0')}) {
    const auto read = PrivateKey::FromPem(pem);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(read.error().message, Not(HasSubstr("secret")));
    EXPECT_EQ(ERR_peek_error(), 0U) << "the error queue keeps something";
  }
}

TEST(PrivateKeyTest, HalvesOfDifferentKeysAreInvalid) {
  const PrivateKey a = MustGenerate(kP256);
  const PrivateKey b = MustGenerate(kP256);
  // SEC1: the public point stands at the end, 65 bytes.
  const auto body = [](const PrivateKey& key) {
    unsigned char* raw = nullptr;
    const int size = i2d_PrivateKey(key.impl().key.get(), &raw);
    const OpenSslMemory memory(raw);
    return std::string(BytesView(raw, static_cast<std::size_t>(size)));
  };
  const std::string other = body(b);
  std::string mixed = body(a);
  mixed.replace(mixed.size() - 65, 65, other.substr(other.size() - 65));
  const auto read = PrivateKey::FromPem("-----BEGIN EC PRIVATE KEY-----\n" + Base64Encode(mixed) +
                                        "\n-----END EC PRIVATE KEY-----\n");
  EXPECT_FALSE(read.ok());
}

TEST(PrivateKeyTest, JwkHasSortedMembersAndPaddedCoordinates) {
  // Enough keys that a coordinate with a leading zero octet is likely (1 in 128 a key).
  for (int i = 0; i < 600; ++i) {
    const PrivateKey key = MustGenerate(kP256);
    const std::string jwk = key.PublicJwk();
    // {"crv":"P-256","kty":"EC","x":"<43>","y":"<43>"}
    ASSERT_EQ(jwk.size(), 126U) << jwk;
    ASSERT_THAT(jwk, StartsWith(R"({"crv":"P-256","kty":"EC","x":")"));
    ASSERT_EQ(jwk.substr(74, 7), R"(","y":")") << jwk;
    ASSERT_EQ(jwk.substr(124), "\"}");
  }
}

TEST(PrivateKeyTest, RsaJwkHasExponentAndModulusWithoutLeadingZeros) {
  const std::string jwk = MustGenerate(kRsa2048).PublicJwk();
  EXPECT_THAT(jwk, StartsWith(R"({"e":"AQAB","kty":"RSA","n":")"));
  EXPECT_EQ(jwk.size(), 29U + 342U + 2U) << jwk;  // 256 octets in base64url
}

TEST(PrivateKeyTest, JoseSignaturesAreAlwaysPadded) {
  const PrivateKey key = MustGenerate(kP384);
  for (int i = 0; i < 300; ++i) {
    const auto signature = key.SignJose("n" + std::to_string(i));
    ASSERT_TRUE(signature.ok());
    ASSERT_EQ(signature->size(), 96U);
  }
}

}  // namespace
}  // namespace certflow::pki
