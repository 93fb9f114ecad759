#pragma once

// For .cc files: the settings of a provider object as JSON, and the Secrets that they name.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "controller/seams/connector.h"
#include "controller/seams/secret_store.h"

namespace certflow::providers {

// Empty for text that is no JSON object; the API server has checked the shape.
nlohmann::json ParseSettingsObject(std::string_view text);

// What the member `field` ({"name","key"}) refers to, in the object's own namespace; empty where
// the member is absent.
Result<SecretBytes> ReadSecretRef(const Context& ctx, seams::SecretStore& secrets,
                                  const seams::ProviderRef& object, const char* field);
// The same of any JSON object, for references deeper down.
Result<SecretBytes> ReadSecretRefIn(const Context& ctx, seams::SecretStore& secrets,
                                    const nlohmann::json& holder, const char* field,
                                    std::string_view ns);

}  // namespace certflow::providers
