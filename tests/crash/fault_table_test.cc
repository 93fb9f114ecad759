// The API server answers wrongly once, at every write of a run in turn, and loses its watches:
// nothing is lost, nothing is done twice.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/crash/scene.h"

namespace certflow::crash {
namespace {

using fakes::InterceptedRequest;
using fakes::Interception;

struct Fault {
  const char* name;
  Interception::Kind kind;
  int status;
  const char* body;
  int retry_after;
};

constexpr const char* kConflict =
    R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","message":"the object has been modified","code":409})";
constexpr const char* kTooMany =
    R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"TooManyRequests","message":"slow down","code":429})";
constexpr const char* kInternal =
    R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","message":"etcd leader changed","code":500})";
constexpr const char* kTimeout =
    R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Timeout","message":"request timed out","code":504})";

const Fault kFaults[] = {
    {"409", Interception::Kind::kAnswer, 409, kConflict, 0},
    {"429 with Retry-After", Interception::Kind::kAnswer, 429, kTooMany, 2},
    {"500", Interception::Kind::kAnswer, 500, kInternal, 0},
    {"504 though it was done", Interception::Kind::kAnswerAfter, 504, kTimeout, 0},
    {"connection lost before", Interception::Kind::kFailBefore, 0, "", 0},
    {"connection lost after", Interception::Kind::kFailAfter, 0, "", 0},
};

// The program's own writes, without Events. Patches are people's annotations, and the finalizer at
// the very end.
bool IsWrite(const InterceptedRequest& request) {
  const bool read = request.verb == "get" || request.verb == "list" || request.verb == "watch" ||
                    request.verb == "other" || request.verb == "patch";
  return !read && request.resource != "events" && request.resource != "leases" &&
         request.query.find("dryRun") == std::string_view::npos;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += "\n    " + line;
  return out;
}

// The n-th write of the program meets the fault; false when there is no such write.
bool PlayWithFault(std::unique_ptr<Scene> (*make)(), const Fault& fault, int at) {
  auto scene = make();
  // The write that creates the workflow is the person's, and the first.
  std::atomic<int> writes{-1};
  std::atomic<bool> met{false};
  scene->world().api.Intercept([&](const InterceptedRequest& request) {
    Interception answer;
    if (!IsWrite(request) || ++writes != at) return answer;
    met = true;
    answer.kind = fault.kind;
    answer.status = fault.status;
    answer.body = fault.body;
    answer.retry_after_seconds = fault.retry_after;
    return answer;
  });
  scene->Play();
  const bool finished = scene->world().Until([&] { return scene->Finished(); });
  const std::string where = std::string(fault.name) + " at write " + std::to_string(at);
  EXPECT_TRUE(finished) << where;
  EXPECT_EQ(Joined(scene->WrongAtTheEnd()), "") << where;
  scene->world().Kill();
  scene->world().api.Intercept(nullptr);
  return met;
}

TEST(FaultTableTest, EachWriteOfASecretRunMeetsEachFault) {
  int met = 0;
  for (const Fault& fault : kFaults) {
    for (int at = 1; PlayWithFault(MakeSecretScene, fault, at); ++at) ++met;
  }
  std::printf("secret: %d faults met\n", met);
  EXPECT_GE(met, 5 * static_cast<int>(std::size(kFaults)));
}

TEST(FaultTableTest, EachWriteOfAFullRunMeetsAFault) {
  int met = 0;
  const auto begin = std::chrono::steady_clock::now();
  // Each fault somewhere, and every write somehow: neighbours meet different ones.
  for (int at = 1; PlayWithFault(MakeFullScene, kFaults[at % std::size(kFaults)], at); ++at) ++met;
  for (const Fault& fault : kFaults) met += PlayWithFault(MakeFullScene, fault, 9);
  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("full: %d faults met, %.1f s\n", met, took);
}

// Every interaction is followed by a loss of all watches, and the history is gone half of the time.
TEST(FaultTableTest, WatchesThatBreakAllTheTimeLoseNothing) {
  auto scene = MakeSecretScene();
  std::atomic<int> writes{0};
  fakes::MemoryApiServer& api = scene->world().api;
  std::atomic<bool> inside{false};
  api.Intercept([&](const InterceptedRequest& request) {
    if (IsWrite(request) && !inside.exchange(true)) {
      if (++writes % 2 == 0) api.Compact();
      api.BreakWatches();
      inside = false;
    }
    return Interception();
  });
  scene->Play();
  EXPECT_TRUE(scene->world().Until([&] { return scene->Finished(); }));
  EXPECT_EQ(Joined(scene->WrongAtTheEnd()), "");
  EXPECT_GE(writes, 5);
  scene->world().Kill();
  api.Intercept(nullptr);
}

TEST(FaultTableTest, CachesThatSeeNothingForAWhileDoNothingTwice) {
  auto scene = MakeSecretScene();
  fakes::World& world = scene->world();
  scene->Play();
  world.Until([&] { return !world.Runs("site").empty(); });
  world.api.HoldWatches(true);
  world.Pass(std::chrono::seconds(240));
  EXPECT_LE(world.Runs("site").size(), 1u);
  world.api.HoldWatches(false);
  EXPECT_TRUE(world.Until([&] { return scene->Finished(); }));
  EXPECT_EQ(Joined(scene->WrongAtTheEnd()), "");
}

}  // namespace
}  // namespace certflow::crash
