#include "controller/api/fields.h"

namespace certflow::api {

const Json* Fields::Find(const char* key) const {
  if (object_ == nullptr) return nullptr;
  auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

void Fields::Fail(const char* key, std::string_view expected) const {
  if (fault_->has_value()) return;
  *fault_ = MakeError(ErrorCode::kInvalid, "InvalidField",
                      Path(key) + " must be " + std::string(expected));
}

std::string Fields::String(const char* key, std::string_view otherwise) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::string(otherwise);
  if (!value->is_string()) return Fail(key, "a string"), std::string();
  return value->get<std::string>();
}

bool Fields::Bool(const char* key, bool otherwise) const {
  const Json* value = Find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) return Fail(key, "true or false"), otherwise;
  return value->get<bool>();
}

std::int64_t Fields::Int(const char* key, std::int64_t otherwise) const {
  const Json* value = Find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number_integer()) return Fail(key, "an integer"), otherwise;
  return value->get<std::int64_t>();
}

std::optional<WallTime> Fields::Time(const char* key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) {
    if (auto time = ParseTime(value->get_ref<const std::string&>()); time.ok()) return *time;
  }
  Fail(key, "an RFC 3339 time");
  return std::nullopt;
}

std::optional<std::chrono::seconds> Fields::Seconds(const char* key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) {
    auto duration = ParseDuration(value->get_ref<const std::string&>());
    if (duration.ok()) return *duration;
  }
  Fail(key, "a duration such as \"15d\" or \"36h\"");
  return std::nullopt;
}

std::vector<std::string> Fields::Strings(const char* key) const {
  std::vector<std::string> out;
  const Json* value = Find(key);
  if (value == nullptr) return out;
  if (!value->is_array()) return Fail(key, "a list of strings"), out;
  out.reserve(value->size());
  for (const Json& element : *value) {
    if (!element.is_string()) return Fail(key, "a list of strings"), out;
    out.push_back(element.get<std::string>());
  }
  return out;
}

std::map<std::string, std::string> Fields::StringMap(const char* key) const {
  std::map<std::string, std::string> out;
  const Json* value = Find(key);
  if (value == nullptr) return out;
  if (!value->is_object()) return Fail(key, "a map of strings"), out;
  for (const auto& [name, element] : value->items()) {
    if (!element.is_string()) return Fail(key, "a map of strings"), out;
    out.emplace(name, element.get<std::string>());
  }
  return out;
}

void Fields::Each(const char* key, const std::function<void(const Fields&)>& each) const {
  const Json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_array()) return Fail(key, "a list");
  std::size_t index = 0;
  for (const Json& element : *value) {
    each(Fields(&element, Path(key) + "[" + std::to_string(index++) + "]", fault_));
  }
}

std::string Fields::Text(const char* key) const {
  const Json* value = Find(key);
  return value == nullptr ? std::string() : api::Text(*value);
}

Reference ReadReference(const Fields& fields, std::string_view ns) {
  return {fields.String("name"), fields.String("namespace", ns)};
}

LabelSelector ReadSelector(const Fields& fields) {
  LabelSelector selector;
  selector.match_labels = fields.StringMap("matchLabels");
  fields.Each("matchExpressions", [&](const Fields& item) {
    selector.match_expressions.push_back(
        {item.String("key"), item.String("operator"), item.Strings("values")});
  });
  return selector;
}

namespace {

constexpr std::string_view kOwnAnnotations = "certflow.dev/";

void ReadOwner(const Fields& metadata, ObjectMeta& meta) {
  metadata.Each("ownerReferences", [&](const Fields& owner) {
    if (!owner.Bool("controller", false)) return;
    meta.owner_name = owner.String("name");
    meta.owner_uid = owner.String("uid");
  });
}

}  // namespace

// Metadata comes from the API server, which guarantees its shape.
ObjectMeta ReadMeta(const Json& document) {
  ObjectMeta meta;
  auto found = document.find("metadata");
  if (found == document.end() || !found->is_object()) return meta;
  const Json& metadata = *found;
  std::optional<Error> ignored;
  Fields fields(&metadata, "metadata", &ignored);
  meta.name = fields.String("name");
  meta.ns = fields.String("namespace");
  meta.uid = fields.String("uid");
  meta.resource_version = fields.String("resourceVersion");
  meta.generation = fields.Int("generation", 0);
  meta.created = fields.Time("creationTimestamp").value_or(WallTime{});
  meta.deleting = fields.has("deletionTimestamp");
  for (auto& [key, value] : fields.StringMap("annotations")) {
    if (key.starts_with(kOwnAnnotations)) meta.annotations.emplace(key, value);
  }
  ReadOwner(fields, meta);
  for (const std::string& finalizer : fields.Strings("finalizers")) {
    meta.has_run_finalizer |= finalizer == kRunFinalizer;
  }
  return meta;
}

std::vector<Condition> ReadConditions(const Fields& status) {
  std::vector<Condition> out;
  status.Each("conditions", [&](const Fields& fields) {
    Condition condition;
    condition.type = fields.String("type");
    std::string value = fields.String("status");
    condition.status = value == "True"    ? ConditionStatus::kTrue
                       : value == "False" ? ConditionStatus::kFalse
                                          : ConditionStatus::kUnknown;
    condition.observed_generation = fields.Int("observedGeneration", 0);
    condition.last_transition = fields.Time("lastTransitionTime").value_or(WallTime{});
    condition.reason = fields.String("reason");
    condition.message = fields.String("message");
    out.push_back(std::move(condition));
  });
  return out;
}

CertificateStatus ReadCertificate(const Fields& fields) {
  CertificateStatus out;
  out.serial = fields.String("serial");
  out.fingerprint = fields.String("fingerprint");
  out.issuer = fields.String("issuer");
  out.signature_type = fields.String("signatureType");
  out.common_name = fields.String("commonName");
  out.dns_names = fields.Strings("dnsNames");
  out.not_before = fields.Time("notBefore").value_or(WallTime{});
  out.not_after = fields.Time("notAfter").value_or(WallTime{});
  out.version = fields.String("version");
  return out;
}

void Put(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}

void Put(Json& object, const char* key, const std::optional<WallTime>& value) {
  if (value.has_value()) object[key] = FormatTime(*value);
}

void Put(Json& object, const char* key, const std::vector<std::string>& value) {
  if (!value.empty()) object[key] = value;
}

Json WriteConditions(const std::vector<Condition>& conditions) {
  Json out = Json::array();
  for (const Condition& condition : conditions) {
    const char* status = condition.status == ConditionStatus::kTrue    ? "True"
                         : condition.status == ConditionStatus::kFalse ? "False"
                                                                       : "Unknown";
    out.push_back({{"type", condition.type},
                   {"status", status},
                   {"observedGeneration", condition.observed_generation},
                   {"lastTransitionTime", FormatTime(condition.last_transition)},
                   {"reason", condition.reason},
                   {"message", condition.message}});
  }
  return out;
}

Json WriteCertificate(const CertificateStatus& certificate) {
  Json out = Json::object();
  Put(out, "serial", certificate.serial);
  Put(out, "fingerprint", certificate.fingerprint);
  Put(out, "issuer", certificate.issuer);
  Put(out, "signatureType", certificate.signature_type);
  Put(out, "commonName", certificate.common_name);
  Put(out, "dnsNames", certificate.dns_names);
  Put(out, "version", certificate.version);
  out["notBefore"] = FormatTime(certificate.not_before);
  out["notAfter"] = FormatTime(certificate.not_after);
  return out;
}

Json StatusEnvelope(const ObjectMeta& meta, const kube::Resource& resource) {
  return {{"apiVersion", resource.ApiVersion()},
          {"kind", resource.kind},
          {"metadata",
           {{"name", meta.name},
            {"namespace", meta.ns},
            {"uid", meta.uid},
            {"resourceVersion", meta.resource_version}}}};
}

std::string Text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace certflow::api
