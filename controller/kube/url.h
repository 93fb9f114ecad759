#pragma once

#include <string>
#include <string_view>

#include "controller/base/result.h"
#include "controller/kube/types.h"

namespace certflow::kube {

// Paths below the server's URL, every segment checked and percent-encoded. kInvalid for names that
// could lead elsewhere ("..", "/", control characters, nothing, above 253 bytes).
Result<std::string> CollectionPath(const Resource& resource, std::string_view ns);
// `subresource` may be empty.
Result<std::string> ObjectPath(const Resource& resource, const ObjectKey& key,
                               std::string_view subresource = "");

// "?a=b&c=d"; values are encoded, empty values are left out.
class Query {
 public:
  Query& Add(std::string_view name, std::string_view value);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace certflow::kube
