#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/base/result.h"
#include "controller/pki/key.h"

namespace certflow::pki {

// What people and status need to know of one certificate (RFC 5280).
struct CertificateInfo {
  std::string subject;      // RFC 2253 form, sanitized
  std::string common_name;  // empty when there is none
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::string issuer;
  std::string issuer_common_name;
  std::string serial;       // hex, lower case, without leading zeros
  std::string fingerprint;  // SHA-256 of the DER, hex, lower case
  std::string public_key_fingerprint;
  std::string signature_type;  // "ECDSA P-256", "RSA 2048", of the subject's key
  WallTime not_before;
  WallTime not_after;
  bool is_ca = false;
};

// Leaf first, then issuers. Limits: kMaxChainCertificates, kMaxPemBytes.
inline constexpr std::size_t kMaxChainCertificates = 16;
inline constexpr std::size_t kMaxPemBytes = 256u << 10;

// Reads every certificate of a PEM text, in order; kInvalid when there is none, too many, or one
// cannot be parsed.
Result<std::vector<CertificateInfo>> ReadChain(std::string_view pem);
// SHA-256 of the first certificate, as CertificateInfo has it.
Result<std::string> LeafFingerprint(std::string_view pem);
// A SHA-256 fingerprint as devices write it ("SHA256/3A:F7:...", "3A F7 ...", "3af7..."), in
// lower-case hex; empty for what is none.
std::string ReadFingerprint(std::string_view text);
// Of one DER certificate.
Result<CertificateInfo> ReadDer(std::string_view der);
// The certificates as DER, in order.
Result<std::vector<std::string>> PemToDer(std::string_view pem);
std::string DerToPem(std::string_view der);

// The pair fits: the first certificate holds the public half of the key. kInvalid, "KeyMismatch".
Result<void> CheckPair(std::string_view chain_pem, const PrivateKey& key);

// Leaf first, each issued by the one after it, self-signed roots left out. kInvalid when the leaf
// cannot be told, something does not belong, or ReadChain could not read what is left.
Result<std::string> OrderChain(std::string_view pem);

struct VerifyRequest {
  std::vector<std::string> chain_der;  // as served, leaf first
  std::string trust_pem;               // accepted roots (partial chains allowed); empty: system
  std::vector<std::string> dns_names;  // each must be covered by the leaf
  WallTime at;
};
// Path validation for a TLS server (RFC 5280, purpose sslserver, no partial wildcards). Errors
// kUntrusted with reason ChainUntrusted, ChainIncomplete, CertificateExpired,
// CertificateNotYetValid, NameMismatch.
Result<void> VerifyServerChain(const VerifyRequest& request);

// Whether a certificate with these names covers `name`, wildcard in the left-most label only.
bool NameCovers(const std::vector<std::string>& dns_names, std::string_view name);

// A DNS name that may go into a certificate: lower-case LDH labels, at most 253 characters, an
// optional left-most "*". kInvalid names the fault.
Result<void> CheckDnsName(std::string_view name);

}  // namespace certflow::pki
