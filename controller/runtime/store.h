#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "controller/base/mutex.h"
#include "controller/kube/types.h"

namespace certflow::runtime {

// Typed cache of one resource, keyed "namespace/name". One writer (its informer), many readers;
// objects are shared and never change. An index maps a value made from the object to keys.
template <typename T>
class Store {
 public:
  using Object = std::shared_ptr<const T>;
  using IndexFn = std::function<std::vector<std::string>(const T&)>;

  // Before the first Replace.
  void AddIndex(std::string name, IndexFn fn);

  Object Get(const kube::ObjectKey& key) const;
  std::vector<Object> List() const;
  std::vector<Object> ByIndex(std::string_view index, std::string_view value) const;
  std::size_t size() const;

  // For the informer. Upsert ignores an object that is older than the one held (same uid, lower
  // resourceVersion) and returns whether something changed. Replace swaps the whole content at once
  // and returns the keys that changed and the objects that vanished.
  struct Change {
    kube::ObjectKey key;
    Object before;  // null: new
    Object after;   // null: gone
  };
  std::optional<Change> Upsert(const kube::ObjectKey& key, Object object);
  std::optional<Change> Erase(const kube::ObjectKey& key);
  std::vector<Change> Replace(std::vector<std::pair<kube::ObjectKey, Object>> objects);

  // What our own write returned; the same rule as Upsert, so that the next read is not older than
  // the write. Deleted objects stay deleted: only an existing key is updated.
  void Observe(const kube::ObjectKey& key, Object object);
};

}  // namespace certflow::runtime
