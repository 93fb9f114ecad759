#include "controller/runtime/store.h"

#include <algorithm>

namespace certflow::runtime {
namespace {

bool IsDecimal(std::string_view text) {
  return !text.empty() && text.front() != '0' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsOlder(const StoreCore::Meta& object, std::string_view uid, std::string_view version) {
  if (object.uid != uid) return false;
  const auto order = CompareResourceVersions(object.resource_version, version);
  return order && *order == std::strong_ordering::less;
}

bool IsSame(const StoreCore::Meta& a, const StoreCore::Meta& b) {
  return a.uid == b.uid && a.resource_version == b.resource_version && !a.resource_version.empty();
}

}  // namespace

std::optional<std::strong_ordering> CompareResourceVersions(std::string_view a,
                                                            std::string_view b) {
  if (!IsDecimal(a) || !IsDecimal(b)) return std::nullopt;
  if (a.size() != b.size()) return a.size() <=> b.size();
  return a <=> b;
}

StoreCore::KeyView StoreCore::ByKey::Of(const Slot& slot) const {
  const Meta of = meta(slot.object.get());
  return {of.ns, of.name};
}

StoreCore::StoreCore(MetaFn meta) : meta_(meta), content_{Slots(ByKey{meta}), {}} {}

StoreCore::~StoreCore() = default;

void StoreCore::AddIndex(std::string name, IndexFn fn) {
  WriterLock lock(mutex_);
  content_.indexes.push_back({std::move(name), std::move(fn), {}});
}

StoreCore::Object StoreCore::Get(const kube::ObjectKey& key) const {
  ReaderLock lock(mutex_);
  const auto found = content_.slots.find(KeyView{key.ns, key.name});
  return found == content_.slots.end() ? nullptr : found->object;
}

std::vector<StoreCore::Object> StoreCore::List() const {
  std::vector<Object> objects;
  ReaderLock lock(mutex_);
  objects.reserve(content_.slots.size());
  for (const Slot& slot : content_.slots) objects.push_back(slot.object);
  return objects;
}

std::vector<StoreCore::Object> StoreCore::ByIndex(std::string_view index,
                                                  std::string_view value) const {
  std::vector<Object> objects;
  const std::string wanted(value);
  ReaderLock lock(mutex_);
  for (const Index& candidate : content_.indexes) {
    if (candidate.name != index) continue;
    const auto bucket = candidate.buckets.find(wanted);
    if (bucket == candidate.buckets.end()) break;
    objects.reserve(bucket->second.size());
    for (const Slot* slot : bucket->second) objects.push_back(slot->object);
    break;
  }
  return objects;
}

std::size_t StoreCore::size() const {
  ReaderLock lock(mutex_);
  return content_.slots.size();
}

std::optional<StoreCore::Change> StoreCore::Upsert(Object object) {
  MutexLock write(write_mutex_);
  const Meta meta = meta_(object.get());
  if (IsBuried(meta)) return std::nullopt;
  Change change{{std::string(meta.ns), std::string(meta.name)}, nullptr, object};
  WriterLock lock(mutex_);
  const auto found = content_.slots.find(KeyView{meta.ns, meta.name});
  if (found == content_.slots.end()) {
    AddToIndexes(content_, *content_.slots.insert(Slot{std::move(object), nullptr}).first);
    return change;
  }
  const Meta held = meta_(found->object.get());
  if (IsOlder(meta, held.uid, held.resource_version)) return std::nullopt;
  const bool observed = found->announced != nullptr;
  if (IsSame(meta, held) && !observed) return std::nullopt;
  change.before = observed ? std::exchange(found->announced, nullptr) : found->object;
  Swap(content_, *found, std::move(object));
  return change;
}

std::optional<StoreCore::Change> StoreCore::Erase(const kube::ObjectKey& key,
                                                  std::string_view resource_version) {
  MutexLock write(write_mutex_);
  WriterLock lock(mutex_);
  const auto found = content_.slots.find(KeyView{key.ns, key.name});
  if (found == content_.slots.end()) return std::nullopt;
  const Object gone = found->object;
  Bury(meta_(gone.get()), resource_version);
  RemoveFromIndexes(content_, *found);
  content_.slots.erase(found);
  return Change{key, gone, nullptr};
}

std::vector<StoreCore::Change> StoreCore::Replace(
    std::vector<std::pair<kube::ObjectKey, Object>> objects) {
  MutexLock write(write_mutex_);
  Content next = Build(objects);
  objects = {};
  {
    WriterLock lock(mutex_);
    std::swap(content_, next);
  }
  ReaderLock lock(mutex_);
  return Compare(next, content_);
}

void StoreCore::Observe(Object object) {
  MutexLock write(write_mutex_);
  const Meta meta = meta_(object.get());
  WriterLock lock(mutex_);
  const auto found = content_.slots.find(KeyView{meta.ns, meta.name});
  if (found == content_.slots.end()) return;
  const Meta held = meta_(found->object.get());
  if (held.uid != meta.uid || IsSame(meta, held) ||
      IsOlder(meta, held.uid, held.resource_version)) {
    return;
  }
  if (!found->announced) found->announced = found->object;
  Swap(content_, *found, std::move(object));
}

bool StoreCore::IsBuried(const Meta& meta) const {
  if (tombstones_.empty()) return false;
  const auto found = tombstones_.find(std::string(meta.uid));
  if (found == tombstones_.end()) return false;
  const auto order = CompareResourceVersions(meta.resource_version, found->second);
  return order && *order != std::strong_ordering::greater;
}

void StoreCore::Bury(const Meta& meta, std::string_view resource_version) {
  const auto order = CompareResourceVersions(meta.resource_version, resource_version);
  const bool later = order && *order == std::strong_ordering::less;
  const auto [place, fresh] = tombstones_.insert_or_assign(
      std::string(meta.uid), std::string(later ? resource_version : meta.resource_version));
  if (!fresh) return;
  burials_.push_back(place->first);
  if (burials_.size() <= kMaxTombstones) return;
  tombstones_.erase(burials_.front());
  burials_.pop_front();
}

// The content of a whole list. What Observe has put in since the list was taken stays.
StoreCore::Content StoreCore::Build(
    std::vector<std::pair<kube::ObjectKey, Object>>& objects) const {
  Content next{Slots(ByKey{meta_}), {}};
  for (auto& [key, object] : objects) {
    const KeyView view{key.ns, key.name};
    if (const auto twin = next.slots.find(view); twin != next.slots.end()) next.slots.erase(twin);
    if (!object || IsBuried(meta_(object.get()))) continue;
    next.slots.insert(next.slots.end(), Slot{std::move(object), nullptr});
  }
  ReaderLock lock(mutex_);
  for (const Slot& slot : next.slots) {
    const Meta meta = meta_(slot.object.get());
    const auto held = content_.slots.find(KeyView{meta.ns, meta.name});
    if (held == content_.slots.end()) continue;
    const Meta held_meta = meta_(held->object.get());
    if (!IsOlder(meta, held_meta.uid, held_meta.resource_version)) continue;
    slot.object = held->object;
    slot.announced = held->announced;
  }
  for (const Index& index : content_.indexes) next.indexes.push_back({index.name, index.fn, {}});
  for (const Slot& slot : next.slots) AddToIndexes(next, slot);
  return next;
}

// What handlers have not been told yet: against what was announced, not what Observe put in.
std::vector<StoreCore::Change> StoreCore::Compare(const Content& before,
                                                  const Content& after) const {
  std::vector<Change> changes;
  const auto add = [&](const Slot* old_slot, const Slot* new_slot) {
    const Meta meta = meta_((new_slot != nullptr ? new_slot : old_slot)->object.get());
    const Object was = old_slot == nullptr
                           ? nullptr
                           : (old_slot->announced ? old_slot->announced : old_slot->object);
    changes.push_back({{std::string(meta.ns), std::string(meta.name)},
                       was,
                       new_slot != nullptr ? new_slot->object : nullptr});
  };
  for (const Slot& slot : after.slots) {
    const auto held = before.slots.find(slot);
    if (held == before.slots.end()) {
      add(nullptr, &slot);
    } else if (!slot.announced) {
      const Object& told = held->announced ? held->announced : held->object;
      if (!IsSame(meta_(slot.object.get()), meta_(told.get()))) add(&*held, &slot);
    }
  }
  for (const Slot& slot : before.slots) {
    if (!after.slots.contains(slot)) add(&slot, nullptr);
  }
  return changes;
}

void StoreCore::AddToIndexes(Content& content, const Slot& slot) const {
  for (Index& index : content.indexes) {
    for (std::string& value : index.fn(slot.object.get())) {
      index.buckets.try_emplace(std::move(value), ByKey{meta_}).first->second.insert(&slot);
    }
  }
}

void StoreCore::RemoveFromIndexes(Content& content, const Slot& slot) const {
  for (Index& index : content.indexes) {
    for (const std::string& value : index.fn(slot.object.get())) {
      const auto bucket = index.buckets.find(value);
      if (bucket == index.buckets.end()) continue;
      bucket->second.erase(&slot);
      if (bucket->second.empty()) index.buckets.erase(bucket);
    }
  }
}

// Buckets that stay are left alone: the slot keeps its address and its key.
void StoreCore::Swap(Content& content, const Slot& slot, Object object) const {
  for (Index& index : content.indexes) {
    std::vector<std::string> before = index.fn(slot.object.get());
    std::vector<std::string> after = index.fn(object.get());
    for (const std::string& value : before) {
      if (std::find(after.begin(), after.end(), value) != after.end()) continue;
      const auto bucket = index.buckets.find(value);
      if (bucket == index.buckets.end()) continue;
      bucket->second.erase(&slot);
      if (bucket->second.empty()) index.buckets.erase(bucket);
    }
    for (std::string& value : after) {
      if (std::find(before.begin(), before.end(), value) != before.end()) continue;
      index.buckets.try_emplace(std::move(value), ByKey{meta_}).first->second.insert(&slot);
    }
  }
  slot.object = std::move(object);
}

}  // namespace certflow::runtime
