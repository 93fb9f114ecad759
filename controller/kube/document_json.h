#pragma once

// For codecs only (.cc files): the JSON inside a Document.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "controller/base/result.h"
#include "controller/kube/types.h"

namespace certflow::kube {

struct Document::Impl {
  nlohmann::json json;
};

inline const nlohmann::json& Json(const Document& document) { return document.impl().json; }
Document MakeDocument(nlohmann::json json);
// kInvalid for anything but a JSON object; depth and size bounded.
Result<Document> ParseDocument(std::string_view text);
// Text outside UTF-8 is replaced, never thrown on.
std::string Dump(const nlohmann::json& json);

}  // namespace certflow::kube
