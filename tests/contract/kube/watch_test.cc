// Watches: the same on the API server in memory and on the real one.

#include "tests/contract/kube/backend.h"

namespace certflow::contract {
namespace {

using kube::WatchEventType;
using Seen = std::vector<Collector::Seen>;

class WatchContract : public KubeContract {
 protected:
  kube::WatchOptions From(std::string version, Duration timeout = Duration{60'000}) {
    kube::WatchOptions options;
    options.select.ns = ns();
    options.resource_version = std::move(version);
    options.timeout = timeout;
    return options;
  }
  static auto AtLeast(std::size_t count) {
    return [count](const Seen& events) {
      std::size_t real = 0;
      for (const auto& event : events) real += event.type != WatchEventType::kBookmark;
      return real >= count;
    };
  }
};

TEST_P(WatchContract, WatchTellsAddChangeAndDeleteInOrder) {
  Watching watch(client(), ctx(), kWidgets, From(CurrentVersion()));
  const kube::Document made = MustCreate(Widget("a", 1));
  ASSERT_TRUE(client().MergePatch(ctx(), kWidgets, Key("a"), "", R"({"spec":{"size":2}})").ok());
  ASSERT_TRUE(client().Delete(ctx(), kWidgets, Key("a"), {.uid = made.uid()}).ok());
  ASSERT_TRUE(watch.seen().WaitFor(AtLeast(3)));
  Seen events = watch.seen().events();
  std::erase_if(events, [](const auto& e) { return e.type == WatchEventType::kBookmark; });
  EXPECT_EQ(events[0].type, WatchEventType::kAdded);
  EXPECT_EQ(events[1].type, WatchEventType::kModified);
  EXPECT_EQ(events[2].type, WatchEventType::kDeleted);
  EXPECT_EQ(events[2].object["spec"]["size"], 2);
  EXPECT_LT(std::stoull(events[1].version), std::stoull(events[2].version))
      << "a deletion has a version of its own";
}

TEST_P(WatchContract, LastFinalizerIsTheDeletionItself) {
  nlohmann::json widget = Widget("a");
  widget["metadata"]["finalizers"] = {"certflow.dev/one"};
  const kube::Document made = MustCreate(widget);
  ASSERT_TRUE(client().Delete(ctx(), kWidgets, Key("a"), {.uid = made.uid()}).ok());
  Watching watch(client(), ctx(), kWidgets, From(CurrentVersion()));
  ASSERT_TRUE(client()
                  .MergePatch(ctx(), kWidgets, Key("a"), "", R"({"metadata":{"finalizers":null}})")
                  .ok());
  ASSERT_TRUE(watch.seen().WaitFor(AtLeast(1)));
  EXPECT_EQ(watch.seen().events()[0].type, WatchEventType::kDeleted);
}

TEST_P(WatchContract, ResumeGivesWhatWasMissedAndNothingElse) {
  MustCreate(Widget("before"));
  const std::string version = CurrentVersion();
  MustCreate(Widget("missed"));
  Watching watch(client(), ctx(), kWidgets, From(version));
  MustCreate(Widget("later"));
  ASSERT_TRUE(watch.seen().WaitFor(AtLeast(2)));
  EXPECT_EQ(watch.seen().events()[0].name, "missed");
  EXPECT_EQ(watch.seen().events()[1].name, "later");
}

TEST_P(WatchContract, StreamedListEndsWithItsMark) {
  MustCreate(Widget("a"));
  MustCreate(Widget("b"));
  kube::WatchOptions options = From("");
  options.send_initial_events = true;
  Watching watch(client(), ctx(), kWidgets, options);
  ASSERT_TRUE(watch.seen().WaitFor(
      [](const Seen& events) { return !events.empty() && events.back().initial_end; }));
  const Seen events = watch.seen().events();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].type, WatchEventType::kAdded);
  EXPECT_FALSE(events[2].version.empty());
  MustCreate(Widget("c"));
  EXPECT_TRUE(watch.seen().WaitFor(AtLeast(3))) << "the same stream goes on";
}

TEST_P(WatchContract, SelectedSetIsLeftByDeletedAndEnteredByAdded) {
  nlohmann::json widget = Widget("a");
  widget["metadata"]["labels"] = {{"tier", "web"}};
  MustCreate(widget);
  kube::WatchOptions options = From(CurrentVersion());
  options.select.label_selector = "tier=web";
  Watching watch(client(), ctx(), kWidgets, options);
  const auto label = [&](const char* value) {
    const nlohmann::json patch{{"metadata", {{"labels", {{"tier", value}}}}}};
    return client().MergePatch(ctx(), kWidgets, Key("a"), "", patch.dump()).ok();
  };
  ASSERT_TRUE(label("db"));
  ASSERT_TRUE(label("web"));
  ASSERT_TRUE(watch.seen().WaitFor(AtLeast(2)));
  EXPECT_EQ(watch.seen().events()[0].type, WatchEventType::kDeleted);
  EXPECT_EQ(watch.seen().events()[1].type, WatchEventType::kAdded);
}

TEST_P(WatchContract, MetadataOnlyWatchHidesTheRest) {
  kube::WatchOptions options = From(CurrentVersion());
  options.select.metadata_only = true;
  Watching watch(client(), ctx(), kWidgets, options);
  MustCreate(Widget("a"));
  ASSERT_TRUE(watch.seen().WaitFor(AtLeast(1)));
  EXPECT_FALSE(watch.seen().events()[0].object.contains("spec"));
  EXPECT_EQ(watch.seen().events()[0].name, "a");
}

TEST_P(WatchContract, ServersEndIsNoError) {
  Watching watch(client(), ctx(), kWidgets, From(CurrentVersion(), Duration{2'000}));
  MustCreate(Widget("a"));
  const auto result = watch.Join();
  EXPECT_TRUE(result.ok()) << result.error().message;
  const Seen events = watch.seen().events();
  ASSERT_FALSE(events.empty());
  // A bookmark before the end is never promised; one that came is not older than the events.
  EXPECT_GE(std::stoull(events.back().version), std::stoull(events.front().version));
}

TEST_P(WatchContract, VersionOfAnotherAgeIsExpired) {
  Watching watch(client(), ctx(), kWidgets, From("1"));
  const auto result = watch.Join();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kExpired) << result.error().message;
}

TEST_P(WatchContract, UnknownResourceIsNotServed) {
  kube::Resource unknown = kWidgets;
  unknown.plural = "gadgets";
  Watching watch(client(), ctx(), unknown, From(""));
  const auto result = watch.Join();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
}

TEST_P(WatchContract, StopEndsAnIdleWatchAtOnce) {
  Watching watch(client(), ctx(), kWidgets, From(CurrentVersion()));
  MustCreate(Widget("a"));
  ASSERT_TRUE(watch.seen().WaitFor(AtLeast(1)));
  const auto started = std::chrono::steady_clock::now();
  watch.Stop();
  const auto result = watch.Join();
  const auto took = std::chrono::steady_clock::now() - started;
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  EXPECT_LT(took, std::chrono::milliseconds(250)) << "50 ms, and what a busy machine adds";
}

INSTANTIATE_TEST_SUITE_P(, WatchContract, ::testing::Values("Memory", "Real"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace certflow::contract
