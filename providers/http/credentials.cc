#include "providers/http/credentials.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/base/base64.h"
#include "controller/net/retry_after.h"

namespace certflow::providers::http {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxTokenAnswerBytes = 64u << 10;
constexpr std::size_t kMaxTokenBytes = 16u << 10;
constexpr std::chrono::seconds kTokenMargin(30);
constexpr std::chrono::seconds kDefaultTokenLife(300);
constexpr std::chrono::seconds kLongestTokenLife(24 * 3600);

SecretBytes BasicCredentials(std::string_view user, const SecretBytes& password) {
  const SecretBytes pair =
      SecretBytes::Take(std::string(user) + ":" + std::string(password.Reveal()));
  return SecretBytes::Take(Base64Encode(pair.Reveal()));
}

std::string Join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

net::HttpRequest TokenRequest(const OAuth2Login& login) {
  net::HttpRequest request;
  request.method = "POST";
  request.url = login.token_url;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                     {"Accept", "application/json"}};
  request.max_response_bytes = kMaxTokenAnswerBytes;
  request.addresses = net::AddressPolicy::kUserGiven;
  std::string form = "grant_type=client_credentials";
  if (!login.scopes.empty()) form += "&scope=" + net::UrlEncode(Join(login.scopes));
  if (!login.audience.empty()) form += "&audience=" + net::UrlEncode(login.audience);
  const SecretBytes secret = SecretBytes::Take(net::UrlEncode(login.client_secret.Reveal()));
  if (login.secret_in_body) {
    form += "&client_id=" + net::UrlEncode(login.client_id) + "&client_secret=";
    form += secret.Reveal();
  } else {
    // Both are form-encoded first (RFC 6749 section 2.3.1).
    request.authorization_scheme = "Basic";
    request.authorization = BasicCredentials(net::UrlEncode(login.client_id), secret);
  }
  request.secret_body = SecretBytes::Take(std::move(form));
  return request;
}

// What the endpoint says in RFC 6749 section 5.2's "error", a word from a closed set.
std::string ErrorWord(const json& answer) {
  const auto word = answer.is_object() ? answer.find("error") : answer.end();
  return word != answer.end() && word->is_string() ? ": " + Sanitize(word->get<std::string>(), 64)
                                                   : "";
}

Error Refusal(const Context& ctx, const net::HttpResponse& response, const json& answer) {
  const std::string message =
      "the token endpoint answered " + std::to_string(response.status) + ErrorWord(answer);
  const bool no = response.status >= 400 && response.status < 500 && response.status != 408 &&
                  response.status != 425 && response.status != 429;
  if (no) {
    return MakeError(ErrorCode::kUnauthorized, "TokenRefused",
                     message + "; check clientID, the client's secret and the scopes");
  }
  if (const auto wait = net::RetryAfter(response, ctx.clock.Now())) {
    return MakeErrorAfter(ErrorCode::kUnavailable, "TokenUnavailable", message, *wait);
  }
  return MakeError(ErrorCode::kUnavailable, "TokenUnavailable", message);
}

}  // namespace

Authenticator::Authenticator(net::HttpClient& http, Login login,
                             std::shared_ptr<const net::TlsOptions> tls)
    : http_(http), login_(std::move(login)), tls_(std::move(tls)) {}

Result<void> Authenticator::FetchToken(const Context& ctx) {
  net::HttpRequest request = TokenRequest(*login_.oauth2);
  request.tls = tls_;
  auto response = http_.Do(ctx, request);
  if (!response.ok()) {
    Error error = Annotate(response.error(), "asking for a token");
    // Nothing was changed by asking.
    if (error.code == ErrorCode::kUnknownOutcome) error.code = ErrorCode::kUnavailable;
    return error;
  }
  json answer = json::parse(response->body, nullptr, /*allow_exceptions=*/false);
  WipeString(response->body);
  if (response->status != 200) return Refusal(ctx, *response, answer);
  const auto token = answer.is_object() ? answer.find("access_token") : answer.end();
  if (token == answer.end() || !token->is_string()) {
    return MakeError(ErrorCode::kUnavailable, "TokenUnavailable",
                     "the token endpoint's answer holds no access_token");
  }
  std::string text = token->get<std::string>();
  WipeString(token->get_ref<std::string&>());
  std::chrono::seconds life = kDefaultTokenLife;
  if (const auto expires = answer.find("expires_in");
      expires != answer.end() && expires->is_number_integer()) {
    life = std::clamp(std::chrono::seconds(expires->get<std::int64_t>()), std::chrono::seconds(0),
                      kLongestTokenLife);
  }
  if (text.empty() || text.size() > kMaxTokenBytes) {
    WipeString(text);
    return MakeError(ErrorCode::kUnavailable, "TokenUnavailable",
                     "the token endpoint's access_token is empty or too long");
  }
  access_token_ = SecretBytes::Take(std::move(text));
  token_until_ = ctx.clock.Steady() + life - std::min(life, kTokenMargin);
  return {};
}

Result<void> Authenticator::Apply(const Context& ctx, std::string_view service,
                                  net::HttpRequest& request) {
  if (login_.basic) {
    request.authorization_scheme = "Basic";
    request.authorization = BasicCredentials(login_.basic->username, login_.basic->password);
  } else if (login_.token) {
    request.authorization_header = login_.token->header;
    request.authorization_scheme = login_.token->scheme;
    request.authorization = login_.token->token.Clone();
  } else if (login_.oauth2) {
    if (!access_token_ || ctx.clock.Steady() >= token_until_) CF_RETURN_IF_ERROR(FetchToken(ctx));
    request.authorization_scheme = "Bearer";
    request.authorization = access_token_->Clone();
  } else if (login_.sigv4) {
    const SigV4Login& login = *login_.sigv4;
    return SignV4(login.keys, login.region,
                  service.empty() ? std::string_view(login.service) : service, ctx.clock.Now(),
                  request);
  }
  return {};
}

bool Authenticator::Shows(std::string_view text) const {
  const auto shows = [&](const SecretBytes& secret) {
    return !secret.empty() && text.find(secret.Reveal()) != std::string_view::npos;
  };
  if (login_.basic) {
    return shows(login_.basic->password) ||
           shows(BasicCredentials(login_.basic->username, login_.basic->password));
  }
  if (login_.token) return shows(login_.token->token);
  if (login_.oauth2) {
    return shows(login_.oauth2->client_secret) || (access_token_ && shows(*access_token_));
  }
  return login_.sigv4 &&
         (shows(login_.sigv4->keys.secret_access_key) || shows(login_.sigv4->keys.session_token));
}

}  // namespace certflow::providers::http
