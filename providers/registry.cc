#include "providers/registry.h"

#include <map>
#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/base/mutex.h"
#include "controller/pki/certificate.h"
#include "providers/authorities.h"
#include "providers/issuers/ca/ca_issuer.h"
#include "providers/notifiers/smtp/smtp_notifier.h"
#include "providers/settings.h"
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

class Registry : public seams::Connector {
 public:
  explicit Registry(const RegistryParts& parts)
      : parts_(parts),
        authorities_(parts, [this](const Context& ctx, const seams::ProviderRef& target) {
          return ConnectShell(ctx, target);
        }) {}

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
    if (target.provider.type == "nginx") {
      CF_ASSIGN_OR_RETURN(auto shell, ConnectShell(ctx, target.provider));
      return host::MakeNginxTarget(target.provider.settings, std::move(shell));
    }
    return UnknownType("target", target.provider);
  }

  Result<std::unique_ptr<seams::Notifier>> ConnectNotifier(
      const Context& ctx, const seams::ProviderRef& channel) override {
    if (channel.type != "smtp") return UnknownType("channel", channel);
    CF_ASSIGN_OR_RETURN(SecretBytes password,
                        ReadSecretRef(ctx, parts_.secrets, channel, "passwordSecretRef"));
    return smtp::MakeSmtpNotifier(channel.settings, std::move(password), parts_.mail);
  }

  Result<std::unique_ptr<seams::Purger>> ConnectPurger(const Context&,
                                                       const seams::ProviderRef& channel) override {
    return MakeError(ErrorCode::kInvalid, "NotAPurger",
                     "the channel " + channel.name + " of type " + channel.type +
                         " cannot purge: refer to one of a cache");
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
    if (target.type != "nginx") return UnknownType("target", target);
    CF_ASSIGN_OR_RETURN(auto shell, ConnectShell(ctx, target));
    CF_ASSIGN_OR_RETURN(auto found, host::CheckNginxHost(ctx, target.settings, *shell));
    seams::Readiness out;
    out.message = found.server + (found.warning.empty() ? "" : "; warning: " + found.warning);
    return out;
  }

  Result<seams::Readiness> CheckChannelReady(const Context& ctx,
                                             const seams::ProviderRef& channel) override {
    CF_ASSIGN_OR_RETURN(auto notifier, ConnectNotifier(ctx, channel));
    return seams::Readiness{"settings and credentials are there", {}, {}, {}, {}};
  }

  seams::Party PartyOf(const seams::ProviderRef& object) const override {
    nlohmann::json settings = ParseSettingsObject(object.settings);
    if (object.type == "nginx") {
      return {"ssh/" + settings.value("host", "") + ":" +
              std::to_string(settings.value("port", 22))};
    }
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
    return {};
  }

  Result<std::unique_ptr<net::Shell>> ConnectShell(const Context& ctx,
                                                   const seams::ProviderRef& target) {
    CF_ASSIGN_OR_RETURN(auto settings, host::ParseNginxSettings(target.settings));
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
  RegistryParts parts_;
  TlsValidator validator_;
  Authorities authorities_;
};

}  // namespace

std::unique_ptr<seams::Connector> MakeRegistry(const RegistryParts& parts) {
  return std::make_unique<Registry>(parts);
}

}  // namespace certflow::providers
