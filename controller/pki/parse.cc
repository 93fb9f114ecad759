#include "controller/pki/parse.h"

#include <openssl/pem.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <unordered_map>
#include <utility>

#include "controller/base/base64.h"
#include "controller/base/mutex.h"

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

// What was parsed lately, by the digest of its DER. OpenSSL takes a fifth of a millisecond for a
// certificate, nearly all of it for the public key, and a run asks for the same few a dozen times.
// Certificates are public, and nobody changes one that was parsed, so all threads may share it.
class ParsedLately {
 public:
  CertificatePtr Find(const std::string& digest) CF_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (const auto found = young_.find(digest); found != young_.end()) return Share(found->second);
    const auto found = old_.find(digest);
    if (found == old_.end()) return nullptr;
    CertificatePtr certificate = Share(found->second);
    Add(digest, Share(certificate));
    return certificate;
  }

  void Keep(const std::string& digest, const CertificatePtr& certificate) CF_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Add(digest, Share(certificate));
  }

 private:
  using Certificates = std::unordered_map<std::string, CertificatePtr>;
  static constexpr std::size_t kGeneration = 64;

  static CertificatePtr Share(const CertificatePtr& certificate) {
    X509_up_ref(certificate.get());
    return CertificatePtr(certificate.get());
  }
  // Of two generations the older one goes as a whole, without what was asked for meanwhile.
  void Add(const std::string& digest, CertificatePtr certificate) CF_REQUIRES(mutex_) {
    if (young_.size() == kGeneration) old_ = std::exchange(young_, {});
    young_.insert_or_assign(digest, std::move(certificate));
  }

  Mutex mutex_;
  Certificates young_ CF_GUARDED_BY(mutex_);
  Certificates old_ CF_GUARDED_BY(mutex_);
};

// Larger ones are rare, and would make the memory large.
constexpr std::size_t kMaxKeptDer = 4u << 10;

// Null when `der` is no certificate, or has something behind it.
CertificatePtr DecodeDer(std::string_view der) {
  static ParsedLately lately;
  const bool keep = der.size() <= kMaxKeptDer;
  const std::string digest = keep ? Sha256(der) : std::string();
  if (keep) {
    if (CertificatePtr known = lately.Find(digest)) return known;
  }
  const unsigned char* position = BytesOf(der);
  const unsigned char* const end = position + der.size();
  CertificatePtr certificate(d2i_X509(nullptr, &position, static_cast<long>(der.size())));
  if (!certificate || position != end) return nullptr;
  if (keep) lately.Keep(digest, certificate);
  return certificate;
}

// The next certificate of a PEM text; null at its end and at a fault, with OpenSSL's error.
CertificatePtr NextOfPem(BIO* bio) {
  unsigned char* raw = nullptr;
  long size = 0;
  if (PEM_bytes_read_bio(&raw, &size, nullptr, PEM_STRING_X509, bio, NoPassword, nullptr) != 1) {
    return nullptr;
  }
  const OpenSslMemory der(raw);
  return DecodeDer(BytesView(raw, static_cast<std::size_t>(size)));
}

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
  while (CertificatePtr next = NextOfPem(bio.get())) {
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
  CertificatePtr certificate = DecodeDer(der);
  if (!certificate) return CertificateInvalid("not a certificate in DER");
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
