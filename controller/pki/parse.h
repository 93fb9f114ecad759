#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/base/result.h"
#include "controller/pki/certificate.h"
#include "controller/pki/openssl.h"

// Certificates as OpenSSL holds them, for the .cc files of this folder only.
namespace certflow::pki {

struct PemLimits {
  std::size_t max_bytes = kMaxPemBytes;
  std::size_t max_certificates = kMaxChainCertificates;
};

// Every certificate of a PEM text in order, other blocks skipped; at least one. What is parsed here
// is shared with whoever asks for the same certificate: it must not be changed.
Result<std::vector<CertificatePtr>> ParsePem(std::string_view pem, const PemLimits& limits = {});
// One certificate and nothing after it.
Result<CertificatePtr> ParseDer(std::string_view der);

std::string ToDer(const X509* certificate);

// Whether it carries its own signature.
bool IsSelfSigned(X509* certificate);

// RFC 2253, sanitized.
std::string NameText(const X509_NAME* name);

// Clamped to what WallTime can hold (years 1678 to 2262): "99991231235959Z" is a usual value.
Result<WallTime> TimeOf(const ASN1_TIME* time);

}  // namespace certflow::pki
