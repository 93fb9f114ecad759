#include "controller/base/backoff.h"

#include <gtest/gtest.h>

#include <limits>

namespace certflow {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(BackoffTest, GrowsByTheFactorUpToTheMaximum) {
  const BackoffPolicy policy;
  EXPECT_EQ(BackoffDelay(policy, 1, 0), Duration(1000));
  EXPECT_EQ(BackoffDelay(policy, 2, 0), Duration(2000));
  EXPECT_EQ(BackoffDelay(policy, 7, 0), Duration(60'000));
  EXPECT_EQ(BackoffDelay(policy, std::numeric_limits<int>::max(), 0), Duration(60'000));
  EXPECT_EQ(BackoffDelay(policy, 0, 0), Duration(1000));
  EXPECT_EQ(BackoffDelay(policy, -5, 0), Duration(1000));
}

TEST(BackoffTest, JitterAddsAtMostItsShare) {
  const BackoffPolicy policy;
  EXPECT_LE(BackoffDelay(policy, 1, kMost), Duration(1200));
  EXPECT_GE(BackoffDelay(policy, 1, kMost), Duration(1199));
  EXPECT_LE(BackoffDelay(policy, 50, kMost), Duration(72'000));
}

TEST(BackoffTest, JitterWordsDiffer) { EXPECT_NE(JitterWord(), JitterWord()); }

}  // namespace
}  // namespace certflow
