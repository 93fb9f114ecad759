#include "providers/http_objects.h"

#include <utility>

#include "providers/http/request.h"
#include "providers/purgers/cloudflare/cloudflare_purger.h"
#include "providers/purgers/fastly/fastly_purger.h"
#include "providers/purgers/http/http_purger.h"
#include "providers/settings.h"
#include "providers/targets/http/http_target.h"

namespace certflow::providers {

namespace {

using nlohmann::json;

constexpr const char* kTypeTarget = "http";
constexpr const char* kTypeHttpPurge = "httpPurge";
constexpr const char* kTypeCloudflare = "cloudflare";
constexpr const char* kTypeFastly = "fastly";

json MemberOf(const json& from, const char* name) {
  const auto found = from.find(name);
  return found != from.end() && found->is_object() ? *found : json::object();
}

// Reads what `field` of `holder` names; a member of a union that lacks it cannot be used.
Result<SecretBytes> Needed(const Context& ctx, seams::SecretStore& secrets, const json& holder,
                           const char* field, const std::string& ns) {
  CF_ASSIGN_OR_RETURN(SecretBytes secret, ReadSecretRefIn(ctx, secrets, holder, field, ns));
  if (!secret.empty()) return secret;
  return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                   std::string(field) +
                       ": names nothing, or an empty value: write name and key of "
                       "a Secret that holds the credential");
}

Result<SecretBytes> Credential(const Context& ctx, seams::SecretStore& secrets, const json& holder,
                               const char* field, const std::string& ns) {
  CF_ASSIGN_OR_RETURN(const SecretBytes secret, Needed(ctx, secrets, holder, field, ns));
  return SecretBytes(seams::WithoutLineEnd(secret.Reveal()));
}

Result<http::OAuth2Login> ReadOAuth2(const Context& ctx, seams::SecretStore& secrets,
                                     const json& from, const std::string& ns) {
  http::OAuth2Login login;
  login.token_url = from.value("tokenURL", "");
  CF_RETURN_IF_ERROR(http::CheckUrl("authentication.oauth2.tokenURL", login.token_url));
  login.client_id = from.value("clientID", "");
  login.scopes = from.value("scopes", std::vector<std::string>());
  login.audience = from.value("audience", "");
  login.secret_in_body = from.value("clientAuthentication", "Basic") == "Body";
  CF_ASSIGN_OR_RETURN(login.client_secret, Credential(ctx, secrets, from, "clientSecretRef", ns));
  return login;
}

Result<http::SigV4Login> ReadSigV4(const Context& ctx, seams::SecretStore& secrets,
                                   const json& from, const std::string& ns) {
  http::SigV4Login login;
  login.region = from.value("region", "");
  login.service = from.value("service", "");
  CF_ASSIGN_OR_RETURN(login.keys.access_key_id,
                      Credential(ctx, secrets, from, "accessKeyIDSecretRef", ns));
  CF_ASSIGN_OR_RETURN(login.keys.secret_access_key,
                      Credential(ctx, secrets, from, "secretAccessKeySecretRef", ns));
  if (from.contains("sessionTokenSecretRef")) {
    CF_ASSIGN_OR_RETURN(login.keys.session_token,
                        Credential(ctx, secrets, from, "sessionTokenSecretRef", ns));
  }
  return login;
}

Result<http::Login> ReadLogin(const Context& ctx, seams::SecretStore& secrets, const json& settings,
                              const std::string& ns) {
  http::Login login;
  const json from = MemberOf(settings, "authentication");
  if (from.contains("basic")) {
    const json basic = MemberOf(from, "basic");
    login.basic.emplace();
    login.basic->username = basic.value("username", "");
    CF_ASSIGN_OR_RETURN(login.basic->password,
                        Credential(ctx, secrets, basic, "passwordSecretRef", ns));
  } else if (from.contains("bearer")) {
    login.token.emplace();
    CF_ASSIGN_OR_RETURN(login.token->token,
                        Credential(ctx, secrets, MemberOf(from, "bearer"), "tokenSecretRef", ns));
  } else if (from.contains("header")) {
    const json header = MemberOf(from, "header");
    login.token.emplace();
    login.token->header = header.value("name", "");
    login.token->scheme = header.value("scheme", "");
    CF_ASSIGN_OR_RETURN(login.token->token, Credential(ctx, secrets, header, "valueSecretRef", ns));
  } else if (from.contains("oauth2")) {
    CF_ASSIGN_OR_RETURN(login.oauth2, ReadOAuth2(ctx, secrets, MemberOf(from, "oauth2"), ns));
  } else if (from.contains("sigV4")) {
    CF_ASSIGN_OR_RETURN(login.sigv4, ReadSigV4(ctx, secrets, MemberOf(from, "sigV4"), ns));
  }
  return login;
}

Result<std::shared_ptr<const net::TlsOptions>> ReadTls(const Context& ctx,
                                                       seams::SecretStore& secrets,
                                                       const json& settings,
                                                       const std::string& ns) {
  auto tls = std::make_shared<net::TlsOptions>();
  tls->ca_pem = settings.value("caBundle", "");
  const json client = MemberOf(settings, "clientCertificate");
  if (!client.empty()) {
    const std::string name = client.value("secretName", "");
    auto certificate = seams::ReadSecretKey(ctx, secrets, ns, name, "tls.crt");
    if (!certificate.ok()) return Annotate(std::move(certificate).error(), "clientCertificate");
    tls->client_cert_pem = certificate->Reveal();
    auto key = seams::ReadSecretKey(ctx, secrets, ns, name, "tls.key");
    if (!key.ok()) return Annotate(std::move(key).error(), "clientCertificate");
    tls->client_key_pem = std::move(*key);
  }
  return std::shared_ptr<const net::TlsOptions>(std::move(tls));
}

struct Connected {
  http::ServerSettings server;
  http::Login login;
};

Result<Connected> ReadServer(const Context& ctx, seams::SecretStore& secrets,
                             const seams::ProviderRef& object) {
  const json settings = ParseSettingsObject(object.settings);
  Connected out;
  CF_ASSIGN_OR_RETURN(out.server, http::ParseServer(object.settings));
  CF_ASSIGN_OR_RETURN(out.server.tls, ReadTls(ctx, secrets, settings, object.ns));
  CF_ASSIGN_OR_RETURN(out.login, ReadLogin(ctx, secrets, settings, object.ns));
  return out;
}

// Of a cache that is known by its name: a token, and trust in its server.
struct CacheAccess {
  std::shared_ptr<const net::TlsOptions> tls;
  SecretBytes token;
};

Result<CacheAccess> ReadCacheAccess(const Context& ctx, seams::SecretStore& secrets,
                                    const seams::ProviderRef& channel) {
  const json settings = ParseSettingsObject(channel.settings);
  CacheAccess out;
  CF_ASSIGN_OR_RETURN(out.tls, ReadTls(ctx, secrets, settings, channel.ns));
  CF_ASSIGN_OR_RETURN(out.token, Credential(ctx, secrets, settings, "tokenSecretRef", channel.ns));
  return out;
}

Error NotAPurger(const seams::ProviderRef& channel) {
  return MakeError(ErrorCode::kInvalid, "NotAPurger",
                   "the channel " + channel.name + " of type " + channel.type +
                       " tells people and cannot purge: refer to one of type cloudflare, fastly or "
                       "httpPurge");
}

}  // namespace

Result<std::unique_ptr<seams::Target>> HttpObjects::ConnectTarget(
    const Context& ctx, const seams::ProviderRef& target) {
  CF_ASSIGN_OR_RETURN(Connected at, ReadServer(ctx, parts_.secrets, target));
  return http::MakeHttpTarget(target.settings, std::move(at.server), std::move(at.login),
                              parts_.http);
}

Result<seams::Readiness> HttpObjects::CheckTarget(const Context& ctx,
                                                  const seams::ProviderRef& target) {
  CF_ASSIGN_OR_RETURN(Connected at, ReadServer(ctx, parts_.secrets, target));
  seams::Readiness out;
  CF_ASSIGN_OR_RETURN(out.message, http::CheckHttpTarget(ctx, target.settings, std::move(at.server),
                                                         std::move(at.login), parts_.http));
  return out;
}

bool HttpObjects::IsCache(const seams::ProviderRef& channel) {
  return channel.type == kTypeCloudflare || channel.type == kTypeFastly ||
         channel.type == kTypeHttpPurge;
}

Result<std::unique_ptr<seams::Purger>> HttpObjects::ConnectPurger(
    const Context& ctx, const seams::ProviderRef& channel) {
  if (!IsCache(channel)) return NotAPurger(channel);
  if (channel.type == kTypeHttpPurge) {
    CF_ASSIGN_OR_RETURN(Connected at, ReadServer(ctx, parts_.secrets, channel));
    return http::MakeHttpPurger(channel.settings, std::move(at.server), std::move(at.login),
                                parts_.http);
  }
  CF_ASSIGN_OR_RETURN(CacheAccess by, ReadCacheAccess(ctx, parts_.secrets, channel));
  if (channel.type == kTypeCloudflare) {
    return cloudflare::MakeCloudflarePurger(channel.settings, std::move(by.token),
                                            std::move(by.tls), parts_.http);
  }
  return fastly::MakeFastlyPurger(channel.settings, std::move(by.token), std::move(by.tls),
                                  parts_.http);
}

Result<seams::Readiness> HttpObjects::CheckPurger(const Context& ctx,
                                                  const seams::ProviderRef& channel) {
  seams::Readiness out;
  if (channel.type == kTypeCloudflare || channel.type == kTypeFastly) {
    CF_ASSIGN_OR_RETURN(CacheAccess by, ReadCacheAccess(ctx, parts_.secrets, channel));
    const auto check =
        channel.type == kTypeCloudflare ? cloudflare::CheckCloudflare : fastly::CheckFastly;
    CF_ASSIGN_OR_RETURN(out.message, check(ctx, channel.settings, std::move(by.token),
                                           std::move(by.tls), parts_.http));
    return out;
  }
  // Nobody can be asked: settings and credentials, as the purge itself will read them.
  CF_RETURN_IF_ERROR(ConnectPurger(ctx, channel));
  out.message = "settings and credentials are there";
  return out;
}

seams::Party HttpObjects::PartyOf(const seams::ProviderRef& object) {
  const json settings = ParseSettingsObject(object.settings);
  if (object.type == kTypeTarget) return {"http/" + http::HostOf(settings.value("baseURL", ""))};
  constexpr int kPurges = 4;
  constexpr int kReads = 8;
  const auto cache = [&](std::string_view base_url) {
    return seams::Party{"purge/" + http::HostOf(settings.value("baseURL", std::string(base_url))),
                        kPurges, kReads};
  };
  if (object.type == kTypeCloudflare) return cache(cloudflare::kDefaultBaseUrl);
  if (object.type == kTypeFastly) return cache(fastly::kDefaultBaseUrl);
  if (object.type == kTypeHttpPurge) return cache("");
  return {};
}

}  // namespace certflow::providers
