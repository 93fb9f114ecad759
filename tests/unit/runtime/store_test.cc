#include "controller/runtime/store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace certflow::runtime {
namespace {

struct Thing {
  struct {
    std::string ns, name, uid, resource_version;
  } meta;
  std::vector<std::string> colours;
};
using ThingStore = Store<Thing>;

ThingStore::Object Make(const std::string& name, const std::string& version,
                        std::vector<std::string> colours = {}, const std::string& uid = {}) {
  return std::make_shared<Thing>(
      Thing{{"ns", name, uid.empty() ? "uid-" + name : uid, version}, std::move(colours)});
}
kube::ObjectKey Key(const std::string& name) { return {"ns", name}; }
std::pair<kube::ObjectKey, ThingStore::Object> Item(ThingStore::Object object) {
  return {Key(object->meta.name), object};
}

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    store_.AddIndex("colour", [](const Thing& thing) { return thing.colours; });
  }
  std::optional<ThingStore::Change> Put(ThingStore::Object object) {
    return store_.Upsert(Key(object->meta.name), object);
  }
  std::string Version(const std::string& name) {
    const auto object = store_.Get(Key(name));
    return object ? object->meta.resource_version : "none";
  }
  std::string Coloured(const std::string& colour) {
    std::string names;
    for (const auto& object : store_.ByIndex("colour", colour)) names += object->meta.name + " ";
    return names;
  }
  ThingStore store_;
};

TEST(ResourceVersionTest, ComparesAsDecimalNumbersOfAnyLength) {
  using Order = std::strong_ordering;
  EXPECT_EQ(CompareResourceVersions("9", "10"), Order::less);
  EXPECT_EQ(CompareResourceVersions("10", "9"), Order::greater);
  EXPECT_EQ(CompareResourceVersions("123", "123"), Order::equal);
  EXPECT_EQ(CompareResourceVersions("18446744073709551616", "18446744073709551617"), Order::less);
}

TEST(ResourceVersionTest, AnythingElseIsOpaque) {
  for (const char* odd : {"", "0", "01", "abc", "1a", "-1", " 1"}) {
    EXPECT_EQ(CompareResourceVersions(odd, "1"), std::nullopt) << odd;
    EXPECT_EQ(CompareResourceVersions("1", odd), std::nullopt) << odd;
  }
}

TEST_F(StoreTest, UpsertTellsWhatChanged) {
  auto change = Put(Make("a", "1"));
  ASSERT_TRUE(change);
  EXPECT_EQ(change->key, Key("a"));
  EXPECT_EQ(change->before, nullptr);
  change = Put(Make("a", "2"));
  ASSERT_TRUE(change);
  EXPECT_EQ(change->before->meta.resource_version, "1");
  EXPECT_EQ(change->after->meta.resource_version, "2");
  EXPECT_FALSE(Put(Make("a", "2"))) << "a repeated ADDED";
}

TEST_F(StoreTest, OlderVersionOfTheSameObjectIsIgnored) {
  Put(Make("a", "10"));
  EXPECT_FALSE(Put(Make("a", "9")));
  EXPECT_EQ(Version("a"), "10");
}

TEST_F(StoreTest, RecreatedObjectReplacesTheOldOneWhateverItsVersion) {
  Put(Make("a", "opaque-z"));
  EXPECT_TRUE(Put(Make("a", "opaque-b"))) << "not comparable: the newest told counts";
  EXPECT_TRUE(Put(Make("a", "3", {}, "other")));
  EXPECT_EQ(store_.Get(Key("a"))->meta.uid, "other");
}

TEST_F(StoreTest, LateChangeDoesNotBringADeletedObjectBack) {
  Put(Make("a", "5"));
  ASSERT_TRUE(store_.Erase(Key("a"), "8"));
  EXPECT_FALSE(Put(Make("a", "7")));
  EXPECT_EQ(Version("a"), "none");
  EXPECT_TRUE(store_.Replace({Item(Make("a", "7"))}).empty());
  EXPECT_EQ(Version("a"), "none");
  EXPECT_TRUE(Put(Make("a", "9"))) << "it had only left the selected set";
  EXPECT_FALSE(store_.Erase(Key("never"), "9"));
}

TEST_F(StoreTest, TombstonesAreBounded) {
  for (int i = 0; i < 3000; ++i) {
    const std::string name = std::to_string(i);
    Put(Make(name, "1"));
    store_.Erase(Key(name), "2");
  }
  EXPECT_FALSE(Put(Make("2999", "1")));
  EXPECT_TRUE(Put(Make("0", "1")));
}

TEST_F(StoreTest, IndexFollowsEveryChange) {
  Put(Make("b", "1", {"red"}));
  Put(Make("a", "1", {"red", "green"}));
  EXPECT_EQ(Coloured("red"), "a b ");
  EXPECT_EQ(Coloured("green"), "a ");
  Put(Make("a", "2", {"green", "blue"}));
  EXPECT_EQ(Coloured("red"), "b ");
  EXPECT_EQ(Coloured("green"), "a ");
  EXPECT_EQ(Coloured("blue"), "a ");
  EXPECT_EQ(store_.ByIndex("colour", "green")[0]->meta.resource_version, "2");
  store_.Erase(Key("a"));
  EXPECT_EQ(Coloured("green"), "");
  store_.Replace({Item(Make("c", "7", {"red"}))});
  EXPECT_EQ(Coloured("red"), "c ");
  store_.Observe(Key("c"), Make("c", "8", {"blue"}));
  EXPECT_EQ(Coloured("red"), "");
  EXPECT_EQ(Coloured("blue"), "c ");
  EXPECT_TRUE(store_.ByIndex("unknown", "red").empty());
}

TEST_F(StoreTest, ReplaceTellsWhatCameChangedAndVanished) {
  Put(Make("same", "1"));
  Put(Make("newer", "2"));
  Put(Make("gone", "3"));
  const auto changes =
      store_.Replace({Item(Make("new", "6")), Item(Make("newer", "5")), Item(Make("same", "1"))});
  ASSERT_EQ(changes.size(), 3u);
  EXPECT_EQ(changes[0].key, Key("new"));
  EXPECT_EQ(changes[0].before, nullptr);
  EXPECT_EQ(changes[1].key, Key("newer"));
  EXPECT_EQ(changes[1].before->meta.resource_version, "2");
  EXPECT_EQ(changes[2].key, Key("gone"));
  EXPECT_EQ(changes[2].after, nullptr);
  EXPECT_EQ(changes[2].before->meta.resource_version, "3");
  EXPECT_EQ(store_.size(), 3u);
}

TEST_F(StoreTest, InReplaceTheLaterOfTwoCountsAndNullTakesOut) {
  store_.Replace({Item(Make("a", "1")),
                  Item(Make("b", "2")),
                  Item(Make("a", "3")),
                  {Key("b"), nullptr},
                  {Key("c"), nullptr}});
  EXPECT_EQ(Version("a"), "3");
  EXPECT_EQ(Version("b"), "none");
  EXPECT_EQ(store_.size(), 1u);
}

TEST_F(StoreTest, OwnWriteIsSeenAtOnceAndStillToldByTheInformer) {
  Put(Make("a", "1"));
  store_.Observe(Key("a"), Make("a", "4"));
  EXPECT_EQ(Version("a"), "4");
  EXPECT_FALSE(Put(Make("a", "3"))) << "an event from before our write";
  EXPECT_EQ(Version("a"), "4");
  const auto change = Put(Make("a", "4"));
  ASSERT_TRUE(change) << "others listen to the informer, not to us";
  EXPECT_EQ(change->before->meta.resource_version, "1");
  EXPECT_FALSE(Put(Make("a", "4")));
}

TEST_F(StoreTest, OwnWriteNeverBringsBackOrGoesBack) {
  store_.Observe(Key("a"), Make("a", "4"));
  EXPECT_EQ(Version("a"), "none");
  Put(Make("a", "5"));
  store_.Observe(Key("a"), Make("a", "4"));
  EXPECT_EQ(Version("a"), "5");
  store_.Observe(Key("a"), Make("a", "9", {}, "previous life"));
  EXPECT_EQ(Version("a"), "5");
}

TEST_F(StoreTest, OwnWriteOutlivesAListTakenBeforeIt) {
  Put(Make("a", "1"));
  store_.Observe(Key("a"), Make("a", "4", {"red"}));
  EXPECT_TRUE(store_.Replace({Item(Make("a", "2"))}).empty());
  EXPECT_EQ(Version("a"), "4");
  EXPECT_EQ(Coloured("red"), "a ");
  const auto changes = store_.Replace({Item(Make("a", "4"))});
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].before->meta.resource_version, "1");
}

TEST_F(StoreTest, ReadersSeeAWholeListOrNone) {
  constexpr int kSize = 200;
  const auto list = [](const std::string& version) {
    std::vector<std::pair<kube::ObjectKey, ThingStore::Object>> items;
    for (int i = 0; i < kSize; ++i) {
      items.push_back(Item(Make(std::to_string(i), version, {"v" + version})));
    }
    return items;
  };
  store_.Replace(list("1"));
  std::atomic<bool> done = false, torn = false;
  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&] {
      while (!done) {
        const auto all = store_.List();
        for (const auto& object : all) {
          if (object->meta.resource_version != all[0]->meta.resource_version) torn = true;
        }
        if (all.size() != kSize) torn = true;
        const auto odd = store_.ByIndex("colour", "v1").size();
        if (odd != 0 && odd != kSize) torn = true;
      }
    });
  }
  for (int round = 2; round < 60; ++round) store_.Replace(list(std::to_string(round)));
  done = true;
  for (auto& reader : readers) reader.join();
  EXPECT_FALSE(torn);
}

}  // namespace
}  // namespace certflow::runtime
