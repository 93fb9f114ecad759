#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/net/address.h"
#include "controller/seams/validator.h"

namespace certflow::providers {

// Opens a TLS connection to every address of an endpoint (port 443 where none is given) and judges
// what is served: the chain, the names, the time, and the version ("TlsTooOld"). Thread-safe; uses
// the caller's thread, one address after the other, at most kProbeTimeout each.
//
// Where `server_name` is empty the endpoint's host is asked for. A wildcard ("*.a.example") cannot
// be asked for: the SNI is then one name under it, and the wildcard itself must be covered.
class TlsValidator : public seams::Validator {
 public:
  static constexpr Duration kProbeTimeout{15'000};
  static constexpr std::size_t kMaxAddresses = 32;

  // Numeric addresses of a host, those refused that users may not name.
  using Resolver =
      std::function<Result<std::vector<std::string>>(const Context&, std::string_view host)>;
  explicit TlsValidator(Resolver resolve = net::ResolveUserGiven);

  // kInvalid for an endpoint, name or version that is none.
  Result<std::vector<seams::Served>> Probe(const Context& ctx,
                                           const seams::ProbeRequest& request) override;

 private:
  const Resolver resolve_;
};

}  // namespace certflow::providers
