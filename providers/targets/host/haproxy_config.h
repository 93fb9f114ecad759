#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"

namespace certflow::providers::host {

// One certificate that a bind line names, directly, by its folder or by a crt-list.
struct HaproxyEntry {
  std::string path;                  // as HAProxy knows it; absolute unless it cannot be told
  std::vector<std::string> filters;  // of the crt-list; lower case, "!" first excludes
};

struct HaproxyBind {
  std::string proxy;    // the name of the frontend or listen section
  std::string address;  // as written: "*:443", ":443", "10.0.0.1:443,[::]:443"
  std::vector<HaproxyEntry> entries;
  bool conditional = false;  // between .if and .endif
  std::string unreadable;    // a crt-list that was not shown
};

// What lies at a path, for what is public.
struct HaproxyFile {
  std::string leaf_pem;     // its first certificate, or empty
  bool key_beside = false;  // the key lies in PATH.key
};

struct HaproxyConfig {
  std::vector<HaproxyBind> binds;  // with "ssl" and a certificate
  std::map<std::string, HaproxyFile> files;
};

// Reads the files of a dump (config_dump.h): the configuration, each crt-list as
// "(list) PATH", and of each certificate file the public part as "(inside) PATH" or, where the key
// lies in PATH.key, "(beside) PATH". Pure, and bounded. kRefused, "ConfigTooLarge",
// "ConfigUnreadable".
Result<HaproxyConfig> ParseHaproxyConfig(std::string_view dump);

}  // namespace certflow::providers::host
