#pragma once

#include <string>
#include <string_view>

#include "controller/base/result.h"

namespace certflow::net {

struct Authority {
  std::string origin;  // "https://host:port", for messages
  std::string host;    // IPv6 without brackets
};
// Of a URL that may be wrong; what cannot be read is empty.
Authority AuthorityOf(const std::string& url);

struct RenamedUrl {
  std::string url;                 // with the other host
  std::string connect_to;          // CURLOPT_CONNECT_TO entry that leads to the first host
  std::string original_authority;  // for the Host header
};
Result<RenamedUrl> RenameHost(const std::string& url, const std::string& host);

}  // namespace certflow::net
