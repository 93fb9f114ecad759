#pragma once

#include <sys/socket.h>

#include <string>

namespace certflow::net {

// Numeric text of an IPv4 or IPv6 address without port; empty for other families.
std::string NumericAddress(const sockaddr* address);

}  // namespace certflow::net
