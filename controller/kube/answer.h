#pragma once

// For .cc files of this folder: what the server's answers mean.

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "controller/base/error.h"
#include "controller/net/http_client.h"

namespace certflow::kube {

// The error of an answer that is not 2xx; its body may be a Status, plain text or a proxy's HTML.
// `write`: a lost answer then leaves the outcome unknown.
Error AnswerError(bool write, int code, const std::vector<net::Header>& headers,
                  std::string_view body);
// The error of a Status object inside a watch.
Error StatusError(const nlohmann::json& status);

}  // namespace certflow::kube
