// The informer and the elector with the real client, on the in-memory API server.

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <random>
#include <set>

#include "controller/runtime/informer.h"
#include "controller/runtime/leader_elector.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/kube/memory_api_server.h"
#include "tests/unit/runtime/soon.h"

namespace certflow::runtime {
namespace {

struct Thing {
  struct {
    std::string ns, name, uid, resource_version;
  } meta;
};

Result<Thing> DecodeThing(const kube::Document& object) {
  return Thing{{object.ns(), object.name(), object.uid(), object.resource_version()}};
}

const kube::Resource kConfigMaps{"", "v1", "configmaps", "ConfigMap", true};

class MemoryApiTest : public testing::Test {
 protected:
  MemoryApiTest()
      : client_(server_.NewClient()),
        sink_(
            store_, DecodeThing,
            [this](const Store<Thing>::Change&, bool) {
              MutexLock lock(mutex_);
              changed_.notify_all();
            },
            Logger()) {
    options_.backoff = {Duration(1), 1.0, Duration(1), 0.0};
  }
  ~MemoryApiTest() override {
    if (informer_) informer_->Stop();
  }

  void Start() {
    informer_.emplace(*client_, kConfigMaps, options_, *clock_, NoMetrics(), Logger(), sink_);
    informer_->Start();
  }
  Context Ctx() { return {*clock_, SteadyTime::max(), {}, Logger()}; }
  static kube::ObjectKey Key(int number) { return {"ns", "thing-" + std::to_string(number)}; }

  void Create(int number) {
    const std::string body =
        R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"ns",)"
        R"("name":")" +
        Key(number).name + R"("}})";
    ASSERT_TRUE(client_->Create(Ctx(), kConfigMaps, "ns", body).ok());
  }
  void Change(int number, int value) {
    const std::string patch = R"({"data":{"value":")" + std::to_string(value) + R"("}})";
    ASSERT_TRUE(client_->MergePatch(Ctx(), kConfigMaps, Key(number), "", patch).ok());
  }
  void Remove(int number) {
    const auto object = client_->Get(Ctx(), kConfigMaps, Key(number));
    ASSERT_TRUE(object.ok());
    ASSERT_TRUE(client_->Delete(Ctx(), kConfigMaps, Key(number), {.uid = object->uid()}).ok());
  }

  // "name@version" of all, as the server has it and as the cache has it.
  std::set<std::string> OnServer() {
    std::set<std::string> all;
    for (const kube::ObjectKey& key : server_.Keys("configmaps")) {
      const auto object = client_->Get(Ctx(), kConfigMaps, key);
      if (object.ok()) all.insert(key.name + "@" + object->resource_version());
    }
    return all;
  }
  std::set<std::string> InCache() {
    std::set<std::string> all;
    for (const auto& thing : store_.List()) {
      all.insert(thing->meta.name + "@" + thing->meta.resource_version);
    }
    return all;
  }
  // Waits until the cache is what the server has; false after ten real seconds.
  bool Converges() CF_NO_THREAD_SAFETY_ANALYSIS {
    const std::set<std::string> wanted = OnServer();
    std::unique_lock<Mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return InCache() == wanted; });
  }

  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  fakes::MemoryApiServer server_{*clock_};
  std::unique_ptr<kube::Client> client_;
  Mutex mutex_;
  CondVar changed_;
  Store<Thing> store_;
  StoreSink<Thing> sink_;
  InformerOptions options_;
  std::optional<Informer> informer_;
};

class MemoryApiListTest : public MemoryApiTest, public testing::WithParamInterface<bool> {};

// Random writes under breaking watches and a history that is cut off: when all is quiet, cache and
// server are equal, with streamed lists and with pages.
TEST_P(MemoryApiListTest, CacheEqualsServerAfterRandomWritesAndFaults) {
  options_.use_watch_list = GetParam();
  options_.page_size = 7;
  std::mt19937 random(20261121);
  std::set<int> live;
  for (int i = 0; i < 30; ++i) Create(*live.insert(i).first);
  Start();
  ASSERT_TRUE(informer_->WaitSynced(Ctx()));
  ASSERT_TRUE(Converges());
  for (int round = 0; round < 300; ++round) {
    const int number = static_cast<int>(random() % 40);
    if (!live.contains(number)) {
      Create(*live.insert(number).first);
    } else if (random() % 3 == 0) {
      Remove(number);
      live.erase(number);
    } else {
      Change(number, round);
    }
    switch (random() % 20) {
      case 0:
        server_.BreakWatches();
        break;
      case 1:
        server_.EndWatches();
        break;
      case 2:
        server_.SendBookmarks();
        break;
      case 3:
        server_.Compact();
        server_.BreakWatches();
        break;
      default:
        break;
    }
  }
  EXPECT_TRUE(Converges());
}

INSTANTIATE_TEST_SUITE_P(Lists, MemoryApiListTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "Streamed" : "Paged"; });

TEST_F(MemoryApiTest, ServerWithoutStreamedListsIsReadByPages) {
  server_.SetWatchList(false);
  options_.page_size = 2;
  for (int i = 0; i < 5; ++i) Create(i);
  Start();
  ASSERT_TRUE(informer_->WaitSynced(Ctx()));
  EXPECT_TRUE(Converges());
  EXPECT_EQ(server_.Count("list", "configmaps"), 3u);
}

TEST_F(MemoryApiTest, WhatVanishedWhileHistoryWasLostIsTakenOut) {
  for (int i = 0; i < 3; ++i) Create(i);
  Start();
  ASSERT_TRUE(informer_->WaitSynced(Ctx()));
  ASSERT_TRUE(Converges());
  server_.HoldWatches(true);
  Remove(1);
  Change(2, 7);
  server_.Compact();
  server_.BreakWatches();
  server_.HoldWatches(false);
  EXPECT_TRUE(Converges());
  EXPECT_EQ(store_.Get(Key(1)), nullptr);
}

TEST_F(MemoryApiTest, LeaseIsTakenRenewedReleasedAndTakenByTheNext) {
  LeaderOptions options{.ns = "certflow-system", .identity = "a"};
  options.retry_period = Duration(5);
  std::promise<void> first, second;
  LeaderElector a(*client_, options, *clock_, NoMetrics(), Logger());
  options.identity = "b";
  LeaderElector b(*client_, options, *clock_, NoMetrics(), Logger());
  a.Start([&] { first.set_value(); }, [] {});
  first.get_future().wait();
  EXPECT_TRUE(a.MayAct());
  b.Start([&] { second.set_value(); }, [] {});
  ASSERT_TRUE(Soon([&] { return server_.Count("patch", "leases") >= 3; }));
  EXPECT_FALSE(b.leading());
  a.Stop(true);
  second.get_future().wait();
  EXPECT_TRUE(b.MayAct());
  EXPECT_EQ(b.epoch(), 1);
  b.Stop(false);
}

}  // namespace
}  // namespace certflow::runtime
