#include "providers/targets/host/host_settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/kube/document_json.h"
#include "controller/net/address.h"
#include "providers/fields/fields.h"

namespace certflow::providers::host {
namespace {

using nlohmann::json;

Result<void> ReadPort(const json& from, std::uint16_t& into) {
  const auto found = from.find("port");
  if (found == from.end() || found->is_null()) return {};
  if (!found->is_number_integer()) return InvalidField("port", "must be a number");
  const auto port = found->get<std::int64_t>();
  if (port < 1 || port > 65535) return InvalidField("port", "must be from 1 to 65535");
  into = static_cast<std::uint16_t>(port);
  return {};
}

// Empty and absent are the default alike.
Result<void> ReadPath(const json& from, const char* field, std::string& into) {
  std::string path;
  CF_RETURN_IF_ERROR(ReadString(from, field, path));
  if (path.empty()) return {};
  CF_RETURN_IF_ERROR(CheckRemotePath(field, path));
  into = std::move(path);
  return {};
}

Result<void> ReadHost(const json& from, HostSettings& settings) {
  CF_RETURN_IF_ERROR(ReadString(from, "host", settings.host));
  CF_RETURN_IF_ERROR(ReadPort(from, settings.port));
  CF_RETURN_IF_ERROR(ReadString(from, "user", settings.user));
  CF_RETURN_IF_ERROR(ReadBool(from, "sudo", settings.sudo));
  CF_RETURN_IF_ERROR(ReadPath(from, "challengeDirectory", settings.challenge_directory));
  return settings.host.empty() ? InvalidField("host", "is missing") : Result<void>();
}

template <typename Name>
Result<void> ReadBinding(const json& from, HostBinding<Name>& binding) {
  PairPaths paths;
  CF_RETURN_IF_ERROR(ReadString(from, "certificateFile", paths.certificate_file));
  CF_RETURN_IF_ERROR(ReadString(from, "keyFile", paths.key_file));
  CF_RETURN_IF_ERROR(ReadString(from, "keyType", binding.key_type));
  if (!binding.key_type.empty() && binding.key_type != "RSA" && binding.key_type != "ECDSA") {
    return InvalidField("keyType", "must be RSA or ECDSA");
  }
  if (!from.contains("certificateFile") && !from.contains("keyFile")) return {};
  CF_RETURN_IF_ERROR(CheckRemotePath("certificateFile", paths.certificate_file));
  CF_RETURN_IF_ERROR(CheckRemotePath("keyFile", paths.key_file));
  binding.paths = std::move(paths);
  return {};
}

Error NoPlace(std::string_view name) {
  return InvalidField("certificateFile", "is missing, and so is " + std::string(name));
}

// A path, or host:port; it becomes an address for socat, where "," and ":" mean something.
Result<void> CheckSocket(std::string_view socket) {
  if (socket.empty()) return {};
  if (socket.find_first_of(", \"'\\") != std::string_view::npos) {
    return InvalidField("statsSocket", "must not contain spaces, commas, quotes and backslashes");
  }
  if (!socket.starts_with('/')) {
    if (net::ParseHostPort(socket).ok()) return {};
    return InvalidField("statsSocket", "must be an absolute path or host:port");
  }
  if (socket.find(':') != std::string_view::npos) {
    return InvalidField("statsSocket", "must not contain colons in a path");
  }
  return CheckRemotePath("statsSocket", socket);
}

}  // namespace

Result<HostSettings> ParseHostSettings(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  HostSettings settings;
  CF_RETURN_IF_ERROR(ReadHost(kube::Json(document), settings));
  return settings;
}

Result<NginxSettings> ParseNginxSettings(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  const json& from = kube::Json(document);
  NginxSettings settings;
  CF_RETURN_IF_ERROR(ReadHost(from, settings));
  CF_RETURN_IF_ERROR(ReadPath(from, "nginxPath", settings.nginx_path));
  CF_RETURN_IF_ERROR(ReadPath(from, "configFile", settings.config_file));
  return settings;
}

Result<ApacheSettings> ParseApacheSettings(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  const json& from = kube::Json(document);
  ApacheSettings settings;
  CF_RETURN_IF_ERROR(ReadHost(from, settings));
  CF_RETURN_IF_ERROR(ReadPath(from, "apachePath", settings.apache_path));
  CF_RETURN_IF_ERROR(ReadPath(from, "configFile", settings.config_file));
  return settings;
}

Result<HaproxySettings> ParseHaproxySettings(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  const json& from = kube::Json(document);
  HaproxySettings settings;
  CF_RETURN_IF_ERROR(ReadHost(from, settings));
  CF_RETURN_IF_ERROR(ReadPath(from, "haproxyPath", settings.haproxy_path));
  CF_RETURN_IF_ERROR(ReadPath(from, "configFile", settings.config_file));
  CF_RETURN_IF_ERROR(ReadPath(from, "pidFile", settings.pid_file));
  CF_RETURN_IF_ERROR(ReadString(from, "statsSocket", settings.stats_socket));
  CF_RETURN_IF_ERROR(CheckSocket(settings.stats_socket));
  return settings;
}

Result<HostBinding<NginxName>> ParseNginxBinding(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  const json& from = kube::Json(document);
  HostBinding<NginxName> binding;
  CF_RETURN_IF_ERROR(ReadBinding(from, binding));
  CF_RETURN_IF_ERROR(ReadString(from, "serverName", binding.name.server_name));
  CF_RETURN_IF_ERROR(ReadString(from, "listen", binding.name.listen));
  if (!binding.paths && binding.name.server_name.empty()) return NoPlace("serverName");
  return binding;
}

Result<HostBinding<ApacheName>> ParseApacheBinding(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  const json& from = kube::Json(document);
  HostBinding<ApacheName> binding;
  CF_RETURN_IF_ERROR(ReadBinding(from, binding));
  CF_RETURN_IF_ERROR(ReadString(from, "virtualHost", binding.name.virtual_host));
  CF_RETURN_IF_ERROR(ReadString(from, "serverName", binding.name.server_name));
  if (!binding.paths && binding.name.server_name.empty() && binding.name.virtual_host.empty()) {
    return NoPlace("serverName");
  }
  return binding;
}

Result<HostBinding<HaproxyName>> ParseHaproxyBinding(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  json from = kube::Json(document);
  if (from.is_object() && from.contains("certificateFile") && !from.contains("keyFile")) {
    from["keyFile"] = from["certificateFile"];
  }
  HostBinding<HaproxyName> binding;
  CF_RETURN_IF_ERROR(ReadBinding(from, binding));
  CF_RETURN_IF_ERROR(ReadString(from, "frontend", binding.name.frontend));
  CF_RETURN_IF_ERROR(ReadString(from, "serverName", binding.name.server_name));
  if (!binding.paths && binding.name.frontend.empty()) return NoPlace("frontend");
  return binding;
}

Result<void> CheckRemotePath(std::string_view field, std::string_view path) {
  if (path.empty()) return InvalidField(field, "is missing");
  if (path.size() > kMaxRemotePath) return InvalidField(field, "is longer than 1024 bytes");
  if (path.front() != '/') return InvalidField(field, "must be an absolute path");
  if (path.back() == '/') return InvalidField(field, "must not end in \"/\"");
  const bool control = std::any_of(path.begin(), path.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control) return InvalidField(field, "must not contain control characters");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at + 1), path.size());
    const std::string_view part = path.substr(at + 1, end - at - 1);
    if (part.empty() || part == "." || part == "..") {
      return InvalidField(field, "must not contain empty, \".\" or \"..\" parts");
    }
    if (part.starts_with(".certflow-")) {
      return InvalidField(field, "must not lie in a folder that certflow keeps");
    }
    at = end;
  }
  return {};
}

}  // namespace certflow::providers::host
