#include "controller/pki/parse.h"

#include <openssl/pem.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <utility>

namespace certflow::pki {
namespace {

Error CertificateInvalid(std::string_view message) {
  return MakeError(ErrorCode::kInvalid, "CertificateInvalid", message);
}

// What is left at the clean end of a PEM text.
bool AtEndOfPem() {
  const unsigned long code = ERR_peek_last_error();
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

// A file of certificates has no passphrase, and OpenSSL would ask for one at the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

}  // namespace

Result<std::vector<CertificatePtr>> ParsePem(std::string_view pem, const PemLimits& limits) {
  const ErrorQueueScope errors;
  if (pem.size() > limits.max_bytes) {
    return CertificateInvalid("the PEM text is larger than " +
                              std::to_string(limits.max_bytes >> 10) + " KiB");
  }
  const BioPtr bio = ReadOnlyBio(pem);
  if (!bio) return OpenSslFailed("read certificates");
  std::vector<CertificatePtr> chain;
  while (CertificatePtr next{PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr)}) {
    if (chain.size() == limits.max_certificates) {
      return CertificateInvalid("more than " + std::to_string(limits.max_certificates) +
                                " certificates");
    }
    chain.push_back(std::move(next));
  }
  if (!AtEndOfPem()) {
    return CertificateInvalid("certificate " + std::to_string(chain.size() + 1) +
                              " cannot be read");
  }
  if (chain.empty()) return CertificateInvalid("there is no certificate in the PEM text");
  return chain;
}

Result<CertificatePtr> ParseDer(std::string_view der) {
  const ErrorQueueScope errors;
  if (der.size() > kMaxPemBytes) return CertificateInvalid("the certificate is too large");
  const unsigned char* position = BytesOf(der);
  const unsigned char* const end = position + der.size();
  CertificatePtr certificate(d2i_X509(nullptr, &position, static_cast<long>(der.size())));
  if (!certificate || position != end) {
    return CertificateInvalid("not a certificate in DER");
  }
  return certificate;
}

std::string ToDer(const X509* certificate) {
  unsigned char* raw = nullptr;
  const int size = i2d_X509(certificate, &raw);
  const OpenSslMemory der(raw);
  return size > 0 ? std::string(BytesView(der.get(), static_cast<std::size_t>(size))) : "";
}

bool IsSelfSigned(X509* certificate) {
  const ErrorQueueScope errors;
  return X509_self_signed(certificate, 1) == 1;
}

std::string NameText(const X509_NAME* name) {
  const ErrorQueueScope errors;
  const BioPtr bio(BIO_new(BIO_s_mem()));
  // UTF-8 stays readable; Sanitize replaces what is not valid.
  constexpr unsigned long kFlags = XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB;
  if (!bio || X509_NAME_print_ex(bio.get(), name, 0, kFlags) < 0) return "?";
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return Sanitize({data, static_cast<std::size_t>(size)});
}

Result<WallTime> TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return CertificateInvalid("a time of the certificate cannot be read");
  }
  using std::chrono::floor;
  using std::chrono::seconds;
  const auto highest = floor<seconds>(WallTime::max().time_since_epoch()).count();
  const auto wanted = std::clamp<std::int64_t>(timegm(&parts), -highest, highest);
  return WallTime(seconds(wanted));
}

}  // namespace certflow::pki
