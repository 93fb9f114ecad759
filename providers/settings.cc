#include "providers/settings.h"

namespace certflow::providers {

nlohmann::json ParseSettingsObject(std::string_view text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  return json.is_object() ? json : nlohmann::json::object();
}

Result<SecretBytes> ReadSecretRefIn(const Context& ctx, seams::SecretStore& secrets,
                                    const nlohmann::json& holder, const char* field,
                                    std::string_view ns) {
  auto ref = holder.find(field);
  if (ref == holder.end() || !ref->is_object()) return SecretBytes();
  auto value =
      seams::ReadSecretKey(ctx, secrets, ns, ref->value("name", ""), ref->value("key", ""));
  if (!value.ok()) return Annotate(value.error(), field);
  return std::move(*value);
}

Result<SecretBytes> ReadSecretRef(const Context& ctx, seams::SecretStore& secrets,
                                  const seams::ProviderRef& object, const char* field) {
  return ReadSecretRefIn(ctx, secrets, ParseSettingsObject(object.settings), field, object.ns);
}

}  // namespace certflow::providers
