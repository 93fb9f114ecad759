// An API server that does not serve: that is not the target's fault, nor the authority's, so no
// attempt of a step is used up, and nobody is told that something of theirs is broken.
#include <atomic>

#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

using fakes::InterceptedRequest;
using fakes::Interception;

class ApiServerTroubleTest : public ReconcileTest {
 protected:
  using Kind = Interception::Kind;
  // What an API server, or what stands before it, answers when it cannot serve.
  static std::vector<Interception> Troubles() {
    auto status = [](int code, const char* reason) {
      return json{{"kind", "Status"}, {"apiVersion", "v1"},   {"status", "Failure"},
                  {"reason", reason}, {"message", "trouble"}, {"code", code}}
          .dump();
    };
    return {{Kind::kAnswer, 503, status(503, "ServiceUnavailable"), 0},
            {Kind::kAnswer, 500, status(500, "InternalError"), 0},
            {Kind::kAnswer, 429, status(429, "TooManyRequests"), 1},
            {Kind::kAnswer, 409, status(409, "Conflict"), 0},
            {Kind::kAnswer, 401, status(401, "Unauthorized"), 0},
            {Kind::kAnswer, 401, status(401, "Unauthorized"), 0},
            {Kind::kAnswerAfter, 504, "upstream timed out", 0},
            {Kind::kFailBefore, 0, "", 0},
            {Kind::kFailAfter, 0, "", 0}};
  }
  static bool IsWrite(const InterceptedRequest& request) {
    return request.verb == "create" || request.verb == "update";
  }
  int Attempts() const {
    int attempts = 0;
    const json ledger = RunStatus().value("ledger", json::array());
    for (const json& entry : ledger) attempts += entry.value("attempts", 0);
    return attempts;
  }
};

TEST_F(ApiServerTroubleTest, UsesUpNoAttemptOfAStep) {
  StartWithCa();
  const auto troubles = Troubles();
  std::atomic<std::size_t> reads{0}, writes{0};
  world.api.Intercept([&](const InterceptedRequest& request) {
    if (request.resource != "secrets") return Interception();
    std::atomic<std::size_t>& met = IsWrite(request) ? writes : reads;
    const std::size_t now = met++;
    return now < troubles.size() ? troubles[now] : Interception();
  });
  Issue({{"spec", {{"deployment", {{"retryLimit", 0}}}}}});
  EXPECT_GT(reads, troubles.size());
  EXPECT_GE(writes, troubles.size()) << "the last trouble came after the write had been made";
  EXPECT_EQ(Attempts(), 0) << RunStatus()["ledger"].dump(1);
  EXPECT_EQ(Runs(), 1u);
  EXPECT_EQ(Live(), Status()["certificate"]["fingerprint"]);
  world.Kill();
  world.api.Intercept(nullptr);
}

TEST_F(ApiServerTroubleTest, ThatLastsIsShownAndEnds) {
  StartWithCa();
  std::atomic<bool> broken{true};
  world.api.Intercept([&](const InterceptedRequest& request) {
    const bool live = request.path.ends_with("/secrets") && IsWrite(request);
    return broken && live ? Troubles()[0] : Interception();
  });
  CreateSite({{"spec", {{"deployment", {{"retryLimit", 0}}}}}});
  ASSERT_TRUE(world.Until([&] { return RunWaitsFor("the API server: "); }));
  world.Pass(kHour);
  EXPECT_EQ(Attempts(), 0) << RunStatus()["ledger"].dump(1);
  EXPECT_TRUE(RunWaitsFor("the API server: ")) << RunStatus().dump(1);
  // Said once, not with each of the many attempts.
  EXPECT_LE(world.Writes()["update workflowruns/status"], 3u);
  broken = false;
  EXPECT_TRUE(world.Until([&] { return world.RunIs("site", "Succeeded"); }));
  EXPECT_EQ(RunStatus().value("waitingFor", ""), "");
  world.Kill();
  world.api.Intercept(nullptr);
}

TEST_F(ApiServerTroubleTest, AtTheStartOfARunStallsNobody) {
  StartWithCa();
  const auto troubles = Troubles();
  std::atomic<std::size_t> met{0};
  world.api.Intercept([&](const InterceptedRequest& request) {
    const bool start = request.resource == "workflowruns" && request.verb == "create" &&
                       request.query.find("dryRun") == std::string_view::npos;
    const std::size_t now = start ? met++ : troubles.size();
    return now < troubles.size() ? troubles[now] : Interception();
  });
  Issue();
  EXPECT_EQ(Runs(), 1u);
  // Each change of the status was one of ours to count: never Stalled in between.
  EXPECT_EQ(world.Writes()["update certificateworkflows/status"], 1u);
  world.Kill();
  world.api.Intercept(nullptr);
}

}  // namespace
}  // namespace certflow
