#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/seams/challenge_solver.h"
#include "controller/seams/issuer.h"
#include "providers/issuers/acme/messages.h"

// What an issuance remembers between reconciles:
//   intent                 "order": an order is about to be made
//   intentAt               when that was decided; tells our order from older ones
//   orders                 how many orders were decided on, the lost ones included
//   order                  the order's URL
//   since                  when something last went forward; waits grow with the time since then
//   posted                 short ids of the challenges that the CA was asked to validate
//   tries                  how often a challenge that failed and may be retried was asked again
//   dns01/<token>          domain of a published dns-01 proof
//   http01/<token>         key authorization, to be served by every replica
//   http01-domain/<token>  its domain
namespace certflow::providers::acme {

inline constexpr std::string_view kIntent = "intent";
inline constexpr std::string_view kIntentAt = "intentAt";
inline constexpr std::string_view kOrders = "orders";
inline constexpr std::string_view kOrder = "order";
inline constexpr std::string_view kSince = "since";
inline constexpr std::string_view kPosted = "posted";
inline constexpr std::string_view kTries = "tries";

// At most so many proofs are under way at once; the authorizations beyond wait for their turn. Two
// entries each leave room for the others below kMaxMemoEntries.
inline constexpr std::size_t kMaxProofs = 24;
static_assert(2 * kMaxProofs + 10 <= seams::kMaxMemoEntries);
static_assert(kMaxUrl <= seams::kMaxMemoValue);

std::string MemoText(const seams::StepMemo& memo, std::string_view key);
int MemoNumber(const seams::StepMemo& memo, std::string_view key);
void SetMemo(seams::StepMemo& memo, std::string_view key, std::string_view value);

// A proof that was published, or is about to be.
struct MemoProof {
  seams::ChallengeType type = seams::ChallengeType::kDns01;
  std::string token;
  std::string domain;
};
std::vector<MemoProof> MemoProofs(const seams::StepMemo& memo);
bool HasProof(const seams::StepMemo& memo, std::string_view token);
void AddProof(seams::StepMemo& memo, seams::ChallengeType type, const seams::Challenge& challenge);
void DropProof(seams::StepMemo& memo, std::string_view token);

bool IsPosted(const seams::StepMemo& memo, std::string_view token);
void AddPosted(seams::StepMemo& memo, std::string_view token);

// Something went forward: the waits start small again.
void MarkProgress(seams::StepMemo& memo, WallTime now);
// The server's Retry-After, or half the time since the last progress within [2 s, 30 s]: growing,
// and without a counter that would have to be written at every look.
Duration PollDelay(const seams::StepMemo& memo, WallTime now, std::optional<Duration> retry_after);

}  // namespace certflow::providers::acme
