#include "controller/pki/request.h"

#include <algorithm>
#include <string>
#include <utility>

#include "controller/base/clock.h"
#include "controller/pki/certificate.h"
#include "controller/pki/parse.h"

namespace certflow::pki {
namespace {

constexpr std::size_t kMaxCommonName = 64;     // ub-common-name, RFC 5280 appendix A.1
constexpr std::chrono::minutes kClockSkew{5};  // clients whose clock is behind
constexpr int kSerialBits = 159;               // positive in 20 octets, RFC 5280 section 4.1.2.2

Error Invalid(std::string_view reason, std::string_view message) {
  return MakeError(ErrorCode::kInvalid, reason, message);
}

Result<void> CheckNames(const RequestNames& names) {
  if (names.dns_names.empty()) return Invalid("NameInvalid", "there is no DNS name");
  if (names.dns_names.size() > kMaxRequestNames) {
    return Invalid("NameInvalid", "more than " + std::to_string(kMaxRequestNames) + " DNS names");
  }
  for (const std::string& name : names.dns_names) CF_RETURN_IF_ERROR(CheckDnsName(name));
  if (names.common_name.empty()) return {};
  if (names.common_name.size() > kMaxCommonName) {
    return Invalid("NameInvalid",
                   "the common name has more than 64 characters; leave it empty, the DNS names "
                   "are what counts");
  }
  if (std::find(names.dns_names.begin(), names.dns_names.end(), names.common_name) ==
      names.dns_names.end()) {
    return Invalid("NameInvalid", "the common name \"" + Sanitize(names.common_name, 80) +
                                      "\" is not among the DNS names");
  }
  return {};
}

bool SetCommonName(X509_NAME* subject, std::string_view name) {
  return name.empty() ||
         X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, BytesOf(name),
                                    static_cast<int>(name.size()), -1, 0) == 1;
}

bool AddDnsName(GENERAL_NAMES* names, std::string_view text) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  if (name == nullptr || value == nullptr ||
      ASN1_STRING_set(value, text.data(), static_cast<int>(text.size())) != 1) {
    GENERAL_NAME_free(name);
    ASN1_IA5STRING_free(value);
    return false;
  }
  GENERAL_NAME_set0_value(name, GEN_DNS, value);
  if (sk_GENERAL_NAME_push(names, name) > 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

// Built as values, never from OpenSSL's configuration text: there a comma begins another name.
ExtensionPtr AlternativeNames(const RequestNames& names) {
  const GeneralNamesPtr list(GENERAL_NAMES_new());
  if (!list) return nullptr;
  for (auto it = names.dns_names.begin(); it != names.dns_names.end(); ++it) {
    if (std::find(names.dns_names.begin(), it, *it) != it) continue;
    if (!AddDnsName(list.get(), *it)) return nullptr;
  }
  // Critical where the subject says nothing (RFC 5280 section 4.2.1.6).
  const int critical = names.common_name.empty() ? 1 : 0;
  return ExtensionPtr(X509V3_EXT_i2d(NID_subject_alt_name, critical, list.get()));
}

bool AddExtension(X509* certificate, X509V3_CTX* context, int nid, const char* value) {
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, context, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetRandomSerial(X509* certificate) {
  const BignumPtr number(BN_new());
  do {
    if (!number || BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1) {
      return false;
    }
  } while (BN_is_zero(number.get()));
  return BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetValidity(X509* certificate, WallTime from, WallTime until) {
  using std::chrono::system_clock;
  return ASN1_TIME_set(X509_getm_notBefore(certificate), system_clock::to_time_t(from)) !=
             nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), system_clock::to_time_t(until)) != nullptr;
}

// The chain of a CA, checked: what it may sign, and until when.
struct CertificateAuthority {
  std::vector<CertificatePtr> chain;  // issuer first
  WallTime not_before;
  WallTime not_after;  // the earliest of the chain

  X509* issuer() const { return chain[0].get(); }
};

Result<CertificateAuthority> ReadAuthority(std::string_view chain_pem, const PrivateKey& key,
                                           WallTime now) {
  CertificateAuthority ca;
  auto chain = ParsePem(chain_pem);
  if (!chain.ok()) return Annotate(std::move(chain).error(), "CA chain");
  ca.chain = std::move(chain).value();
  const std::string name = NameText(X509_get_subject_name(ca.issuer()));
  if (X509_check_purpose(ca.issuer(), X509_PURPOSE_SSL_SERVER, 1) != 1) {
    return Invalid("NotCa", "the certificate of " + name +
                                " may not sign server certificates; it needs basicConstraints "
                                "CA:TRUE and, where given, keyUsage keyCertSign");
  }
  if (X509_check_private_key(ca.issuer(), key.impl().key.get()) != 1) {
    return Invalid("KeyMismatch", "the private key does not belong to the CA " + name);
  }
  CF_ASSIGN_OR_RETURN(ca.not_before, TimeOf(X509_get0_notBefore(ca.issuer())));
  ca.not_after = WallTime::max();
  for (const CertificatePtr& certificate : ca.chain) {
    CF_ASSIGN_OR_RETURN(const WallTime end, TimeOf(X509_get0_notAfter(certificate.get())));
    ca.not_after = std::min(ca.not_after, end);
  }
  if (ca.not_after <= now) {
    return MakeError(ErrorCode::kRefused, "CaExpired",
                     "the chain of the CA " + name + " expired on " + FormatTime(ca.not_after));
  }
  if (ca.not_before > now) {
    return MakeError(ErrorCode::kRefused, "CaNotYetValid",
                     "the CA " + name + " is valid only from " + FormatTime(ca.not_before));
  }
  return ca;
}

// What a CA above forbids would be refused by every client (RFC 5280 section 4.2.1.10).
Result<void> CheckConstraints(const CertificateAuthority& ca, X509* leaf) {
  X509_check_purpose(leaf, -1, 0);  // fills in the names that the check looks at
  for (const CertificatePtr& certificate : ca.chain) {
    const std::unique_ptr<NAME_CONSTRAINTS, OpenSslFree<NAME_CONSTRAINTS_free>> constraints(
        static_cast<NAME_CONSTRAINTS*>(
            X509_get_ext_d2i(certificate.get(), NID_name_constraints, nullptr, nullptr)));
    if (!constraints) continue;
    if (NAME_CONSTRAINTS_check(leaf, constraints.get()) != X509_V_OK) {
      return Invalid("NameInvalid", "the CA " + NameText(X509_get_subject_name(certificate.get())) +
                                        " is not allowed to certify one of the DNS names");
    }
  }
  return {};
}

bool AddServerExtensions(X509* leaf, X509* issuer, const KeySpec& spec, const RequestNames& names) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, leaf, nullptr, nullptr, 0);
  const bool rsa = spec.algorithm == KeyAlgorithm::kRsa;
  const ExtensionPtr alternative_names = AlternativeNames(names);
  return AddExtension(leaf, &context, NID_basic_constraints, "critical,CA:FALSE") &&
         AddExtension(
             leaf, &context, NID_key_usage,
             rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature") &&
         AddExtension(leaf, &context, NID_ext_key_usage, "serverAuth") &&
         AddExtension(leaf, &context, NID_subject_key_identifier, "hash") &&
         (X509_get0_subject_key_id(issuer) == nullptr ||
          AddExtension(leaf, &context, NID_authority_key_identifier, "keyid:always")) &&
         alternative_names && X509_add_ext(leaf, alternative_names.get(), -1) == 1;
}

}  // namespace

Result<std::string> MakeCertificateRequest(const PrivateKey& key, const RequestNames& names) {
  const ErrorQueueScope errors;
  CF_RETURN_IF_ERROR(CheckNames(names));
  const RequestPtr request(X509_REQ_new());
  const ExtensionStackPtr extensions(sk_X509_EXTENSION_new_null());
  ExtensionPtr alternative_names = AlternativeNames(names);
  if (!request || !extensions || !alternative_names ||
      sk_X509_EXTENSION_push(extensions.get(), alternative_names.get()) <= 0) {
    return OpenSslFailed("make a certificate request");
  }
  // The stack owns it now.
  [[maybe_unused]] const auto* owned = alternative_names.release();
  EVP_PKEY* pkey = key.impl().key.get();
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      !SetCommonName(X509_REQ_get_subject_name(request.get()), names.common_name) ||
      X509_REQ_set_pubkey(request.get(), pkey) != 1 ||
      X509_REQ_add_extensions(request.get(), extensions.get()) != 1 ||
      X509_REQ_sign(request.get(), pkey, DigestFor(key.spec())) <= 0) {
    return OpenSslFailed("sign a certificate request");
  }
  unsigned char* raw = nullptr;
  const int size = i2d_X509_REQ(request.get(), &raw);
  const OpenSslMemory der(raw);
  if (size <= 0) return OpenSslFailed("encode a certificate request");
  return std::string(BytesView(der.get(), static_cast<std::size_t>(size)));
}

Result<std::string> SignServerCertificate(std::string_view ca_chain_pem, const PrivateKey& ca_key,
                                          const PrivateKey& subject_key, const RequestNames& names,
                                          std::chrono::seconds lifetime, WallTime now) {
  const ErrorQueueScope errors;
  CF_RETURN_IF_ERROR(CheckNames(names));
  if (lifetime <= std::chrono::seconds(0)) return Invalid("LifetimeInvalid", "no lifetime");
  CF_ASSIGN_OR_RETURN(const CertificateAuthority ca, ReadAuthority(ca_chain_pem, ca_key, now));
  const CertificatePtr leaf(X509_new());
  if (!leaf || X509_set_version(leaf.get(), X509_VERSION_3) != 1 || !SetRandomSerial(leaf.get()) ||
      !SetCommonName(X509_get_subject_name(leaf.get()), names.common_name) ||
      X509_set_issuer_name(leaf.get(), X509_get_subject_name(ca.issuer())) != 1 ||
      X509_set_pubkey(leaf.get(), subject_key.impl().key.get()) != 1 ||
      !SetValidity(leaf.get(), std::max(now - kClockSkew, ca.not_before),
                   std::min(now + lifetime, ca.not_after)) ||
      !AddServerExtensions(leaf.get(), ca.issuer(), subject_key.spec(), names)) {
    return OpenSslFailed("make a certificate");
  }
  if (X509_sign(leaf.get(), ca_key.impl().key.get(), DigestFor(ca_key.spec())) <= 0) {
    return OpenSslFailed("sign a certificate");
  }
  CF_RETURN_IF_ERROR(CheckConstraints(ca, leaf.get()));
  std::string pem = DerToPem(ToDer(leaf.get()));
  for (const CertificatePtr& certificate : ca.chain) {
    if (!IsSelfSigned(certificate.get())) pem += DerToPem(ToDer(certificate.get()));
  }
  return pem;
}

Result<std::string> MakeSelfSignedCa(const PrivateKey& key, std::string_view common_name,
                                     std::chrono::seconds lifetime, WallTime now) {
  const ErrorQueueScope errors;
  if (common_name.empty() || common_name.size() > kMaxCommonName) {
    return Invalid("NameInvalid", "the name of a CA has 1 to 64 characters");
  }
  if (lifetime <= std::chrono::seconds(0)) return Invalid("LifetimeInvalid", "no lifetime");
  const CertificatePtr ca(X509_new());
  X509V3_CTX context;
  X509V3_set_ctx(&context, ca.get(), ca.get(), nullptr, nullptr, 0);
  if (!ca || X509_set_version(ca.get(), X509_VERSION_3) != 1 || !SetRandomSerial(ca.get()) ||
      !SetCommonName(X509_get_subject_name(ca.get()), common_name) ||
      X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get())) != 1 ||
      X509_set_pubkey(ca.get(), key.impl().key.get()) != 1 ||
      !SetValidity(ca.get(), now - kClockSkew, now + lifetime) ||
      !AddExtension(ca.get(), &context, NID_basic_constraints, "critical,CA:TRUE") ||
      !AddExtension(ca.get(), &context, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(ca.get(), &context, NID_subject_key_identifier, "hash") ||
      X509_sign(ca.get(), key.impl().key.get(), DigestFor(key.spec())) <= 0) {
    return OpenSslFailed("make a CA certificate");
  }
  return DerToPem(ToDer(ca.get()));
}

}  // namespace certflow::pki
