#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/base/secret.h"

namespace certflow::fakes {

// A CA as ACME servers are one: signs what a PKCS#10 request holds.
class CsrSigner {
 public:
  explicit CsrSigner(WallTime now);
  const std::string& root_pem() const { return root_pem_; }
  // The leaf as PEM; empty when the request is broken or its SAN holds other names.
  std::string Sign(std::string_view csr_der, std::vector<std::string> names, WallTime now,
                   std::chrono::seconds lifetime) const;

 private:
  std::string root_pem_;
  SecretBytes key_pem_;
};

}  // namespace certflow::fakes
