#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "controller/base/result.h"
#include "controller/base/secret.h"

namespace certflow::pki {

enum class KeyAlgorithm { kRsa, kEcdsa };

struct KeySpec {
  KeyAlgorithm algorithm = KeyAlgorithm::kEcdsa;
  int size = 256;  // ECDSA 256, 384; RSA 2048, 3072, 4096
  friend bool operator==(const KeySpec&, const KeySpec&) = default;
};
// "ECDSA P-256", "RSA 2048".
std::string KeySpecName(const KeySpec& spec);

// A private key in memory. Moves, never copies; wiped on destruction.
class PrivateKey {
 public:
  struct Impl;
  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;
  ~PrivateKey();

  // kInvalid for a size that the algorithm does not have.
  static Result<PrivateKey> Generate(const KeySpec& spec);
  // PKCS#8, PKCS#1 or SEC1 PEM, unencrypted; kInvalid otherwise, without quoting the input.
  static Result<PrivateKey> FromPem(std::string_view pem);

  SecretBytes ToPem() const;  // PKCS#8
  KeySpec spec() const;
  // RFC 7638 thumbprint input and JWK of the public key: {"crv","kty","x","y"} or {"e","kty","n"},
  // members sorted, no spaces.
  std::string PublicJwk() const;
  // JOSE signature over `input`: RS256, ES256, ES384 by key; ECDSA as r||s.
  Result<std::string> SignJose(std::string_view input) const;
  std::string JoseAlgorithm() const;
  // SHA-256 over the DER SubjectPublicKeyInfo, hex.
  std::string PublicKeyFingerprint() const;

  const Impl& impl() const { return *impl_; }

 private:
  explicit PrivateKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::pki
