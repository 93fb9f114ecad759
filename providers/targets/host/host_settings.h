#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "controller/base/result.h"

namespace certflow::providers::host {

// What a DeploymentTarget's spec.nginx says, without the credentials, which are the caller's.
struct NginxSettings {
  std::string host;
  std::uint16_t port = 22;
  std::string user;
  bool sudo = false;
  std::string nginx_path = "/usr/sbin/nginx";
  std::string config_file;          // empty: nginx's own default
  std::string challenge_directory;  // empty: none
};

// kInvalid names the field and the fault.
Result<NginxSettings> ParseNginxSettings(std::string_view json);

// Where on the host the pair is read from. Equal paths: one PEM file with both.
struct PairPaths {
  std::string certificate_file;
  std::string key_file;
};

// The workflow's `nginx` member: {"certificateFile","keyFile"}.
Result<PairPaths> ParsePairPaths(std::string_view json);

// Absolute, without "." and ".." parts, control characters or an end in "/", and outside of our own
// folders. kInvalid names `field`.
inline constexpr std::size_t kMaxRemotePath = 1024;
Result<void> CheckRemotePath(std::string_view field, std::string_view path);

}  // namespace certflow::providers::host
