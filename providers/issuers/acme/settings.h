#pragma once

#include <string_view>

#include "controller/base/result.h"
#include "providers/issuers/acme/client.h"

namespace certflow::providers::acme {

// Reads spec.acme; members for others (accountKeySecretRef, solvers) are left alone. kInvalid,
// "AcmeSettings".
Result<ServerSettings> ParseSettings(std::string_view json);

}  // namespace certflow::providers::acme
