#pragma once

#include <string>
#include <string_view>

#include "controller/base/clock.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "providers/solvers/dns_message.h"

namespace certflow::providers::solvers {

// RFC 8945.
struct TsigKey {
  std::string name;       // checked
  std::string algorithm;  // "hmac-sha256", "hmac-sha384" or "hmac-sha512"
  SecretBytes secret;     // decoded
};

// kInvalid ("DnsSettings") for another algorithm, a bad name or a secret that is no base64.
Result<TsigKey> MakeTsigKey(std::string_view name, std::string_view algorithm,
                            std::string_view secret_base64);

struct SignedMessage {
  std::string bytes;
  std::string mac;  // what the answer's signature covers
};
Result<SignedMessage> SignMessage(const TsigKey& key, std::string message, WallTime now);

// The answer to a signed update: its own signature is checked, then what it says is judged.
//   kForbidden  DnsUpdateForbidden: REFUSED or NOTAUTH, with what is wrong: secret, key, clock
//   kInvalid    DnsWrongZone
//   kUnavailable  DnsUnavailable: SERVFAIL and whatever else may pass
//   kUntrusted  DnsReplyUntrusted: success without a good signature
Result<void> CheckSignedReply(const TsigKey& key, const SignedMessage& request,
                              std::string_view reply, WallTime now);

}  // namespace certflow::providers::solvers
