#pragma once

#include <string>

#include "controller/base/secret.h"

namespace certflow::seams {

// A certificate with its chain (PEM, leaf first, no root) and its private key (PKCS#8 PEM).
struct Bundle {
  std::string version;  // the run's name ("st-0b6c4befb1"): every outside name is made of it
  std::string chain_pem;
  std::string ca_pem;  // the issuer's root, where known; for ca.crt
  SecretBytes key_pem;
};

}  // namespace certflow::seams
