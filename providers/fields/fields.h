#pragma once

// For .cc files: the members of a provider's settings, read with faults that name them. Schemas
// have checked them before; what was written by hand or by another version is told apart all the
// same.

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"

namespace certflow::providers {

// kInvalid, "InvalidSettings": "keyType: must be RSA or ECDSA".
Error InvalidField(std::string_view field, std::string_view fault);

// The member where it is there and not null; what `into` holds stays otherwise. `from` is an
// object.
Result<void> ReadString(const nlohmann::json& from, const char* field, std::string& into);
Result<void> ReadBool(const nlohmann::json& from, const char* field, bool& into);
// One of `words`; `otherwise` where there is none.
Result<std::string> ReadWord(const nlohmann::json& from, const char* field,
                             std::string_view otherwise,
                             std::initializer_list<std::string_view> words);
// Empty where there is none.
Result<std::vector<std::string>> ReadStrings(const nlohmann::json& from, const char* field);
// An empty object where there is none.
nlohmann::json ReadObject(const nlohmann::json& from, const char* field);

}  // namespace certflow::providers
