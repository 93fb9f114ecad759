#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/net/address.h"
#include "controller/seams/challenge_solver.h"
#include "providers/solvers/tsig.h"

namespace certflow::providers::solvers {

struct Rfc2136Options {
  net::HostPort nameserver;  // the zone's primary
  std::string zone;          // empty: found by its SOA
  TsigKey key;
  // The servers whose answers count; empty: those of the zone's NS records, or the name server
  // alone where it is on a port other than 53, because NS records know no ports.
  std::vector<net::HostPort> authoritative;
  std::vector<net::HostPort> resolvers;  // for CNAMEs of names that the name server does not have
};

// dns-01 by dynamic update (RFC 2136) with TSIG (RFC 8945), over TCP. Adds and deletes one value
// and leaves the others at the name alone. Errors of an update as CheckSignedReply; thread-safe.
std::unique_ptr<seams::ChallengeSolver> MakeRfc2136Solver(Rfc2136Options options);

// From a solver's "dns01.rfc2136": {"nameserver":"host:port","zone":"...","tsigKeyName":"...",
// "tsigAlgorithm":"hmac-sha256","authoritative":["host:port"],"resolvers":["host:port"]}; port 53,
// hmac-sha256 and the system's resolvers where nothing is given. The secret is base64 text, as
// tsig-keygen prints it. kInvalid, "DnsSettings".
Result<std::unique_ptr<seams::ChallengeSolver>> MakeRfc2136Solver(std::string_view settings_json,
                                                                  const SecretBytes& tsig_secret);

}  // namespace certflow::providers::solvers
