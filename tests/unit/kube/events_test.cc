#include "controller/kube/events.h"

#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/kube/memory_api_server.h"

namespace certflow::kube {
namespace {

using nlohmann::json;

class EventsTest : public ::testing::Test {
 protected:
  EventNote Note(const std::string& text, const std::string& object = "a") const {
    return {{"certflow.dev/v1alpha1", "WorkflowRun", "prod", object, "uid-" + object},
            false,
            "Renewed",
            "Renew",
            text};
  }
  std::vector<json> Events() const {
    std::vector<json> events;
    for (const ObjectKey& key : server_.Keys("events")) {
      events.push_back(json::parse(server_.Peek("events", key)));
    }
    return events;
  }
  void Flush() {
    const auto real = MakeSystemClock();
    recorder_->Flush(Context{*real, SteadyTime::max(), {}, {}}.WithTimeout(Duration{10'000}));
  }

  fakes::SimulatedClock clock_;
  fakes::MemoryApiServer server_{clock_};
  std::unique_ptr<Client> client_ = server_.NewClient();
  std::unique_ptr<EventRecorder> recorder_ = MakeEventRecorder(
      *client_, clock_, NoMetrics(), Logger(), "certflow.dev/controller", "pod-1");
};

TEST_F(EventsTest, EventCarriesWhatTheServerDemands) {
  recorder_->Record(Note("line one\nline two " + std::string(2000, 'x')));
  Flush();
  ASSERT_EQ(Events().size(), 1u);
  const json event = Events()[0];
  EXPECT_EQ(event["reportingController"], "certflow.dev/controller");
  EXPECT_EQ(event["reportingInstance"], "pod-1");
  EXPECT_EQ(event["eventTime"], "2026-01-01T00:00:00.000000Z");
  EXPECT_EQ(event["type"], "Normal");
  EXPECT_EQ(event["regarding"]["uid"], "uid-a");
  EXPECT_LE(event["note"].get<std::string>().size(), 1024u);
  EXPECT_EQ(event["note"].get<std::string>().find('\n'), std::string::npos);
}

TEST_F(EventsTest, RepetitionsCostTwoWritesUntilTheyAreFlushed) {
  for (int i = 0; i < 10; ++i) recorder_->Record(Note("same"));
  Flush();
  ASSERT_EQ(Events().size(), 1u);
  EXPECT_EQ(Events()[0]["series"]["count"], 10);
  EXPECT_EQ(server_.Count("create", "events"), 1u);
  EXPECT_LE(server_.Count("patch", "events"), 2u);
}

TEST_F(EventsTest, SameNoteLaterIsAnEventOfItsOwn) {
  recorder_->Record(Note("same"));
  Flush();
  clock_.Advance(std::chrono::minutes(7));
  recorder_->Record(Note("same"));
  Flush();
  EXPECT_EQ(Events().size(), 2u);
}

TEST_F(EventsTest, TalkativeObjectIsHeldBackAndOthersAreNot) {
  for (int i = 0; i < 40; ++i) recorder_->Record(Note("note " + std::to_string(i)));
  recorder_->Record(Note("other", "b"));
  Flush();
  EXPECT_EQ(Events().size(), 26u);
  clock_.Advance(std::chrono::minutes(5));
  recorder_->Record(Note("one more"));
  recorder_->Record(Note("and too much"));
  Flush();
  EXPECT_EQ(Events().size(), 27u);
}

TEST_F(EventsTest, VanishedEventIsMadeAgainAsASeries) {
  recorder_->Record(Note("same"));
  Flush();
  const ObjectKey key = server_.Keys("events").at(0);
  const Resource events{"events.k8s.io", "v1", "events", "Event", true};
  const auto real = MakeSystemClock();
  const Context ctx{*real, SteadyTime::max(), {}, {}};
  const std::string uid = client_->Get(ctx, events, key)->uid();
  ASSERT_TRUE(client_->Delete(ctx, events, key, {.uid = uid}).ok());
  recorder_->Record(Note("same"));
  Flush();
  ASSERT_EQ(Events().size(), 1u);
  EXPECT_EQ(Events()[0]["series"]["count"], 2);
}

TEST_F(EventsTest, LostAnswerMakesNoSecondEvent) {
  std::atomic<int> requests = 0;
  server_.Intercept([&](const fakes::InterceptedRequest&) {
    return fakes::Interception{requests++ == 0 ? fakes::Interception::Kind::kFailAfter
                                               : fakes::Interception::Kind::kPass};
  });
  recorder_->Record(Note("once"));
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  clock_.Advance(std::chrono::seconds(10));
  Flush();
  EXPECT_EQ(Events().size(), 1u);
  EXPECT_EQ(requests, 2);
}

TEST_F(EventsTest, FullQueueDropsTheNewestAndNeverBlocks) {
  server_.Intercept([](const fakes::InterceptedRequest&) {
    return fakes::Interception{fakes::Interception::Kind::kFailBefore};
  });
  recorder_->Record(Note("stuck"));
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  for (std::size_t i = 0; i < EventRecorder::kMaxQueued + 50; ++i) {
    recorder_->Record(Note("n", "object-" + std::to_string(i)));
  }
  server_.Intercept(nullptr);
  clock_.Advance(std::chrono::seconds(10));
  Flush();
  EXPECT_EQ(Events().size(), EventRecorder::kMaxQueued + 1);
}

TEST_F(EventsTest, EndDoesNotWaitForAServerThatIsAway) {
  server_.Intercept([](const fakes::InterceptedRequest&) {
    return fakes::Interception{fakes::Interception::Kind::kFailBefore};
  });
  recorder_->Record(Note("stuck"));
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  recorder_.reset();
}

}  // namespace
}  // namespace certflow::kube
