#include "controller/runtime/health.h"

#include <gtest/gtest.h>

namespace certflow::runtime {
namespace {

TEST(HealthTest, WithoutChecksAllIsWell) {
  EXPECT_TRUE(Health().Run(Health::Probe::kLive).ok());
  EXPECT_EQ(Health().Run(Health::Probe::kLive).Text(), "");
}

TEST(HealthTest, EachProbeHasItsOwnChecksAndAFailureSaysWhy) {
  Health health;
  bool synced = false;
  health.Add(Health::Probe::kLive, "workers", [] { return Result<void>(); });
  health.Add(Health::Probe::kReady, "caches", [&]() -> Result<void> {
    if (synced) return {};
    return MakeError(ErrorCode::kUnavailable, "NotSynced", "workflows are\nnot listed yet");
  });
  EXPECT_TRUE(health.Run(Health::Probe::kLive).ok());
  const Health::Report report = health.Run(Health::Probe::kReady);
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.Text(), "[-]caches failed: workflows are?not listed yet\n");
  synced = true;
  EXPECT_EQ(health.Run(Health::Probe::kReady).Text(), "[+]caches ok\n");
}

TEST(HealthTest, CheckOfTheSameNameIsReplacedAndMayAddChecks) {
  Health health;
  health.Add(Health::Probe::kLive, "a",
             []() -> Result<void> { return MakeError(ErrorCode::kInternal, "Old", "old"); });
  health.Add(Health::Probe::kLive, "a", [&health]() -> Result<void> {
    health.Add(Health::Probe::kReady, "b", [] { return Result<void>(); });
    return {};
  });
  EXPECT_TRUE(health.Run(Health::Probe::kLive).ok());
  EXPECT_EQ(health.Run(Health::Probe::kReady).findings.size(), 1u);
}

}  // namespace
}  // namespace certflow::runtime
