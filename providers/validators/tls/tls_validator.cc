#include "providers/validators/tls/tls_validator.h"

#include <openssl/tls1.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "controller/base/ascii.h"
#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "providers/validators/tls/handshake.h"
#include "providers/validators/tls/socket.h"

namespace certflow::providers {
namespace {

constexpr std::uint16_t kHttps = 443;

// What is looked for at every address of one request.
struct Expectation {
  std::string name;  // to be covered by the certificate
  std::string sni;   // empty for an address (RFC 6066 section 3)
  std::string trust_pem;
  int lowest_version = 0;
};

Result<int> ReadVersion(const std::string& text) {
  if (text.empty() || text == "1.2") return TLS1_2_VERSION;
  if (text == "1.3") return TLS1_3_VERSION;
  return MakeError(ErrorCode::kInvalid, "TlsVersionInvalid",
                   "the lowest TLS version must be \"1.2\" or \"1.3\"");
}

Result<Expectation> ReadExpectation(const seams::ProbeRequest& request, const std::string& host) {
  Expectation expected;
  expected.name = LowerCase(request.server_name.empty() ? host : request.server_name);
  expected.trust_pem = request.trust_pem;
  CF_ASSIGN_OR_RETURN(expected.lowest_version, ReadVersion(request.min_tls));
  if (net::IsIpAddress(expected.name)) return expected;
  CF_RETURN_IF_ERROR(pki::CheckDnsName(expected.name));
  expected.sni = expected.name;
  if (expected.sni.front() == '*') expected.sni.replace(0, 1, "certflow-probe");
  return expected;
}

std::optional<Error> FindFault(const Expectation& expected, const ServedChain& chain,
                               WallTime now) {
  auto verified = pki::VerifyServerChain({.chain_der = chain.chain_der,
                                          .trust_pem = expected.trust_pem,
                                          .dns_names = {expected.name},
                                          .at = now});
  if (!verified.ok()) return std::move(verified).error();
  if (chain.version >= expected.lowest_version) return std::nullopt;
  return MakeError(ErrorCode::kUntrusted, "TlsTooOld",
                   "the server speaks " + chain.version_name + ", which is below the lowest " +
                       "version asked for");
}

// Also of a certificate that cannot be read: its fingerprint is still what was served.
seams::Served Describe(const ServedChain& chain) {
  seams::Served served;
  served.fingerprint = Sha256Hex(chain.chain_der.front());
  served.tls_version = chain.version_name;
  auto leaf = pki::ReadDer(chain.chain_der.front());
  if (!leaf.ok()) {
    served.fault = MakeError(ErrorCode::kUntrusted, leaf.error().reason, leaf.error().message);
    return served;
  }
  served.issuer = std::move(leaf->issuer);
  served.serial = std::move(leaf->serial);
  served.dns_names = std::move(leaf->dns_names);
  served.not_after = leaf->not_after;
  return served;
}

Result<seams::Served> ProbeAddress(const Context& ctx, const Expectation& expected,
                                   const net::HostPort& at) {
  CF_ASSIGN_OR_RETURN(Socket socket, Socket::Connect(ctx, at.host, at.port));
  CF_ASSIGN_OR_RETURN(const ServedChain chain, ReadServedChain(ctx, socket, expected.sni));
  seams::Served served = Describe(chain);
  served.address = net::FormatHostPort(at);
  if (served.fault) return served;
  served.fault = FindFault(expected, chain, ctx.clock.Now());
  // Roots that cannot be read are not what the server serves.
  if (served.fault && served.fault->code != ErrorCode::kUntrusted) return *served.fault;
  return served;
}

}  // namespace

TlsValidator::TlsValidator(Resolver resolve) : resolve_(std::move(resolve)) {}

Result<std::vector<seams::Served>> TlsValidator::Probe(const Context& ctx,
                                                       const seams::ProbeRequest& request) {
  CF_RETURN_IF_ERROR(ctx.Check());
  CF_ASSIGN_OR_RETURN(const net::HostPort endpoint, net::ParseHostPort(request.endpoint, kHttps));
  CF_ASSIGN_OR_RETURN(const Expectation expected, ReadExpectation(request, endpoint.host));
  CF_ASSIGN_OR_RETURN(std::vector<std::string> addresses, resolve_(ctx, endpoint.host));
  if (addresses.empty()) {
    return MakeError(ErrorCode::kUnavailable, "NoAddress",
                     "the name " + Sanitize(endpoint.host) + " has no address");
  }
  addresses.resize(std::min(addresses.size(), kMaxAddresses));
  std::vector<seams::Served> all;
  for (const std::string& address : addresses) {
    const net::HostPort at{address, endpoint.port};
    auto served = ProbeAddress(ctx.WithTimeout(kProbeTimeout), expected, at);
    if (!served.ok()) {
      return Annotate(std::move(served).error(), "probe " + net::FormatHostPort(at));
    }
    all.push_back(std::move(served).value());
  }
  return all;
}

}  // namespace certflow::providers
