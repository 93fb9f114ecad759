#pragma once

// For .cc files: what is read of objects that others wrote. A member that is absent or of another
// type is as good as empty; nothing throws.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace certflow::providers::kubernetes {

nlohmann::json ObjectAt(const nlohmann::json& from, std::string_view key);
nlohmann::json ListAt(const nlohmann::json& from, std::string_view key);
std::string TextAt(const nlohmann::json& from, std::string_view key);
std::int64_t IntAt(const nlohmann::json& from, std::string_view key, std::int64_t otherwise);

// What the API server says of a missing right, with the remedy: the optional ClusterRole `role`,
// shipped in manifests/install/optional/`file`, bound in `ns`.
std::string WithRemedy(std::string_view message, std::string_view role, std::string_view ns,
                       std::string_view file);

}  // namespace certflow::providers::kubernetes
