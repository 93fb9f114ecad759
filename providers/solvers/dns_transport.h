#pragma once

#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/net/address.h"

namespace certflow::providers::solvers {

// One message and its answer over TCP (RFC 7766) to a numeric address, on a connection of its own.
// Ends at the context's deadline, at most kExchangeLimit later, and within 50 ms of its stop.
// kUnavailable ("DnsUnavailable") when nobody answers, kTimeout, kCancelled.
inline constexpr Duration kExchangeLimit = std::chrono::seconds(10);
Result<std::string> ExchangeTcp(const Context& ctx, const std::string& address, std::uint16_t port,
                                std::string_view message);

// The same to a name: its addresses in turn, until one answers. An address that users must not name
// is refused.
Result<std::string> ExchangeWith(const Context& ctx, const net::HostPort& server,
                                 std::string_view message);

}  // namespace certflow::providers::solvers
