#include "providers/targets/host/host_settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"

namespace certflow::providers::host {
namespace {

using nlohmann::json;

Error Invalid(std::string_view field, std::string_view fault) {
  return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                   std::string(field) + ": " + std::string(fault));
}

// The field when it is there; the default stays otherwise.
Result<void> ReadString(const json& from, const char* field, std::string& into) {
  const auto found = from.find(field);
  if (found == from.end() || found->is_null()) return {};
  if (!found->is_string()) return Invalid(field, "must be a string");
  into = found->get<std::string>();
  return {};
}

Result<void> ReadPort(const json& from, std::uint16_t& into) {
  const auto found = from.find("port");
  if (found == from.end() || found->is_null()) return {};
  if (!found->is_number_integer()) return Invalid("port", "must be a number");
  const auto port = found->get<std::int64_t>();
  if (port < 1 || port > 65535) return Invalid("port", "must be from 1 to 65535");
  into = static_cast<std::uint16_t>(port);
  return {};
}

Result<void> ReadBool(const json& from, const char* field, bool& into) {
  const auto found = from.find(field);
  if (found == from.end() || found->is_null()) return {};
  if (!found->is_boolean()) return Invalid(field, "must be true or false");
  into = found->get<bool>();
  return {};
}

Result<void> CheckOptionalPath(std::string_view field, std::string_view path) {
  return path.empty() ? Result<void>{} : CheckRemotePath(field, path);
}

}  // namespace

Result<NginxSettings> ParseNginxSettings(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  const json& from = kube::Json(document);
  NginxSettings settings;
  CF_RETURN_IF_ERROR(ReadString(from, "host", settings.host));
  CF_RETURN_IF_ERROR(ReadPort(from, settings.port));
  CF_RETURN_IF_ERROR(ReadString(from, "user", settings.user));
  CF_RETURN_IF_ERROR(ReadBool(from, "sudo", settings.sudo));
  CF_RETURN_IF_ERROR(ReadString(from, "nginxPath", settings.nginx_path));
  CF_RETURN_IF_ERROR(ReadString(from, "configFile", settings.config_file));
  CF_RETURN_IF_ERROR(ReadString(from, "challengeDirectory", settings.challenge_directory));
  if (settings.host.empty()) return Invalid("host", "is missing");
  if (settings.nginx_path.empty()) settings.nginx_path = NginxSettings{}.nginx_path;
  CF_RETURN_IF_ERROR(CheckRemotePath("nginxPath", settings.nginx_path));
  CF_RETURN_IF_ERROR(CheckOptionalPath("configFile", settings.config_file));
  CF_RETURN_IF_ERROR(CheckOptionalPath("challengeDirectory", settings.challenge_directory));
  return settings;
}

Result<PairPaths> ParsePairPaths(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  const json& from = kube::Json(document);
  PairPaths paths;
  CF_RETURN_IF_ERROR(ReadString(from, "certificateFile", paths.certificate_file));
  CF_RETURN_IF_ERROR(ReadString(from, "keyFile", paths.key_file));
  CF_RETURN_IF_ERROR(CheckRemotePath("certificateFile", paths.certificate_file));
  CF_RETURN_IF_ERROR(CheckRemotePath("keyFile", paths.key_file));
  return paths;
}

Result<void> CheckRemotePath(std::string_view field, std::string_view path) {
  if (path.empty()) return Invalid(field, "is missing");
  if (path.size() > kMaxRemotePath) return Invalid(field, "is longer than 1024 bytes");
  if (path.front() != '/') return Invalid(field, "must be an absolute path");
  if (path.back() == '/') return Invalid(field, "must not end in \"/\"");
  const bool control = std::any_of(path.begin(), path.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control) return Invalid(field, "must not contain control characters");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at + 1), path.size());
    const std::string_view part = path.substr(at + 1, end - at - 1);
    if (part.empty() || part == "." || part == "..") {
      return Invalid(field, "must not contain empty, \".\" or \"..\" parts");
    }
    if (part.starts_with(".certflow-")) {
      return Invalid(field, "must not lie in a folder that certflow keeps");
    }
    at = end;
  }
  return {};
}

}  // namespace certflow::providers::host
