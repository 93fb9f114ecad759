#include "providers/targets/http/http_steps.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "controller/pki/key.h"

namespace certflow::providers::http {
namespace {

using nlohmann::json;

constexpr std::string_view kPrefix = "certflow-";
constexpr std::size_t kHash = 8;
constexpr std::size_t kMaxParameter = 1024;
constexpr std::size_t kMaxParameters = 20;

Error Invalid(std::string_view field, std::string_view fault) {
  return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                   std::string(field) + ": " + std::string(fault));
}

Result<Step> StepOf(const json& steps, const char* name) {
  const auto found = steps.find(name);
  if (found == steps.end()) return Step();
  return ParseStep(found->dump(), std::string("steps.") + name);
}

Result<Pointer> PointerOf(const json& list, const char* field) {
  const auto found = list.find(field);
  const bool text = found != list.end() && found->is_string();
  auto parsed = Pointer::Parse(text ? found->get_ref<const std::string&>() : "");
  if (!parsed.ok()) return Annotate(std::move(parsed).error(), std::string("steps.list.") + field);
  return parsed;
}

Result<ListStep> ReadList(const json& steps) {
  ListStep out;
  const auto list = steps.find("list");
  if (list == steps.end() || !list->is_object()) return Invalid("steps.list", "is missing");
  CF_ASSIGN_OR_RETURN(out.requests,
                      ParseStep(list->value("requests", json::array()).dump(), "steps.list"));
  CF_ASSIGN_OR_RETURN(out.items, PointerOf(*list, "items"));
  CF_ASSIGN_OR_RETURN(out.name, PointerOf(*list, "name"));
  CF_ASSIGN_OR_RETURN(out.id, PointerOf(*list, "id"));
  if (list->contains("nextPage")) {
    CF_ASSIGN_OR_RETURN(out.next_page, PointerOf(*list, "nextPage"));
  }
  const json complete = list->value("complete", json::object());
  for (const auto& [pointer, value] : complete.items()) {
    CF_ASSIGN_OR_RETURN(Pointer parsed, Pointer::Parse(pointer));
    out.complete.emplace_back(std::move(parsed), value.is_string() ? value.get<std::string>() : "");
  }
  return out;
}

bool Captures(const Step& step, std::string_view name) {
  return std::any_of(step.begin(), step.end(), [&](const RequestSpec& spec) {
    return std::any_of(spec.captures.begin(), spec.captures.end(),
                       [&](const auto& capture) { return capture.first == name; });
  });
}

// A field that a step will never have is a mistake that shows now and not at night.
Result<void> CheckNames(const Step& step, const char* name, std::vector<std::string_view> own) {
  for (std::size_t i = 0; i < step.size(); ++i) {
    for (const std::string& field : step[i].names()) {
      const bool known = field.starts_with("parameters.") || field.starts_with("captured.") ||
                         std::find(own.begin(), own.end(), field) != own.end() ||
                         (std::find(own.begin(), own.end(), "certificate.") != own.end() &&
                          field.starts_with("certificate."));
      if (!known) {
        return Invalid(std::string("steps.") + name + "[" + std::to_string(i) + "]",
                       "there is no field {{ ." + field + " }} in this step");
      }
    }
  }
  return {};
}

Result<void> CheckSteps(const HttpSteps& steps) {
  if (steps.list.requests.empty()) return Invalid("steps.list.requests", "is empty");
  if (steps.observe.empty() || steps.stage.empty() || steps.activate.empty()) {
    return Invalid("steps", "observe, stage and activate are needed");
  }
  if (!Captures(steps.observe, "active")) {
    return Invalid("steps.observe", "captures nothing as active: the identifier of what is in use");
  }
  if (!Captures(steps.observe, "pem") && !Captures(steps.observe, "der") &&
      !Captures(steps.observe, "fingerprint")) {
    return Invalid("steps.observe",
                   "captures none of pem, der and fingerprint: what is in use could not be proved");
  }
  if (!steps.read_back.empty() && !Captures(steps.read_back, "active")) {
    return Invalid("steps.readBack",
                   "captures nothing as active: the identifier of what is served");
  }
  CF_RETURN_IF_ERROR(CheckNames(steps.list.requests, "list", {"page"}));
  CF_RETURN_IF_ERROR(CheckNames(steps.observe, "observe", {}));
  CF_RETURN_IF_ERROR(CheckNames(steps.stage, "stage", {"name", "version", "certificate."}));
  CF_RETURN_IF_ERROR(CheckNames(steps.activate, "activate", {"id", "name", "version"}));
  CF_RETURN_IF_ERROR(CheckNames(steps.discard, "discard", {"id", "name", "version"}));
  CF_RETURN_IF_ERROR(CheckNames(steps.read_back, "readBack", {}));
  CF_RETURN_IF_ERROR(CheckNames(steps.settle, "settle", {}));
  CF_RETURN_IF_ERROR(CheckNames(steps.deactivate, "deactivate", {"id", "name"}));
  return CheckNames(steps.remove, "remove", {"id", "name", "version"});
}

std::string Short(std::string_view text) { return Sha256Hex(text).substr(0, kHash); }

}  // namespace

Result<HttpSteps> ParseSteps(std::string_view settings_json) {
  const json settings = json::parse(settings_json, nullptr, /*allow_exceptions=*/false);
  if (!settings.is_object()) return Invalid("http", "must be an object");
  const json steps = settings.value("steps", json::object());
  HttpSteps out;
  CF_ASSIGN_OR_RETURN(out.list, ReadList(steps));
  CF_ASSIGN_OR_RETURN(out.observe, StepOf(steps, "observe"));
  CF_ASSIGN_OR_RETURN(out.stage, StepOf(steps, "stage"));
  CF_ASSIGN_OR_RETURN(out.activate, StepOf(steps, "activate"));
  CF_ASSIGN_OR_RETURN(out.discard, StepOf(steps, "discard"));
  CF_ASSIGN_OR_RETURN(out.read_back, StepOf(steps, "readBack"));
  CF_ASSIGN_OR_RETURN(out.settle, StepOf(steps, "settle"));
  CF_ASSIGN_OR_RETURN(out.deactivate, StepOf(steps, "deactivate"));
  CF_ASSIGN_OR_RETURN(out.remove, StepOf(steps, "remove"));
  CF_RETURN_IF_ERROR(CheckSteps(out));
  return out;
}

Result<Values> BindingValues(const seams::Binding& at) {
  Values values;
  const json settings = json::parse(at.settings, nullptr, /*allow_exceptions=*/false);
  if (!settings.is_object()) return Invalid("http", "must be an object");
  const json parameters = settings.value("parameters", json::object());
  if (!parameters.is_object() || parameters.size() > kMaxParameters) {
    return Invalid("http.parameters", "must be an object of at most 20 texts");
  }
  for (const auto& [name, value] : parameters.items()) {
    if (!value.is_string() || value.get_ref<const std::string&>().size() > kMaxParameter) {
      return Invalid("http.parameters." + name, "must be a text of at most 1024 bytes");
    }
    values.fields["parameters." + name] = value.get<std::string>();
  }
  return values;
}

Result<void> AddBundle(const seams::Bundle& bundle, Values& values) {
  CF_ASSIGN_OR_RETURN(const auto chain, pki::ReadChain(bundle.chain_pem));
  CF_ASSIGN_OR_RETURN(const auto der, pki::PemToDer(bundle.chain_pem));
  CF_ASSIGN_OR_RETURN(const pki::PrivateKey key, pki::PrivateKey::FromPem(bundle.key_pem.Reveal()));
  CF_RETURN_IF_ERROR(pki::CheckPair(bundle.chain_pem, key));
  std::string intermediates, names;
  for (std::size_t i = 1; i < der.size(); ++i) intermediates += pki::DerToPem(der[i]);
  const pki::CertificateInfo& leaf = chain.front();
  for (const std::string& name : leaf.dns_names) names += (names.empty() ? "" : ",") + name;
  auto& fields = values.fields;
  fields["certificate.chain"] = bundle.chain_pem;
  fields["certificate.leaf"] = pki::DerToPem(der.front());
  fields["certificate.intermediates"] = intermediates;
  fields["certificate.commonName"] = Sanitize(leaf.common_name, 256);
  fields["certificate.dnsNames"] = names;
  fields["certificate.serial"] = leaf.serial;
  fields["certificate.fingerprint"] = leaf.fingerprint;
  fields["certificate.notAfter"] = FormatTime(leaf.not_after);
  values.key = &bundle.key_pem;
  return {};
}

ObjectNames::ObjectNames(const seams::Binding& at)
    : place_(Short(at.settings)),
      own_(std::string(kPrefix) + Short(at.workflow_ns + "/" + at.workflow_name) + "-" + place_ +
           "-") {}

std::string ObjectNames::VersionIn(std::string_view name) const {
  if (!name.starts_with(own_)) return {};
  name.remove_prefix(own_.size());
  return seams::IsVersionName(name) ? std::string(name) : std::string();
}

bool ObjectNames::IsOthers(std::string_view name) const {
  const std::size_t place = kPrefix.size() + kHash + 1;
  return name.starts_with(kPrefix) && !name.starts_with(own_) && name.size() > place &&
         name.substr(place).starts_with(place_ + "-");
}

Result<void> CheckVersion(std::string_view version) {
  if (seams::IsVersionName(version) && !seams::IsOriginal(version)) return {};
  return MakeError(ErrorCode::kInvalid, "InvalidVersion",
                   "\"" + Sanitize(version, 64) + "\" is not a run's name");
}

}  // namespace certflow::providers::http
