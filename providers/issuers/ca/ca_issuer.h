#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/pki/key.h"
#include "controller/seams/issuer.h"

namespace certflow::providers {

// A CA of our own whose chain and key are in a Secret. Nothing of an issuance exists outside of the
// process, so there is nothing to observe, signing may be repeated, and nothing is cleaned up.
// Thread-safe. Errors of Advance: kInvalid (the names), kRefused ("CaExpired", "CaNotYetValid",
// "CaChainBroken").
class CaIssuer : public seams::Issuer {
 public:
  // `chain_pem` holds the certificate that belongs to `key` first. `ca_pem`: the root, or empty.
  // `where` names the Secret in errors.
  CaIssuer(std::string chain_pem, std::string ca_pem, pki::PrivateKey key,
           std::chrono::seconds lifetime, std::string where);

  bool local() const override { return true; }
  Result<seams::Issuance> Observe(const Context& ctx, const seams::IssueRequest& what,
                                  const seams::StepMemo& memo) override;
  // A certificate that ends with the CA where its lifetime would go beyond.
  Result<seams::Issuance> Advance(const Context& ctx, const seams::IssueRequest& what,
                                  const seams::StepMemo& memo) override;
  Result<void> Cleanup(const Context& ctx, const seams::IssueRequest& what,
                       const seams::StepMemo& memo) override;

 private:
  const std::string chain_pem_;
  const std::string ca_pem_;
  const pki::PrivateKey key_;
  const std::chrono::seconds lifetime_;
  const std::string where_;
};

// From the `spec.ca` of a CertificateAuthority ({"secretName": "...", "duration": "90d"}, duration
// 90 days by default) and the contents of its Secret; `ca_crt` may be empty. kInvalid names field
// and remedy.
Result<std::unique_ptr<seams::Issuer>> MakeCaIssuer(std::string_view settings_json,
                                                    std::string_view tls_crt,
                                                    std::string_view ca_crt, SecretBytes tls_key);

}  // namespace certflow::providers
