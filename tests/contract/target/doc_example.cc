#include "tests/contract/target/doc_example.h"

#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/peers/peer.h"

namespace certflow::contract {
namespace {

using nlohmann::json;

// Plain scalars are numbers or booleans where they look like it, as the API server reads them.
json ToJson(const YAML::Node& node) {
  if (node.IsMap()) {
    json out = json::object();
    for (const auto& entry : node) out[entry.first.as<std::string>()] = ToJson(entry.second);
    return out;
  }
  if (node.IsSequence()) {
    json out = json::array();
    for (const auto& entry : node) out.push_back(ToJson(entry));
    return out;
  }
  const std::string text = node.as<std::string>("");
  if (node.Tag() == "!") return text;  // quoted
  if (text == "true" || text == "false") return text == "true";
  if (!text.empty() && text.size() < 9 && text.find_first_not_of("0123456789") == text.npos) {
    return std::stoi(text);
  }
  return text;
}

void ReplaceUrls(json& value, std::string_view base_url, std::string_view token_url) {
  if (!value.is_structured()) return;
  for (auto& [key, child] : value.items()) {
    if (value.is_object() && key == "baseURL") {
      child = std::string(base_url);
    } else if (value.is_object() && key == "tokenURL") {
      child = std::string(token_url);
    } else {
      ReplaceUrls(child, base_url, token_url);
    }
  }
}

}  // namespace

std::string HttpExample(std::string_view name, std::string_view base_url,
                        std::string_view token_url) {
  std::string text = test::ReadFile(std::string(CERTFLOW_SOURCE_DIR) + "/docs/targets.md");
  const std::string begin = "```yaml\n", end = "\n```\n";
  for (std::size_t at = 0; (at = text.find(begin, at)) != text.npos;) {
    at += begin.size();
    const YAML::Node document = YAML::Load(text.substr(at, text.find(end, at) - at));
    if (document["kind"].as<std::string>("") != "DeploymentTarget") continue;
    if (document["metadata"]["name"].as<std::string>("") != name) continue;
    json http = ToJson(document["spec"]["http"]);
    ReplaceUrls(http, base_url, token_url);
    return http.dump();
  }
  std::cerr << "docs/targets.md has no example " << name << "\n";
  std::abort();
}

}  // namespace certflow::contract
