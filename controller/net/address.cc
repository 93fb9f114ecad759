#include "controller/net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include "controller/net/socket_address.h"

namespace certflow::net {
namespace {

constexpr std::size_t kMaxHostLength = 253;
constexpr std::size_t kMaxAddresses = 32;

using Ipv4 = std::array<std::uint8_t, 4>;
using Ipv6 = std::array<std::uint8_t, 16>;

std::optional<Ipv4> ParseIpv4(std::string_view text) {
  Ipv4 address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), address.data()) != 1) return std::nullopt;
  return address;
}

// A zone ("fe80::1%eth0") is left off.
std::optional<Ipv6> ParseIpv6(std::string_view text) {
  Ipv6 address{};
  const std::string plain(text.substr(0, text.find('%')));
  if (inet_pton(AF_INET6, plain.c_str(), address.data()) != 1) return std::nullopt;
  return address;
}

bool IsRefusedIpv4(const Ipv4& a) {
  constexpr Ipv4 kAlibabaMetadata{100, 100, 100, 200};
  const bool unspecified = a[0] == 0;
  const bool link_local = a[0] == 169 && a[1] == 254;  // holds 169.254.169.254
  const bool multicast_or_reserved = a[0] >= 224;
  return unspecified || link_local || multicast_or_reserved || a == kAlibabaMetadata;
}

// The IPv4 address that a packet to this one would reach in the end: mapped (::ffff:0:0/96),
// compatible (::/96), translated (64:ff9b::/96) and 6to4 (2002::/16).
std::optional<Ipv4> EmbeddedIpv4(const Ipv6& a) {
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  constexpr std::array<std::uint8_t, 12> kCompatible{};
  constexpr std::array<std::uint8_t, 12> kTranslated{0, 0x64, 0xFF, 0x9B};
  const auto starts_with = [&a](const auto& prefix) {
    return std::equal(prefix.begin(), prefix.end(), a.begin());
  };
  if (a[0] == 0x20 && a[1] == 0x02) return Ipv4{a[2], a[3], a[4], a[5]};
  if (starts_with(kMapped) || starts_with(kCompatible) || starts_with(kTranslated)) {
    return Ipv4{a[12], a[13], a[14], a[15]};
  }
  return std::nullopt;
}

bool IsRefusedIpv6(const Ipv6& a) {
  constexpr Ipv6 kLoopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  constexpr Ipv6 kAwsMetadata{0xFD, 0x00, 0x0E, 0xC2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54};
  if (a == kLoopback) return false;
  if (const auto inner = EmbeddedIpv4(a)) return IsRefusedIpv4(*inner);
  const bool link_local = a[0] == 0xFE && (a[1] & 0xC0) == 0x80;
  const bool multicast = a[0] == 0xFF;
  return link_local || multicast || a == kAwsMetadata;
}

Error BadHostPort(std::string_view text, std::string_view what) {
  return MakeError(ErrorCode::kInvalid, "InvalidAddress",
                   "\"" + Sanitize(text, 300) + "\": " + std::string(what));
}

// Letters of names (underscores occur), of IPv4 and, in brackets, of IPv6.
bool IsHostText(std::string_view host) {
  return !host.empty() && host.size() <= kMaxHostLength && host.front() != '-' &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '.' || c == '_';
         });
}

std::optional<std::uint16_t> ParsePort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

struct Split {
  std::string_view host;
  std::string_view port;
  bool has_port = false;
  bool bracketed = false;
};

std::optional<Split> SplitHostPort(std::string_view text) {
  if (!text.empty() && text[0] == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return std::nullopt;
    return Split{text.substr(1, close - 1), rest.empty() ? rest : rest.substr(1), !rest.empty(),
                 true};
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return Split{text, {}, false, false};
  // More than one colon is an IPv6 address without brackets, which cannot carry a port.
  if (text.find(':', colon + 1) != std::string_view::npos) return Split{text, {}, false, true};
  return Split{text.substr(0, colon), text.substr(colon + 1), true, false};
}

struct AddressListDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

Error NotResolved(const std::string& name, int code) {
  const std::string message = Sanitize(name, 253) + ": " + gai_strerror(code);
  if (code == EAI_NONAME) return MakeError(ErrorCode::kNotFound, "NameNotFound", message);
  return MakeError(ErrorCode::kUnavailable, "NameNotResolved", message);
}

}  // namespace

Result<HostPort> ParseHostPort(std::string_view text, std::uint16_t default_port) {
  const auto split = SplitHostPort(text);
  if (!split) return BadHostPort(text, "the brackets are wrong; write [2001:db8::1]:443");
  if (split->bracketed) {
    const bool zone = split->host.find('%') != std::string_view::npos;
    if (zone || !ParseIpv6(split->host)) return BadHostPort(text, "not an IPv6 address");
  } else if (!IsHostText(split->host)) {
    return BadHostPort(text, "no valid host name or address; write host:port");
  }
  HostPort where{std::string(split->host), default_port};
  if (split->has_port) {
    const auto port = ParsePort(split->port);
    if (!port) return BadHostPort(text, "the port must be a number from 1 to 65535");
    where.port = *port;
  }
  if (where.port == 0) return BadHostPort(text, "the port is missing; write host:port");
  return where;
}

std::string FormatHostPort(const HostPort& where) {
  const bool ipv6 = where.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + where.host + "]" : where.host) + ":" + std::to_string(where.port);
}

bool IsIpAddress(std::string_view host) { return ParseIpv4(host) || ParseIpv6(host); }

bool IsRefusedAddress(std::string_view address) {
  if (const auto ipv4 = ParseIpv4(address)) return IsRefusedIpv4(*ipv4);
  if (const auto ipv6 = ParseIpv6(address)) return IsRefusedIpv6(*ipv6);
  return true;  // what cannot be read is not let through
}

std::string NumericAddress(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address->sa_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  } else if (address->sa_family == AF_INET6) {
    bytes = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  } else {
    return {};
  }
  inet_ntop(address->sa_family, bytes, text.data(), text.size());
  return text.data();
}

Result<std::vector<std::string>> ResolveUserGiven(const Context& ctx, std::string_view host) {
  CF_RETURN_IF_ERROR(ctx.Check());
  const std::string name(host);
  if (!IsIpAddress(host) && !IsHostText(host)) return BadHostPort(host, "no valid host name");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = getaddrinfo(name.c_str(), nullptr, &hints, &found); code != 0) {
    return NotResolved(name, code);
  }
  const std::unique_ptr<addrinfo, AddressListDeleter> list(found);
  std::vector<std::string> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    const std::string address = NumericAddress(entry->ai_addr);
    if (address.empty()) continue;
    if (IsRefusedAddress(address)) {
      std::string why = name;
      why.append(" leads to ").append(address).append(", which may not be used");
      return MakeError(ErrorCode::kRefused, "AddressRefused", why);
    }
    const bool known = std::find(addresses.begin(), addresses.end(), address) != addresses.end();
    if (!known && addresses.size() < kMaxAddresses) addresses.push_back(address);
  }
  return addresses;
}

}  // namespace certflow::net
