#include "controller/api/resources.h"

#include "controller/api/fields.h"
#include "controller/kube/document_json.h"

namespace certflow::api {

namespace {

// Members of a provider object's spec that are ours and not the vendor's.
bool IsCommonMember(const std::string& key) {
  return key == "allowedNamespaces" || key == "trustBundle";
}

AllowedNamespaces ReadAllowed(const Fields& fields) {
  AllowedNamespaces allowed;
  std::string from = fields.String("from", "Same");
  allowed.from = from == "All"        ? AllowedNamespaces::From::kAll
                 : from == "Selector" ? AllowedNamespaces::From::kSelector
                                      : AllowedNamespaces::From::kSame;
  allowed.selector = ReadSelector(fields.Object("selector"));
  return allowed;
}

ProviderStatus ReadStatus(const Fields& fields) {
  ProviderStatus status;
  status.observed_generation = fields.Int("observedGeneration", -1);
  status.conditions = ReadConditions(fields);
  status.account_url = fields.Object("acme").String("accountURL");
  Fields ca = fields.Object("ca");
  status.ca_subject = ca.String("subject");
  status.ca_fingerprint = ca.String("fingerprint");
  status.ca_not_after = ca.Time("notAfter");
  return status;
}

}  // namespace

Result<ProviderObject> DecodeProviderObject(const kube::Document& document) {
  const Json& json = kube::Json(document);
  std::optional<Error> fault;
  Fields root(&json, "", &fault);
  Fields spec = root.Object("spec");
  ProviderObject object;
  object.meta = ReadMeta(json);
  object.labels = root.Object("metadata").StringMap("labels");
  object.allowed = ReadAllowed(spec.Object("allowedNamespaces"));
  object.trust_bundle = spec.String("trustBundle");
  if (spec.raw() != nullptr) {
    for (const auto& [key, value] : spec.raw()->items()) {
      if (IsCommonMember(key)) continue;
      object.type = key;
      object.settings = Text(value);
    }
  }
  object.status = ReadStatus(root.Object("status"));
  if (fault.has_value()) return *fault;
  return object;
}

std::string EncodeProviderStatus(const ProviderObject& object, const kube::Resource& resource) {
  const ProviderStatus& status = object.status;
  Json out = {{"observedGeneration", status.observed_generation},
              {"conditions", WriteConditions(status.conditions)}};
  if (!status.account_url.empty()) out["acme"] = {{"accountURL", status.account_url}};
  if (!status.ca_fingerprint.empty()) {
    Json ca = {{"subject", status.ca_subject}, {"fingerprint", status.ca_fingerprint}};
    Put(ca, "notAfter", status.ca_not_after);
    out["ca"] = std::move(ca);
  }
  Json envelope = StatusEnvelope(object.meta, resource);
  envelope["status"] = std::move(out);
  return Text(envelope);
}

const kube::Resource& NamespaceResource() {
  static const kube::Resource resource = {"", "v1", "namespaces", "Namespace", false};
  return resource;
}

Result<Namespace> DecodeNamespace(const kube::Document& document) {
  const Json& json = kube::Json(document);
  std::optional<Error> fault;
  Namespace out;
  out.meta = ReadMeta(json);
  out.labels = Fields(&json, "", &fault).Object("metadata").StringMap("labels");
  if (fault.has_value()) return *fault;
  return out;
}

}  // namespace certflow::api
