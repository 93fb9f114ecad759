#include "providers/issuers/acme/memo.h"

#include <algorithm>
#include <charconv>

#include "controller/base/base64.h"

namespace certflow::providers::acme {
namespace {

constexpr std::string_view kDnsProof = "dns01/";
constexpr std::string_view kHttpProof = "http01/";
constexpr std::string_view kHttpDomain = "http01-domain/";
constexpr Duration kFirstPoll = std::chrono::seconds(2);
constexpr Duration kLastPoll = std::chrono::seconds(30);
constexpr std::size_t kShortId = 12;

std::string Key(std::string_view prefix, std::string_view token) {
  return std::string(prefix).append(token);
}

std::string ShortId(std::string_view token) {
  return Base64UrlEncode(Sha256(token)).substr(0, kShortId);
}

}  // namespace

std::string MemoText(const seams::StepMemo& memo, std::string_view key) {
  const auto it = memo.find(std::string(key));
  return it == memo.end() ? std::string() : it->second;
}

int MemoNumber(const seams::StepMemo& memo, std::string_view key) {
  const std::string text = MemoText(memo, key);
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return std::max(value, 0);
}

void SetMemo(seams::StepMemo& memo, std::string_view key, std::string_view value) {
  memo[std::string(key)] = value;
}

std::vector<MemoProof> MemoProofs(const seams::StepMemo& memo) {
  std::vector<MemoProof> proofs;
  for (const auto& [key, value] : memo) {
    if (key.starts_with(kDnsProof)) {
      proofs.push_back({seams::ChallengeType::kDns01, key.substr(kDnsProof.size()), value});
    } else if (key.starts_with(kHttpProof)) {
      const std::string token = key.substr(kHttpProof.size());
      proofs.push_back(
          {seams::ChallengeType::kHttp01, token, MemoText(memo, Key(kHttpDomain, token))});
    }
  }
  return proofs;
}

bool HasProof(const seams::StepMemo& memo, std::string_view token) {
  return memo.contains(Key(kDnsProof, token)) || memo.contains(Key(kHttpProof, token));
}

void AddProof(seams::StepMemo& memo, seams::ChallengeType type, const seams::Challenge& challenge) {
  switch (type) {
    case seams::ChallengeType::kDns01:
      memo[Key(kDnsProof, challenge.token)] = challenge.domain;
      break;
    case seams::ChallengeType::kHttp01:
      memo[Key(kHttpProof, challenge.token)] = challenge.key_authorization;
      memo[Key(kHttpDomain, challenge.token)] = challenge.domain;
      break;
  }
}

void DropProof(seams::StepMemo& memo, std::string_view token) {
  memo.erase(Key(kDnsProof, token));
  memo.erase(Key(kHttpProof, token));
  memo.erase(Key(kHttpDomain, token));
}

bool IsPosted(const seams::StepMemo& memo, std::string_view token) {
  return MemoText(memo, kPosted).find(ShortId(token)) != std::string::npos;
}

void AddPosted(seams::StepMemo& memo, std::string_view token) {
  if (IsPosted(memo, token)) return;
  std::string& posted = memo[std::string(kPosted)];
  // The newest are kept: older ones belong to proofs that are long done.
  const std::size_t most = 2 * kMaxProofs * (kShortId + 1);
  if (posted.size() >= most) posted.erase(0, posted.size() - most + kShortId + 1);
  posted += ShortId(token) + " ";
}

void MarkProgress(seams::StepMemo& memo, WallTime now) { SetMemo(memo, kSince, FormatTime(now)); }

Duration PollDelay(const seams::StepMemo& memo, WallTime now, std::optional<Duration> retry_after) {
  if (retry_after) return *retry_after;
  const Result<WallTime> since = ParseTime(MemoText(memo, kSince));
  if (!since.ok()) return kFirstPoll;
  return std::clamp(std::chrono::floor<Duration>(now - *since) / 2, kFirstPoll, kLastPoll);
}

}  // namespace certflow::providers::acme
