#pragma once

#include <optional>
#include <string>

#include "providers/issuers/acme/client.h"

namespace certflow::providers::acme {

struct SearchFor {
  std::vector<std::string> names;  // sorted
  const pki::PrivateKey& key;      // of the certificate
  WallTime intent;                 // when the order was decided on
};

// Finds the order that an earlier attempt made without having noted its URL, in the account's list
// of orders (RFC 8555 section 7.1.2.1): same names, not older than the intent, and either not
// finished or with a certificate for our key. Empty when there is none, or no list. Boulder has no
// list; there newOrder with the same names gives the pending order back, so making it "again"
// still leaves one.
Result<std::optional<std::string>> FindOrder(const Context& ctx, AcmeClient& client,
                                             const SearchFor& wanted);

}  // namespace certflow::providers::acme
