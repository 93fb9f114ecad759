#include "controller/app/shipped_policy.h"

#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "controller/app/shipped_policy_text.h"

namespace certflow::app {

namespace {

// YAML's untagged scalars by the core schema, as the API server reads them; quoted ones are text.
nlohmann::json ToJson(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map: {
      nlohmann::json out = nlohmann::json::object();
      for (const auto& item : node) out[item.first.as<std::string>()] = ToJson(item.second);
      return out;
    }
    case YAML::NodeType::Sequence: {
      nlohmann::json out = nlohmann::json::array();
      for (const auto& item : node) out.push_back(ToJson(item));
      return out;
    }
    case YAML::NodeType::Scalar: {
      std::string text = node.Scalar();
      if (node.Tag() == "!") return text;
      if (text == "true" || text == "false") return text == "true";
      bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
      if (digits) return std::stoll(text);
      return text;
    }
    case YAML::NodeType::Null:
    case YAML::NodeType::Undefined:
      break;
  }
  return nullptr;
}

}  // namespace

ShippedPolicy LoadShippedPolicy() {
  ShippedPolicy out;
  for (const YAML::Node& node : YAML::LoadAll(kShippedPolicyText)) {
    nlohmann::json object = ToJson(node);
    if (!object.is_object()) continue;
    std::string kind = object.value("kind", "");
    if (kind == "ValidatingAdmissionPolicy") out.policy_json = object.dump();
    if (kind == "ValidatingAdmissionPolicyBinding") out.binding_json = object.dump();
  }
  if (out.policy_json.empty() || out.binding_json.empty()) {
    throw std::logic_error("manifests/install/20-approvals.yaml lacks the policy or its binding");
  }
  return out;
}

}  // namespace certflow::app
