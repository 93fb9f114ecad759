#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controller/kube/types.h"
#include "controller/runtime/shared_mutex.h"

namespace certflow::runtime {

// What a Store is made of, compiled once for all types. Keys are not held beside the objects: they
// are read from them through `MetaFn`.
class StoreCore {
 public:
  using Object = std::shared_ptr<const void>;
  struct Meta {
    std::string_view ns, name, uid, resource_version;
  };
  using MetaFn = Meta (*)(const void* object);
  using IndexFn = std::function<std::vector<std::string>(const void* object)>;
  struct Change {
    kube::ObjectKey key;
    Object before;
    Object after;
  };

  explicit StoreCore(MetaFn meta);
  ~StoreCore();
  void AddIndex(std::string name, IndexFn fn);

  Object Get(const kube::ObjectKey& key) const;
  std::vector<Object> List() const;
  std::vector<Object> ByIndex(std::string_view index, std::string_view value) const;
  std::size_t size() const;

  std::optional<Change> Upsert(Object object);
  std::optional<Change> Erase(const kube::ObjectKey& key, std::string_view resource_version);
  std::vector<Change> Replace(std::vector<std::pair<kube::ObjectKey, Object>> objects);
  void Observe(Object object);

 private:
  // Deletions remembered, so that what was under way before them brings nothing back.
  static constexpr std::size_t kMaxTombstones = 1024;

  struct KeyView {
    std::string_view ns, name;
    friend auto operator<=>(const KeyView&, const KeyView&) = default;
  };
  struct Slot {
    // Neither takes part in the order but by its key, which never changes.
    mutable Object object;
    // The last one that the informer told of, when Observe put a newer one into `object`.
    mutable Object announced;
  };
  struct ByKey {
    using is_transparent = void;
    MetaFn meta;
    KeyView Of(const Slot& slot) const;
    KeyView Of(const Slot* slot) const { return Of(*slot); }
    KeyView Of(const KeyView& key) const { return key; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Of(a) < Of(b);
    }
  };
  using Slots = std::set<Slot, ByKey>;
  struct Index {
    std::string name;
    IndexFn fn;
    std::unordered_map<std::string, std::set<const Slot*, ByKey>> buckets;
  };
  struct Content {
    Slots slots;
    std::vector<Index> indexes;
  };

  bool IsBuried(const Meta& meta) const CF_REQUIRES(write_mutex_);
  void Bury(const Meta& meta, std::string_view resource_version) CF_REQUIRES(write_mutex_);
  Content Build(std::vector<std::pair<kube::ObjectKey, Object>>& objects) const
      CF_REQUIRES(write_mutex_);
  std::vector<Change> Compare(const Content& before, const Content& after) const;
  void AddToIndexes(Content& content, const Slot& slot) const;
  void RemoveFromIndexes(Content& content, const Slot& slot) const;
  void Swap(Content& content, const Slot& slot, Object object) const;

  const MetaFn meta_;
  // Writers are the informer and Observe. They prepare under `write_mutex_` alone, so that readers
  // wait only for the exchange itself.
  mutable Mutex write_mutex_;
  mutable SharedMutex mutex_;
  Content content_ CF_GUARDED_BY(mutex_);
  std::unordered_map<std::string, std::string> tombstones_ CF_GUARDED_BY(write_mutex_);
  std::deque<std::string> burials_ CF_GUARDED_BY(write_mutex_);  // their uids, oldest first
};

}  // namespace certflow::runtime
