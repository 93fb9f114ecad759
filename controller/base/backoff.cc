#include "controller/base/backoff.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace certflow {

Duration BackoffDelay(const BackoffPolicy& policy, int attempt, std::uint64_t random) {
  const double most = static_cast<double>(policy.max.count());
  const double grown = static_cast<double>(policy.initial.count()) *
                       std::pow(policy.factor, std::max(attempt, 1) - 1);
  // Written so that infinity and NaN end at the maximum.
  const double delay = grown < most ? grown : most;
  const double share = static_cast<double>(random >> 11) * 0x1.0p-53;
  return Duration(static_cast<Duration::rep>(delay + delay * policy.jitter * share));
}

std::uint64_t JitterWord() {
  thread_local std::mt19937_64 words = [] {
    std::random_device system;
    std::seed_seq seed{system(), system(), system(), system()};
    return std::mt19937_64(seed);
  }();
  return words();
}

}  // namespace certflow
