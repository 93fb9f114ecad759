#pragma once

#include <vector>

#include "providers/issuers/acme/client.h"
#include "providers/issuers/acme/memo.h"
#include "providers/issuers/acme/solver_choice.h"

namespace certflow::providers::acme {

// One call's work on the authorizations of one order.
class Proofs {
 public:
  Proofs(AcmeClient& client, const std::vector<AcmeSolver>& solvers)
      : client_(client), solvers_(solvers) {}

  // The next step of a pending order: publish what is not published, look whether it can be seen,
  // ask the CA to validate; a batch of kMaxProofs together. kRefused ("AcmeChallengeFailed", never
  // again) with domain, challenge and the CA's words when a validation failed.
  Result<seams::IssuePending> Advance(const Context& ctx, const Order& order, seams::StepMemo memo);

  // Why an order is invalid, from its own error and those of its authorizations.
  Error ExplainInvalid(const Context& ctx, const Order& order);

  // Takes back every proof of the memo, and drops those that are gone. The first error is
  // returned after all were tried.
  Result<void> CleanupAll(const Context& ctx, seams::StepMemo& memo);
  // The same for every proof that the order could have asked for, noted or not.
  Result<void> CleanupOrder(const Context& ctx, const Order& order);

 private:
  struct Work {
    Authorization authorization;
    ChallengeState state;
    seams::ChallengeSolver* solver = nullptr;
    seams::Challenge challenge;
  };
  Result<Authorization> Load(const Context& ctx, const std::string& url);
  Result<Work> MakeWork(Authorization authorization) const;
  Result<std::vector<Work>> Collect(const Context& ctx, const Order& order);
  seams::Challenge MakeChallenge(const std::string& domain, const std::string& token) const;

  // True when a proof has to be recorded before it can be seen.
  Result<bool> Present(const Context& ctx, const std::vector<Work>& work, seams::StepMemo& memo);
  // What cannot be seen yet, for people; empty when everything can.
  Result<std::string> Unseen(const Context& ctx, const std::vector<Work>& work,
                             const seams::StepMemo& memo);
  Result<void> Post(const Context& ctx, const std::vector<Work>& work, seams::StepMemo& memo);
  void CleanupFinished(const Context& ctx, const std::vector<Work>& work, seams::StepMemo& memo);
  Result<void> CleanupOne(const Context& ctx, const MemoProof& proof);

  AcmeClient& client_;
  const std::vector<AcmeSolver>& solvers_;
  std::optional<Duration> retry_after_;  // the longest that an authorization asked for
};

}  // namespace certflow::providers::acme
