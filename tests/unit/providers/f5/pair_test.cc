#include <gtest/gtest.h>

#include "providers/targets/f5/devices.h"
#include "providers/targets/f5/view.h"

namespace certflow::providers::f5 {
namespace {

using std::chrono::seconds;

class PairTest : public testing::Test {
 protected:
  const SteadyTime now_{};
  Pair pair_{{}};
};

// somebody asks, another one writes meanwhile, and the answer is from before.
TEST_F(PairTest, AStatusFromBeforeAChangeDoesNotMakeTheChangeSomebodyElses) {
  const std::uint64_t asked = pair_.changes();
  pair_.NoteChange(now_);
  pair_.NoteStatus("In Sync", asked, now_);
  EXPECT_TRUE(pair_.changed_by_us());
  EXPECT_FALSE(pair_.status(now_));
  pair_.NoteStatus("In Sync", pair_.changes(), now_);
  EXPECT_FALSE(pair_.changed_by_us());
}

// many that wait for one sync ask once.
TEST_F(PairTest, AStatusIsSharedForAShortTimeAndUntilSomethingIsDone) {
  pair_.NoteStatus("Changes Pending", pair_.changes(), now_);
  EXPECT_EQ(pair_.status(now_ + seconds(1)), "Changes Pending");
  EXPECT_FALSE(pair_.status(now_ + Pair::kStatusLife));
  pair_.NoteSync(now_);
  EXPECT_FALSE(pair_.status(now_ + seconds(1)));
  pair_.NoteStatus("Changes Pending", pair_.changes(), now_);
  pair_.NoteChange(now_);
  EXPECT_FALSE(pair_.status(now_ + seconds(1)));
}

TEST_F(PairTest, TheTimeSinceWeDidSomethingCountsFromTheLastChangeOrSync) {
  EXPECT_FALSE(pair_.idle_for(now_));
  pair_.NoteChange(now_);
  EXPECT_EQ(pair_.idle_for(now_ + seconds(5)), seconds(5));
  pair_.NoteSync(now_ + seconds(4));
  EXPECT_EQ(pair_.idle_for(now_ + seconds(5)), seconds(1));
}

// what one unit was given is not what the other one has.
TEST_F(PairTest, WhatWaitsForASyncIsForgottenWhenAnotherUnitIsActive) {
  pair_.SetActive(0);
  pair_.NoteWaiting("www", std::make_shared<const View>(), now_);
  EXPECT_TRUE(pair_.waiting("www", now_));
  pair_.SetActive(std::nullopt);
  EXPECT_FALSE(pair_.waiting("www", now_));
  pair_.SetActive(1);
  EXPECT_FALSE(pair_.waiting("www", now_));
}

TEST_F(PairTest, WhatWaitsForASyncIsBoundedInTimeAndNumber) {
  const auto view = std::make_shared<const View>();
  for (std::size_t i = 0; i <= Pair::kMaxWaiting; ++i) {
    pair_.NoteWaiting(std::to_string(i), view, now_);
  }
  EXPECT_TRUE(pair_.waiting("0", now_));
  EXPECT_FALSE(pair_.waiting(std::to_string(Pair::kMaxWaiting), now_));
  pair_.ForgetWaiting("0");
  EXPECT_FALSE(pair_.waiting("0", now_));
  const SteadyTime later = now_ + Pair::kWaitingLife;
  EXPECT_FALSE(pair_.waiting("1", later));
  pair_.NoteWaiting("new", view, later);
  EXPECT_TRUE(pair_.waiting("new", later)) << "what is too old makes room";
}

}  // namespace
}  // namespace certflow::providers::f5
