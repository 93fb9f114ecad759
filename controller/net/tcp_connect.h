#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controller/net/waiter.h"

namespace certflow::net {

// A connected, non-blocking socket with keepalive to the first of the numeric addresses that
// answers. kUnavailable when none does.
Result<OwnedFd> ConnectTcp(Waiter& waiter, const std::vector<std::string>& addresses,
                           std::uint16_t port);

// Finds a dead peer within a minute or so: probes while silent, a limit for what is not
// acknowledged.
void EnableKeepalive(int fd);

}  // namespace certflow::net
