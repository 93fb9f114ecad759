#include "providers/solvers/dns_lookup.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "controller/base/backoff.h"
#include "providers/solvers/dns_transport.h"

namespace certflow::providers::solvers {
namespace {

constexpr std::size_t kMaxServers = 16;
constexpr std::size_t kMaxResolvers = 3;
constexpr std::size_t kMaxConfiguration = 64u << 10;
constexpr int kMaxWalk = 40;
constexpr std::uint16_t kDnsPort = 53;

bool Is(const DnsRecord& record, RecordType type, std::string_view name) {
  return record.type == static_cast<std::uint16_t>(type) &&
         record.klass == static_cast<std::uint16_t>(RecordClass::kIn) && record.name == name;
}

std::string Parent(const std::string& name) {
  const std::size_t dot = name.find('.');
  return dot == std::string::npos ? std::string() : name.substr(dot + 1);
}

}  // namespace

bool IsWithin(std::string_view name, std::string_view zone) {
  return name == zone || (name.size() > zone.size() && name.ends_with(zone) &&
                          name[name.size() - zone.size() - 1] == '.');
}

std::vector<net::HostPort> SystemResolvers(const std::string& path) {
  std::vector<net::HostPort> resolvers;
  std::ifstream file(path);
  std::string line;
  std::size_t read = 0;
  while (resolvers.size() < kMaxResolvers && read < kMaxConfiguration && std::getline(file, line)) {
    read += line.size() + 1;
    std::istringstream words(line);
    std::string keyword, address;
    if (words >> keyword >> address && keyword == "nameserver" && net::IsIpAddress(address)) {
      resolvers.push_back({address, kDnsPort});
    }
  }
  return resolvers;
}

Result<DnsMessage> DnsLookup::Ask(const Context& ctx, const net::HostPort& server,
                                  const std::string& name, RecordType type, bool recurse) const {
  const auto id = static_cast<std::uint16_t>(JitterWord());
  CF_ASSIGN_OR_RETURN(const std::string reply,
                      ExchangeWith(ctx, server, MakeQuery(id, name, type, recurse)));
  CF_ASSIGN_OR_RETURN(DnsMessage message, ParseMessage(reply));
  if (!message.response || message.id != id || message.truncated ||
      message.opcode != static_cast<int>(Opcode::kQuery)) {
    return MakeError(ErrorCode::kRefused, "DnsBadAnswer",
                     net::FormatHostPort(server) + " did not answer our question");
  }
  return message;
}

// Empty when there is none. A name server that neither has the CNAME nor is the name's authority
// says nothing about it; then the resolvers are asked, of which none may know, too.
Result<std::string> DnsLookup::CnameOf(const Context& ctx, const std::string& name) const {
  std::vector<net::HostPort> servers = {nameserver_};
  servers.insert(servers.end(), resolvers_.begin(), resolvers_.end());
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const Result<DnsMessage> message = Ask(ctx, servers[i], name, RecordType::kCname, true);
    if (!message.ok()) {
      if (i == 0 || message.error().code == ErrorCode::kCancelled) return message.error();
      continue;
    }
    for (const DnsRecord& record : message->answers) {
      if (Is(record, RecordType::kCname, name)) return record.target;
    }
    const bool decided = message->rcode == kNoError || message->rcode == kNxDomain;
    if (decided && (i > 0 || message->authoritative)) return std::string();
  }
  return std::string();
}

Result<std::string> DnsLookup::FollowCnames(const Context& ctx, std::string name) const {
  std::set<std::string> seen;
  for (int hops = 0; hops <= kMaxCnames && seen.insert(name).second; ++hops) {
    CF_ASSIGN_OR_RETURN(std::string target, CnameOf(ctx, name));
    if (target.empty()) return name;
    name = std::move(target);
  }
  return MakeError(ErrorCode::kInvalid, "DnsCnameLoop",
                   "the CNAMEs of " + *seen.begin() + " come to no end");
}

Result<std::string> DnsLookup::FindZone(const Context& ctx, const std::string& name) const {
  std::string candidate = name;
  for (int steps = 0; steps < kMaxWalk && !candidate.empty(); ++steps) {
    CF_ASSIGN_OR_RETURN(const DnsMessage message,
                        Ask(ctx, nameserver_, candidate, RecordType::kSoa, false));
    if (message.rcode == kServFail) {
      return MakeError(ErrorCode::kUnavailable, "DnsUnavailable",
                       net::FormatHostPort(nameserver_) + " cannot serve " + candidate + " now");
    }
    for (const DnsRecord& record : message.answers) {
      if (Is(record, RecordType::kSoa, candidate)) return candidate;
    }
    // RFC 2308: an authority that has no such record names its zone.
    for (const DnsRecord& record : message.authorities) {
      const bool soa = Is(record, RecordType::kSoa, record.name);
      if (message.authoritative && soa && IsWithin(name, record.name)) return record.name;
    }
    candidate = Parent(candidate);
  }
  return MakeError(ErrorCode::kInvalid, "DnsNoZone",
                   net::FormatHostPort(nameserver_) + " serves no zone of " + name);
}

Result<std::vector<std::string>> DnsLookup::ServersOf(const Context& ctx,
                                                      const std::string& zone) const {
  CF_ASSIGN_OR_RETURN(const DnsMessage message,
                      Ask(ctx, nameserver_, zone, RecordType::kNs, false));
  std::vector<std::string> servers;
  for (const DnsRecord& record : message.answers) {
    if (!Is(record, RecordType::kNs, zone) || record.target.empty()) continue;
    if (servers.size() < kMaxServers) servers.push_back(record.target);
  }
  if (!servers.empty()) return servers;
  return MakeError(ErrorCode::kUnavailable, "DnsUnavailable",
                   net::FormatHostPort(nameserver_) + " names no servers of " + zone);
}

Result<bool> DnsLookup::HasTxt(const Context& ctx, const net::HostPort& server,
                               const std::string& name, std::string_view value) const {
  CF_ASSIGN_OR_RETURN(const DnsMessage message, Ask(ctx, server, name, RecordType::kTxt, false));
  if (message.rcode != kNoError && message.rcode != kNxDomain) {
    return MakeError(
        ErrorCode::kUnavailable, "DnsUnavailable",
        net::FormatHostPort(server) + " answered with rcode " + std::to_string(message.rcode));
  }
  return std::any_of(message.answers.begin(), message.answers.end(), [&](const DnsRecord& record) {
    return Is(record, RecordType::kTxt, name) && JoinTxt(record.data) == value;
  });
}

}  // namespace certflow::providers::solvers
