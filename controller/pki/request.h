#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/base/result.h"
#include "controller/pki/key.h"

namespace certflow::pki {

inline constexpr std::size_t kMaxRequestNames = 250;

struct RequestNames {
  std::string common_name;             // may be empty; otherwise repeated among dns_names
  std::vector<std::string> dns_names;  // every one passes CheckDnsName
};

// PKCS#10 (RFC 2986) with the names as SAN, no key usage. DER.
Result<std::string> MakeCertificateRequest(const PrivateKey& key, const RequestNames& names);

// A CA of our own: certificate chain (issuer first) and its key. Signs server certificates as
// RFC 5280 wants them: CA:FALSE critical, digitalSignature (and keyEncipherment for RSA), EKU
// serverAuth, SKI, AKI, SAN, 159-bit random serial, notBefore five minutes back, never beyond the
// notAfter of the CA's chain. The result is a PEM chain: the certificate, then the CA's chain
// without self-signed roots. Errors: kInvalid (names, not a CA, pair mismatch), kRefused
// ("CaExpired", "CaNotYetValid").
Result<std::string> SignServerCertificate(std::string_view ca_chain_pem, const PrivateKey& ca_key,
                                          const PrivateKey& subject_key, const RequestNames& names,
                                          std::chrono::seconds lifetime, WallTime now);

// A self-signed CA, for tests and the demo.
Result<std::string> MakeSelfSignedCa(const PrivateKey& key, std::string_view common_name,
                                     std::chrono::seconds lifetime, WallTime now);

}  // namespace certflow::pki
