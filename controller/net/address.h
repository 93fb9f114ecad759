#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"

namespace certflow::net {

struct HostPort {
  std::string host;  // name, IPv4, or IPv6 without brackets
  std::uint16_t port = 0;
};

// "host:port", "1.2.3.4:443", "[2001:db8::1]:443"; `default_port` where none is given, 0 to demand
// one. kInvalid names what is wrong.
Result<HostPort> ParseHostPort(std::string_view text, std::uint16_t default_port = 0);
std::string FormatHostPort(const HostPort& where);

bool IsIpAddress(std::string_view host);

// Link-local, metadata (169.254.169.254, fd00:ec2::254, 100.100.100.200), unspecified, multicast:
// not for addresses that users give. `address` is a numeric one.
bool IsRefusedAddress(std::string_view address);

// Every address of a name, numeric, in the resolver's order without repeats; at most 32. Refused
// addresses make the whole call fail with kRefused ("AddressRefused"). Runs getaddrinfo on the
// caller's thread.
Result<std::vector<std::string>> ResolveUserGiven(const Context& ctx, std::string_view host);

}  // namespace certflow::net
