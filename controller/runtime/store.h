#pragma once

#include <cassert>
#include <compare>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/kube/types.h"
#include "controller/runtime/store_core.h"

namespace certflow::runtime {

// Which of two resourceVersions of one resource type is newer (KEP-5504: decimal integers of any
// length). Nothing when one of them is not of that form: then it is opaque and may be anything.
std::optional<std::strong_ordering> CompareResourceVersions(std::string_view a, std::string_view b);

// Typed cache of one resource, keyed "namespace/name". Many readers; objects are shared and never
// change. An index maps a value made from the object to objects; it is kept up to date with every
// change. Lists come in the order of namespace and name.
//
// T has a member `meta` with the strings `ns`, `name`, `uid` and `resource_version`
// (api::ObjectMeta); the keys given below are those of the object's meta.
template <typename T>
class Store {
 public:
  using Object = std::shared_ptr<const T>;
  // Pure: it is called again for an object that leaves.
  using IndexFn = std::function<std::vector<std::string>(const T&)>;

  Store() : core_(&MetaOf) {}

  // Before the first Replace.
  void AddIndex(std::string name, IndexFn fn) {
    core_.AddIndex(std::move(name), [fn = std::move(fn)](const void* object) {
      return fn(*static_cast<const T*>(object));
    });
  }

  Object Get(const kube::ObjectKey& key) const { return Cast(core_.Get(key)); }
  std::vector<Object> List() const { return Cast(core_.List()); }
  // Nothing for an index that was never added.
  std::vector<Object> ByIndex(std::string_view index, std::string_view value) const {
    return Cast(core_.ByIndex(index, value));
  }
  std::size_t size() const { return core_.size(); }

  // For the informer. Upsert ignores an object that is older than the one held (same uid, lower
  // resourceVersion) or that was deleted since, and returns whether something changed. Replace
  // swaps the whole content at once and returns the keys that changed and the objects that
  // vanished; of two objects with one key the later counts, and a null one takes its key out.
  struct Change {
    kube::ObjectKey key;
    Object before;  // null: new
    Object after;   // null: gone
  };
  std::optional<Change> Upsert(const kube::ObjectKey& key, Object object) {
    assert(key == KeyOf(*object));
    (void)key;
    return Cast(core_.Upsert(std::move(object)));
  }
  // `resource_version` is that of the deletion, where it is known.
  std::optional<Change> Erase(const kube::ObjectKey& key, std::string_view resource_version = {}) {
    return Cast(core_.Erase(key, resource_version));
  }
  std::vector<Change> Replace(std::vector<std::pair<kube::ObjectKey, Object>> objects) {
    std::vector<std::pair<kube::ObjectKey, StoreCore::Object>> erased;
    erased.reserve(objects.size());
    for (auto& [key, object] : objects) {
      assert(!object || key == KeyOf(*object));
      erased.emplace_back(std::move(key), std::move(object));
    }
    objects = {};
    std::vector<Change> changes;
    for (StoreCore::Change& change : core_.Replace(std::move(erased))) {
      changes.push_back(std::move(*Cast(std::optional(std::move(change)))));
    }
    return changes;
  }

  // What our own write returned; the same rule as Upsert, so that the next read is not older than
  // the write. Deleted objects stay deleted: only an object that is held (same uid) is updated. The
  // informer still tells of the change when its event arrives.
  void Observe(const kube::ObjectKey& key, Object object) {
    assert(key == KeyOf(*object));
    (void)key;
    core_.Observe(std::move(object));
  }

 private:
  static StoreCore::Meta MetaOf(const void* object) {
    const auto& meta = static_cast<const T*>(object)->meta;
    return {meta.ns, meta.name, meta.uid, meta.resource_version};
  }
  static kube::ObjectKey KeyOf(const T& object) { return {object.meta.ns, object.meta.name}; }
  static Object Cast(StoreCore::Object object) {
    return std::static_pointer_cast<const T>(std::move(object));
  }
  static std::vector<Object> Cast(std::vector<StoreCore::Object> objects) {
    std::vector<Object> typed;
    typed.reserve(objects.size());
    for (StoreCore::Object& object : objects) typed.push_back(Cast(std::move(object)));
    return typed;
  }
  static std::optional<Change> Cast(std::optional<StoreCore::Change> change) {
    if (!change) return std::nullopt;
    return Change{std::move(change->key), Cast(std::move(change->before)),
                  Cast(std::move(change->after))};
  }

  StoreCore core_;
};

}  // namespace certflow::runtime
