#include "providers/purgers/fastly/fastly_purger.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "providers/http/request.h"

namespace certflow::providers::fastly {
namespace {

using http::Caller;
using http::Effect;
using http::RequestSpec;
using http::Template;
using nlohmann::json;

constexpr Duration kTimeout(30'000);

struct Service {
  std::string base_url, id;
  std::optional<std::string> host_key_prefix;
  bool soft = false;
};

Result<Service> ReadSettings(std::string_view settings) {
  const json from = json::parse(settings, nullptr, /*allow_exceptions=*/false);
  if (!from.is_object()) {
    return MakeError(ErrorCode::kInvalid, "InvalidSettings", "fastly: must be an object");
  }
  Service service;
  service.base_url = from.value("baseURL", std::string(kDefaultBaseUrl));
  service.id = from.value("serviceID", "");
  service.soft = from.value("soft", false);
  if (from.contains("hostSurrogateKeyPrefix")) {
    service.host_key_prefix = from.value("hostSurrogateKeyPrefix", "");
  }
  CF_RETURN_IF_ERROR(http::CheckUrl("fastly.baseURL", service.base_url));
  if (service.id.empty()) {
    return MakeError(ErrorCode::kInvalid, "InvalidSettings", "fastly.serviceID: is missing");
  }
  return service;
}

Caller CallerOf(const Service& service, SecretBytes token,
                std::shared_ptr<const net::TlsOptions> tls, net::HttpClient& client) {
  http::Login login;
  login.token.emplace();
  login.token->header = "Fastly-Key";
  login.token->scheme.clear();
  login.token->token = std::move(token);
  return Caller(client, {service.base_url, kTimeout, std::move(tls)}, std::move(login));
}

// "https://www.example.com/app.js?v=1" is named "www.example.com/app.js?v=1". Nothing in it may end
// the path or climb out of /purge/.
Result<std::string> PurgePath(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::string rest = scheme == std::string::npos ? url : url.substr(scheme + 3);
  const bool plain = std::all_of(rest.begin(), rest.end(), [](char c) {
    return c > 0x20 && c < 0x7F && c != '#' && c != '\\' && c != '"' && c != '<' && c != '>';
  });
  const std::string path = rest.substr(0, rest.find('?')) + "/";
  if (rest.empty() || rest.front() == '/' || !plain || path.find("/./") != std::string::npos ||
      path.find("/../") != std::string::npos) {
    return MakeError(ErrorCode::kInvalid, "PurgeNotPossible",
                     "\"" + Sanitize(url, 200) +
                         "\" is not a URL that Fastly can purge: write "
                         "https://HOST/PATH, percent-encoded and without fragment");
  }
  return "/purge/" + rest;
}

class FastlyPurger : public seams::Purger {
 public:
  FastlyPurger(Service service, Caller caller)
      : service_(std::move(service)), caller_(std::move(caller)) {}

  Result<void> Purge(const Context& ctx, const seams::PurgeRequest& request) override {
    const std::string path = "/service/" + net::UrlEncode(service_.id);
    if (request.hosts.empty() && request.urls.empty()) {
      return Post(ctx, path + "/purge_all", {}, /*soft=*/false);
    }
    if (!request.hosts.empty() && !service_.host_key_prefix) {
      return MakeError(
          ErrorCode::kInvalid, "PurgeNotPossible",
          "Fastly has no purge by host: set fastly.hostSurrogateKeyPrefix of the "
          "channel, name urls instead of hosts, or leave both out to purge everything");
    }
    for (std::size_t from = 0; from < request.hosts.size(); from += kMaxKeys) {
      json keys = json::array();
      for (std::size_t i = from; i < std::min(from + kMaxKeys, request.hosts.size()); ++i) {
        keys.push_back(*service_.host_key_prefix + request.hosts[i]);
      }
      CF_RETURN_IF_ERROR(Post(ctx, path + "/purge", {{"surrogate_keys", keys}}, service_.soft));
    }
    for (const std::string& url : request.urls) {
      CF_ASSIGN_OR_RETURN(std::string purge, PurgePath(url));
      CF_RETURN_IF_ERROR(Post(ctx, std::move(purge), {}, service_.soft));
    }
    return {};
  }

 private:
  Result<void> Post(const Context& ctx, std::string path, const json& body, bool soft) {
    RequestSpec spec;
    spec.method = "POST";
    spec.path = Template::Literal(std::move(path));
    spec.headers.emplace_back("Accept", Template::Literal("application/json"));
    if (soft) spec.headers.emplace_back("Fastly-Soft-Purge", Template::Literal("1"));
    if (!body.is_null()) {
      spec.content_type = "application/json";
      spec.body = Template::Literal(body.dump(-1, ' ', false, json::error_handler_t::replace));
    }
    http::Values values;
    http::StepResult result;
    auto sent = caller_.Run(ctx, {std::move(spec)}, Effect::kChange, values, result);
    if (!sent.ok()) return Annotate(std::move(sent).error(), "purge at Fastly");
    return {};
  }

  const Service service_;
  Caller caller_;
};

}  // namespace

Result<std::unique_ptr<seams::Purger>> MakeFastlyPurger(std::string_view settings,
                                                        SecretBytes token,
                                                        std::shared_ptr<const net::TlsOptions> tls,
                                                        net::HttpClient& client) {
  CF_ASSIGN_OR_RETURN(Service service, ReadSettings(settings));
  Caller caller = CallerOf(service, std::move(token), std::move(tls), client);
  return std::unique_ptr<seams::Purger>(new FastlyPurger(std::move(service), std::move(caller)));
}

Result<std::string> CheckFastly(const Context& ctx, std::string_view settings, SecretBytes token,
                                std::shared_ptr<const net::TlsOptions> tls,
                                net::HttpClient& client) {
  CF_ASSIGN_OR_RETURN(const Service service, ReadSettings(settings));
  Caller caller = CallerOf(service, std::move(token), std::move(tls), client);
  CF_ASSIGN_OR_RETURN(http::Pointer scope, http::Pointer::Parse("/scope"));
  RequestSpec spec;
  spec.path = Template::Literal("/tokens/self");
  spec.captures.emplace_back("scope", std::move(scope));
  http::Values values;
  http::StepResult result;
  auto asked = caller.Run(ctx, {std::move(spec)}, Effect::kRead, values, result);
  if (asked.ok()) {
    return "the token is valid, scope " + Sanitize(values.fields["captured.scope"], 100);
  }
  if (asked.error().code == ErrorCode::kForbidden) {
    return std::string("the token is there; it may not be used to ask about itself");
  }
  if (asked.error().code == ErrorCode::kUnauthorized) {
    return MakeError(
        ErrorCode::kUnauthorized, "TokenRefused",
        "Fastly does not know the token: make a new one with the scope purge_select (or "
        "purge_all), and put it into the Secret");
  }
  return Annotate(std::move(asked).error(), "asking Fastly about the token");
}

}  // namespace certflow::providers::fastly
