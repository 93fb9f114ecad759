#pragma once

#include <string>

#include "providers/targets/f5/access.h"

namespace certflow::providers::f5 {

// Whether certflow could deploy there now: the units answer and accept the login, the version is
// one that works, one unit is active, the group can be told, and the user may upload. Leaves
// nothing behind. Returns "BIG-IP 16.1.3, active unit bigip-1 (10.0.0.7), device group dg: In
// Sync".
Result<std::string> CheckDevice(const Context& ctx, Access& access);

}  // namespace certflow::providers::f5
