#include "controller/runtime/informer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/unit/runtime/recording_metrics.h"
#include "tests/unit/runtime/scripted_client.h"

namespace certflow::runtime {
namespace {

using kube::WatchEventType;
using std::chrono::seconds;

struct Thing {
  struct {
    std::string ns, name, uid, resource_version;
  } meta;
};

kube::Document Doc(const std::string& name, const std::string& version, bool good = true) {
  return kube::MakeDocument({{"metadata",
                              {{"namespace", "ns"},
                               {"name", name},
                               {"uid", "uid-" + name},
                               {"resourceVersion", version}}},
                             {"good", good}});
}

Result<Thing> DecodeThing(const kube::Document& object) {
  if (!kube::Json(object)["good"].get<bool>()) {
    return MakeError(ErrorCode::kInvalid, "BadShape", "not good");
  }
  return Thing{{object.ns(), object.name(), object.uid(), object.resource_version()}};
}

kube::ListPage MakePage(std::vector<std::string> names, const std::string& version,
                        const std::string& token = {}) {
  kube::ListPage page{{}, version, token};
  for (const std::string& name : names) page.items.push_back(Doc(name, "1"));
  return page;
}

void Tell(kube::WatchSink& sink, WatchEventType type, const std::string& name,
          const std::string& version) {
  sink.OnEvent({type, Doc(name, version), false});
}
void EndOfList(kube::WatchSink& sink, const std::string& version) {
  sink.OnEvent({WatchEventType::kBookmark, Doc("", version), true});
}
Error Expired() { return MakeError(ErrorCode::kExpired, "Expired", "too old resource version"); }

// A stream that tells what it is told and then stays open until its context ends.
template <typename Fn>
ScriptedClient::Feed StayOpen(Fn fn) {
  return [fn](const Context& ctx, kube::WatchSink& sink) -> Result<void> {
    fn(sink);
    if (ctx.clock.WaitUntil(ctx.deadline, ctx.stop)) {
      return MakeError(ErrorCode::kTimeout, "Deadline", "nothing came");
    }
    return MakeError(ErrorCode::kCancelled, "Stopped", "stopped");
  };
}

class InformerTest : public testing::Test {
 protected:
  InformerTest()
      : sink_(
            store_, DecodeThing,
            [this](const Store<Thing>::Change& change, bool initial) {
              MutexLock lock(mutex_);
              told_ += (initial ? "*" : "") +
                       std::string(!change.before ? "+" : (change.after ? "~" : "-")) +
                       change.key.name + " ";
            },
            Logger()) {
    options_.backoff.jitter = 0;
  }
  ~InformerTest() override { informer_.reset(); }

  void Start(bool watch_list) {
    options_.use_watch_list = watch_list;
    informer_.emplace(client_, kube::Resource{"certflow.dev", "v1", "things", "Thing", true},
                      options_, clock_, metrics_, Logger(), sink_);
    informer_->Start();
  }
  // Waits until the informer has made `count` requests and rests in the last one or in a pause.
  [[nodiscard]] bool Rests(std::size_t count) {
    return client_.AwaitAsked(count) && clock_.AwaitWaiters(1);
  }
  Duration UntilNext() {
    return std::chrono::duration_cast<Duration>(*clock_.earliest() - clock_.Steady());
  }
  std::string Told() {
    MutexLock lock(mutex_);
    return std::exchange(told_, {});
  }
  std::string Held() {
    std::string names;
    for (const auto& thing : store_.List()) {
      names += thing->meta.name + "@" + thing->meta.resource_version + " ";
    }
    return names;
  }

  fakes::SimulatedClock clock_;
  RecordingMetrics metrics_;
  ScriptedClient client_;
  Store<Thing> store_;
  Mutex mutex_;
  std::string told_ CF_GUARDED_BY(mutex_);
  StoreSink<Thing> sink_;
  InformerOptions options_;
  std::optional<Informer> informer_;
};

TEST_F(InformerTest, ListsByPagesAndWatchesFromTheListsVersion) {
  client_.Page(MakePage({"a", "b"}, "50", "next"));
  client_.Page(MakePage({}, "50", "last"));  // an empty page is not the end
  client_.Page(MakePage({"c"}, "50"));
  client_.Stream(StayOpen([](kube::WatchSink& sink) {
    Tell(sink, WatchEventType::kAdded, "d", "60");
    Tell(sink, WatchEventType::kModified, "a", "61");
    Tell(sink, WatchEventType::kDeleted, "b", "62");
  }));
  Start(false);
  ASSERT_TRUE(Rests(4));
  const auto asked = client_.asked();
  EXPECT_EQ(asked[0].limit, 500);
  EXPECT_EQ(asked[1].token, "next");
  EXPECT_EQ(asked[2].token, "last");
  EXPECT_EQ(asked[0].version + asked[1].version + asked[2].version, "") << "the most recent";
  EXPECT_EQ(asked[3].version, "50") << "not the newest item's";
  EXPECT_TRUE(informer_->synced());
  EXPECT_EQ(Held(), "a@61 c@1 d@60 ");
  EXPECT_EQ(Told(), "*+a *+b *+c +d ~a -b ");
}

TEST_F(InformerTest, NothingIsToldBeforeTheListIsComplete) {
  client_.Page(MakePage({"a"}, "50", "next"));
  client_.Page(MakeError(ErrorCode::kUnavailable, "Down", "down"));
  Start(false);
  ASSERT_TRUE(Rests(2));
  EXPECT_FALSE(informer_->synced());
  EXPECT_EQ(Held(), "");
  client_.Page(MakePage({"b"}, "70"));
  clock_.AdvanceToNext();
  ASSERT_TRUE(Rests(4));
  EXPECT_EQ(Held(), "b@1 ") << "the page of the broken list is gone";
}

TEST_F(InformerTest, StreamedListCountsAtItsEndMark) {
  client_.Stream(StayOpen([this](kube::WatchSink& sink) {
    Tell(sink, WatchEventType::kAdded, "b", "20");
    Tell(sink, WatchEventType::kAdded, "a", "10");
    Tell(sink, WatchEventType::kAdded, "x", "11");
    Tell(sink, WatchEventType::kModified, "b", "31");  // while the list was on its way
    Tell(sink, WatchEventType::kDeleted, "x", "32");
    EXPECT_EQ(Held(), "");
    EndOfList(sink, "33");
    EXPECT_EQ(Held(), "a@10 b@31 ");
    Tell(sink, WatchEventType::kModified, "a", "40");
  }));
  Start(true);
  ASSERT_TRUE(Rests(1));
  EXPECT_TRUE(client_.asked()[0].stream);
  EXPECT_EQ(Told(), "*+a *+b ~a ");
  EXPECT_EQ(metrics_.Value("certflow_informer_lists_total{resource=things,how=stream}"), 1);
}

TEST_F(InformerTest, FallsBackToPagesForGoodWhereListsAreNotStreamed) {
  client_.Stream([](const Context&, kube::WatchSink&) -> Result<void> {
    return MakeError(ErrorCode::kInvalid, "Invalid", "sendInitialEvents is forbidden");
  });
  client_.Page(MakePage({"a"}, "50"));
  client_.Stream([](const Context&, kube::WatchSink&) -> Result<void> { return Expired(); });
  client_.Page(MakePage({"a"}, "90"));
  Start(true);
  ASSERT_TRUE(Rests(5));
  const auto asked = client_.asked();
  EXPECT_EQ(asked[1].verb, "list");
  EXPECT_EQ(asked[3].verb, "list") << "not asked for a stream again";
  EXPECT_EQ(asked[4].version, "90");
}

TEST_F(InformerTest, StreamedListsThatBreakOffAreReadByPagesInTheEnd) {
  for (int i = 0; i < 3; ++i) {
    client_.Stream([](const Context&, kube::WatchSink& sink) -> Result<void> {
      Tell(sink, WatchEventType::kAdded, "a", "10");
      return {};
    });
  }
  client_.Page(MakePage({"b"}, "50"));
  Start(true);
  for (std::size_t requests = 1; requests <= 3; ++requests) {
    ASSERT_TRUE(Rests(requests));
    EXPECT_EQ(Held(), "");
    clock_.AdvanceToNext();
  }
  ASSERT_TRUE(Rests(5));
  EXPECT_EQ(client_.asked()[3].verb, "list");
  EXPECT_EQ(Held(), "b@1 ");
}

TEST_F(InformerTest, ResumesAtTheLastEventOrBookmark) {
  client_.Page(MakePage({"a"}, "50"));
  client_.Stream([](const Context& ctx, kube::WatchSink& sink) -> Result<void> {
    Tell(sink, WatchEventType::kModified, "a", "60");
    ctx.clock.WaitUntil(ctx.clock.Steady() + seconds(200), ctx.stop);
    return {};
  });
  client_.Stream([](const Context& ctx, kube::WatchSink& sink) -> Result<void> {
    sink.OnEvent({WatchEventType::kBookmark, Doc("", "75"), false});
    ctx.clock.WaitUntil(ctx.clock.Steady() + seconds(200), ctx.stop);
    return {};
  });
  Start(false);
  ASSERT_TRUE(Rests(2));
  clock_.AdvanceToNext();
  ASSERT_TRUE(Rests(3));
  clock_.AdvanceToNext();
  ASSERT_TRUE(Rests(4));
  EXPECT_EQ(client_.asked()[2].version, "60");
  EXPECT_EQ(client_.asked()[3].version, "75");
  EXPECT_EQ(Held(), "a@60 ") << "a bookmark is not an object";
}

TEST_F(InformerTest, LostHistoryIsListedAgainAtOnceAndThenWithBackoff) {
  client_.Page(MakePage({"a", "b"}, "50"));
  client_.Stream([](const Context&, kube::WatchSink&) -> Result<void> { return Expired(); });
  client_.Page(MakePage({"b", "c"}, "80"));
  client_.Stream([](const Context&, kube::WatchSink&) -> Result<void> { return Expired(); });
  client_.Page(MakePage({"c"}, "90"));
  Start(false);
  ASSERT_TRUE(Rests(4));
  EXPECT_EQ(Told(), "*+a *+b +c -a ") << "what vanished meanwhile is told";
  EXPECT_EQ(UntilNext(), Duration(1600)) << "the second within two minutes";
  clock_.AdvanceToNext();
  ASSERT_TRUE(Rests(6));
  EXPECT_EQ(client_.asked()[5].version, "90");
  EXPECT_EQ(Told(), "-b ");
}

TEST_F(InformerTest, TokenThatExpiresBetweenPagesRestartsAsOneAnswer) {
  client_.Page(MakePage({"a"}, "50", "next"));
  client_.Page(Expired());
  client_.Page(MakePage({"b"}, "60"));
  Start(false);
  ASSERT_TRUE(Rests(4));
  EXPECT_EQ(client_.asked()[2].limit, 0);
  EXPECT_EQ(client_.asked()[2].token, "");
  EXPECT_EQ(Held(), "b@1 ");
}

TEST_F(InformerTest, UnreachableServerIsAskedEverMoreSlowlyAndTheCacheStays) {
  client_.Page(MakePage({"a"}, "50"));
  for (int i = 0; i < 8; ++i) {
    client_.Stream([](const Context&, kube::WatchSink&) -> Result<void> {
      return MakeError(ErrorCode::kUnavailable, "ConnectionRefused", "refused");
    });
  }
  Start(false);
  std::vector<Duration::rep> delays;
  for (std::size_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(Rests(2 + i));
    delays.push_back(UntilNext().count());
    clock_.AdvanceToNext();
  }
  EXPECT_EQ(delays,
            (std::vector<Duration::rep>{800, 1600, 3200, 6400, 12800, 25600, 30000, 30000}));
  ASSERT_TRUE(Rests(10));
  EXPECT_EQ(client_.asked()[9].version, "50") << "resumed, not listed";
  EXPECT_EQ(Held(), "a@1 ");
}

TEST_F(InformerTest, WatchThatIsCutAgainAndAgainAfterItWorkedIsResumedSoon) {
  client_.Page(MakePage({"a"}, "50"));
  for (int i = 0; i < 5; ++i) {
    client_.Stream([](const Context& ctx, kube::WatchSink&) -> Result<void> {
      ctx.clock.WaitUntil(ctx.clock.Steady() + seconds(5), ctx.stop);
      return MakeError(ErrorCode::kUnavailable, "ConnectionLost", "cut");
    });
  }
  Start(false);
  for (std::size_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(Rests(2 + i));
    clock_.AdvanceToNext();  // the cut
    ASSERT_TRUE(clock_.AwaitWaiters(1));
    EXPECT_EQ(UntilNext(), Duration(800)) << i;
    clock_.AdvanceToNext();
  }
}

TEST_F(InformerTest, RetryAfterIsHonoured) {
  client_.Page(MakeErrorAfter(ErrorCode::kRateLimited, "TooManyRequests", "later", seconds(13)));
  Start(false);
  ASSERT_TRUE(Rests(1));
  EXPECT_EQ(UntilNext(), seconds(13));
}

TEST_F(InformerTest, WatchThatEndsAtOnceDoesNotSpin) {
  client_.Page(MakePage({"a"}, "50"));
  client_.Stream([](const Context&, kube::WatchSink&) -> Result<void> { return {}; });
  Start(false);
  ASSERT_TRUE(Rests(2));
  EXPECT_EQ(client_.asked().size(), 2u);
  EXPECT_EQ(UntilNext(), Duration(800));
}

// An API server restored from a backup accepts a watch from the future and stays silent.
TEST_F(InformerTest, SilenceLeadsToANewList) {
  client_.Page(MakePage({"a"}, "9000"));
  client_.Stream([](const Context& ctx, kube::WatchSink&) -> Result<void> {
    ctx.clock.WaitUntil(ctx.clock.Steady() + seconds(290), ctx.stop);
    return {};
  });
  client_.Page(MakePage({"b"}, "40"));
  Start(false);
  ASSERT_TRUE(Rests(2));
  clock_.AdvanceToNext();
  ASSERT_TRUE(Rests(3));
  EXPECT_EQ(client_.asked()[2].version, "9000");
  EXPECT_EQ(UntilNext(), seconds(310)) << "ten minutes since the last sign";
  clock_.AdvanceToNext();  // the stream is cut
  ASSERT_TRUE(clock_.AwaitWaiters(1));
  clock_.AdvanceToNext();  // the pause after the cut
  ASSERT_TRUE(Rests(5));
  EXPECT_EQ(client_.asked()[3].verb, "list");
  EXPECT_EQ(client_.asked()[4].version, "40");
  EXPECT_EQ(Held(), "b@1 ");
}

TEST_F(InformerTest, ErrorInTheStreamThatIsOursToMindListsAgain) {
  client_.Page(MakePage({"a"}, "50"));
  client_.Stream([](const Context&, kube::WatchSink&) -> Result<void> {
    return MakeError(ErrorCode::kInternal, "InternalError", "storage");
  });
  client_.Page(MakePage({"a", "b"}, "60"));
  Start(false);
  ASSERT_TRUE(Rests(2));
  clock_.AdvanceToNext();
  ASSERT_TRUE(Rests(4));
  EXPECT_EQ(client_.asked()[2].verb, "list");
  EXPECT_EQ(Told(), "*+a +b ");
}

TEST_F(InformerTest, ObjectThatCannotBeReadKeepsItsLastGoodVersion) {
  kube::ListPage page = MakePage({"a"}, "50");
  page.items.push_back(Doc("bad", "7", false));
  client_.Page(std::move(page));
  client_.Stream(StayOpen([](kube::WatchSink& sink) {
    sink.OnEvent({WatchEventType::kModified, Doc("a", "60", false), false});
    Tell(sink, WatchEventType::kAdded, "b", "61");
    Tell(sink, WatchEventType::kModified, "bad", "62");
  }));
  Start(false);
  ASSERT_TRUE(Rests(2));
  EXPECT_EQ(Held(), "a@1 b@61 bad@62 ");
  EXPECT_EQ(Told(), "*+a +b +bad ");
}

TEST_F(InformerTest, WaitSyncedEndsWithTheListTheDeadlineOrTheStop) {
  options_.use_watch_list = false;
  informer_.emplace(client_, kube::Resource{"", "v1", "things", "Thing", true}, options_, clock_,
                    metrics_, Logger(), sink_);
  Context ctx{clock_, clock_.Steady(), {}, Logger()};
  EXPECT_FALSE(informer_->WaitSynced(ctx));
  std::stop_source stop;
  stop.request_stop();
  ctx.deadline = SteadyTime::max();
  EXPECT_FALSE(informer_->WaitSynced(ctx.WithStop(stop.get_token())));
  client_.Page(MakePage({"a"}, "50"));
  informer_->Start();
  EXPECT_TRUE(informer_->WaitSynced(ctx));
}

}  // namespace
}  // namespace certflow::runtime
