#include "providers/registry.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/base/mutex.h"
#include "controller/pki/certificate.h"
#include "providers/authorities.h"
#include "providers/http_objects.h"
#include "providers/issuers/ca/ca_issuer.h"
#include "providers/notifiers/smtp/smtp_notifier.h"
#include "providers/settings.h"
#include "providers/targets/f5/f5_target.h"
#include "providers/targets/host/apache_target.h"
#include "providers/targets/host/haproxy_target.h"
#include "providers/targets/host/host_settings.h"
#include "providers/targets/host/nginx_target.h"
#include "providers/targets/kubernetes/cluster_target.h"
#include "providers/validators/tls/tls_validator.h"

namespace certflow::providers {

namespace {

Error UnknownType(std::string_view what, const seams::ProviderRef& object) {
  return MakeError(
      ErrorCode::kInvalid, "TypeUnknown",
      "this version of certflow has no " + std::string(what) + " of type " + object.type);
}

// The servers that are reached over SSH.
struct HostType {
  std::string_view type;
  Result<std::unique_ptr<seams::Target>> (*connect)(std::string_view settings,
                                                    std::unique_ptr<net::Shell> shell);
  Result<host::HostReadiness> (*check)(const Context& ctx, std::string_view settings,
                                       net::Shell& shell);
};
constexpr HostType kHostTypes[] = {
    {"nginx", host::MakeNginxTarget, host::CheckNginxHost},
    {"apache", host::MakeApacheTarget, host::CheckApacheHost},
    {"haproxy", host::MakeHaproxyTarget, host::CheckHaproxyHost},
};
const HostType* FindHostType(std::string_view type) {
  const auto* found = std::find_if(std::begin(kHostTypes), std::end(kHostTypes),
                                   [&](const HostType& host) { return host.type == type; });
  return found == std::end(kHostTypes) ? nullptr : found;
}

class Registry : public seams::Connector {
 public:
  explicit Registry(const RegistryParts& parts)
      : parts_(parts),
        f5_(parts.http),
        authorities_(parts,
                     [this](const Context& ctx, const seams::ProviderRef& target) {
                       return ConnectShell(ctx, target);
                     }),
        http_objects_(parts) {}

  Result<std::shared_ptr<seams::Issuer>> ConnectIssuer(
      const Context& ctx, const seams::ProviderRef& authority,
      const std::vector<seams::TargetRef>& targets) override {
    if (authority.type == "acme") return authorities_.ConnectAcme(ctx, authority, targets);
    if (authority.type == "ca") return authorities_.ConnectCa(ctx, authority);
    return UnknownType("authority", authority);
  }

  Result<std::unique_ptr<seams::Target>> ConnectTarget(const Context& ctx,
                                                       const seams::TargetRef& target) override {
    if (target.provider.type == "kubernetes") {
      return kubernetes::ConnectClusterTarget(parts_.secrets, parts_.kube, target);
    }
    if (const HostType* host = FindHostType(target.provider.type)) {
      CF_ASSIGN_OR_RETURN(auto shell, ConnectShell(ctx, target.provider));
      return host->connect(target.provider.settings, std::move(shell));
    }
    if (target.provider.type == "http") return http_objects_.ConnectTarget(ctx, target.provider);
    if (target.provider.type == "f5") {
      CF_ASSIGN_OR_RETURN(auto login, F5Login(ctx, target.provider));
      return f5_.Connect(target.provider, std::move(login));
    }
    return UnknownType("target", target.provider);
  }

  Result<std::unique_ptr<seams::Notifier>> ConnectNotifier(
      const Context& ctx, const seams::ProviderRef& channel) override {
    if (HttpObjects::IsCache(channel)) {
      return MakeError(ErrorCode::kInvalid, "NotANotifier",
                       "the channel " + channel.name + " of type " + channel.type +
                           " is a cache and tells nobody: refer to one of type smtp");
    }
    if (channel.type != "smtp") return UnknownType("channel", channel);
    CF_ASSIGN_OR_RETURN(SecretBytes password,
                        ReadSecretRef(ctx, parts_.secrets, channel, "passwordSecretRef"));
    return smtp::MakeSmtpNotifier(channel.settings, std::move(password), parts_.mail);
  }

  Result<std::unique_ptr<seams::Purger>> ConnectPurger(const Context& ctx,
                                                       const seams::ProviderRef& channel) override {
    return http_objects_.ConnectPurger(ctx, channel);
  }

  seams::Validator& validator() override { return validator_; }

  Result<std::string> TrustRoots(const Context& ctx, const seams::ProviderRef& authority) override {
    if (!authority.trust_pem.empty() || authority.type != "ca") return authority.trust_pem;
    return authorities_.CaTrust(ctx, authority);
  }

  Result<seams::Readiness> EnsureAuthorityReady(const Context& ctx,
                                                const seams::ProviderRef& authority) override {
    if (authority.type == "acme") return authorities_.EnsureAcme(ctx, authority);
    if (authority.type == "ca") return authorities_.CheckCa(ctx, authority);
    return UnknownType("authority", authority);
  }

  Result<seams::Readiness> CheckTargetReady(const Context& ctx,
                                            const seams::ProviderRef& target) override {
    if (target.type == "kubernetes") {
      return kubernetes::CheckClusterTarget(ctx, parts_.kube, target);
    }
    if (target.type == "http") return http_objects_.CheckTarget(ctx, target);
    if (target.type == "f5") {
      CF_ASSIGN_OR_RETURN(auto login, F5Login(ctx, target));
      return f5_.CheckReady(ctx, target, std::move(login));
    }
    const HostType* host = FindHostType(target.type);
    if (host == nullptr) return UnknownType("target", target);
    CF_ASSIGN_OR_RETURN(auto shell, ConnectShell(ctx, target));
    CF_ASSIGN_OR_RETURN(auto found, host->check(ctx, target.settings, *shell));
    seams::Readiness out;
    out.message = found.server;
    out.warning = found.warning;
    return out;
  }

  Result<seams::Readiness> CheckChannelReady(const Context& ctx,
                                             const seams::ProviderRef& channel) override {
    if (HttpObjects::IsCache(channel)) return http_objects_.CheckPurger(ctx, channel);
    CF_ASSIGN_OR_RETURN(auto notifier, ConnectNotifier(ctx, channel));
    return seams::Readiness{"settings and credentials are there", {}, {}, {}, {}, {}};
  }

  seams::Party PartyOf(const seams::ProviderRef& object) const override {
    nlohmann::json settings = ParseSettingsObject(object.settings);
    if (FindHostType(object.type) != nullptr) {
      return {"ssh/" + settings.value("host", "") + ":" +
              std::to_string(settings.value("port", 22))};
    }
    if (object.type == "f5") return f5::F5Targets::PartyOf(object);
    // Servers that are made for many at once.
    constexpr int kManyActions = 32;
    constexpr int kManyReads = 64;
    if (object.type == "acme") {
      // The intent of its order is on record before anything is asked.
      return {"acme/" + settings.value("server", ""), kManyActions, kManyReads, false};
    }
    if (object.type == "smtp") {
      return {
          "smtp/" + settings.value("host", "") + ":" + std::to_string(settings.value("port", 587)),
          1, 4};
    }
    return HttpObjects::PartyOf(object);
  }

  Result<std::unique_ptr<net::Shell>> ConnectShell(const Context& ctx,
                                                   const seams::ProviderRef& target) {
    CF_ASSIGN_OR_RETURN(auto settings, host::ParseHostSettings(target.settings));
    net::SshEndpoint endpoint;
    endpoint.host = settings.host;
    endpoint.port = settings.port;
    endpoint.user = settings.user;
    nlohmann::json raw = ParseSettingsObject(target.settings);
    endpoint.host_keys = raw.value("hostKeys", std::vector<std::string>());
    CF_ASSIGN_OR_RETURN(endpoint.private_key_pem,
                        ReadSecretRef(ctx, parts_.secrets, target, "privateKeySecretRef"));
    auto shell = parts_.shells.Connect(ctx, endpoint);
    if (shell.ok() || shell.error().reason != "InvalidPrivateKey") return shell;
    const nlohmann::json ref = raw.value("privateKeySecretRef", nlohmann::json::object());
    return Annotate(shell.error(), "privateKeySecretRef: Secret " + target.ns + "/" +
                                       ref.value("name", "") + ", key " + ref.value("key", ""));
  }

 private:
  Result<f5::F5Targets::Login> F5Login(const Context& ctx, const seams::ProviderRef& target) {
    f5::F5Targets::Login login;
    CF_ASSIGN_OR_RETURN(login.user,
                        ReadSecretRef(ctx, parts_.secrets, target, "usernameSecretRef"));
    CF_ASSIGN_OR_RETURN(login.password,
                        ReadSecretRef(ctx, parts_.secrets, target, "passwordSecretRef"));
    return login;
  }

  RegistryParts parts_;
  TlsValidator validator_;
  f5::F5Targets f5_;
  Authorities authorities_;
  HttpObjects http_objects_;
};

}  // namespace

std::unique_ptr<seams::Connector> MakeRegistry(const RegistryParts& parts) {
  return std::make_unique<Registry>(parts);
}

}  // namespace certflow::providers
