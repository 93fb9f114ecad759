#include "providers/issuers/ca/ca_issuer.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "controller/base/clock.h"
#include "controller/kube/document_json.h"
#include "controller/pki/certificate.h"
#include "controller/pki/request.h"

namespace certflow::providers {
namespace {

constexpr std::chrono::hours kDefaultLifetime{24 * 90};

struct Settings {
  std::string secret_name;
  std::chrono::seconds lifetime = kDefaultLifetime;
};

Error SettingInvalid(std::string_view message) {
  return MakeError(ErrorCode::kInvalid, "AuthorityInvalid", message);
}

Result<Settings> ReadSettings(std::string_view settings_json) {
  auto document = kube::ParseDocument(settings_json);
  if (!document.ok()) return Annotate(std::move(document).error(), "spec.ca");
  const nlohmann::json& json = kube::Json(*document);
  Settings settings;
  const auto name = json.find("secretName");
  if (name == json.end() || !name->is_string() || name->get_ref<const std::string&>().empty()) {
    return SettingInvalid("spec.ca.secretName: name the Secret with the CA's tls.crt and tls.key");
  }
  settings.secret_name = Sanitize(name->get_ref<const std::string&>(), 253);
  const auto duration = json.find("duration");
  if (duration == json.end()) return settings;
  if (!duration->is_string()) {
    return SettingInvalid("spec.ca.duration: give a text like \"90d\"");
  }
  auto lifetime = ParseDuration(duration->get_ref<const std::string&>());
  if (!lifetime.ok()) return Annotate(std::move(lifetime).error(), "spec.ca.duration");
  settings.lifetime = *lifetime;
  return settings;
}

Error AtKey(const std::string& where, std::string_view key, const Error& cause,
            std::string_view remedy) {
  return MakeError(
      ErrorCode::kInvalid, cause.reason,
      where + ": " + std::string(key) + ": " + cause.message + "; " + std::string(remedy));
}

// The root that the chain itself holds, or empty.
Result<std::string> RootOf(std::string_view chain_pem,
                           const std::vector<pki::CertificateInfo>& chain) {
  CF_ASSIGN_OR_RETURN(const std::vector<std::string> ders, pki::PemToDer(chain_pem));
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (chain[i].is_ca && chain[i].subject == chain[i].issuer) return pki::DerToPem(ders[i]);
  }
  return std::string();
}

Result<std::string> ChooseRoot(const std::string& where, std::string_view tls_crt,
                               std::string_view ca_crt) {
  const auto chain = pki::ReadChain(tls_crt);
  if (!chain.ok()) {
    return AtKey(where, "tls.crt", chain.error(), "put the CA's certificate there, in PEM");
  }
  if (!chain->front().is_ca) {
    return MakeError(ErrorCode::kInvalid, "NotCa",
                     where + ": tls.crt: the first certificate (" + chain->front().subject +
                         ") is not a CA; put the CA that signs first");
  }
  if (ca_crt.empty()) return RootOf(tls_crt, *chain);
  if (const auto roots = pki::ReadChain(ca_crt); !roots.ok()) {
    return AtKey(where, "ca.crt", roots.error(), "put the root's certificate there or remove it");
  }
  return std::string(ca_crt);
}

}  // namespace

CaIssuer::CaIssuer(std::string chain_pem, std::string ca_pem, pki::PrivateKey key,
                   std::chrono::seconds lifetime, std::string where)
    : chain_pem_(std::move(chain_pem)),
      ca_pem_(std::move(ca_pem)),
      key_(std::move(key)),
      lifetime_(lifetime),
      where_(std::move(where)) {}

Result<seams::Issuance> CaIssuer::Observe(const Context&, const seams::IssueRequest&,
                                          const seams::StepMemo& memo) {
  return seams::Issuance(seams::IssueNeedsAction{"Sign", memo});
}

Result<seams::Issuance> CaIssuer::Advance(const Context& ctx, const seams::IssueRequest& what,
                                          const seams::StepMemo&) {
  CF_RETURN_IF_ERROR(ctx.Check());
  const WallTime now = ctx.clock.Now();
  auto chain = pki::SignServerCertificate(chain_pem_, key_, what.key, what.names, lifetime_, now);
  if (!chain.ok()) return Annotate(std::move(chain).error(), "sign with the CA of " + where_);
  // What a client would find: a ca.crt of another CA, a path length, a chain in the wrong order.
  CF_ASSIGN_OR_RETURN(std::vector<std::string> served, pki::PemToDer(*chain));
  const auto verified = pki::VerifyServerChain({.chain_der = std::move(served),
                                                .trust_pem = ca_pem_.empty() ? chain_pem_ : ca_pem_,
                                                .dns_names = what.names.dns_names,
                                                .at = now});
  if (!verified.ok()) {
    return MakeError(ErrorCode::kRefused, "CaChainBroken",
                     "what the CA of " + where_ + " signs would not be trusted: " +
                         verified.error().message + "; correct tls.crt and ca.crt of the Secret");
  }
  return seams::Issuance(seams::Issued{std::move(chain).value(), ca_pem_});
}

Result<void> CaIssuer::Cleanup(const Context&, const seams::IssueRequest&, const seams::StepMemo&) {
  return {};
}

Result<std::unique_ptr<seams::Issuer>> MakeCaIssuer(std::string_view settings_json,
                                                    std::string_view tls_crt,
                                                    std::string_view ca_crt, SecretBytes tls_key) {
  CF_ASSIGN_OR_RETURN(const Settings settings, ReadSettings(settings_json));
  const std::string where = "Secret \"" + settings.secret_name + "\" (spec.ca.secretName)";
  CF_ASSIGN_OR_RETURN(std::string root, ChooseRoot(where, tls_crt, ca_crt));
  auto key = pki::PrivateKey::FromPem(tls_key.Reveal());
  if (!key.ok()) return AtKey(where, "tls.key", key.error(), "put the CA's private key there");
  if (const auto pair = pki::CheckPair(tls_crt, *key); !pair.ok()) {
    return AtKey(where, "tls.key", pair.error(),
                 "put the key of tls.crt's first certificate there");
  }
  return std::unique_ptr<seams::Issuer>(std::make_unique<CaIssuer>(
      std::string(tls_crt), std::move(root), std::move(key).value(), settings.lifetime, where));
}

}  // namespace certflow::providers
