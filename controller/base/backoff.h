#pragma once

#include <cstdint>

#include "controller/base/error.h"

namespace certflow {

// Exponential delay with jitter: attempt n (from 1) waits initial * factor^(n-1), at most `max`,
// plus up to `jitter` of that. Pure: the caller brings the random word.
struct BackoffPolicy {
  Duration initial{1000};
  double factor = 2.0;
  Duration max{60'000};
  double jitter = 0.2;
};

Duration BackoffDelay(const BackoffPolicy& policy, int attempt, std::uint64_t random);

// A cheap random word, seeded per thread from the system; for jitter only, never for keys.
std::uint64_t JitterWord();

}  // namespace certflow
