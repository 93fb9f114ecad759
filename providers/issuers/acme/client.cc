#include "providers/issuers/acme/client.h"

#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "providers/issuers/acme/jws.h"

namespace certflow::providers::acme {
namespace {

constexpr int kMaxNonceTries = 8;
constexpr Duration kRequestLimit = std::chrono::seconds(30);
constexpr std::size_t kMaxAnswer = 256u << 10;  // kMaxPemBytes, and far above any JSON of ACME
static_assert(kMaxAnswer >= pki::kMaxPemBytes);

bool IsSuccess(const net::HttpResponse& response) {
  return response.status >= 200 && response.status < 300;
}

bool IsProblem(const net::HttpResponse& response, std::string_view type) {
  if (IsSuccess(response)) return false;
  const std::optional<Problem> problem = ParseProblem(response.body);
  return problem && problem->type == type;
}

Error TransportError(Error error) {
  if (error.code == ErrorCode::kUnavailable) error.reason = "AcmeUnavailable";
  return Annotate(std::move(error), "ACME server");
}

// Everything but newOrder may be sent again, so an unknown outcome is no more than no answer.
Error Repeatable(Error error) {
  if (error.code != ErrorCode::kUnknownOutcome) return error;
  return MakeError(ErrorCode::kUnavailable, "AcmeUnavailable", error.message);
}

}  // namespace

net::HttpRequest AcmeClient::Request(std::string_view method, std::string_view url) const {
  net::HttpRequest request;
  request.method = method;
  request.url = url;
  request.tls = cache_.Tls(settings_.ca_pem);
  request.addresses = net::AddressPolicy::kUserGiven;
  request.max_response_bytes = kMaxAnswer;
  return request;
}

Result<net::HttpResponse> AcmeClient::Plain(const Context& ctx, std::string_view method,
                                            std::string_view url) {
  Result<net::HttpResponse> response =
      http_.Do(ctx.WithTimeout(kRequestLimit), Request(method, url));
  if (!response.ok()) return TransportError(std::move(response).error());
  if (!IsSuccess(*response)) return ResponseError(*response, ctx.clock.Now());
  return response;
}

Result<Directory> AcmeClient::GetDirectory(const Context& ctx) {
  return cache_.GetDirectory(ctx, [&]() -> Result<Directory> {
    CF_ASSIGN_OR_RETURN(const net::HttpResponse response,
                        Plain(ctx, "GET", settings_.directory_url));
    return ParseDirectory(response.body);
  });
}

Result<std::string> AcmeClient::Nonce(const Context& ctx) {
  if (std::optional<std::string> nonce = cache_.TakeNonce()) return *std::move(nonce);
  CF_ASSIGN_OR_RETURN(const Directory directory, GetDirectory(ctx));
  CF_ASSIGN_OR_RETURN(const net::HttpResponse response, Plain(ctx, "HEAD", directory.new_nonce));
  cache_.PutNonce(response.header("replay-nonce"));
  if (std::optional<std::string> nonce = cache_.TakeNonce()) return *std::move(nonce);
  return MakeError(ErrorCode::kUnavailable, "AcmeUnavailable", "the ACME server gave no nonce");
}

Result<net::HttpResponse> AcmeClient::SendSigned(const Context& ctx, const Signed& request,
                                                 const std::string& nonce) {
  net::HttpRequest http = Request("POST", request.url);
  http.headers = {{"Content-Type", "application/jose+json"}};
  if (!request.accept.empty()) http.headers.push_back({"Accept", std::string(request.accept)});
  CF_ASSIGN_OR_RETURN(http.body,
                      SignJws(key_, {request.url, nonce, request.account_url}, request.payload));
  Result<net::HttpResponse> response = http_.Do(ctx.WithTimeout(kRequestLimit), http);
  if (!response.ok()) return TransportError(std::move(response).error());
  return response;
}

// RFC 8555 section 6.5: a refused nonce is answered with a fresh one, to be used at once.
Result<net::HttpResponse> AcmeClient::Send(const Context& ctx, const Signed& request) {
  CF_ASSIGN_OR_RETURN(std::string nonce, Nonce(ctx));
  for (int attempt = 0; attempt <= kMaxNonceTries; ++attempt) {
    CF_RETURN_IF_ERROR(ctx.Check());
    CF_ASSIGN_OR_RETURN(net::HttpResponse response, SendSigned(ctx, request, nonce));
    const bool refused = IsProblem(response, "badNonce");
    if (refused) cache_.DropNonces();
    cache_.PutNonce(response.header("replay-nonce"));
    if (!refused) return response;
    CF_ASSIGN_OR_RETURN(nonce, Nonce(ctx));
  }
  return MakeError(ErrorCode::kUnavailable, "AcmeBadNonce",
                   "the ACME server refused every nonce it gave");
}

Result<std::string> AcmeClient::FindAccount(const Context& ctx) {
  CF_ASSIGN_OR_RETURN(const Directory directory, GetDirectory(ctx));
  const std::string payload = account_use_ == AccountUse::kRegister
                                  ? NewAccountPayload(settings_.email)
                                  : FindAccountPayload();
  Result<net::HttpResponse> response = Send(ctx, {directory.new_account, payload, {}, {}});
  if (!response.ok()) return Annotate(Repeatable(std::move(response).error()), "account");
  // 201 when it was made, 200 when the key already had one (RFC 8555 section 7.3.1).
  if (!IsSuccess(*response)) {
    return Annotate(ResponseError(*response, ctx.clock.Now()), "account");
  }
  const std::string_view url = response->header("location");
  if (!IsServerUrl(url)) {
    return MakeError(ErrorCode::kRefused, "AcmeBadAnswer", "the ACME server gave no account URL");
  }
  return std::string(url);
}

Result<std::string> AcmeClient::AccountUrl(const Context& ctx) {
  return cache_.GetAccountUrl(ctx, [&] { return FindAccount(ctx); });
}

Result<net::HttpResponse> AcmeClient::WithAccount(const Context& ctx, Signed request) {
  CF_ASSIGN_OR_RETURN(request.account_url, AccountUrl(ctx));
  CF_ASSIGN_OR_RETURN(net::HttpResponse response, Send(ctx, request));
  if (IsProblem(response, "accountDoesNotExist")) {
    cache_.ForgetAccountUrl(request.account_url);
    CF_ASSIGN_OR_RETURN(request.account_url, AccountUrl(ctx));
    CF_ASSIGN_OR_RETURN(response, Send(ctx, request));
  }
  if (response.status == 404) {
    Error error = ResponseError(response, ctx.clock.Now());
    return MakeError(ErrorCode::kNotFound, "AcmeNotFound", error.message);
  }
  if (!IsSuccess(response)) return ResponseError(response, ctx.clock.Now());
  return response;
}

Result<net::HttpResponse> AcmeClient::Read(const Context& ctx, std::string_view url,
                                           std::string_view accept) {
  Result<net::HttpResponse> response = WithAccount(ctx, {url, "", accept, {}});
  if (!response.ok()) return Repeatable(std::move(response).error());
  return response;
}

Result<net::HttpResponse> AcmeClient::Post(const Context& ctx, std::string_view url,
                                           std::string_view payload) {
  Result<net::HttpResponse> response = WithAccount(ctx, {url, payload, {}, {}});
  if (!response.ok()) return Repeatable(std::move(response).error());
  return response;
}

Result<net::HttpResponse> AcmeClient::PostOrder(const Context& ctx, std::string_view payload) {
  CF_ASSIGN_OR_RETURN(const Directory directory, GetDirectory(ctx));
  CF_ASSIGN_OR_RETURN(const std::string account, AccountUrl(ctx));
  return WithAccount(ctx, {directory.new_order, payload, {}, account});
}

std::string AcmeClient::KeyAuthorization(std::string_view token) const {
  return std::string(token) + "." + Base64UrlEncode(Sha256(key_.PublicJwk()));
}

}  // namespace certflow::providers::acme
