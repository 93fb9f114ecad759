#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"
#include "controller/seams/bundle.h"
#include "controller/seams/secret_store.h"
#include "controller/seams/target.h"

namespace certflow::providers::kubernetes {

inline constexpr std::string_view kTlsType = "kubernetes.io/tls";
inline constexpr std::string_view kCertificateKey = "tls.crt";
inline constexpr std::string_view kPrivateKey = "tls.key";
inline constexpr std::string_view kCaKey = "ca.crt";

// The three values that a version consists of; absent ones are empty.
struct TlsData {
  SecretBytes certificate;
  SecretBytes key;
  SecretBytes ca;

  static TlsData Of(const seams::SecretObject& secret);
  static TlsData Of(const seams::Bundle& bundle);
  TlsData Clone() const;
  bool SameAs(const TlsData& other) const;
  // SHA-256 of the leaf; empty when there is none.
  std::string Fingerprint() const;
  std::string OriginalName() const;
  // Puts them in, tls.crt and tls.key always, as the type demands.
  void WriteTo(seams::SecretObject& secret) const;
};

std::string Annotation(const seams::SecretObject& secret, std::string_view name);
std::string WorkflowOf(const seams::Binding& at);

// Whether the workflow may use a live or versioned Secret: the label, and no other owner.
Result<void> CheckOwner(const seams::SecretObject& secret, const seams::Binding& at);
// It was written by this workflow and has its content still.
bool IsOurs(const seams::SecretObject& live, const TlsData& data);

std::vector<std::string> ListedVersions(const seams::SecretObject& live);
// The Secret that holds a version.
std::string VersionName(std::string_view secret, std::string_view version);
void WriteVersions(seams::SecretObject& live, const std::vector<std::string>& versions);
// Appends, and drops from the front what is too much.
void AddVersion(std::vector<std::string>& versions, const std::string& version);

// A Kubernetes name (RFC 1123 subdomain). kInvalid names `field`.
Result<void> CheckSecretName(std::string_view field, std::string_view name);

}  // namespace certflow::providers::kubernetes
