#include "controller/api/meta.h"

#include <gtest/gtest.h>

#include "tests/unit/api/samples.h"

namespace certflow::api {
namespace {

using From = AllowedNamespaces::From;
using Labels = std::map<std::string, std::string>;

TEST(ConditionTest, TheTransitionTimeMovesOnlyWithTheStatus) {
  WallTime first = At("2026-11-21T01:00:00Z");
  WallTime second = At("2026-11-21T02:00:00Z");
  std::vector<Condition> conditions;
  SetCondition(conditions, kReady, ConditionStatus::kTrue, "Issued", "one", 1, first);
  SetCondition(conditions, kReady, ConditionStatus::kTrue, "Renewed", "two", 2, second);
  ASSERT_EQ(conditions.size(), 1U);
  EXPECT_EQ(conditions[0].last_transition, first);
  EXPECT_EQ(conditions[0].reason, "Renewed");
  EXPECT_EQ(conditions[0].message, "two");
  EXPECT_EQ(conditions[0].observed_generation, 2);
  SetCondition(conditions, kReady, ConditionStatus::kFalse, "Expired", "three", 2, second);
  EXPECT_EQ(conditions[0].last_transition, second);
  EXPECT_EQ(conditions[0].status, ConditionStatus::kFalse);
}

TEST(ConditionTest, AreFoundAndRemovedByType) {
  std::vector<Condition> conditions;
  EXPECT_EQ(FindCondition(conditions, kReady), nullptr);
  RemoveCondition(conditions, kReady);
  SetCondition(conditions, kReady, ConditionStatus::kTrue, "A", "", 1, WallTime{});
  SetCondition(conditions, kStalled, ConditionStatus::kTrue, "B", "", 1, WallTime{});
  RemoveCondition(conditions, kReady);
  EXPECT_EQ(FindCondition(conditions, kReady), nullptr);
  ASSERT_NE(FindCondition(conditions, kStalled), nullptr);
  EXPECT_EQ(FindCondition(conditions, kStalled)->reason, "B");
}

struct AllowsCase {
  const char* name;
  AllowedNamespaces allowed;
  const char* other;
  const Labels* labels;
  bool allows;
};

AllowedNamespaces Selector(Labels labels, std::vector<LabelSelector::Expression> expressions) {
  return {From::kSelector, {std::move(labels), std::move(expressions)}};
}

TEST(AllowsTest, AnotherNamespaceNeedsPermission) {
  const Labels production = {{"stage", "production"}, {"team", "edge"}};
  const Labels none;
  const AllowsCase cases[] = {
      {"own namespace, nothing said", {}, "pki", &none, true},
      {"own namespace, selector that does not match", Selector({{"a", "b"}}, {}), "pki", &none,
       true},
      {"other namespace, Same", {From::kSame, {}}, "web", &production, false},
      {"other namespace, All", {From::kAll, {}}, "web", nullptr, true},
      {"label matches", Selector({{"stage", "production"}}, {}), "web", &production, true},
      {"label has another value", Selector({{"stage", "test"}}, {}), "web", &production, false},
      {"label is not there", Selector({{"zone", "a"}}, {}), "web", &production, false},
      {"one of two labels", Selector({{"stage", "production"}, {"team", "x"}}, {}), "web",
       &production, false},
      {"labels are not known", Selector({}, {}), "web", nullptr, false},
      {"empty selector", Selector({}, {}), "web", &none, true},
      {"In, among", Selector({}, {{"team", "In", {"a", "edge"}}}), "web", &production, true},
      {"In, not among", Selector({}, {{"team", "In", {"a"}}}), "web", &production, false},
      {"In, no label", Selector({}, {{"zone", "In", {"a"}}}), "web", &production, false},
      {"NotIn, among", Selector({}, {{"team", "NotIn", {"edge"}}}), "web", &production, false},
      {"NotIn, not among", Selector({}, {{"team", "NotIn", {"a"}}}), "web", &production, true},
      {"NotIn, no label: as in Kubernetes", Selector({}, {{"zone", "NotIn", {"a"}}}), "web",
       &production, true},
      {"Exists", Selector({}, {{"team", "Exists", {}}}), "web", &production, true},
      {"Exists, no label", Selector({}, {{"zone", "Exists", {}}}), "web", &production, false},
      {"DoesNotExist", Selector({}, {{"zone", "DoesNotExist", {}}}), "web", &production, true},
      {"DoesNotExist, label", Selector({}, {{"team", "DoesNotExist", {}}}), "web", &production,
       false},
      {"operator of a later version", Selector({}, {{"team", "Like", {"e"}}}), "web", &production,
       false},
      {"one of two expressions", Selector({}, {{"team", "Exists", {}}, {"zone", "Exists", {}}}),
       "web", &production, false},
      {"labels and expressions", Selector({{"stage", "production"}}, {{"team", "Exists", {}}}),
       "web", &production, true},
  };
  for (const AllowsCase& c : cases) {
    EXPECT_EQ(Allows(c.allowed, "pki", c.other, c.labels), c.allows) << c.name;
  }
}

}  // namespace
}  // namespace certflow::api
