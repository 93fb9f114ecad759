#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/base/result.h"
#include "providers/issuers/acme/problem.h"

// The resources of RFC 8555 section 7.1, read from the server's JSON. Every reader bounds what it
// takes and answers kRefused ("AcmeBadAnswer") when the text is not what the RFC says.
namespace certflow::providers::acme {

inline constexpr std::size_t kMaxNames = 100;
inline constexpr std::size_t kMaxUrl = 1024;  // below kMaxMemoValue: order URLs live in the memo
inline constexpr std::size_t kMaxToken = 256;

struct Directory {
  std::string new_nonce, new_account, new_order;
};

struct Account {
  std::string orders;  // empty where the server keeps no list (Boulder)
};

struct OrderPage {
  std::vector<std::string> orders;
};

enum class OrderStatus { kPending, kReady, kProcessing, kValid, kInvalid };
struct Order {
  OrderStatus status = OrderStatus::kPending;
  std::optional<WallTime> expires;
  std::vector<std::string> names;  // sorted
  std::vector<std::string> authorizations;
  std::string finalize;
  std::string certificate;
  std::optional<Problem> error;
};

enum class AuthorizationStatus { kPending, kValid, kDead };  // dead: invalid, expired, revoked ...
enum class ChallengeStatus { kPending, kProcessing, kValid, kInvalid };
struct ChallengeState {
  std::string type;  // "http-01", "dns-01"; other types are left out
  std::string url;
  std::string token;
  ChallengeStatus status = ChallengeStatus::kPending;
  std::optional<Problem> error;
};
struct Authorization {
  AuthorizationStatus status = AuthorizationStatus::kPending;
  std::string domain;  // without "*."
  bool wildcard = false;
  std::vector<ChallengeState> challenges;
};

Result<Directory> ParseDirectory(std::string_view json);
Result<Account> ParseAccount(std::string_view json);
Result<OrderPage> ParseOrderPage(std::string_view json);
Result<Order> ParseOrder(std::string_view json);
Result<Authorization> ParseAuthorization(std::string_view json);

// https, printable ASCII, at most kMaxUrl. Server URLs are opaque otherwise.
bool IsServerUrl(std::string_view url);
// The target of the first Link header with this relation, or empty.
std::string LinkTarget(const net::HttpResponse& response, std::string_view relation);

// What we send.
std::string NewOrderPayload(const std::vector<std::string>& names);
std::string NewAccountPayload(std::string_view email);
std::string FindAccountPayload();
std::string FinalizePayload(std::string_view csr_der);

}  // namespace certflow::providers::acme
