#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"

namespace certflow::providers::host {

// A line of what `apachectl -S` prints: a virtual host that is in force, and where it is written.
struct ApacheVhostEntry {
  std::string address;  // "*:443", "127.0.0.1:443", "[::1]:443"
  std::string server_name;
  std::string file;
  std::size_t line = 0;
  friend bool operator==(const ApacheVhostEntry&, const ApacheVhostEntry&) = default;
};

// Pure and bounded; lines that it does not know are skipped.
std::vector<ApacheVhostEntry> ParseApacheVhosts(std::string_view printed);

// A <VirtualHost>, with what it inherits from the main server. Paths are absolute unless they hold
// a variable that is not known. An entry without key in `keys` has it in the certificate's file.
struct ApacheVhost {
  std::vector<std::string> addresses;  // as written, "_default_" as "*"
  std::string server_name;
  std::vector<std::string> aliases;
  std::string file;
  std::size_t line = 0;
  bool tls = false;
  std::vector<std::string> certificates;
  std::vector<std::string> keys;
  std::string chain;
  // A directive about the certificate stands in a condition that only the server can judge.
  std::string undecided;
};

struct ApacheConfig {
  std::vector<ApacheVhost> vhosts;
  bool uses_macros = false;  // virtual hosts may be hidden in them
};

// Reads the configuration files of a dump (config_dump.h), and of its parts "(vhosts)" and
// "(modules)", where they are there, which virtual hosts, definitions and modules are in force.
// Pure, and bounded. kRefused, "ConfigTooLarge", "ConfigUnreadable" with file and line.
Result<ApacheConfig> ParseApacheConfig(std::string_view dump);

}  // namespace certflow::providers::host
