#include "providers/issuers/acme/jws.h"

#include <nlohmann/json.hpp>

#include "controller/base/base64.h"

namespace certflow::providers::acme {

using nlohmann::json;

Result<std::string> SignJws(const pki::PrivateKey& key, const JwsHeader& header,
                            std::string_view payload) {
  json fields = {{"alg", key.JoseAlgorithm()}, {"nonce", header.nonce}, {"url", header.url}};
  if (header.account_url.empty()) {
    fields["jwk"] = json::parse(key.PublicJwk(), nullptr, false);
  } else {
    fields["kid"] = header.account_url;
  }
  const std::string protected_part = Base64UrlEncode(fields.dump());
  const std::string payload_part = Base64UrlEncode(payload);
  CF_ASSIGN_OR_RETURN(const std::string signature,
                      key.SignJose(protected_part + "." + payload_part));
  return json{{"protected", protected_part},
              {"payload", payload_part},
              {"signature", Base64UrlEncode(signature)}}
      .dump();
}

}  // namespace certflow::providers::acme
