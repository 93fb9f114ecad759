#include "tests/unit/api/crd_schema.h"

#include <gmock/gmock.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "controller/base/clock.h"

namespace certflow::api {

namespace {

using Json = nlohmann::json;

struct Walk {
  std::vector<std::string> problems;
  std::set<std::string> seen;

  void Problem(const std::string& path, const std::string& what) {
    problems.push_back(path + ": " + what);
  }
  void Value(const Json& value, const YAML::Node& schema, const std::string& path);
  void Object(const Json& value, const YAML::Node& schema, const std::string& path);
  void Array(const Json& value, const YAML::Node& schema, const std::string& path);
  void Text(const std::string& value, const YAML::Node& schema, const std::string& path);
  void Integer(const Json& value, const YAML::Node& schema, const std::string& path);
};

void Walk::Object(const Json& value, const YAML::Node& schema, const std::string& path) {
  if (!value.is_object()) return Problem(path, "is no object");
  for (const YAML::Node& name : schema["required"]) {
    if (!value.contains(name.as<std::string>())) Problem(path, "lacks " + name.as<std::string>());
  }
  if (schema["maxProperties"] && value.size() > schema["maxProperties"].as<std::size_t>()) {
    Problem(path, "has too many members");
  }
  for (const auto& [key, member] : value.items()) {
    YAML::Node known = schema["properties"] ? schema["properties"][key] : YAML::Node();
    if (schema["additionalProperties"]) {
      Value(member, schema["additionalProperties"], path + ".*");
    } else if (known.IsDefined() && !known.IsNull()) {
      Value(member, known, path + "." + key);
    } else {
      Problem(path + "." + key, "is not in the schema");
    }
  }
}

void Walk::Array(const Json& value, const YAML::Node& schema, const std::string& path) {
  if (!value.is_array()) return Problem(path, "is no list");
  if (!schema["maxItems"]) Problem(path, "has no bound in the schema");
  if (schema["maxItems"] && value.size() > schema["maxItems"].as<std::size_t>()) {
    Problem(path, "has more than maxItems");
  }
  for (const Json& item : value) Value(item, schema["items"], path + "[]");
}

void Walk::Text(const std::string& value, const YAML::Node& schema, const std::string& path) {
  if (schema["maxLength"] && value.size() > schema["maxLength"].as<std::size_t>()) {
    Problem(path, "is longer than maxLength");
  }
  if (schema["minLength"] && value.size() < schema["minLength"].as<std::size_t>()) {
    Problem(path, "is shorter than minLength");
  }
  if (schema["enum"]) {
    bool among = false;
    for (const YAML::Node& item : schema["enum"]) among |= item.as<std::string>() == value;
    if (!among) Problem(path, "\"" + value + "\" is not in the enumeration");
  }
  auto pattern = schema["pattern"] ? schema["pattern"].as<std::string>() : ".*";
  if (!::testing::Matches(::testing::ContainsRegex(pattern))(value)) {
    Problem(path, "\"" + value + "\" is not of the pattern");
  }
  if (schema["format"] && schema["format"].as<std::string>() == "date-time" &&
      !ParseTime(value).ok()) {
    Problem(path, "is no time");
  }
}

void Walk::Integer(const Json& value, const YAML::Node& schema, const std::string& path) {
  if (!value.is_number_integer()) return Problem(path, "is no integer");
  if (schema["minimum"] && value.get<std::int64_t>() < schema["minimum"].as<std::int64_t>()) {
    Problem(path, "is below the minimum");
  }
  if (schema["maximum"] && value.get<std::int64_t>() > schema["maximum"].as<std::int64_t>()) {
    Problem(path, "is above the maximum");
  }
}

void Walk::Value(const Json& value, const YAML::Node& schema, const std::string& path) {
  seen.insert(path);
  auto type = schema["type"] ? schema["type"].as<std::string>() : "";
  if (type == "object") return Object(value, schema, path);
  if (type == "array") return Array(value, schema, path);
  if (type == "integer") return Integer(value, schema, path);
  if (type == "boolean") return value.is_boolean() ? void() : Problem(path, "is no boolean");
  if (type != "string") return Problem(path, "has a type in the schema that is not known here");
  if (!value.is_string()) return Problem(path, "is no string");
  Text(value.get<std::string>(), schema, path);
}

void Paths(const YAML::Node& schema, const std::string& path, std::set<std::string>& out) {
  out.insert(path);
  if (schema["items"]) Paths(schema["items"], path + "[]", out);
  if (schema["additionalProperties"]) Paths(schema["additionalProperties"], path + ".*", out);
  for (const auto& member : schema["properties"]) {
    Paths(member.second, path + "." + member.first.as<std::string>(), out);
  }
}

YAML::Node PartOf(const std::string& text, const std::string& part) {
  YAML::Node version = YAML::Load(text)["spec"]["versions"][0];
  return version["schema"]["openAPIV3Schema"]["properties"][part];
}

}  // namespace

CrdSchema::CrdSchema(std::string_view file) {
  std::ifstream in(std::string(CERTFLOW_SOURCE_DIR "/crds/") + std::string(file));
  EXPECT_TRUE(in.good()) << file;
  std::stringstream text;
  text << in.rdbuf();
  text_ = text.str();
}

std::vector<std::string> CrdSchema::Check(std::string_view document,
                                          const std::string& part) const {
  Json json = Json::parse(document, nullptr, false);
  if (!json.is_object() || !json.contains(part)) return {"there is no " + part};
  Walk walk;
  walk.Value(json[part], PartOf(text_, part), part);
  seen_.insert(walk.seen.begin(), walk.seen.end());
  return walk.problems;
}

std::set<std::string> CrdSchema::Unwritten(const std::string& part) const {
  std::set<std::string> all;
  Paths(PartOf(text_, part), part, all);
  for (const std::string& path : seen_) all.erase(path);
  return all;
}

std::vector<std::string> CrdSchema::Columns() const {
  std::vector<std::string> out;
  const YAML::Node version = YAML::Load(text_)["spec"]["versions"][0];
  for (const YAML::Node& column : version["additionalPrinterColumns"]) {
    if (!column["priority"]) out.push_back(column["name"].as<std::string>());
  }
  return out;
}

std::size_t CrdSchema::MaxItems(const std::string& path) const {
  std::size_t dot = path.find('.');
  YAML::Node list = PartOf(text_, path.substr(0, dot))["properties"][path.substr(dot + 1)];
  return list["maxItems"].as<std::size_t>();
}

}  // namespace certflow::api
