#include "controller/base/error.h"

#include <gtest/gtest.h>

namespace certflow {
namespace {

TEST(SanitizeTest, KeepsWhatIsPrintable) {
  EXPECT_EQ(Sanitize("plain text"), "plain text");
  EXPECT_EQ(Sanitize("İstanbul \xF0\x9F\x94\x92"), "İstanbul \xF0\x9F\x94\x92");
}

struct SanitizeCase {
  const char* name;
  std::string_view text;
  const char* clean;
};

TEST(SanitizeTest, ReplacesWhatCouldForgeALineOrIsNotText) {
  const SanitizeCase cases[] = {
      {"newlines", "a\r\nb", "a??b"},
      {"NUL", std::string_view("a\0b", 3), "a?b"},
      {"escape sequence", "\x1b[31m", "?[31m"},
      {"DEL", "\x7f", "?"},
      {"C1 control", "\xC2\x85", "?"},
      {"line separator", "\xE2\x80\xA8", "?"},
      {"direction override", "\xE2\x80\xAE", "?"},
      {"lone continuation byte", "\x80", "?"},
      {"overlong slash", "\xC0\xAF", "??"},
      {"surrogate", "\xED\xA0\x80", "???"},
      {"above U+10FFFF", "\xF4\x90\x80\x80", "????"},
      {"cut character", "ab\xE2\x82", "ab??"},
      {"empty", "", ""},
  };
  for (const auto& c : cases) EXPECT_EQ(Sanitize(c.text), c.clean) << c.name;
}

TEST(SanitizeTest, CutsOnACharacterBoundaryAtTheLimit) {
  EXPECT_EQ(Sanitize("12345678", 8), "12345678");
  EXPECT_EQ(Sanitize("123456789", 8), "12345...");
  // The euro sign takes three bytes and would be split at five.
  EXPECT_EQ(Sanitize("1234\xE2\x82\xAC"
                     "56789",
                     8),
            "1234...");
  EXPECT_EQ(Sanitize("1234", 2), "..");
  EXPECT_EQ(Sanitize(std::string(5000, 'x')).size(), kMaxMessageBytes);
}

TEST(ErrorTest, RetryFollowsFromTheCode) {
  EXPECT_EQ(MakeError(ErrorCode::kUnknownOutcome, "Lost", "m").retry, Retry::kBackoff);
  EXPECT_EQ(MakeError(ErrorCode::kConflict, "Lost", "m").retry, Retry::kBackoff);
  EXPECT_EQ(MakeError(ErrorCode::kInvalid, "Bad", "m").retry, Retry::kNever);
  EXPECT_EQ(MakeError(ErrorCode::kCancelled, "Cancelled", "m").retry, Retry::kNever);
  const Error later = MakeErrorAfter(ErrorCode::kRateLimited, "TooMany", "m", Duration(2000));
  EXPECT_EQ(later.retry, Retry::kAfter);
  EXPECT_EQ(later.retry_after, Duration(2000));
}

TEST(ErrorTest, AnnotateSaysWhatWasDoneAndKeepsTheRest) {
  const Error error = Annotate(MakeError(ErrorCode::kRefused, "No", "said\nno"), "activate");
  EXPECT_EQ(error.message, "activate: said?no");
  EXPECT_EQ(error.reason, "No");
  EXPECT_EQ(error.code, ErrorCode::kRefused);
}

TEST(ErrorTest, TroubleIsTheApiServersOrThePartysAndNeverAnAnswerForGood) {
  Error error = MakeError(ErrorCode::kUnavailable, "Down", "no answer");
  EXPECT_TRUE(IsPartyTrouble(error));
  EXPECT_FALSE(IsApiServerTrouble(error));
  error.origin = Origin::kApiServer;
  EXPECT_FALSE(IsPartyTrouble(error));
  EXPECT_TRUE(IsApiServerTrouble(error));
  EXPECT_TRUE(IsApiServerTrouble(Annotate(error, "step")));
  for (ErrorCode code : {ErrorCode::kForbidden, ErrorCode::kNotFound, ErrorCode::kInvalid}) {
    error.code = code;
    EXPECT_FALSE(IsApiServerTrouble(error)) << ErrorCodeName(code);
    EXPECT_FALSE(IsPartyTrouble(error)) << ErrorCodeName(code);
  }
}

}  // namespace
}  // namespace certflow
