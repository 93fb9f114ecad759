#pragma once

#include <string>

namespace certflow::app {

// The admission policy and binding of manifests/install/20-approvals.yaml as this build was made
// with them, as JSON.
struct ShippedPolicy {
  std::string policy_json, binding_json;
};
ShippedPolicy LoadShippedPolicy();

}  // namespace certflow::app
