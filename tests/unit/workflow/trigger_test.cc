#include "controller/workflow/trigger.h"

#include <gmock/gmock.h>

#include "tests/unit/workflow/build.h"

namespace certflow::workflow {
namespace {

using api::TriggerReason;
using api::Urgency;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

const hours kDay{24};

// ---- WhenToRenew

struct RenewalCase {
  const char* name;
  std::optional<seconds> before;
  std::optional<int> percent;
  seconds lifetime;
  seconds until_renewal;  // from notBefore
  bool cut;
};

// days before expiry, 15 where nothing is said, or a share of the lifetime.
TEST(WhenToRenewTest, FollowsTheThreshold) {
  const RenewalCase cases[] = {
      {"default", {}, {}, 90 * kDay, 75 * kDay, false},
      {"own days", 30 * kDay, {}, 90 * kDay, 60 * kDay, false},
      {"share of the lifetime", {}, 33, 100 * kDay, 67 * kDay, false},
      {"smallest share", {}, 1, 100 * kDay, 99 * kDay, false},
      {"largest share", {}, 90, 100 * kDay, 10 * kDay, false},
      {"share wins over days", 30 * kDay, 10, 100 * kDay, 90 * kDay, false},
      {"one second shorter than the lifetime",
       90 * kDay - seconds(1),
       {},
       90 * kDay,
       seconds(1),
       false},
      {"as long as the lifetime", 90 * kDay, {}, 90 * kDay, 60 * kDay, true},
      {"longer than the lifetime", 365 * kDay, {}, 90 * kDay, 60 * kDay, true},
      {"default for a certificate of six days", {}, {}, 6 * kDay, 4 * kDay, true},
      {"default for one of 15 days", {}, {}, 15 * kDay, 10 * kDay, true},
      {"no lifetime at all", {}, {}, seconds(0), seconds(0), true},
  };
  WallTime not_before = At("2026-01-01T00:00:00Z");
  for (const RenewalCase& c : cases) {
    api::WorkflowSpec spec = SmallSpec();
    spec.renew_before = c.before;
    spec.renew_before_percent = c.percent;
    RenewalTime when = WhenToRenew(spec, not_before, not_before + c.lifetime);
    EXPECT_EQ(when.at, not_before + c.until_renewal) << c.name;
    EXPECT_EQ(when.cut, c.cut) << c.name;
  }
}

// ---- Decide

// A certificate of 90 days, of which 40 are over, as wanted; nothing is due.
struct World {
  api::WorkflowSpec spec = SmallSpec();
  api::WorkflowStatus status;
  std::string wanted = "sha256:wanted";
  std::string renew, changed_by;
  bool proved = false;
  FailedRuns failed;
  WallTime now = At("2026-11-21T00:00:00Z");

  World() {
    status.certificate.emplace();
    status.certificate->not_before = now - 40 * kDay;
    status.certificate->not_after = now + 50 * kDay;
    status.spec_digest = wanted;
  }
  void ExpireIn(seconds left) {
    status.certificate->not_after = now + left;
    status.certificate->not_before = now + left - 90 * kDay;
  }
  TriggerVerdict Decide() const {
    return workflow::Decide({spec, status, wanted, renew, changed_by, proved, failed, now});
  }
};

const api::Trigger* Started(const TriggerVerdict& verdict) {
  const auto* start = std::get_if<Start>(&verdict);
  return start == nullptr ? nullptr : &start->trigger;
}

struct StartCase {
  const char* name;
  void (*change)(World&);
  TriggerReason reason;
  Urgency urgency;
};

// threshold, expiry, first issue, change of what is wanted, request. R-33: urgency.
TEST(DecideTest, StartsARunFor) {
  const StartCase cases[] = {
      {"no certificate yet", [](World& w) { w.status.certificate.reset(); },
       TriggerReason::kFirstIssue, Urgency::kNormal},
      {"the instant of the threshold", [](World& w) { w.ExpireIn(15 * kDay); },
       TriggerReason::kThreshold, Urgency::kNormal},
      {"past the threshold", [](World& w) { w.ExpireIn(14 * kDay); }, TriggerReason::kThreshold,
       Urgency::kNormal},
      {"exactly a day left", [](World& w) { w.ExpireIn(kDay); }, TriggerReason::kThreshold,
       Urgency::kNormal},
      {"less than a day left", [](World& w) { w.ExpireIn(kDay - seconds(1)); },
       TriggerReason::kThreshold, Urgency::kEmergency},
      {"a second left", [](World& w) { w.ExpireIn(seconds(1)); }, TriggerReason::kThreshold,
       Urgency::kEmergency},
      {"the instant of expiry", [](World& w) { w.ExpireIn(seconds(0)); }, TriggerReason::kExpired,
       Urgency::kEmergency},
      {"expired for long", [](World& w) { w.ExpireIn(-100 * kDay); }, TriggerReason::kExpired,
       Urgency::kEmergency},
      {"another certificate is wanted", [](World& w) { w.wanted = "sha256:other"; },
       TriggerReason::kSpecChanged, Urgency::kNormal},
      {"another is wanted and it has expired",
       [](World& w) { w.wanted = "sha256:other", w.ExpireIn(-kDay); }, TriggerReason::kSpecChanged,
       Urgency::kEmergency},
      {"asked for", [](World& w) { w.renew = "now by dora"; }, TriggerReason::kRequested,
       Urgency::kNormal},
      {"asked for in the last hours",
       [](World& w) { w.renew = "now by dora", w.ExpireIn(hours(3)); }, TriggerReason::kRequested,
       Urgency::kEmergency},
      {"asked for before the first certificate",
       [](World& w) { w.renew = "now by dora", w.status.certificate.reset(); },
       TriggerReason::kRequested, Urgency::kNormal},
      {"asked for with policy OnRequest",
       [](World& w) { w.renew = "now by dora", w.spec.renew_automatically = false; },
       TriggerReason::kRequested, Urgency::kNormal},
      {"a new request after an old one",
       [](World& w) { w.renew = "again by dora", w.status.handled_renewal = "now by dora"; },
       TriggerReason::kRequested, Urgency::kNormal},
  };
  for (const StartCase& c : cases) {
    World world;
    c.change(world);
    TriggerVerdict verdict = world.Decide();
    const api::Trigger* trigger = Started(verdict);
    ASSERT_NE(trigger, nullptr) << c.name;
    EXPECT_EQ(trigger->reason, c.reason) << c.name;
    EXPECT_EQ(trigger->urgency, c.urgency) << c.name;
  }
}

struct IdleCase {
  const char* name;
  void (*change)(World&);
  bool has_until;
};

TEST(DecideTest, RestsWhen) {
  const IdleCase cases[] = {
      {"nothing is due", [](World&) {}, true},
      {"a second before the threshold", [](World& w) { w.ExpireIn(15 * kDay + seconds(1)); }, true},
      {"the request was handled",
       [](World& w) { w.renew = w.status.handled_renewal = "now by dora"; }, true},
      {"suspended and expired", [](World& w) { w.spec.suspend = true, w.ExpireIn(-kDay); }, false},
      {"suspended and asked for", [](World& w) { w.spec.suspend = true, w.renew = "now by dora"; },
       false},
      {"policy OnRequest, expired",
       [](World& w) { w.spec.renew_automatically = false, w.ExpireIn(-kDay); }, false},
      {"policy OnRequest, no certificate",
       [](World& w) { w.spec.renew_automatically = false, w.status.certificate.reset(); }, false},
      {"failed runs do not matter when nothing is due",
       [](World& w) { w.failed = {3, w.now, "Unavailable"}; }, true},
  };
  for (const IdleCase& c : cases) {
    World world;
    c.change(world);
    TriggerVerdict verdict = world.Decide();
    ASSERT_TRUE(std::holds_alternative<Idle>(verdict)) << c.name;
    auto until = std::get<Idle>(verdict).until;
    EXPECT_EQ(until.has_value(), c.has_until) << c.name;
    if (until) {
      EXPECT_EQ(*until, world.status.certificate->not_after - 15 * kDay) << c.name;
    }
  }
}

// the request is kept as it was written, on one line and bounded; R-12: once per value.
TEST(DecideTest, ARequestIsKeptAndCountsOnceAlsoWhenItIsLong) {
  World world;
  world.renew = "line\n" + std::string(1000, 'x');
  TriggerVerdict verdict = world.Decide();
  ASSERT_NE(Started(verdict), nullptr);
  EXPECT_EQ(Started(verdict)->payload.size(), 256U);
  EXPECT_EQ(Started(verdict)->payload.find('\n'), std::string::npos);
  world.status.handled_renewal = Started(verdict)->payload;
  EXPECT_TRUE(std::holds_alternative<Idle>(world.Decide()));
}

struct RequesterCase {
  const char* name;
  void (*change)(World&);
  const char* requester;
};

// a name counts as who asked only while the admission policy proves it.
TEST(DecideTest, TheRequesterIsNamedOnlyWhenProved) {
  const RequesterCase cases[] = {
      {"request, proved", [](World& w) { w.renew = "now by dora", w.proved = true; }, "dora"},
      {"request, not proved", [](World& w) { w.renew = "now by dora"; }, ""},
      {"change, proved", [](World& w) { w.wanted = "x", w.changed_by = "emil", w.proved = true; },
       "emil"},
      {"change, not proved", [](World& w) { w.wanted = "x", w.changed_by = "emil"; }, ""},
      {"first issue, proved",
       [](World& w) { w.status.certificate.reset(), w.changed_by = "emil", w.proved = true; },
       "emil"},
      {"threshold: nobody caused it",
       [](World& w) { w.ExpireIn(kDay), w.changed_by = "emil", w.proved = true; }, ""},
      {"expiry: nobody caused it",
       [](World& w) { w.ExpireIn(-kDay), w.changed_by = "emil", w.proved = true; }, ""},
  };
  for (const RequesterCase& c : cases) {
    World world;
    c.change(world);
    TriggerVerdict verdict = world.Decide();
    ASSERT_NE(Started(verdict), nullptr) << c.name;
    EXPECT_EQ(Started(verdict)->requested_by, c.requester) << c.name;
  }
}

TEST(RequesterOfTest, IsTheLastName) {
  const std::pair<const char*, const char*> cases[] = {
      {"now by dora", "dora"},
      {"now by dora in edge", "dora"},
      {"asked by emil by dora", "dora"},
      {"by dora", ""},
      {"now", ""},
      {"", ""},
      {"now by ", ""},
      {"stand by", ""},
      {"now by system:serviceaccount:ci:bot", "system:serviceaccount:ci:bot"},
  };
  for (const auto& [text, user] : cases) EXPECT_EQ(RequesterOf(text), user) << text;
}

// ---- after failures

struct RetryCase {
  const char* name;
  int consecutive;
  const char* reason;
  seconds wait;
};

TEST(DecideTest, AfterFailedRunsTheNextOneWaitsLongerAndLonger) {
  const RetryCase cases[] = {
      {"first", 1, "Unavailable", minutes(10)},
      {"second", 2, "Unavailable", minutes(20)},
      {"third", 3, "Unavailable", minutes(40)},
      {"sixth", 6, "Unavailable", minutes(320)},
      {"seventh: at most six hours", 7, "Unavailable", hours(6)},
      {"a thousandth", 1000, "Unavailable", hours(6)},
      {"rejected", 1, "ApprovalRejected", hours(24)},
      {"nobody answered", 5, "ApprovalTimedOut", hours(24)},
  };
  for (const RetryCase& c : cases) {
    World world;
    world.ExpireIn(kDay * 2);
    world.failed = {c.consecutive, world.now, c.reason};
    WallTime ended = world.now;
    world.now = ended + c.wait - seconds(1);
    TriggerVerdict verdict = world.Decide();
    const auto* halted = std::get_if<Halted>(&verdict);
    ASSERT_NE(halted, nullptr) << c.name;
    EXPECT_EQ(halted->reason, "RetryLater") << c.name;
    EXPECT_EQ(halted->until, ended + c.wait) << c.name;
    EXPECT_THAT(halted->message, HasSubstr(c.reason)) << c.name;
    EXPECT_THAT(halted->message, HasSubstr(FormatTime(ended + c.wait))) << c.name;
    EXPECT_THAT(halted->message, HasSubstr(c.consecutive == 1 ? "1 run did" : " runs did"));
    world.now = ended + c.wait;
    EXPECT_NE(Started(world.Decide()), nullptr) << c.name << ": the instant it ends";
  }
}

TEST(DecideTest, ARequestDoesNotWaitForFailures) {
  World world;
  world.failed = {3, world.now, "ApprovalRejected"};
  world.renew = "now by dora";
  EXPECT_NE(Started(world.Decide()), nullptr);
}

// ---- the breaker

struct BreakerCase {
  const char* name;
  std::vector<hours> ago;
  bool open;
};

TEST(DecideTest, ThreeIssuancesWithinADayStopTheWorkflow) {
  const BreakerCase cases[] = {
      {"none", {}, false},
      {"two", {hours(1), hours(2)}, false},
      {"three", {hours(1), hours(2), hours(23)}, true},
      {"in any order", {hours(23), hours(1), hours(2)}, true},
      {"the third is exactly a day old", {hours(1), hours(2), hours(24)}, false},
      {"the third is older", {hours(1), hours(2), hours(30)}, false},
      {"many", {hours(1), hours(2), hours(3), hours(4), hours(5)}, true},
  };
  for (const BreakerCase& c : cases) {
    World world;
    world.ExpireIn(kDay * 2);
    for (hours ago : c.ago) world.status.issuances.push_back(world.now - ago);
    TriggerVerdict verdict = world.Decide();
    EXPECT_EQ(std::holds_alternative<Halted>(verdict), c.open) << c.name;
    if (c.open) {
      EXPECT_EQ(std::get<Halted>(verdict).reason, "ReissueBreaker") << c.name;
    }
  }
}

TEST(DecideTest, TheBreakerClosesWhenTheOldestOfThreeIsADayOldOrAPersonAsks) {
  World world;
  world.ExpireIn(-kDay);
  WallTime now = world.now;
  world.status.issuances = {now - hours(5), now - hours(1), now - hours(2), now - hours(3)};
  TriggerVerdict verdict = world.Decide();
  ASSERT_TRUE(std::holds_alternative<Halted>(verdict));
  EXPECT_EQ(std::get<Halted>(verdict).until, now + hours(21)) << "the third newest counts";
  EXPECT_THAT(std::get<Halted>(verdict).message, HasSubstr("certflow.dev/renew"));
  world.now = now + hours(21) - seconds(1);
  EXPECT_TRUE(std::holds_alternative<Halted>(world.Decide()));
  world.now = now + hours(21);
  EXPECT_NE(Started(world.Decide()), nullptr);
  world.now = now;
  world.renew = "I know by dora";
  EXPECT_NE(Started(world.Decide()), nullptr);
}

// what a person took back is not undone by the threshold, but by need or by request.
TEST(DecideTest, AfterARollbackTheThresholdAloneStartsNothing) {
  World world;
  world.ExpireIn(10 * kDay);
  ASSERT_NE(Started(world.Decide()), nullptr) << "below the threshold of 15 days";
  world.status.rolled_back_at = world.now;
  EXPECT_TRUE(std::holds_alternative<Idle>(world.Decide()));
  EXPECT_EQ(std::get<Idle>(world.Decide()).until, world.status.certificate->not_after - kDay);
  world.renew = "now by dora";
  EXPECT_NE(Started(world.Decide()), nullptr);
  world.renew.clear();
  world.ExpireIn(kDay - minutes(1));
  EXPECT_NE(Started(world.Decide()), nullptr) << "it must not end";
  world.status.certificate.reset();
  EXPECT_TRUE(std::holds_alternative<Idle>(world.Decide())) << "it was taken away on purpose";
}

}  // namespace
}  // namespace certflow::workflow
