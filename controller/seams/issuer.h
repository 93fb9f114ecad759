#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/pki/key.h"
#include "controller/pki/request.h"

namespace certflow::seams {

// What a step must remember between reconciles; lives in the run's status, so nothing secret.
// Bounded: kMaxMemoEntries entries, kMaxMemoValue bytes each.
using StepMemo = std::map<std::string, std::string>;
inline constexpr std::size_t kMaxMemoEntries = 64;
inline constexpr std::size_t kMaxMemoValue = 2048;

struct IssueRequest {
  std::string run;  // makes outside names
  pki::RequestNames names;
  const pki::PrivateKey& key;  // already stored where a restart finds it
};

struct Issued {
  std::string chain_pem;  // leaf first, no root
  std::string ca_pem;     // root, where known
};
// Nothing irrevocable left to decide: wait and come back.
struct IssuePending {
  std::string waiting_for;  // for people
  Duration poll_after{2'000};
  StepMemo memo;  // to be recorded before the next call
};
// The next Advance is needed. With `once` it does something that must not be done twice (a new
// order): record the memo, then call.
struct IssueNeedsAction {
  std::string action;  // "NewOrder"
  StepMemo memo;
  bool once = true;
};
using Issuance = std::variant<Issued, IssuePending, IssueNeedsAction>;

// A certificate authority. `memo` is what the last call returned (empty at first); it is in the
// ledger before the next call. Errors: Retry::kNever ends the renewal at this authority.
class Issuer {
 public:
  virtual ~Issuer() = default;
  // True when Advance signs by itself and leaves no trace outside: then the key need not be stored
  // before it, and calling it twice makes a second certificate and nothing else.
  virtual bool local() const { return false; }
  // Where the issuance stands; reads only.
  virtual Result<Issuance> Observe(const Context& ctx, const IssueRequest& what,
                                   const StepMemo& memo) = 0;
  // Takes the one next step towards a certificate.
  virtual Result<Issuance> Advance(const Context& ctx, const IssueRequest& what,
                                   const StepMemo& memo) = 0;
  // Removes what was put outside for this issuance (DNS records, challenge files); repeatable.
  virtual Result<void> Cleanup(const Context& ctx, const IssueRequest& what,
                               const StepMemo& memo) = 0;
};

}  // namespace certflow::seams
