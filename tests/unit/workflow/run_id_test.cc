#include "controller/workflow/run_id.h"

#include <gmock/gmock.h>

#include <set>

namespace certflow::workflow {
namespace {

// Whoever makes the run makes the same object; the schema asks for this form.
TEST(RunNameTest, FollowsFromWorkflowAndNumber) {
  const std::string uid = "b1c7f2f0-93c6-4d51-9f2c-6a1fb5a3b9d1";
  EXPECT_EQ(RunName(uid, 1), RunName(uid, 1));
  EXPECT_THAT(RunName(uid, 1), ::testing::MatchesRegex("st-[0-9a-f]{10}"));
  EXPECT_EQ(RunName("uid", 7), "st-f34961d3c6");
}

TEST(RunNameTest, DiffersByWorkflowAndNumber) {
  std::set<std::string> names;
  for (const char* uid : {"a", "b", "a/1", ""}) {
    for (int number = 1; number <= 50; ++number) names.insert(RunName(uid, number));
  }
  EXPECT_EQ(names.size(), 200U);
}

TEST(RunNameTest, IsShownAndTypedInCapitals) {
  EXPECT_EQ(DisplayRunName("st-0b6c4befb1"), "ST-0b6c4befb1");
  EXPECT_EQ(CanonicalRunName("ST-0b6c4befb1"), "st-0b6c4befb1");
  EXPECT_EQ(CanonicalRunName("st-0b6c4befb1"), "st-0b6c4befb1");
  EXPECT_EQ(CanonicalRunName(DisplayRunName(RunName("uid", 7))), RunName("uid", 7));
  for (const char* other : {"", "st", "St-1", "www"}) {
    EXPECT_EQ(DisplayRunName(other), other);
    EXPECT_EQ(CanonicalRunName(other), other);
  }
}

}  // namespace
}  // namespace certflow::workflow
