#include <nlohmann/json.hpp>

#include "providers/solvers/dns_lookup.h"
#include "providers/solvers/rfc2136_solver.h"

namespace certflow::providers::solvers {
namespace {

using nlohmann::json;

constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kMaxServers = 16;

Error Wrong(std::string_view what) {
  return MakeError(ErrorCode::kInvalid, "DnsSettings", "rfc2136: " + std::string(what));
}

Result<std::string> Text(const json& node, const char* name) {
  const auto it = node.find(name);
  if (it == node.end() || it->is_null()) return std::string();
  if (!it->is_string()) return Wrong(std::string(name) + " is not a string");
  return it->get<std::string>();
}

Result<net::HostPort> Server(std::string_view text, const char* name) {
  Result<net::HostPort> server = net::ParseHostPort(text, kDnsPort);
  if (!server.ok()) return Wrong(std::string(name) + ": " + server.error().message);
  return server;
}

Result<std::vector<net::HostPort>> Servers(const json& node, const char* name) {
  std::vector<net::HostPort> servers;
  const auto it = node.find(name);
  if (it == node.end() || it->is_null()) return servers;
  if (!it->is_array() || it->size() > kMaxServers) {
    return Wrong(std::string(name) + " is not a list of at most " + std::to_string(kMaxServers));
  }
  for (const json& item : *it) {
    if (!item.is_string()) return Wrong(std::string(name) + " holds something else than strings");
    CF_ASSIGN_OR_RETURN(net::HostPort server, Server(item.get<std::string>(), name));
    servers.push_back(std::move(server));
  }
  return servers;
}

}  // namespace

Result<std::unique_ptr<seams::ChallengeSolver>> MakeRfc2136Solver(std::string_view settings_json,
                                                                  const SecretBytes& tsig_secret) {
  const json node = json::parse(settings_json, nullptr, false);
  if (!node.is_object()) return Wrong("the settings are no JSON object");
  Rfc2136Options options;
  CF_ASSIGN_OR_RETURN(const std::string nameserver, Text(node, "nameserver"));
  CF_ASSIGN_OR_RETURN(options.nameserver, Server(nameserver, "nameserver"));
  CF_ASSIGN_OR_RETURN(options.zone, Text(node, "zone"));
  if (!options.zone.empty()) {
    CF_ASSIGN_OR_RETURN(options.zone, CheckName(options.zone));
  }
  CF_ASSIGN_OR_RETURN(const std::string key_name, Text(node, "tsigKeyName"));
  CF_ASSIGN_OR_RETURN(std::string algorithm, Text(node, "tsigAlgorithm"));
  if (algorithm.empty()) algorithm = "hmac-sha256";
  CF_ASSIGN_OR_RETURN(options.key, MakeTsigKey(key_name, algorithm, tsig_secret.Reveal()));
  CF_ASSIGN_OR_RETURN(options.authoritative, Servers(node, "authoritative"));
  CF_ASSIGN_OR_RETURN(options.resolvers, Servers(node, "resolvers"));
  if (options.resolvers.empty()) options.resolvers = SystemResolvers();
  return MakeRfc2136Solver(std::move(options));
}

}  // namespace certflow::providers::solvers
