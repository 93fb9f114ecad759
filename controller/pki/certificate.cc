#include "controller/pki/certificate.h"

#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "controller/base/ascii.h"
#include "controller/base/base64.h"
#include "controller/pki/parse.h"

namespace certflow::pki {
namespace {

// Far above what any CA issues; a certificate found outside may say anything.
constexpr int kMaxAlternativeNames = 1000;
constexpr int kMaxSerialBytes = 64;
constexpr std::size_t kMaxNameBytes = 256;

Error Malformed(std::string_view what) {
  return MakeError(ErrorCode::kInvalid, "CertificateInvalid",
                   std::string(what) + " of the certificate cannot be read");
}

std::string CommonNameOf(const X509_NAME* name) {
  int last = -1;  // RFC 2253 reads from the end: the last one is the most specific
  for (int i = -1; (i = X509_NAME_get_index_by_NID(name, NID_commonName, i)) >= 0;) last = i;
  if (last < 0) return {};
  unsigned char* raw = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&raw, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
  const OpenSslMemory text(raw);
  if (size < 0) return "?";
  return Sanitize(BytesView(text.get(), static_cast<std::size_t>(size)), kMaxNameBytes);
}

Result<std::string> SerialOf(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  if (serial == nullptr || ASN1_STRING_length(serial) > kMaxSerialBytes) {
    return Malformed("the serial number");
  }
  std::string text = HexEncode(BytesView(ASN1_STRING_get0_data(serial),
                                         static_cast<std::size_t>(ASN1_STRING_length(serial))));
  text.erase(0, std::min(text.find_first_not_of('0'), text.size()));
  if (text.empty()) text = "0";
  // Not allowed by RFC 5280, and still found.
  return ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ? "-" + text : text;
}

std::string AddressText(const ASN1_OCTET_STRING* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int size = ASN1_STRING_length(address);
  const int family = size == 4 ? AF_INET : AF_INET6;
  if ((size != 4 && size != 16) ||
      inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size()) == nullptr) {
    return "?";
  }
  return text.data();
}

Result<void> ReadAlternativeNames(const X509* certificate, CertificateInfo& info) {
  int critical = 0;
  const GeneralNamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  constexpr int kAbsent = -1;
  if (!names) return critical == kAbsent ? Result<void>() : Malformed("the names");
  if (sk_GENERAL_NAME_num(names.get()) > kMaxAlternativeNames) {
    return MakeError(ErrorCode::kInvalid, "CertificateInvalid",
                     "the certificate has more than 1000 names");
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      const ASN1_IA5STRING* dns = name->d.dNSName;
      info.dns_names.push_back(Sanitize(
          BytesView(ASN1_STRING_get0_data(dns), static_cast<std::size_t>(ASN1_STRING_length(dns))),
          kMaxNameBytes));
    } else if (name->type == GEN_IPADD) {
      info.ip_addresses.push_back(AddressText(name->d.iPAddress));
    }
  }
  return {};
}

std::string CurveName(const EVP_PKEY* key) {
  std::array<char, 64> group{};
  std::size_t size = 0;
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(),
                                     &size) != 1) {
    return "unknown curve";
  }
  const std::string_view name(group.data(), size);
  if (name == "prime256v1") return "P-256";
  if (name == "secp384r1") return "P-384";
  if (name == "secp521r1") return "P-521";
  return std::string(name);
}

std::string KeyTypeOf(const X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "unknown";
  if (EVP_PKEY_is_a(key, "RSA")) return "RSA " + std::to_string(EVP_PKEY_get_bits(key));
  if (EVP_PKEY_is_a(key, "EC")) return "ECDSA " + CurveName(key);
  const char* name = EVP_PKEY_get0_type_name(key);
  return name == nullptr ? "unknown" : name;
}

std::string PublicKeyFingerprintOf(const X509* certificate) {
  unsigned char* raw = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &raw);
  const OpenSslMemory der(raw);
  return size > 0 ? Sha256Hex(BytesView(der.get(), static_cast<std::size_t>(size))) : "";
}

Result<CertificateInfo> Describe(X509* certificate) {
  const ErrorQueueScope errors;
  CertificateInfo info;
  info.subject = NameText(X509_get_subject_name(certificate));
  info.common_name = CommonNameOf(X509_get_subject_name(certificate));
  info.issuer = NameText(X509_get_issuer_name(certificate));
  info.issuer_common_name = CommonNameOf(X509_get_issuer_name(certificate));
  CF_ASSIGN_OR_RETURN(info.serial, SerialOf(certificate));
  CF_RETURN_IF_ERROR(ReadAlternativeNames(certificate, info));
  CF_ASSIGN_OR_RETURN(info.not_before, TimeOf(X509_get0_notBefore(certificate)));
  CF_ASSIGN_OR_RETURN(info.not_after, TimeOf(X509_get0_notAfter(certificate)));
  info.fingerprint = Sha256Hex(ToDer(certificate));
  info.public_key_fingerprint = PublicKeyFingerprintOf(certificate);
  info.signature_type = KeyTypeOf(certificate);
  info.is_ca = X509_check_ca(certificate) == 1;
  return info;
}

}  // namespace

Result<std::vector<CertificateInfo>> ReadChain(std::string_view pem) {
  CF_ASSIGN_OR_RETURN(const std::vector<CertificatePtr> chain, ParsePem(pem));
  std::vector<CertificateInfo> infos;
  infos.reserve(chain.size());
  for (const CertificatePtr& certificate : chain) {
    CF_ASSIGN_OR_RETURN(CertificateInfo info, Describe(certificate.get()));
    infos.push_back(std::move(info));
  }
  return infos;
}

Result<std::string> LeafFingerprint(std::string_view pem) {
  CF_ASSIGN_OR_RETURN(const std::vector<CertificatePtr> chain, ParsePem(pem));
  return Sha256Hex(ToDer(chain[0].get()));
}

std::string ReadFingerprint(std::string_view text) {
  constexpr std::string_view kAlgorithm = "SHA256/";
  constexpr std::size_t kDigits = 64;
  if (text.starts_with(kAlgorithm)) text.remove_prefix(kAlgorithm.size());
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == ' ') continue;
    const char digit = LowerCase(c);
    const bool hex = (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
    if (!hex || out.size() == kDigits) return {};
    out += digit;
  }
  return out.size() == kDigits ? out : std::string();
}

Result<CertificateInfo> ReadDer(std::string_view der) {
  CF_ASSIGN_OR_RETURN(const CertificatePtr certificate, ParseDer(der));
  return Describe(certificate.get());
}

Result<std::vector<std::string>> PemToDer(std::string_view pem) {
  CF_ASSIGN_OR_RETURN(const std::vector<CertificatePtr> chain, ParsePem(pem));
  std::vector<std::string> ders;
  ders.reserve(chain.size());
  for (const CertificatePtr& certificate : chain) ders.push_back(ToDer(certificate.get()));
  return ders;
}

std::string DerToPem(std::string_view der) {
  constexpr std::size_t kLine = 64;  // RFC 7468 section 2
  const std::string text = Base64Encode(der);
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t start = 0; start < text.size(); start += kLine) {
    pem.append(text, start, kLine).push_back('\n');
  }
  return pem += "-----END CERTIFICATE-----\n";
}

}  // namespace certflow::pki
