#include "providers/issuers/acme/settings.h"

#include <nlohmann/json.hpp>

#include "controller/pki/certificate.h"

namespace certflow::providers::acme {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxSettings = 1u << 20;
constexpr std::size_t kMaxEmail = 254;

Error Wrong(std::string_view what) {
  return MakeError(ErrorCode::kInvalid, "AcmeSettings", "acme: " + std::string(what));
}

Result<std::string> OptionalText(const json& node, const char* name) {
  const auto it = node.find(name);
  if (it == node.end() || it->is_null()) return std::string();
  if (!it->is_string()) return Wrong(std::string(name) + " is not a string");
  return it->get<std::string>();
}

// One address; what else RFC 6068 allows after "mailto:" the CA would refuse anyway (RFC 8555
// section 7.3).
bool IsEmail(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == 0 || at == std::string_view::npos || at + 1 == text.size()) return false;
  return text.size() <= kMaxEmail &&
         text.find_first_of(" ,;?<>\"\\\r\n\t") == std::string_view::npos;
}

}  // namespace

Result<ServerSettings> ParseSettings(std::string_view text) {
  if (text.size() > kMaxSettings) return Wrong("the settings are too long");
  const json node = json::parse(text, nullptr, false);
  if (!node.is_object()) return Wrong("the settings are no JSON object");
  ServerSettings settings;
  CF_ASSIGN_OR_RETURN(settings.directory_url, OptionalText(node, "server"));
  CF_ASSIGN_OR_RETURN(settings.email, OptionalText(node, "email"));
  CF_ASSIGN_OR_RETURN(settings.ca_pem, OptionalText(node, "caBundle"));
  if (!IsServerUrl(settings.directory_url)) return Wrong("server is not an https URL");
  if (!settings.email.empty() && !IsEmail(settings.email)) return Wrong("email is no address");
  if (!settings.ca_pem.empty() && !pki::ReadChain(settings.ca_pem).ok()) {
    return Wrong("caBundle holds no certificate");
  }
  return settings;
}

}  // namespace certflow::providers::acme
