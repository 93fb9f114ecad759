#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "controller/kube/types.h"
#include "controller/net/http_client.h"

namespace certflow::fakes {

// A request, taken apart.
struct ApiRequest {
  std::string method;
  std::string path;   // decoded
  std::string query;  // as sent
  std::map<std::string, std::string, std::less<>> parameters;
  bool metadata_only = false;
  std::string content_type;
  std::string_view body;

  // Of resource paths; `plural` is empty for others.
  std::string group, version, plural, subresource;
  kube::ObjectKey key;

  std::string Parameter(std::string_view name) const;
  bool Is(std::string_view name) const;  // "1" or "true"
  bool dry_run() const { return Parameter("dryRun") == "All"; }
  bool watch() const { return method == "GET" && key.name.empty() && Is("watch"); }
  std::string Verb() const;
  std::string ResourceName() const {
    return subresource.empty() ? plural : plural + "/" + subresource;
  }
};

ApiRequest ParseRequest(const net::HttpRequest& request);

}  // namespace certflow::fakes
