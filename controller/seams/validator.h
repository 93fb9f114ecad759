#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"

namespace certflow::seams {

struct ProbeRequest {
  std::string endpoint;     // "host:port"
  std::string server_name;  // SNI, and the name to verify
  std::string trust_pem;    // empty: the system's roots
  std::string min_tls;      // "1.2" or "1.3"
};

// What one address served.
struct Served {
  std::string address;  // numeric, with port
  std::string fingerprint;
  std::string issuer;
  std::string serial;
  std::vector<std::string> dns_names;
  WallTime not_after;
  std::string tls_version;     // "TLSv1.3"
  std::optional<Error> fault;  // chain, name, expiry or floor: kUntrusted with its own reason
};

// Looks from outside. Errors when an address does not answer (kUnavailable, kTimeout) or is
// refused; what is served but wrong is a fault in the answer.
class Validator {
 public:
  virtual ~Validator() = default;
  // Every address of the endpoint's name, at least one.
  virtual Result<std::vector<Served>> Probe(const Context& ctx, const ProbeRequest& request) = 0;
};

}  // namespace certflow::seams
