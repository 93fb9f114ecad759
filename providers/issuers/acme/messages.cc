#include "providers/issuers/acme/messages.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/base/base64.h"

namespace certflow::providers::acme {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxChallenges = 16;
constexpr std::size_t kMaxOrdersPerPage = 1000;

Error BadAnswer(std::string_view what) {
  return MakeError(ErrorCode::kRefused, "AcmeBadAnswer",
                   "the ACME server's answer has no usable " + std::string(what));
}

Result<json> ParseObject(std::string_view text, std::string_view what) {
  json node = json::parse(text, nullptr, false);
  if (!node.is_object()) return BadAnswer(what);
  return node;
}

std::string Text(const json& node, const char* name) {
  const auto it = node.find(name);
  return it != node.end() && it->is_string() ? it->get<std::string>() : std::string();
}

const json& List(const json& node, const char* name) {
  static const json kEmpty = json::array();
  const auto it = node.find(name);
  return it != node.end() && it->is_array() ? *it : kEmpty;
}

Result<std::string> Url(const json& node, const char* name) {
  std::string url = Text(node, name);
  if (!IsServerUrl(url)) return BadAnswer(name);
  return url;
}

Result<std::vector<std::string>> Urls(const json& node, const char* name, std::size_t most) {
  std::vector<std::string> urls;
  for (const json& item : List(node, name)) {
    if (urls.size() == most || !item.is_string()) return BadAnswer(name);
    urls.push_back(item.get<std::string>());
    if (!IsServerUrl(urls.back())) return BadAnswer(name);
  }
  return urls;
}

std::optional<Problem> ProblemOf(const json& node) {
  const auto it = node.find("error");
  if (it == node.end() || !it->is_object()) return std::nullopt;
  return ParseProblem(it->dump(-1, ' ', false, json::error_handler_t::replace));
}

Result<OrderStatus> StatusOfOrder(const std::string& text) {
  if (text == "pending") return OrderStatus::kPending;
  if (text == "ready") return OrderStatus::kReady;
  if (text == "processing") return OrderStatus::kProcessing;
  if (text == "valid") return OrderStatus::kValid;
  if (text == "invalid") return OrderStatus::kInvalid;
  return BadAnswer("order status");
}

Result<AuthorizationStatus> StatusOfAuthorization(const std::string& text) {
  if (text == "pending") return AuthorizationStatus::kPending;
  if (text == "valid") return AuthorizationStatus::kValid;
  if (text == "invalid" || text == "deactivated" || text == "expired" || text == "revoked") {
    return AuthorizationStatus::kDead;
  }
  return BadAnswer("authorization status");
}

Result<ChallengeStatus> StatusOfChallenge(const std::string& text) {
  if (text == "pending") return ChallengeStatus::kPending;
  if (text == "processing") return ChallengeStatus::kProcessing;
  if (text == "valid") return ChallengeStatus::kValid;
  if (text == "invalid") return ChallengeStatus::kInvalid;
  return BadAnswer("challenge status");
}

// The token becomes part of file names, URLs and memo keys (RFC 8555 section 8.1: base64url).
bool IsToken(std::string_view token) {
  return !token.empty() && token.size() <= kMaxToken &&
         std::all_of(token.begin(), token.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

Result<ChallengeState> ParseChallenge(const json& node) {
  ChallengeState challenge;
  challenge.type = Text(node, "type");
  challenge.token = Text(node, "token");
  CF_ASSIGN_OR_RETURN(challenge.url, Url(node, "url"));
  CF_ASSIGN_OR_RETURN(challenge.status, StatusOfChallenge(Text(node, "status")));
  if (!IsToken(challenge.token)) return BadAnswer("challenge token");
  challenge.error = ProblemOf(node);
  return challenge;
}

Result<std::string> DnsIdentifier(const json& identifier) {
  std::string value = identifier.is_object() ? Text(identifier, "value") : std::string();
  if (value.empty() || value.size() > 255 || Text(identifier, "type") != "dns") {
    return BadAnswer("identifier");
  }
  std::transform(value.begin(), value.end(), value.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return value;
}

std::string Dump(const json& node) {
  return node.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

bool IsServerUrl(std::string_view url) {
  return url.starts_with("https://") && url.size() <= kMaxUrl &&
         std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::string LinkTarget(const net::HttpResponse& response, std::string_view relation) {
  const std::string quoted = "rel=\"" + std::string(relation) + "\"";
  for (const net::Header& header : response.headers) {
    if (header.name != "link") continue;
    const std::string_view value = header.value;
    const std::size_t end = value.find('>');
    if (!value.starts_with('<') || end == std::string_view::npos) continue;
    if (value.find(quoted, end) == std::string_view::npos) continue;
    const std::string_view url = value.substr(1, end - 1);
    return IsServerUrl(url) ? std::string(url) : std::string();
  }
  return {};
}

Result<Directory> ParseDirectory(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const json node, ParseObject(text, "directory"));
  Directory directory;
  CF_ASSIGN_OR_RETURN(directory.new_nonce, Url(node, "newNonce"));
  CF_ASSIGN_OR_RETURN(directory.new_account, Url(node, "newAccount"));
  CF_ASSIGN_OR_RETURN(directory.new_order, Url(node, "newOrder"));
  return directory;
}

Result<Account> ParseAccount(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const json node, ParseObject(text, "account"));
  Account account{Text(node, "orders")};
  if (!IsServerUrl(account.orders)) account.orders.clear();
  return account;
}

Result<OrderPage> ParseOrderPage(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const json node, ParseObject(text, "order list"));
  OrderPage page;
  CF_ASSIGN_OR_RETURN(page.orders, Urls(node, "orders", kMaxOrdersPerPage));
  return page;
}

Result<Order> ParseOrder(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const json node, ParseObject(text, "order"));
  Order order;
  CF_ASSIGN_OR_RETURN(order.status, StatusOfOrder(Text(node, "status")));
  CF_ASSIGN_OR_RETURN(order.authorizations, Urls(node, "authorizations", kMaxNames));
  CF_ASSIGN_OR_RETURN(order.finalize, Url(node, "finalize"));
  for (const json& identifier : List(node, "identifiers")) {
    if (order.names.size() == kMaxNames) return BadAnswer("identifiers");
    CF_ASSIGN_OR_RETURN(std::string name, DnsIdentifier(identifier));
    order.names.push_back(std::move(name));
  }
  std::sort(order.names.begin(), order.names.end());
  if (order.status == OrderStatus::kValid) {
    CF_ASSIGN_OR_RETURN(order.certificate, Url(node, "certificate"));
  }
  if (const Result<WallTime> expires = ParseTime(Text(node, "expires"))) order.expires = *expires;
  order.error = ProblemOf(node);
  return order;
}

Result<Authorization> ParseAuthorization(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const json node, ParseObject(text, "authorization"));
  Authorization authorization;
  CF_ASSIGN_OR_RETURN(authorization.status, StatusOfAuthorization(Text(node, "status")));
  CF_ASSIGN_OR_RETURN(authorization.domain, DnsIdentifier(node.value("identifier", json())));
  // Some servers send "wildcard": false, so presence says nothing.
  const auto wildcard = node.find("wildcard");
  authorization.wildcard = wildcard != node.end() && wildcard->is_boolean() && *wildcard;
  for (const json& item : List(node, "challenges")) {
    if (authorization.challenges.size() == kMaxChallenges) return BadAnswer("challenges");
    const std::string type = item.is_object() ? Text(item, "type") : std::string();
    if (type != "http-01" && type != "dns-01") continue;
    CF_ASSIGN_OR_RETURN(ChallengeState challenge, ParseChallenge(item));
    authorization.challenges.push_back(std::move(challenge));
  }
  return authorization;
}

std::string NewOrderPayload(const std::vector<std::string>& names) {
  json identifiers = json::array();
  for (const std::string& name : names) {
    identifiers.push_back({{"type", "dns"}, {"value", name}});
  }
  return Dump({{"identifiers", identifiers}});
}

std::string NewAccountPayload(std::string_view email) {
  json payload = {{"termsOfServiceAgreed", true}};
  if (!email.empty()) payload["contact"] = json::array({"mailto:" + std::string(email)});
  return Dump(payload);
}

std::string FindAccountPayload() { return Dump({{"onlyReturnExisting", true}}); }

std::string FinalizePayload(std::string_view csr_der) {
  return Dump({{"csr", Base64UrlEncode(csr_der)}});
}

}  // namespace certflow::providers::acme
