// JudgeSwitch: when a switch is over, and when waiting for it is.
#include <gtest/gtest.h>

#include "controller/steps/target_access.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/unit/steps/device_target.h"

namespace certflow::steps {
namespace {

using std::chrono::minutes;
using workflow::Done;
using workflow::InProgress;
using workflow::Needed;

class SettlingTest : public testing::Test {
 protected:
  SettlingTest() {
    state_.active = "st-2";
    state_.settling = "config-sync to dg: Changes Pending";
    NoteActivated(memo_, clock_.Now());
  }
  Result<workflow::Observation> Judge() {
    return JudgeSwitch({clock_}, target_, state_, memo_, "st-2");
  }
  bool Waits() {
    const auto judged = Judge();
    return judged.ok() && std::holds_alternative<InProgress>(*judged);
  }

  fakes::SimulatedClock clock_;
  Device device_;
  DeviceTarget target_{device_};  // has to be told the way back
  seams::TargetState state_;
  workflow::StepMemo memo_;
};

TEST_F(SettlingTest, ASwitchThatHasSettledIsDone) {
  state_.settling.clear();
  const auto judged = Judge();
  ASSERT_TRUE(judged.ok());
  EXPECT_TRUE(std::holds_alternative<Done>(*judged));
}

TEST_F(SettlingTest, ActivateIsCalledUntilItHasReturnedSuccess) {
  state_.settling.clear();
  memo_.clear();
  const auto judged = Judge();
  ASSERT_TRUE(judged.ok());
  EXPECT_TRUE(std::holds_alternative<Needed>(*judged));
}

TEST_F(SettlingTest, WaitingEndsAtTheLimit) {
  clock_.Advance(kSettleLimit - minutes(1));
  EXPECT_TRUE(Waits());
  clock_.Advance(minutes(1));
  const auto judged = Judge();
  ASSERT_FALSE(judged.ok());
  EXPECT_EQ(judged.error().reason, "NotSettled");
  EXPECT_EQ(judged.error().code, ErrorCode::kRefused);
}

// Others went on changing the pair after our switch: it counts from their last change.
TEST_F(SettlingTest, WaitingCountsFromTheLastChangeOfWhomeverThere) {
  clock_.Advance(kSettleLimit + minutes(5));
  state_.idle_for = minutes(10);
  const auto judged = Judge();
  ASSERT_TRUE(judged.ok()) << judged.error().message;
  ASSERT_TRUE(std::holds_alternative<InProgress>(*judged));
  EXPECT_EQ(std::get<InProgress>(*judged).until, clock_.Now() - minutes(10) + kSettleLimit);
  state_.idle_for = kSettleLimit;
  EXPECT_FALSE(Judge().ok());
}

// A change before our switch takes nothing from its time.
TEST_F(SettlingTest, AnOlderChangeDoesNotShortenIt) {
  state_.idle_for = kSettleLimit * 2;
  EXPECT_TRUE(Waits());
}

}  // namespace
}  // namespace certflow::steps
