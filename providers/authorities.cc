#include "providers/authorities.h"

#include "controller/pki/certificate.h"
#include "providers/issuers/acme/acme_issuer.h"
#include "providers/issuers/ca/ca_issuer.h"
#include "providers/solvers/http01_solver.h"
#include "providers/solvers/ingress_solver.h"
#include "providers/solvers/rfc2136_solver.h"
#include "providers/targets/host/nginx_target.h"

namespace certflow::providers {

namespace {

// An account is used for years; P-256 is what every ACME server takes.
constexpr pki::KeySpec kAccountKey{pki::KeyAlgorithm::kEcdsa, 256};

// Several web servers may answer for one name: the token has to be at each of them.
class AllChallengeFiles : public seams::ChallengeFiles {
 public:
  explicit AllChallengeFiles(std::vector<std::unique_ptr<seams::ChallengeFiles>> each)
      : each_(std::move(each)) {}
  Result<void> Put(const Context& ctx, std::string_view token, std::string_view content) override {
    for (auto& one : each_) CF_RETURN_IF_ERROR(one->Put(ctx, token, content));
    return {};
  }
  Result<void> Remove(const Context& ctx, std::string_view token) override {
    Result<void> first;
    for (auto& one : each_) {
      auto removed = one->Remove(ctx, token);
      if (first.ok()) first = std::move(removed);
    }
    return first;
  }

 private:
  std::vector<std::unique_ptr<seams::ChallengeFiles>> each_;
};

struct KeyPlace {
  std::string name, key;
};

KeyPlace AccountKeyPlace(const seams::ProviderRef& authority) {
  nlohmann::json settings = ParseSettingsObject(authority.settings);
  nlohmann::json ref = settings.value("accountKeySecretRef", nlohmann::json::object());
  return {ref.value("name", authority.name + "-account"), ref.value("key", "tls.key")};
}

}  // namespace

Result<pki::PrivateKey> Authorities::LoadAccountKey(const Context& ctx,
                                                    const seams::ProviderRef& authority) {
  KeyPlace place = AccountKeyPlace(authority);
  CF_ASSIGN_OR_RETURN(SecretBytes pem, seams::ReadSecretKey(ctx, parts_.secrets, authority.ns,
                                                            place.name, place.key));
  auto key = pki::PrivateKey::FromPem(pem.Reveal());
  if (!key.ok()) {
    return Annotate(key.error(), "Secret " + place.name + ", key " + place.key);
  }
  return std::move(*key);
}

Result<pki::PrivateKey> Authorities::MakeAccountKey(const Context& ctx,
                                                    const seams::ProviderRef& authority) {
  KeyPlace place = AccountKeyPlace(authority);
  CF_ASSIGN_OR_RETURN(auto key, pki::PrivateKey::Generate(kAccountKey));
  seams::SecretObject secret;
  secret.ns = authority.ns;
  secret.name = place.name;
  secret.labels[std::string(seams::kManagedLabel)] = seams::kManagedValue;
  secret.data[place.key] = key.ToPem();
  auto put = parts_.secrets.Put(ctx, secret);
  // Somebody was faster: theirs counts.
  if (!put.ok() && put.error().code == ErrorCode::kAlreadyExists) {
    return LoadAccountKey(ctx, authority);
  }
  if (!put.ok()) return Annotate(put.error(), "store the account key");
  return key;
}

std::shared_ptr<acme::AcmeAccountCache> Authorities::CacheOf(const seams::ProviderRef& authority,
                                                             const pki::PrivateKey& key) {
  std::string server = ParseSettingsObject(authority.settings).value("server", "");
  std::string id = authority.uid + " " + server + " " + key.PublicKeyFingerprint();
  MutexLock lock(mutex_);
  auto& cache = caches_[id];
  if (!cache) cache = std::make_shared<acme::AcmeAccountCache>();
  return cache;
}

Result<std::shared_ptr<seams::ChallengeSolver>> Authorities::MakeHttpSolver(
    const Context& ctx, const seams::ProviderRef& authority, const std::string& via,
    const std::vector<seams::TargetRef>& targets) {
  if (via != "Target") {
    solvers::IngressSolverOptions options{parts_.own_namespace, parts_.acme_service,
                                          parts_.acme_service_port, parts_.http01_port};
    return std::shared_ptr<seams::ChallengeSolver>(
        solvers::MakeIngressSolver(parts_.http, parts_.kube, std::move(options)));
  }
  std::vector<std::unique_ptr<seams::ChallengeFiles>> files;
  for (const seams::TargetRef& target : targets) {
    nlohmann::json settings = ParseSettingsObject(target.provider.settings);
    if (settings.value("challengeDirectory", "").empty()) continue;
    CF_ASSIGN_OR_RETURN(auto shell, shell_of_(ctx, target.provider));
    CF_ASSIGN_OR_RETURN(auto one,
                        host::MakeHostChallengeFiles(target.provider.settings, std::move(shell)));
    files.push_back(std::move(one));
  }
  if (files.empty()) {
    return MakeError(ErrorCode::kInvalid, "NoChallengeDirectory",
                     "authority " + authority.name +
                         " proves control by http01 via Target, but no target of the workflow has "
                         "a challengeDirectory");
  }
  return std::shared_ptr<seams::ChallengeSolver>(solvers::MakeHostFileSolver(
      parts_.http, std::make_shared<AllChallengeFiles>(std::move(files)), parts_.http01_port));
}

Result<acme::AcmeSolver> Authorities::MakeSolver(const Context& ctx,
                                                 const seams::ProviderRef& authority,
                                                 const nlohmann::json& solver,
                                                 const std::vector<seams::TargetRef>& targets) {
  acme::AcmeSolver out;
  out.dns_zones = solver.value("selector", nlohmann::json::object())
                      .value("dnsZones", std::vector<std::string>());
  if (auto http = solver.find("http01"); http != solver.end()) {
    CF_ASSIGN_OR_RETURN(out.solver,
                        MakeHttpSolver(ctx, authority, http->value("via", "Cluster"), targets));
    return out;
  }
  nlohmann::json rfc2136 =
      solver.value("dns01", nlohmann::json::object()).value("rfc2136", nlohmann::json::object());
  CF_ASSIGN_OR_RETURN(SecretBytes secret,
                      ReadSecretRefIn(ctx, parts_.secrets, rfc2136, "tsigSecretRef", authority.ns));
  CF_ASSIGN_OR_RETURN(out.solver, solvers::MakeRfc2136Solver(rfc2136.dump(), secret));
  return out;
}

Result<std::shared_ptr<seams::Issuer>> Authorities::ConnectAcme(
    const Context& ctx, const seams::ProviderRef& authority,
    const std::vector<seams::TargetRef>& targets) {
  CF_ASSIGN_OR_RETURN(auto key, LoadAccountKey(ctx, authority));
  auto cache = CacheOf(authority, key);
  acme::AcmeParts parts{parts_.http, std::move(key), authority.account_url, {}, std::move(cache)};
  const nlohmann::json settings = ParseSettingsObject(authority.settings);
  // A solver that cannot be made is the error of those names only that have no other.
  std::optional<Error> fault;
  for (const nlohmann::json& item : settings.value("solvers", nlohmann::json::array())) {
    auto solver = MakeSolver(ctx, authority, item, targets);
    if (solver.ok()) {
      parts.solvers.push_back(std::move(*solver));
    } else if (!fault) {
      fault = solver.error();
    }
  }
  if (parts.solvers.empty() && fault) return *fault;
  CF_ASSIGN_OR_RETURN(auto issuer, acme::MakeAcmeIssuer(std::move(parts), authority.settings));
  return std::shared_ptr<seams::Issuer>(std::move(issuer));
}

Result<seams::Readiness> Authorities::EnsureAcme(const Context& ctx,
                                                 const seams::ProviderRef& authority) {
  auto key = LoadAccountKey(ctx, authority);
  if (!key.ok() && key.error().reason == "SecretMissing") key = MakeAccountKey(ctx, authority);
  if (!key.ok()) return key.error();
  auto cache = CacheOf(authority, *key);
  CF_ASSIGN_OR_RETURN(std::string url,
                      acme::EnsureAccount(ctx, parts_.http, *cache, *key, authority.settings));
  const nlohmann::json settings = ParseSettingsObject(authority.settings);
  for (const nlohmann::json& item : settings.value("solvers", nlohmann::json::array())) {
    // What hangs on the workflow's targets shows in the run.
    if (item.contains("http01")) continue;
    CF_RETURN_IF_ERROR([&]() -> Result<void> {
      auto solver = MakeSolver(ctx, authority, item, {});
      return solver.ok() ? Result<void>() : Result<void>(solver.error());
    }());
  }
  seams::Readiness out;
  out.message = "the account is registered";
  out.account_url = std::move(url);
  return out;
}

Result<Authorities::CaPair> Authorities::LoadCa(const Context& ctx,
                                                const seams::ProviderRef& authority) {
  std::string name = ParseSettingsObject(authority.settings).value("secretName", "");
  auto secret = parts_.secrets.Get(ctx, authority.ns, name);
  if (!secret.ok()) {
    if (secret.error().code != ErrorCode::kNotFound) return secret.error();
    Error missing = MakeError(ErrorCode::kNotFound, "SecretMissing",
                              "ca.secretName: there is no Secret " + authority.ns + "/" + name +
                                  "; create it with tls.crt and tls.key");
    missing.retry = Retry::kBackoff;
    return missing;
  }
  CF_RETURN_IF_ERROR(seams::CheckUsable(*secret));
  CaPair pair;
  pair.version = secret->uid + " " + secret->version;
  for (auto& [key, value] : secret->data) {
    if (key == "tls.crt") {
      pair.chain_pem = value.Reveal();
    } else if (key == "ca.crt") {
      pair.ca_pem = value.Reveal();
    } else if (key == "tls.key") {
      pair.key_pem = std::move(value);
    }
  }
  if (pair.chain_pem.empty() || pair.key_pem.empty()) {
    return MakeError(ErrorCode::kInvalid, "SecretKeyMissing",
                     "Secret " + authority.ns + "/" + name + " needs tls.crt and tls.key");
  }
  return pair;
}

// Reading a key pair costs more than signing with it, and many runs sign at the same time.
Result<std::shared_ptr<seams::Issuer>> Authorities::ConnectCa(const Context& ctx,
                                                              const seams::ProviderRef& authority) {
  CF_ASSIGN_OR_RETURN(auto pair, LoadCa(ctx, authority));
  const std::string id = authority.uid + " " + pair.version + " " + authority.settings;
  {
    MutexLock lock(mutex_);
    std::erase_if(cas_, [](const auto& entry) { return entry.second.expired(); });
    if (const auto found = cas_.find(id); found != cas_.end()) {
      if (auto in_use = found->second.lock()) return in_use;
    }
  }
  CF_ASSIGN_OR_RETURN(auto made, MakeCaIssuer(authority.settings, pair.chain_pem, pair.ca_pem,
                                              std::move(pair.key_pem)));
  std::shared_ptr<seams::Issuer> issuer = std::move(made);
  MutexLock lock(mutex_);
  cas_[id] = issuer;
  return issuer;
}

Result<seams::Readiness> Authorities::CheckCa(const Context& ctx,
                                              const seams::ProviderRef& authority) {
  CF_ASSIGN_OR_RETURN(auto pair, LoadCa(ctx, authority));
  CF_ASSIGN_OR_RETURN(auto issuer, MakeCaIssuer(authority.settings, pair.chain_pem, pair.ca_pem,
                                                std::move(pair.key_pem)));
  CF_ASSIGN_OR_RETURN(auto chain, pki::ReadChain(pair.chain_pem));
  if (chain.front().not_after <= ctx.clock.Now()) {
    return MakeError(ErrorCode::kRefused, "CaExpired",
                     "the CA's own certificate expired at " + FormatTime(chain.front().not_after));
  }
  seams::Readiness out;
  out.message = "the CA's key pair can sign";
  out.ca_subject = Sanitize(chain.front().subject, 512);
  out.ca_fingerprint = chain.front().fingerprint;
  out.ca_not_after = chain.front().not_after;
  return out;
}

Result<std::string> Authorities::CaTrust(const Context& ctx, const seams::ProviderRef& authority) {
  CF_ASSIGN_OR_RETURN(auto pair, LoadCa(ctx, authority));
  if (!pair.ca_pem.empty()) return pair.ca_pem;
  return pair.chain_pem;
}

}  // namespace certflow::providers
