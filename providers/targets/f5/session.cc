#include "providers/targets/f5/session.h"

#include <utility>

#include "providers/targets/f5/answers.h"
#include "providers/targets/f5/faults.h"

namespace certflow::providers::f5 {
namespace {

constexpr Duration kLoginLimit{60'000};
constexpr Duration kExtendAhead = std::chrono::minutes(2);
constexpr Duration kUsualLife = std::chrono::minutes(20);
constexpr Duration kLongestLife = std::chrono::hours(10);
constexpr Duration kPauseAfterRefusal = std::chrono::minutes(1);
constexpr std::string_view kTokens = "/mgmt/shared/authz/tokens/";

// A JSON string; by hand, so that no copy of a password stays in the heap.
void AppendJson(std::string_view text, std::string& to) {
  constexpr std::string_view kHex = "0123456789abcdef";
  to += '"';
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (byte < 0x20) {
      to += "\\u00";
      to += kHex[byte >> 4];
      to += kHex[byte & 15];
    } else {
      to += c;
    }
  }
  to += '"';
}

SecretBytes LoginBody(const Credentials& who) {
  std::string body;
  // Never grows, so that nothing is left behind in a smaller buffer.
  body.reserve(128 + 6 * (who.user.size() + who.password.size() + who.provider.size()));
  body += "{\"username\":";
  AppendJson(who.user, body);
  body += ",\"password\":";
  AppendJson(who.password.Reveal(), body);
  body += ",\"loginProviderName\":";
  AppendJson(who.provider, body);
  body += '}';
  return SecretBytes::Take(std::move(body));
}

bool IsSuccess(const net::HttpResponse& response) {
  return response.status >= 200 && response.status < 300;
}

}  // namespace

Session::Session(net::HttpClient& http, std::string origin,
                 std::shared_ptr<const net::TlsOptions> tls)
    : http_(http), origin_(std::move(origin)), tls_(std::move(tls)) {}

bool Session::has_token() const {
  MutexLock lock(mutex_);
  return token_ != nullptr;
}

Result<net::HttpResponse> Session::Send(const Context& ctx, const Call& call, const Token& token) {
  net::HttpRequest request;
  request.method = call.method;
  request.url = origin_ + call.path;
  request.tls = tls_;
  request.addresses = net::AddressPolicy::kUserGiven;
  if (token) request.headers.push_back({"X-F5-Auth-Token", std::string(token->Reveal())});
  if (call.transaction) {
    request.headers.push_back({"X-F5-REST-Coordination-Id", std::to_string(*call.transaction)});
  }
  if (!call.content_range.empty()) request.headers.push_back({"Content-Range", call.content_range});
  if (call.method != "GET" && call.method != "DELETE") {
    request.headers.push_back({"Content-Type", call.content_type});
  }
  request.body = call.body;
  request.secret_body = call.secret_body.Clone();
  auto answer = http_.Do(ctx.WithTimeout(call.limit), request);
  if (token) WipeString(request.headers.front().value);
  return answer;
}

Result<std::string> Session::Do(const Context& ctx, const Credentials& who, const Call& call) {
  for (bool again = false;; again = true) {
    CF_ASSIGN_OR_RETURN(const Token token, TokenFor(ctx, who));
    auto answer = Send(ctx, call, token);
    if (!answer.ok()) return Annotate(std::move(answer).error(), call.what);
    if (IsSuccess(*answer)) return std::move(answer->body);
    if (IsTokenRefused(*answer)) {
      Forget(token);
      if (!again) continue;
    }
    const Asked asked{call.method == "GET", call.secret};
    return Annotate(ErrorOfAnswer(*answer, asked), call.what + " on " + origin_.substr(8));
  }
}

void Session::Forget(const Token& token) {
  MutexLock lock(mutex_);
  if (token_ == token) token_ = nullptr;
}

Result<Session::Token> Session::TokenFor(const Context& ctx, const Credentials& who) {
  Token old;
  {
    MutexLock lock(mutex_);
    // The one who works is bounded by its own deadline.
    changed_.wait(mutex_, ctx.stop, [this]() CF_NO_THREAD_SAFETY_ANALYSIS { return !busy_; });
    CF_RETURN_IF_ERROR(ctx.Check());
    const SteadyTime now = ctx.clock.Steady();
    if (token_ && now + kExtendAhead < until_) return token_;
    if (refused_ && now < refused_until_) return *refused_;
    if (token_ && now >= until_) token_ = nullptr;
    busy_ = true;
    old = token_;
  }
  Result<void> done;
  if (!old || !Extend(ctx, old)) {
    if (old) Delete(ctx, old);
    done = LogIn(ctx, who);
  }
  MutexLock lock(mutex_);
  busy_ = false;
  changed_.notify_all();
  if (!done.ok()) return std::move(done).error();
  return token_;
}

Result<void> Session::LogIn(const Context& ctx, const Credentials& who) {
  Call call{"login", "/mgmt/shared/authn/login", "POST"};
  call.secret_body = LoginBody(who);
  call.limit = kLoginLimit;
  auto answer = Send(ctx, call, nullptr);
  std::optional<Login> login;
  Result<void> done;
  if (!answer.ok()) {
    Error error = Annotate(std::move(answer).error(), "login");
    // A token that nobody knows is let go by the device after twenty minutes.
    if (error.code == ErrorCode::kUnknownOutcome) {
      error = MakeError(ErrorCode::kUnavailable, error.reason, error.message);
    }
    done = std::move(error);
  } else if (!IsSuccess(*answer)) {
    done = Annotate(ErrorOfLogin(*answer), "login on " + origin_.substr(8));
  } else {
    login = ParseLogin(answer->body);
    WipeString(answer->body);
    if (!login) done = Unreadable("login on " + origin_.substr(8));
  }
  MutexLock lock(mutex_);
  token_ = nullptr;
  refused_.reset();
  const SteadyTime now = ctx.clock.Steady();
  if (login) {
    token_ = std::make_shared<const SecretBytes>(std::move(login->token));
    born_ = now;
    until_ = now + login->life;
  } else if (done.error().reason == "LoginRefused" || done.error().reason == "TokenLimit") {
    refused_ = done.error();
    refused_until_ = now + done.error().retry_after.value_or(kPauseAfterRefusal);
  }
  return done;
}

// Whether the device counts a token's life from its making or from the extension is not documented:
// what is asked for is enough either way, and its own answer says what it made of it.
bool Session::Extend(const Context& ctx, const Token& token) {
  SteadyTime born;
  {
    MutexLock lock(mutex_);
    born = born_;
  }
  const SteadyTime now = ctx.clock.Steady();
  const auto age = std::chrono::ceil<std::chrono::seconds>(now - born);
  if (age + kUsualLife > kLongestLife) return false;
  Call call{"token", std::string(kTokens) + std::string(token->Reveal()), "PATCH"};
  call.body =
      "{\"timeout\":" +
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(age + kUsualLife).count()) +
      "}";
  call.limit = kLoginLimit;
  auto answer = Send(ctx, call, token);
  WipeString(call.path);
  if (!answer.ok() || !IsSuccess(*answer)) return false;
  const auto life = ParseTokenLife(answer->body);
  WipeString(answer->body);
  if (!life || *life <= kExtendAhead) return false;
  MutexLock lock(mutex_);
  if (token_ == token) until_ = now + std::min<Duration>(*life, kUsualLife);
  return token_ == token;
}

void Session::Delete(const Context& ctx, const Token& token) {
  Call call{"token", std::string(kTokens) + std::string(token->Reveal()), "DELETE"};
  call.limit = std::chrono::seconds(10);
  // Nothing depends on it: the device lets it go by itself.
  (void)Send(ctx, call, token).ok();
  WipeString(call.path);
}

void Session::End(const Context& ctx) {
  Token token;
  {
    MutexLock lock(mutex_);
    token = std::exchange(token_, nullptr);
  }
  if (token) Delete(ctx, token);
}

}  // namespace certflow::providers::f5
