#include <gmock/gmock.h>

#include "controller/workflow/approval.h"
#include "tests/unit/workflow/build.h"

namespace certflow::workflow {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kFor = " for " + std::string(kDigest);

// what people write.
TEST(ParseDecisionTest, ReadsEachPart) {
  auto written = ParseDecision(
      "renewal by dora@example.com in edge,cab" + kFor + " because CHG0031337 is in order", false);
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_EQ(written->run, "");
  EXPECT_EQ(written->gate, "renewal");
  EXPECT_EQ(written->user, "dora@example.com");
  EXPECT_THAT(written->groups, ElementsAre("edge", "cab"));
  EXPECT_EQ(written->digest, kDigest);
  EXPECT_EQ(written->reason, "CHG0031337 is in order");
}

TEST(ParseDecisionTest, OnAWorkflowTheRunIsNamedAsPeopleSeeIt) {
  for (const char* run : {"st-0b6c4befb1", "ST-0b6c4befb1"}) {
    auto written = ParseDecision(std::string(run) + " deployment by dora", true);
    ASSERT_TRUE(written.ok()) << written.error().message;
    EXPECT_EQ(written->run, "st-0b6c4befb1");
    EXPECT_EQ(written->gate, "deployment");
    EXPECT_THAT(written->groups, IsEmpty());
  }
}

struct GoodCase {
  const char* name;
  std::string text;
};

TEST(ParseDecisionTest, PartsMayBeLeftOut) {
  const GoodCase cases[] = {
      {"gate and user", "renewal by dora"},
      {"rollback", "rollback by dora"},
      {"groups", "deployment by dora in edge"},
      {"digest", "renewal by dora" + kFor},
      {"reason", "renewal by dora because yes"},
      {"groups and reason", "renewal by dora in edge because yes"},
      {"digest and reason", "renewal by dora" + kFor + " because yes"},
      {"a service account", "renewal by system:serviceaccount:ci:bot"},
      {"a user called by", "renewal by by"},
      {"a reason with the words of the grammar", "renewal by dora because in for by because"},
      {"a reason in another script", "renewal by dora because uygun görüldü"},
  };
  for (const GoodCase& c : cases) EXPECT_TRUE(ParseDecision(c.text, false).ok()) << c.name;
}

struct BadCase {
  const char* name;
  bool on_workflow;
  std::string text;
  const char* says;
};

// the parser takes what the admission policy lets through and nothing else.
TEST(ParseDecisionTest, RefusesWhatIsNotADecision) {
  const BadCase cases[] = {
      {"empty", false, "", "the gate is not named"},
      {"yes", false, "yes", "the gate is not named"},
      {"another gate", false, "delivery by dora", "the gate is not named"},
      {"capitals", false, "Renewal by dora", "the gate is not named"},
      {"leading blank", false, " renewal by dora", "the gate is not named"},
      {"gate alone", false, "renewal", "\"by USER\" is missing"},
      {"no by", false, "renewal dora", "\"by USER\" is missing"},
      {"two blanks", false, "renewal  by dora", "\"by USER\" is missing"},
      {"by nobody", false, "renewal by", "the user is not named"},
      {"by a blank", false, "renewal by ", "the user is not named"},
      {"two blanks before the user", false, "renewal by  dora", "the user is not named"},
      {"two users in one", false, "renewal by dora,emil", "the user is not named"},
      {"two users", false, "renewal by dora emil", "\"emil\" is not understood"},
      {"two blanks after the user", false, "renewal by dora  in edge", "\"\" is not understood"},
      {"trailing blank", false, "renewal by dora ", "\"\" is not understood"},
      {"in nothing", false, "renewal by dora in", "no group is named"},
      {"in a blank", false, "renewal by dora in ", "no group is named"},
      {"an empty group", false, "renewal by dora in edge,,cab", "no group is named"},
      {"a comma first", false, "renewal by dora in ,edge", "no group is named"},
      {"a comma last", false, "renewal by dora in edge,", "no group is named"},
      {"groups twice: the policy proves one claim", false, "renewal by dora in edge in cab",
       "\"in\" is not understood"},
      {"groups after the digest", false, "renewal by dora" + kFor + " in cab",
       "\"in\" is not understood"},
      {"digest twice", false, "renewal by dora" + kFor + kFor, "\"for\" is not understood"},
      {"no digest", false, "renewal by dora for", "\"for\" names no digest"},
      {"half a digest", false, "renewal by dora for sha256:0123", "\"for\" names no digest"},
      {"another hash", false, "renewal by dora for md5:" + std::string(64, 'a'), "names no digest"},
      {"capital digits", false, "renewal by dora for sha256:" + std::string(64, 'A'),
       "names no digest"},
      {"no reason", false, "renewal by dora because", "no reason follows"},
      {"an empty reason", false, "renewal by dora because ", "no reason follows"},
      {"a second line", false, "renewal by dora\nrenewal by emil", "not one line"},
      {"a tab that looks like a blank", false, "renewal by dora\tin cab", "not one line"},
      {"a carriage return", false, "renewal by dora\rin cab", "not one line"},
      {"a NUL", false, std::string("renewal by dora\0", 16), "not one line"},
      {"a line break in the reason", false, "renewal by dora because a\nb", "not one line"},
      {"run on a run", false, "st-0b6c4befb1 renewal by dora", "the gate is not named"},
      {"no run on a workflow", true, "renewal by dora", "the run is not named"},
      {"another object", true, "www renewal by dora", "the run is not named"},
      {"nothing on a workflow", true, "", "the run is not named"},
      {"run alone", true, "st-0b6c4befb1", "the gate is not named"},
      {"run and user", true, "st-0b6c4befb1 by dora", "the gate is not named"},
  };
  for (const BadCase& c : cases) {
    auto written = ParseDecision(c.text, c.on_workflow);
    ASSERT_FALSE(written.ok()) << c.name;
    EXPECT_EQ(written.error().reason, "DecisionMalformed") << c.name;
    EXPECT_THAT(written.error().message, HasSubstr(c.says)) << c.name;
    EXPECT_THAT(written.error().message,
                HasSubstr(c.on_workflow ? "write 'RUN GATE by USER" : "write 'GATE by USER"))
        << c.name;
  }
}

TEST(ParseDecisionTest, ALengthBeyondThatOfThePolicyIsRefused) {
  const std::string head = "renewal by dora because ";
  auto at_limit = ParseDecision(head + std::string(kMaxDecisionBytes - head.size(), 'x'), false);
  ASSERT_TRUE(at_limit.ok());
  EXPECT_EQ(at_limit->reason.size(), 256U) << "cut for status";
  auto beyond = ParseDecision(head + std::string(kMaxDecisionBytes - head.size() + 1, 'x'), false);
  ASSERT_FALSE(beyond.ok());
  EXPECT_THAT(beyond.error().message, HasSubstr("too long"));
}

TEST(ParseDecisionTest, WhatIsNotUnderstoodIsQuotedShortAndClean) {
  auto written = ParseDecision("renewal by dora " + std::string(300, 'x') + "\xff", false);
  ASSERT_FALSE(written.ok());
  EXPECT_LT(written.error().message.size(), 300U);
}

}  // namespace
}  // namespace certflow::workflow
