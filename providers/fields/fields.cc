#include "providers/fields/fields.h"

#include <algorithm>

namespace certflow::providers {
namespace {

using nlohmann::json;

// Null for what is absent.
const json* Find(const json& from, const char* field) {
  const auto found = from.find(field);
  return found == from.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

Error InvalidField(std::string_view field, std::string_view fault) {
  return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                   std::string(field) + ": " + std::string(fault));
}

Result<void> ReadString(const json& from, const char* field, std::string& into) {
  const json* found = Find(from, field);
  if (found == nullptr) return {};
  if (!found->is_string()) return InvalidField(field, "must be a string");
  into = found->get<std::string>();
  return {};
}

Result<void> ReadBool(const json& from, const char* field, bool& into) {
  const json* found = Find(from, field);
  if (found == nullptr) return {};
  if (!found->is_boolean()) return InvalidField(field, "must be true or false");
  into = found->get<bool>();
  return {};
}

Result<std::string> ReadWord(const json& from, const char* field, std::string_view otherwise,
                             std::initializer_list<std::string_view> words) {
  std::string word(otherwise);
  CF_RETURN_IF_ERROR(ReadString(from, field, word));
  if (std::find(words.begin(), words.end(), word) != words.end()) return word;
  return InvalidField(field, "\"" + Sanitize(word, 64) + "\" is not one of its words");
}

Result<std::vector<std::string>> ReadStrings(const json& from, const char* field) {
  std::vector<std::string> out;
  const json* found = Find(from, field);
  if (found == nullptr) return out;
  if (!found->is_array()) return InvalidField(field, "must be a list");
  for (const json& item : *found) {
    if (!item.is_string()) return InvalidField(field, "must be a list of strings");
    out.push_back(item.get<std::string>());
  }
  return out;
}

json ReadObject(const json& from, const char* field) {
  const json* found = Find(from, field);
  return found != nullptr && found->is_object() ? *found : json::object();
}

}  // namespace certflow::providers
