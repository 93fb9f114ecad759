#include "providers/targets/kubernetes/tls_secret.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "providers/targets/kubernetes/secret_target.h"

namespace certflow::providers::kubernetes {
namespace {

SecretBytes CloneValue(const seams::SecretObject& secret, std::string_view key) {
  const auto found = secret.data.find(std::string(key));
  return found == secret.data.end() ? SecretBytes() : found->second.Clone();
}

}  // namespace

TlsData TlsData::Of(const seams::SecretObject& secret) {
  return {CloneValue(secret, kCertificateKey), CloneValue(secret, kPrivateKey),
          CloneValue(secret, kCaKey)};
}

TlsData TlsData::Of(const seams::Bundle& bundle) {
  return {SecretBytes(bundle.chain_pem), bundle.key_pem.Clone(), SecretBytes(bundle.ca_pem)};
}

TlsData TlsData::Clone() const { return {certificate.Clone(), key.Clone(), ca.Clone()}; }

bool TlsData::SameAs(const TlsData& other) const {
  return SecretEquals(certificate.Reveal(), other.certificate.Reveal()) &&
         SecretEquals(key.Reveal(), other.key.Reveal()) &&
         SecretEquals(ca.Reveal(), other.ca.Reveal());
}

std::string TlsData::Fingerprint() const {
  auto print = pki::LeafFingerprint(certificate.Reveal());
  return print.ok() ? std::move(print).value() : std::string();
}

std::string TlsData::OriginalName() const {
  const std::string print = Fingerprint();
  // What is no certificate is told by its bytes, so that it can be put back too.
  return seams::OriginalVersion(print.empty() ? Sha256Hex(certificate.Reveal()) : print);
}

void TlsData::WriteTo(seams::SecretObject& secret) const {
  secret.data[std::string(kCertificateKey)] = certificate.Clone();
  secret.data[std::string(kPrivateKey)] = key.Clone();
  if (ca.empty()) {
    secret.data.erase(std::string(kCaKey));
  } else {
    secret.data[std::string(kCaKey)] = ca.Clone();
  }
}

std::string Annotation(const seams::SecretObject& secret, std::string_view name) {
  const auto found = secret.annotations.find(std::string(name));
  return found == secret.annotations.end() ? std::string() : found->second;
}

std::string WorkflowOf(const seams::Binding& at) { return at.workflow_ns + "/" + at.workflow_name; }

Result<void> CheckOwner(const seams::SecretObject& secret, const seams::Binding& at) {
  const std::string owner = Annotation(secret, kWorkflowAnnotation);
  if (!owner.empty() && owner != WorkflowOf(at)) {
    return MakeError(
        ErrorCode::kForbidden, "SecretOwnedByOther",
        "Secret " + secret.ns + "/" + secret.name + " belongs to workflow " + Sanitize(owner, 320));
  }
  CF_RETURN_IF_ERROR(seams::CheckUsable(secret));
  const auto allowed = secret.labels.find(std::string(seams::kAllowLabel));
  if (owner.empty() && (allowed == secret.labels.end() || allowed->second != "true")) {
    // Account keys and the like are certflow's as well, and no workflow's.
    return MakeError(
        ErrorCode::kForbidden, "SecretOwnedByOther",
        "Secret " + secret.ns + "/" + secret.name + " is kept by certflow for something else");
  }
  return {};
}

bool IsOurs(const seams::SecretObject& live, const TlsData& data) {
  return !Annotation(live, kVersionAnnotation).empty() &&
         Annotation(live, kFingerprintAnnotation) == data.Fingerprint();
}

std::vector<std::string> ListedVersions(const seams::SecretObject& live) {
  std::vector<std::string> versions;
  std::istringstream words(Annotation(live, kVersionsAnnotation));
  for (std::string word; versions.size() < kMaxVersions && words >> word;) {
    if (CheckSecretName("version", word).ok()) versions.push_back(word);
  }
  return versions;
}

std::string VersionName(std::string_view secret, std::string_view version) {
  std::string name(secret);
  return name.append(".").append(version);
}

void WriteVersions(seams::SecretObject& live, const std::vector<std::string>& versions) {
  std::string text;
  for (const std::string& version : versions) text += (text.empty() ? "" : " ") + version;
  live.annotations[std::string(kVersionsAnnotation)] = text;
}

void AddVersion(std::vector<std::string>& versions, const std::string& version) {
  std::erase(versions, version);
  versions.push_back(version);
  if (versions.size() > kMaxVersions) versions.erase(versions.begin());
}

Result<void> CheckSecretName(std::string_view field, std::string_view name) {
  const auto is_alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good = !name.empty() && name.size() <= 253 && is_alnum(name.front()) &&
                    is_alnum(name.back()) &&
                    std::all_of(name.begin(), name.end(),
                                [&](char c) { return is_alnum(c) || c == '-' || c == '.'; }) &&
                    name.find("..") == std::string_view::npos;
  if (good) return {};
  return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                   std::string(field) + ": not a Kubernetes name: " + Sanitize(name, 64));
}

}  // namespace certflow::providers::kubernetes
