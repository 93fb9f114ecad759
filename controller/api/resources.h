#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/api/meta.h"

namespace certflow::api {

struct ProviderStatus {
  std::int64_t observed_generation = -1;
  std::vector<Condition> conditions;
  // CertificateAuthority only; shown to people and, for ACME, kept across restarts.
  std::string account_url;
  std::string ca_subject, ca_fingerprint;
  std::optional<WallTime> ca_not_after;
};

// CertificateAuthority, DeploymentTarget and NotificationChannel have one shape: a union by type
// whose member is the provider's own, passed through as text.
struct ProviderObject {
  ObjectMeta meta;
  std::map<std::string, std::string> labels;
  std::string type;          // "acme", "ca", "kubernetes", ...: the member that is set
  std::string settings;      // that member, JSON text
  std::string trust_bundle;  // CertificateAuthority: PEM roots its certificates chain to
  AllowedNamespaces allowed;
  ProviderStatus status;

  // The status speaks of this spec.
  bool current() const { return status.observed_generation == meta.generation; }
  bool ready() const {
    const Condition* condition = FindCondition(status.conditions, kReady);
    return condition != nullptr && condition->status == ConditionStatus::kTrue;
  }
};

Result<ProviderObject> DecodeProviderObject(const kube::Document& document);
// Body for PUT /status. `kind` decides which of the status fields exist.
std::string EncodeProviderStatus(const ProviderObject& object, const kube::Resource& resource);

// Of a Namespace only what allowedNamespaces needs.
struct Namespace {
  ObjectMeta meta;
  std::map<std::string, std::string> labels;
};
const kube::Resource& NamespaceResource();
Result<Namespace> DecodeNamespace(const kube::Document& document);

}  // namespace certflow::api
