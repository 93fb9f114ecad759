#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/net/address.h"
#include "providers/solvers/dns_message.h"

namespace certflow::providers::solvers {

// Asks name servers directly. Never for the TXT record at a caching resolver: the answer that it is
// missing would be cached.
class DnsLookup {
 public:
  // `resolvers` are asked about CNAMEs of names that `nameserver` does not serve.
  DnsLookup(net::HostPort nameserver, std::vector<net::HostPort> resolvers)
      : nameserver_(std::move(nameserver)), resolvers_(std::move(resolvers)) {}

  // Where the name's CNAMEs lead (RFC 8555 section 8.4 lets the CA follow them); kInvalid
  // ("DnsCnameLoop") beyond kMaxCnames.
  static constexpr int kMaxCnames = 8;
  Result<std::string> FollowCnames(const Context& ctx, std::string name) const;

  // The zone of a name, at the name server; kInvalid ("DnsNoZone") when it serves none.
  Result<std::string> FindZone(const Context& ctx, const std::string& name) const;

  // The names of the zone's servers.
  Result<std::vector<std::string>> ServersOf(const Context& ctx, const std::string& zone) const;

  // Whether one server has the TXT value. kUnavailable when it does not answer as the zone's.
  Result<bool> HasTxt(const Context& ctx, const net::HostPort& server, const std::string& name,
                      std::string_view value) const;

 private:
  Result<DnsMessage> Ask(const Context& ctx, const net::HostPort& server, const std::string& name,
                         RecordType type, bool recurse) const;
  Result<std::string> CnameOf(const Context& ctx, const std::string& name) const;

  net::HostPort nameserver_;
  std::vector<net::HostPort> resolvers_;
};

// True for the zone itself and everything below.
bool IsWithin(std::string_view name, std::string_view zone);

// The system's resolvers (/etc/resolv.conf, at most three), numeric.
std::vector<net::HostPort> SystemResolvers(const std::string& path = "/etc/resolv.conf");

}  // namespace certflow::providers::solvers
