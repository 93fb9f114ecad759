#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"

namespace certflow::seams {

enum class ChallengeType { kHttp01, kDns01 };  // RFC 8555 sections 8.3 and 8.4

struct Challenge {
  std::string domain;             // without "*."
  std::string token;              // [A-Za-z0-9_-]+, checked by the issuer
  std::string key_authorization;  // token "." thumbprint
  std::string dns_value;          // base64url(SHA-256(key_authorization)), for dns-01
};

// Publishes the proof of control. All calls are safe to repeat; values of other orders at the same
// name are left alone.
class ChallengeSolver {
 public:
  virtual ~ChallengeSolver() = default;
  virtual ChallengeType type() const = 0;
  virtual Result<void> Present(const Context& ctx, const Challenge& challenge) = 0;
  // True when the proof can be seen from outside as the CA will look (all authoritative servers,
  // or the HTTP answer).
  virtual Result<bool> Visible(const Context& ctx, const Challenge& challenge) = 0;
  virtual Result<void> Cleanup(const Context& ctx, const Challenge& challenge) = 0;
};

}  // namespace certflow::seams
