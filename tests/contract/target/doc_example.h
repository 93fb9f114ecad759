#pragma once

#include <string>
#include <string_view>

namespace certflow::contract {

// spec.http of the DeploymentTarget `name` in docs/targets.md, as JSON, with every base URL that
// begins with one of the example's hosts replaced: what the document shows is what is run. Aborts
// where there is no such example.
std::string HttpExample(std::string_view name, std::string_view base_url,
                        std::string_view token_url = "");

}  // namespace certflow::contract
