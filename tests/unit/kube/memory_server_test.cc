// The faults that the API server in memory plays; what it does without them is the contract
// suite's.

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "controller/kube/document_json.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/kube/memory_api_server.h"

namespace certflow::fakes {
namespace {

using kube::WatchEventType;
using Kind = Interception::Kind;

const kube::Resource kMaps{"", "v1", "configmaps", "ConfigMap", true};

class Sink : public kube::WatchSink {
 public:
  void OnEvent(kube::WatchEvent event) override {
    const std::lock_guard lock(mutex_);
    seen_.emplace_back(event.type, event.object.name());
    changed_.notify_all();
  }
  bool WaitFor(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return seen_.size() >= count; });
  }
  std::vector<std::pair<WatchEventType, std::string>> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<WatchEventType, std::string>> seen_;
};

class MemoryServerTest : public ::testing::Test {
 protected:
  Result<kube::Document> Create(const std::string& name) {
    return client_->Create(
        ctx_, kMaps, "ns",
        R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name + "\"}}");
  }
  std::string Version() { return client_->List(ctx_, kMaps, {}, 0, "", "")->resource_version; }
  // Watches until the stream ends, while `meanwhile` runs here.
  Result<void> Watch(const std::string& version, Sink& sink,
                     const std::function<void()>& meanwhile = {}) {
    Result<void> result;
    kube::WatchOptions options;
    options.resource_version = version;
    options.timeout = std::chrono::minutes(5);
    std::thread thread([&] { result = client_->Watch(ctx_, kMaps, options, sink); });
    if (meanwhile) meanwhile();
    thread.join();
    return result;
  }
  void Always(Interception interception) {
    server_.Intercept([interception](const InterceptedRequest&) { return interception; });
  }

  SimulatedClock clock_;
  MemoryApiServer server_{clock_};
  std::unique_ptr<kube::Client> client_ = server_.NewClient();
  Context ctx_{clock_, SteadyTime::max(), {}, {}};
};

TEST_F(MemoryServerTest, WriteCanFailBeforeOrAfterItsEffect) {
  Always({Kind::kFailBefore});
  EXPECT_EQ(Create("a").error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(server_.Keys("configmaps").empty());
  Always({Kind::kFailAfter});
  EXPECT_EQ(Create("a").error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(server_.Keys("configmaps").size(), 1u);
  Always({Kind::kAnswer, 429, "busy", 4});
  EXPECT_EQ(Create("b").error().retry_after, Duration{4'000});
  Always({Kind::kAnswerAfter, 504, ""});
  EXPECT_EQ(Create("b").error().code, ErrorCode::kUnknownOutcome);
  EXPECT_EQ(server_.Keys("configmaps").size(), 2u);
}

TEST_F(MemoryServerTest, RequestsAreToldAndCountedByVerbAndResource) {
  std::vector<std::string> told;
  server_.Intercept([&](const InterceptedRequest& request) {
    told.push_back(std::string(request.verb) + " " + std::string(request.resource) + " " +
                   std::string(request.path));
    return Interception{};
  });
  ASSERT_TRUE(Create("a").ok());
  EXPECT_EQ(told, std::vector<std::string>{"create configmaps /api/v1/namespaces/ns/configmaps"});
  EXPECT_EQ(server_.Count("create", "configmaps"), 1u);
  server_.ResetCounts();
  EXPECT_TRUE(server_.Counts().empty());
}

TEST_F(MemoryServerTest, CompactionExpiresResumesAndPagesButNotOpenWatches) {
  ASSERT_TRUE(Create("a").ok());
  ASSERT_TRUE(Create("b").ok());
  const std::string old = Version();
  const std::string token = client_->List(ctx_, kMaps, {}, 1, "", "")->continue_token;
  Sink open;
  const auto ended = Watch(old, open, [&] {
    ASSERT_TRUE(Create("c").ok());
    ASSERT_TRUE(open.WaitFor(1));
    server_.Compact();
    ASSERT_TRUE(Create("d").ok());
    ASSERT_TRUE(open.WaitFor(2));
    server_.EndWatches();
  });
  EXPECT_TRUE(ended.ok());
  Sink late;
  EXPECT_EQ(Watch(old, late).error().code, ErrorCode::kExpired);
  EXPECT_EQ(client_->List(ctx_, kMaps, {}, 1, token, "").error().code, ErrorCode::kExpired);
}

TEST_F(MemoryServerTest, HeldWatchesAreStaleAndCatchUp) {
  Sink sink;
  server_.HoldWatches(true);
  const auto ended = Watch(Version(), sink, [&] {
    ASSERT_TRUE(Create("a").ok());
    EXPECT_TRUE(sink.seen().empty());
    server_.HoldWatches(false);
    ASSERT_TRUE(sink.WaitFor(1));
    server_.BreakWatches();
  });
  EXPECT_EQ(ended.error().code, ErrorCode::kUnavailable);
}

TEST_F(MemoryServerTest, BookmarksComeByTimeOnRequestAndBeforeTheEnd) {
  Sink sink;
  const auto ended = Watch(Version(), sink, [&] {
    ASSERT_TRUE(Create("a").ok());
    ASSERT_TRUE(sink.WaitFor(1));
    server_.SendBookmarks();
    ASSERT_TRUE(sink.WaitFor(2));
    clock_.Advance(std::chrono::seconds(61));
    ASSERT_TRUE(sink.WaitFor(3));
    clock_.Advance(std::chrono::minutes(4));
  });
  EXPECT_TRUE(ended.ok()) << ended.error().message;
  const auto seen = sink.seen();
  ASSERT_EQ(seen.size(), 4u);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(seen[i].first, WatchEventType::kBookmark);
}

TEST_F(MemoryServerTest, WatchListCanBeTurnedOff) {
  server_.SetWatchList(false);
  Sink sink;
  kube::WatchOptions options;
  options.send_initial_events = true;
  EXPECT_EQ(client_->Watch(ctx_, kMaps, options, sink).error().code, ErrorCode::kInvalid);
}

TEST_F(MemoryServerTest, ApplyIsNotServed) {
  EXPECT_EQ(client_->Apply(ctx_, kMaps, {"ns", "a"}, "m", true, "{}").error().code,
            ErrorCode::kInvalid);
}

TEST_F(MemoryServerTest, WritersAndWatchersMayBeMany) {
  Sink sink;
  const auto ended = Watch(Version(), sink, [&] {
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 4; ++writer) {
      writers.emplace_back([&, writer] {
        for (int i = 0; i < 100; ++i) {
          EXPECT_TRUE(Create("w" + std::to_string(writer) + "-" + std::to_string(i)).ok());
        }
      });
    }
    for (std::thread& writer : writers) writer.join();
    ASSERT_TRUE(sink.WaitFor(400));
    server_.EndWatches();
  });
  EXPECT_TRUE(ended.ok());
  EXPECT_EQ(sink.seen().size(), 400u);
}

}  // namespace
}  // namespace certflow::fakes
