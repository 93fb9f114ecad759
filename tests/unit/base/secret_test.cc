#include "controller/base/secret.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace certflow {
namespace {

static_assert(!std::is_copy_constructible_v<SecretBytes>);
static_assert(!std::is_copy_assignable_v<SecretBytes>);

TEST(SecretBytesTest, MovesLeaveNothingBehind) {
  SecretBytes first("hunter2");
  SecretBytes second(std::move(first));
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): this is the promise
  EXPECT_EQ(second.Reveal(), "hunter2");
  SecretBytes third("old");
  third = std::move(second);
  EXPECT_EQ(third.Reveal(), "hunter2");
  EXPECT_EQ(third.Clone().Reveal(), "hunter2");
}

TEST(SecretBytesTest, TakeWipesTheSource) {
  std::string text = "short";  // lives inside the string object
  const char* inside = text.data();
  const SecretBytes secret = SecretBytes::Take(std::move(text));
  EXPECT_EQ(secret.Reveal(), "short");
  EXPECT_EQ(std::string_view(inside, 5), std::string_view("\0\0\0\0\0", 5));
}

TEST(SecretBytesTest, WipeStringOverwritesTheWholeBuffer) {
  std::string text(100, 'x');
  const char* data = text.data();
  WipeString(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(data, text.data());
  for (std::size_t i = 0; i < 100; ++i) ASSERT_EQ(data[i], '\0');
}

TEST(SecretEqualsTest, ComparesContents) {
  EXPECT_TRUE(SecretEquals("abc", "abc"));
  EXPECT_TRUE(SecretEquals({}, ""));
  EXPECT_FALSE(SecretEquals("abc", "abd"));
  EXPECT_FALSE(SecretEquals("abc", "ab"));
}

}  // namespace
}  // namespace certflow
