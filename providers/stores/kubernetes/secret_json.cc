#include "providers/stores/kubernetes/secret_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "controller/base/base64.h"
#include "controller/kube/document_json.h"

namespace certflow::providers::store {
namespace {

using nlohmann::json;

Error Malformed(std::string_view what) {
  return MakeError(ErrorCode::kInvalid, "MalformedSecret",
                   "the API server's Secret has a wrong " + std::string(what));
}

std::string Text(const json& from, const char* field) {
  const auto found = from.find(field);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<std::map<std::string, std::string>> StringMap(const json& from, const char* field) {
  std::map<std::string, std::string> result;
  const auto found = from.find(field);
  if (found == from.end() || found->is_null()) return result;
  if (!found->is_object()) return Malformed(field);
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) return Malformed(field);
    result[key] = value.get<std::string>();
  }
  return result;
}

bool IsController(const json& owner) {
  if (!owner.is_object()) return false;
  const auto controller = owner.find("controller");
  return controller != owner.end() && controller->is_boolean() && controller->get<bool>();
}

// The controller among the owners is ours to set; the others, and finalizers, are kept as they are.
void ReadOwners(const json& metadata, seams::SecretObject& secret) {
  json rest = json::object();
  for (const json& owner : metadata.value("ownerReferences", json::array())) {
    if (IsController(owner)) {
      secret.owner_api_version = Text(owner, "apiVersion");
      secret.owner_kind = Text(owner, "kind");
      secret.owner_name = Text(owner, "name");
      secret.owner_uid = Text(owner, "uid");
    } else {
      rest["ownerReferences"].push_back(owner);
    }
  }
  const auto finalizers = metadata.find("finalizers");
  if (finalizers != metadata.end()) rest["finalizers"] = *finalizers;
  secret.rest = rest.empty() ? std::string() : kube::Dump(rest);
}

// Decodes and wipes every value, also after the first fault.
Result<void> TakeData(json& from, bool keep, std::map<std::string, SecretBytes>& into) {
  const auto data = from.find("data");
  if (data == from.end() || data->is_null()) return {};
  if (!data->is_object()) return Malformed("data");
  Result<void> outcome;
  for (auto& [key, value] : data->items()) {
    if (!value.is_string()) {
      outcome = Malformed("data");
      continue;
    }
    auto& text = value.get_ref<std::string&>();
    if (keep && outcome.ok()) {
      Result<SecretBytes> bytes = Base64Decode(text);
      if (bytes.ok()) {
        into[key] = std::move(*bytes);
      } else {
        outcome = Malformed("data");
      }
    }
    WipeString(text);
  }
  return outcome;
}

json Metadata(const seams::SecretObject& secret) {
  json metadata = json::parse(secret.rest, nullptr, false);
  if (!metadata.is_object()) metadata = json::object();
  metadata["name"] = secret.name;
  metadata["namespace"] = secret.ns;
  if (!secret.version.empty()) metadata["resourceVersion"] = secret.version;
  if (!secret.uid.empty()) metadata["uid"] = secret.uid;
  if (!secret.labels.empty()) metadata["labels"] = secret.labels;
  if (!secret.annotations.empty()) metadata["annotations"] = secret.annotations;
  if (!secret.owner_uid.empty()) {
    metadata["ownerReferences"].push_back({{"apiVersion", secret.owner_api_version},
                                           {"kind", secret.owner_kind},
                                           {"name", secret.owner_name},
                                           {"uid", secret.owner_uid},
                                           {"controller", true}});
  }
  return metadata;
}

}  // namespace

Result<seams::SecretObject> DecodeSecret(kube::Document& document, bool with_data) {
  json& from = document.impl().json;
  seams::SecretObject secret;
  CF_RETURN_IF_ERROR(TakeData(from, with_data, secret.data));
  const auto metadata = from.find("metadata");
  if (metadata == from.end() || !metadata->is_object()) return Malformed("metadata");
  secret.ns = Text(*metadata, "namespace");
  secret.name = Text(*metadata, "name");
  secret.uid = Text(*metadata, "uid");
  secret.version = Text(*metadata, "resourceVersion");
  secret.type = Text(from, "type");
  CF_ASSIGN_OR_RETURN(secret.labels, StringMap(*metadata, "labels"));
  CF_ASSIGN_OR_RETURN(secret.annotations, StringMap(*metadata, "annotations"));
  const auto owners = metadata->find("ownerReferences");
  if (owners != metadata->end() && !owners->is_array()) return Malformed("ownerReferences");
  ReadOwners(*metadata, secret);
  return secret;
}

SecretBytes EncodeSecret(const seams::SecretObject& secret) {
  const std::string head = kube::Dump(json{{"apiVersion", "v1"},
                                           {"kind", "Secret"},
                                           {"type", secret.type},
                                           {"metadata", Metadata(secret)}});
  std::size_t size = head.size() + 16;
  for (const auto& [key, value] : secret.data)
    size += 6 * key.size() + 8 + value.size() * 4 / 3 + 4;
  std::string body;
  body.reserve(size);  // so that growing leaves no copy behind
  body.append(head, 0, head.size() - 1);
  body += ",\"data\":{";
  bool first = true;
  for (const auto& [key, value] : secret.data) {
    std::string encoded = Base64Encode(value.Reveal());
    if (!first) body += ',';
    body += kube::Dump(json(key));
    body += ":\"";
    body += encoded;
    body += '"';
    WipeString(encoded);
    first = false;
  }
  body += "}}";
  return SecretBytes::Take(std::move(body));
}

}  // namespace certflow::providers::store
