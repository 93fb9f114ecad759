#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"

namespace certflow::providers::host {

struct NginxListen {
  std::string address;  // empty for all
  int port = 0;         // 0 for a local socket
  bool tls = false;
  friend bool operator==(const NginxListen&, const NginxListen&) = default;
};

// A server block of http, with what it inherits. Paths are as written, but absolute; entry i of
// `keys` belongs to entry i of `certificates`.
struct NginxServer {
  std::vector<std::string> names;  // lower case; regular expressions start with "~"
  std::vector<NginxListen> listens;
  std::vector<std::string> certificates;
  std::vector<std::string> keys;
};

struct NginxConfig {
  std::vector<NginxServer> servers;
};

// Reads the output of `nginx -T`: pure, and bounded (config_dump.h). kRefused, "ConfigTooLarge",
// "ConfigUnreadable" with file and line.
Result<NginxConfig> ParseNginxConfig(std::string_view dump);

// "443", "*:443", "127.0.0.1:443", "[::1]:443", "unix:/run/x.sock".
NginxListen ParseNginxListen(std::string_view text);

}  // namespace certflow::providers::host
