#include "providers/purgers/cloudflare/cloudflare_purger.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "providers/http/request.h"

namespace certflow::providers::cloudflare {
namespace {

using http::Caller;
using http::Effect;
using http::RequestSpec;
using nlohmann::json;

constexpr Duration kTimeout(30'000);

struct Zone {
  std::string base_url, id;
};

Result<Zone> ReadSettings(std::string_view settings) {
  const json from = json::parse(settings, nullptr, /*allow_exceptions=*/false);
  if (!from.is_object()) {
    return MakeError(ErrorCode::kInvalid, "InvalidSettings", "cloudflare: must be an object");
  }
  Zone zone{from.value("baseURL", std::string(kDefaultBaseUrl)), from.value("zoneID", "")};
  CF_RETURN_IF_ERROR(http::CheckUrl("cloudflare.baseURL", zone.base_url));
  if (zone.id.empty()) {
    return MakeError(ErrorCode::kInvalid, "InvalidSettings", "cloudflare.zoneID: is missing");
  }
  return zone;
}

http::ServerSettings ServerOf(const Zone& zone, std::shared_ptr<const net::TlsOptions> tls) {
  return {zone.base_url, kTimeout, std::move(tls)};
}

http::Login LoginWith(SecretBytes token) {
  http::Login login;
  login.token.emplace();
  login.token->token = std::move(token);
  return login;
}

Result<http::Pointer> Success() { return http::Pointer::Parse("/success"); }

class CloudflarePurger : public seams::Purger {
 public:
  CloudflarePurger(const Zone& zone, http::Pointer success, Caller caller)
      : path_("/zones/" + net::UrlEncode(zone.id) + "/purge_cache"),
        success_(std::move(success)),
        caller_(std::move(caller)) {}

  Result<void> Purge(const Context& ctx, const seams::PurgeRequest& request) override {
    if (request.hosts.empty() && request.urls.empty()) {
      return Send(ctx, {{"purge_everything", true}});
    }
    CF_RETURN_IF_ERROR(SendList(ctx, "hosts", request.hosts));
    return SendList(ctx, "files", request.urls);
  }

 private:
  Result<void> SendList(const Context& ctx, const char* member,
                        const std::vector<std::string>& list) {
    for (std::size_t from = 0; from < list.size(); from += kMaxBatch) {
      const std::size_t to = std::min(from + kMaxBatch, list.size());
      CF_RETURN_IF_ERROR(Send(
          ctx, {{member,
                 json(std::vector<std::string>(list.begin() + static_cast<std::ptrdiff_t>(from),
                                               list.begin() + static_cast<std::ptrdiff_t>(to)))}}));
    }
    return {};
  }

  Result<void> Send(const Context& ctx, const json& body) {
    RequestSpec spec;
    spec.method = "POST";
    spec.path = http::Template::Literal(path_);
    spec.content_type = "application/json";
    spec.body = http::Template::Literal(body.dump(-1, ' ', false, json::error_handler_t::replace));
    spec.equals.emplace_back(success_, "true");
    http::Values values;
    http::StepResult result;
    auto sent = caller_.Run(ctx, {std::move(spec)}, Effect::kChange, values, result);
    if (!sent.ok()) return Annotate(std::move(sent).error(), "purge at Cloudflare");
    return {};
  }

  const std::string path_;
  const http::Pointer success_;
  Caller caller_;
};

}  // namespace

Result<std::unique_ptr<seams::Purger>> MakeCloudflarePurger(
    std::string_view settings, SecretBytes token, std::shared_ptr<const net::TlsOptions> tls,
    net::HttpClient& client) {
  CF_ASSIGN_OR_RETURN(const Zone zone, ReadSettings(settings));
  CF_ASSIGN_OR_RETURN(http::Pointer success, Success());
  Caller caller(client, ServerOf(zone, std::move(tls)), LoginWith(std::move(token)));
  return std::unique_ptr<seams::Purger>(
      new CloudflarePurger(zone, std::move(success), std::move(caller)));
}

Result<std::string> CheckCloudflare(const Context& ctx, std::string_view settings,
                                    SecretBytes token, std::shared_ptr<const net::TlsOptions> tls,
                                    net::HttpClient& client) {
  CF_ASSIGN_OR_RETURN(const Zone zone, ReadSettings(settings));
  if (token.Reveal().starts_with("cfat_")) {
    return std::string("the token is there; one of an account cannot be asked about");
  }
  CF_ASSIGN_OR_RETURN(http::Pointer status, http::Pointer::Parse("/result/status"));
  Caller caller(client, ServerOf(zone, std::move(tls)), LoginWith(std::move(token)));
  RequestSpec spec;
  spec.path = http::Template::Literal("/user/tokens/verify");
  spec.captures.emplace_back("status", std::move(status));
  http::Values values;
  http::StepResult result;
  auto asked = caller.Run(ctx, {std::move(spec)}, Effect::kRead, values, result);
  const std::string found = values.fields["captured.status"];
  if (!asked.ok() && asked.error().code != ErrorCode::kUnauthorized) {
    return Annotate(std::move(asked).error(), "asking Cloudflare about the token");
  }
  if (asked.ok() && found == "active") return std::string("the token is active");
  return MakeError(
      ErrorCode::kUnauthorized, "TokenRefused",
      "Cloudflare says that the token is " + (found.empty() ? "not valid" : found) +
          ": make a new one with Zone > Cache Purge > Purge, and put it into the Secret");
}

}  // namespace certflow::providers::cloudflare
