#pragma once

#include <string>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "providers/validators/tls/socket.h"

namespace certflow::providers {

// TLS 1.0 to 1.3 as OpenSSL numbers them (0x0301 ...), so that they compare.
struct ServedChain {
  std::vector<std::string> chain_der;  // as served, leaf first, at least one
  int version = 0;
  std::string version_name;  // "TLSv1.3"
};

// A TLS handshake that accepts any certificate and every version from 1.0, to see what is served;
// nothing secret may be sent over it. `server_name` is the SNI, or empty. A server that ends
// the handshake because we have no certificate has proved its own by then, up to TLS 1.2, which is
// enough. kUnavailable where there is no TLS, or no certificate.
Result<ServedChain> ReadServedChain(const Context& ctx, Socket& socket,
                                    const std::string& server_name);

}  // namespace certflow::providers
