#include "providers/issuers/acme/proofs.h"

#include <algorithm>

#include "controller/base/base64.h"
#include "controller/net/retry_after.h"

namespace certflow::providers::acme {
namespace {

constexpr int kMaxTries = 5;  // for challenges that failed and stay pending
constexpr std::size_t kMaxShownDomains = 3;
constexpr Duration kMaxUnseen = std::chrono::hours(1);

// Whatever the reason, the order is dead with it; another one is for the next run.
Error FinalError(const Problem& problem) {
  Error error = ProblemError(problem, 0, std::nullopt, Where::kChallenge);
  error.retry = Retry::kNever;
  error.retry_after.reset();
  return error;
}

Error ChallengeFailed(const Authorization& authorization, const ChallengeState& challenge) {
  const Problem problem = challenge.error.value_or(Problem{"", "no reason given", "", {}});
  return Annotate(FinalError(problem), Sanitize(authorization.domain) + ": " + challenge.type);
}

// The CA's verdict on an authorization that is dead.
Error AuthorizationFailed(const Authorization& authorization) {
  for (const ChallengeState& challenge : authorization.challenges) {
    if (challenge.status == ChallengeStatus::kInvalid || challenge.error) {
      return ChallengeFailed(authorization, challenge);
    }
  }
  return MakeError(ErrorCode::kRefused, "AcmeChallengeFailed",
                   Sanitize(authorization.domain) + ": the authorization is not valid any more");
}

}  // namespace

seams::Challenge Proofs::MakeChallenge(const std::string& domain, const std::string& token) const {
  const std::string key_authorization = client_.KeyAuthorization(token);
  return {domain, token, key_authorization, Base64UrlEncode(Sha256(key_authorization))};
}

Result<Authorization> Proofs::Load(const Context& ctx, const std::string& url) {
  CF_ASSIGN_OR_RETURN(const net::HttpResponse response, client_.Read(ctx, url));
  if (const auto wait = RetryAfter(response, ctx.clock.Now())) {
    retry_after_ = std::max(retry_after_.value_or(*wait), *wait);
  }
  return ParseAuthorization(response.body);
}

Result<Proofs::Work> Proofs::MakeWork(Authorization authorization) const {
  CF_ASSIGN_OR_RETURN(const SolverChoice choice, ChooseSolver(solvers_, authorization));
  Work work;
  work.state = *choice.challenge;
  work.solver = choice.solver;
  work.challenge = MakeChallenge(authorization.domain, work.state.token);
  work.authorization = std::move(authorization);
  if (work.state.status == ChallengeStatus::kInvalid) {
    return ChallengeFailed(work.authorization, work.state);
  }
  return work;
}

// Servers list authorizations in any order, a different one every time; sorted, the batch stays the
// same until its members are done.
Result<std::vector<Proofs::Work>> Proofs::Collect(const Context& ctx, const Order& order) {
  std::vector<std::string> urls = order.authorizations;
  std::sort(urls.begin(), urls.end());
  std::vector<Work> work;
  for (const std::string& url : urls) {
    if (work.size() == kMaxProofs) break;
    CF_ASSIGN_OR_RETURN(Authorization authorization, Load(ctx, url));
    switch (authorization.status) {
      case AuthorizationStatus::kValid:
        break;
      case AuthorizationStatus::kDead:
        return AuthorizationFailed(authorization);
      case AuthorizationStatus::kPending: {
        CF_ASSIGN_OR_RETURN(Work item, MakeWork(std::move(authorization)));
        work.push_back(std::move(item));
        break;
      }
    }
  }
  return work;
}

Result<bool> Proofs::Present(const Context& ctx, const std::vector<Work>& work,
                             seams::StepMemo& memo) {
  bool record = false;
  for (const Work& item : work) {
    if (item.state.status != ChallengeStatus::kPending || HasProof(memo, item.challenge.token)) {
      continue;
    }
    const Result<void> presented = item.solver->Present(ctx, item.challenge);
    if (!presented.ok()) {
      return Annotate(presented.error(), "publish the proof for " + item.challenge.domain);
    }
    AddProof(memo, item.solver->type(), item.challenge);
    MarkProgress(memo, ctx.clock.Now());
    record = record || item.solver->type() == seams::ChallengeType::kHttp01;
  }
  return record;
}

Result<std::string> Proofs::Unseen(const Context& ctx, const std::vector<Work>& work,
                                   const seams::StepMemo& memo) {
  std::string unseen;
  std::size_t count = 0;
  for (const Work& item : work) {
    if (item.state.status != ChallengeStatus::kPending || IsPosted(memo, item.challenge.token)) {
      continue;
    }
    const Result<bool> visible = item.solver->Visible(ctx, item.challenge);
    if (visible.ok() && *visible) continue;
    if (!visible.ok() && visible.error().retry == Retry::kNever) {
      return Annotate(visible.error(), "look at the proof for " + item.challenge.domain);
    }
    if (++count > kMaxShownDomains) continue;
    unseen += (unseen.empty() ? "" : ", ") + item.challenge.domain;
    if (!visible.ok()) unseen += " (" + visible.error().message + ")";
  }
  if (count > kMaxShownDomains) unseen += " and others";
  return unseen;
}

// RFC 8555 section 7.5.1. A challenge that failed and is pending still (RFC 8555 section 8.2 lets a
// server do that) is asked for again, a few times.
Result<void> Proofs::Post(const Context& ctx, const std::vector<Work>& work,
                          seams::StepMemo& memo) {
  bool again = false;
  for (const Work& item : work) {
    if (item.state.status != ChallengeStatus::kPending) continue;
    const bool posted = IsPosted(memo, item.challenge.token);
    if (posted && !item.state.error) continue;
    if (posted && MemoNumber(memo, kTries) >= kMaxTries) {
      return ChallengeFailed(item.authorization, item.state);
    }
    again = again || posted;
    const Result<net::HttpResponse> response = client_.Post(ctx, item.state.url, "{}");
    if (!response.ok()) {
      return Annotate(response.error(), "ask for validation of " + item.challenge.domain);
    }
    if (!posted) MarkProgress(memo, ctx.clock.Now());
    AddPosted(memo, item.challenge.token);
  }
  if (again) SetMemo(memo, kTries, std::to_string(MemoNumber(memo, kTries) + 1));
  return {};
}

// Makes room for the next batch. A failure is no reason to stop: the proof stays in the memo, and
// the last clean-up tries again.
void Proofs::CleanupFinished(const Context& ctx, const std::vector<Work>& work,
                             seams::StepMemo& memo) {
  for (const MemoProof& proof : MemoProofs(memo)) {
    const bool needed = std::any_of(work.begin(), work.end(), [&](const Work& item) {
      return item.challenge.token == proof.token;
    });
    if (needed) continue;
    if (CleanupOne(ctx, proof).ok()) DropProof(memo, proof.token);
  }
}

Result<seams::IssuePending> Proofs::Advance(const Context& ctx, const Order& order,
                                            seams::StepMemo memo) {
  CF_ASSIGN_OR_RETURN(std::vector<Work> work, Collect(ctx, order));
  CleanupFinished(ctx, work, memo);
  // Proofs that could not be taken back hold their places in the memo.
  std::size_t room = kMaxProofs - std::min(MemoProofs(memo).size(), kMaxProofs);
  std::erase_if(work, [&](const Work& item) {
    if (HasProof(memo, item.challenge.token)) return false;
    if (room == 0) return true;
    --room;
    return false;
  });
  CF_ASSIGN_OR_RETURN(const bool record, Present(ctx, work, memo));
  if (record) {
    return seams::IssuePending{"the proofs to be served", Duration(0), std::move(memo)};
  }
  CF_ASSIGN_OR_RETURN(const std::string unseen, Unseen(ctx, work, memo));
  const WallTime now = ctx.clock.Now();
  if (!unseen.empty()) {
    const Result<WallTime> since = ParseTime(MemoText(memo, kSince));
    if (since.ok() && now - *since > kMaxUnseen) {
      return MakeError(ErrorCode::kRefused, "AcmeProofNotVisible",
                       "the proof cannot be seen from outside: " + unseen);
    }
    const Duration wait = PollDelay(memo, now, std::nullopt);
    return seams::IssuePending{"the proof to be seen: " + unseen, wait, std::move(memo)};
  }
  CF_RETURN_IF_ERROR(Post(ctx, work, memo));
  const Duration wait = PollDelay(memo, now, retry_after_);
  return seams::IssuePending{"the CA's validation", wait, std::move(memo)};
}

Error Proofs::ExplainInvalid(const Context& ctx, const Order& order) {
  std::vector<std::string> urls = order.authorizations;
  std::sort(urls.begin(), urls.end());
  for (const std::string& url : urls) {
    const Result<Authorization> authorization = Load(ctx, url);
    if (!authorization.ok()) break;
    if (authorization->status == AuthorizationStatus::kDead) {
      return AuthorizationFailed(*authorization);
    }
  }
  if (order.error) return FinalError(*order.error);
  return MakeError(ErrorCode::kRefused, "AcmeOrderInvalid",
                   "the CA made the order invalid and gave no reason");
}

Result<void> Proofs::CleanupOne(const Context& ctx, const MemoProof& proof) {
  seams::ChallengeSolver* solver = SolverFor(solvers_, proof.type, proof.domain);
  if (solver == nullptr) return {};  // the solver was taken out of the authority meanwhile
  return solver->Cleanup(ctx, MakeChallenge(proof.domain, proof.token));
}

Result<void> Proofs::CleanupAll(const Context& ctx, seams::StepMemo& memo) {
  Result<void> first;
  for (const MemoProof& proof : MemoProofs(memo)) {
    Result<void> done = CleanupOne(ctx, proof);
    if (done.ok()) {
      DropProof(memo, proof.token);
    } else if (first.ok()) {
      first = Annotate(std::move(done).error(), "take back the proof for " + proof.domain);
    }
  }
  return first;
}

Result<void> Proofs::CleanupOrder(const Context& ctx, const Order& order) {
  Result<void> first;
  for (const std::string& url : order.authorizations) {
    CF_ASSIGN_OR_RETURN(const Authorization authorization, Load(ctx, url));
    const Result<SolverChoice> choice = ChooseSolver(solvers_, authorization);
    if (!choice.ok()) continue;  // then nothing was published either
    Result<void> done =
        choice->solver->Cleanup(ctx, MakeChallenge(authorization.domain, choice->challenge->token));
    if (!done.ok() && first.ok()) {
      first = Annotate(std::move(done).error(), "take back the proof for " + authorization.domain);
    }
  }
  return first;
}

}  // namespace certflow::providers::acme
