#pragma once

#include <string>
#include <string_view>

#include "controller/base/result.h"
#include "controller/pki/key.h"

namespace certflow::providers::acme {

struct JwsHeader {
  std::string_view url;
  std::string_view nonce;
  std::string_view account_url;  // "kid"; empty: the public key is sent instead
};

// Flattened JSON (RFC 7515 section 7.2.2). An empty payload makes a POST-as-GET.
Result<std::string> SignJws(const pki::PrivateKey& key, const JwsHeader& header,
                            std::string_view payload);

}  // namespace certflow::providers::acme
