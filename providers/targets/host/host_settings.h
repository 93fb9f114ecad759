#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controller/base/result.h"

namespace certflow::providers::host {

// What a DeploymentTarget's spec says of any kind of host, without the credentials, which are the
// caller's.
struct HostSettings {
  std::string host;
  std::uint16_t port = 22;
  std::string user;
  bool sudo = false;
  std::string challenge_directory;  // empty: none
};

// spec.nginx
struct NginxSettings : HostSettings {
  std::string nginx_path = "/usr/sbin/nginx";
  std::string config_file;  // empty: nginx's own default
};
// spec.apache
struct ApacheSettings : HostSettings {
  std::string apache_path = "/usr/sbin/apachectl";
  std::string config_file;  // empty: Apache's own default
};
// spec.haproxy
struct HaproxySettings : HostSettings {
  std::string haproxy_path = "/usr/sbin/haproxy";
  std::string config_file = "/etc/haproxy/haproxy.cfg";  // or a folder of *.cfg
  std::string stats_socket;                              // path or host:port; empty: reload instead
  std::string pid_file = "/run/haproxy.pid";             // of the master process
};

// kInvalid names the field and the fault.
Result<HostSettings> ParseHostSettings(std::string_view json);
Result<NginxSettings> ParseNginxSettings(std::string_view json);
Result<ApacheSettings> ParseApacheSettings(std::string_view json);
Result<HaproxySettings> ParseHaproxySettings(std::string_view json);

// Where on the host the pair is read from. Equal paths: one PEM file with both.
struct PairPaths {
  std::string certificate_file;
  std::string key_file;
  friend bool operator==(const PairPaths&, const PairPaths&) = default;
};

// Names that the servers' own configurations know.
struct NginxName {
  std::string server_name;
  std::string listen;  // "443", "127.0.0.1:443"; empty: any
};
struct ApacheName {
  std::string virtual_host;  // "*:443"; empty: any
  std::string server_name;   // empty: any
};
struct HaproxyName {
  std::string frontend;
  std::string server_name;  // empty: the frontend has one certificate only
};

// A workflow's member for a target of this type: the pair's files, or (where `paths` is empty) the
// name to ask the server for.
template <typename Name>
struct HostBinding {
  std::optional<PairPaths> paths;
  Name name;
  std::string key_type;  // "RSA", "ECDSA", or empty
};
Result<HostBinding<NginxName>> ParseNginxBinding(std::string_view json);
Result<HostBinding<ApacheName>> ParseApacheBinding(std::string_view json);
// keyFile may be left out: then certificateFile holds both.
Result<HostBinding<HaproxyName>> ParseHaproxyBinding(std::string_view json);

// Absolute, without "." and ".." parts, control characters or an end in "/", and outside of our own
// folders. kInvalid names `field`.
inline constexpr std::size_t kMaxRemotePath = 1024;
Result<void> CheckRemotePath(std::string_view field, std::string_view path);

}  // namespace certflow::providers::host
