#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/base/backoff.h"
#include "controller/base/context.h"
#include "controller/base/metrics.h"
#include "controller/kube/client.h"
#include "controller/runtime/store.h"

namespace certflow::runtime {

// What an informer feeds; untyped, so that the list-watch machinery is compiled once. Called on the
// informer's thread only.
class InformerSink {
 public:
  virtual ~InformerSink() = default;
  virtual void OnUpsert(kube::Document object) = 0;
  virtual void OnDelete(const kube::Document& object) = 0;
  // A whole list, object by object, so that no more than a page of documents is held. It counts
  // from EndReplace on; BeginReplace discards what an earlier one has begun. Of two objects with
  // one key the later counts. `initial`: the first list since the start.
  virtual void BeginReplace() = 0;
  virtual void AddToReplace(kube::Document object) = 0;
  virtual void DropFromReplace(const kube::Document& object) = 0;
  virtual void EndReplace(bool initial) = 0;
};

struct InformerOptions {
  kube::ListOptions select;
  bool use_watch_list = true;  // falls back by itself where the server does not have it
  int page_size = 500;
  Duration silence{600'000};      // no event and no bookmark for so long: list again
  Duration list_timeout{60'000};  // of one page
  BackoffPolicy backoff{Duration{800}, 2.0, Duration{30'000}, 1.0};
};

// Keeps a sink equal to the server: list (streamed where served, else by pages), watch, bookmarks,
// resume at the last resourceVersion, list again after 410 (as status and in-stream) and after
// silence, as after a restore of the server from a backup. One thread, named "informer". Objects
// that cannot be decoded are the sink's to report; they stop nothing.
class Informer {
 public:
  Informer(kube::Client& client, kube::Resource resource, InformerOptions options, Clock& clock,
           Metrics& metrics, const Logger& log, InformerSink& sink);
  ~Informer();
  void Start();
  void Stop();
  bool synced() const;  // the first list is complete
  // Whether it became complete before the context ended.
  bool WaitSynced(const Context& ctx) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Objects that could not be decoded, each reported once per resourceVersion. Remembers at most
// kMaxRemembered of them.
class Rejects {
 public:
  static constexpr std::size_t kMaxRemembered = 1000;
  void Report(const kube::Document& object, const Error& error, const Logger& log);
  void Forget(const kube::ObjectKey& key);

 private:
  std::map<kube::ObjectKey, std::string> versions_;
};

// The sink of a typed store: decodes, stores, and tells who listens. `decode` returns an error for
// an object that is not of the expected shape: it is logged once per resourceVersion and kept out
// of the store, which keeps the last good version of the same object (same uid). `on_change` is
// called in order, on the informer's thread; it only enqueues keys.
template <typename T>
class StoreSink : public InformerSink {
 public:
  using Decode = std::function<Result<T>(const kube::Document&)>;
  using OnChange = std::function<void(const typename Store<T>::Change&, bool initial)>;

  StoreSink(Store<T>& store, Decode decode, OnChange on_change, Logger log)
      : store_(store),
        decode_(std::move(decode)),
        on_change_(std::move(on_change)),
        log_(std::move(log)) {}

  void OnUpsert(kube::Document object) override {
    auto [key, decoded] = Convert(object);
    if (!decoded) return Tell(store_.Erase(key));
    Tell(store_.Upsert(key, std::move(decoded)));
  }
  void OnDelete(const kube::Document& object) override {
    const kube::ObjectKey key{object.ns(), object.name()};
    rejects_.Forget(key);
    Tell(store_.Erase(key, object.resource_version()));
  }
  void BeginReplace() override { list_.clear(); }
  void AddToReplace(kube::Document object) override { list_.push_back(Convert(object)); }
  void DropFromReplace(const kube::Document& object) override {
    list_.emplace_back(kube::ObjectKey{object.ns(), object.name()}, nullptr);
  }
  void EndReplace(bool initial) override {
    for (const auto& change : store_.Replace(std::exchange(list_, {}))) {
      if (on_change_) on_change_(change, initial);
    }
  }

 private:
  using Item = std::pair<kube::ObjectKey, typename Store<T>::Object>;

  // Null when there is neither a good version nor one held.
  Item Convert(const kube::Document& object) {
    kube::ObjectKey key{object.ns(), object.name()};
    Result<T> decoded = decode_(object);
    if (decoded.ok()) {
      rejects_.Forget(key);
      return {std::move(key), std::make_shared<const T>(std::move(*decoded))};
    }
    rejects_.Report(object, decoded.error(), log_);
    typename Store<T>::Object held = store_.Get(key);
    if (held && held->meta.uid != object.uid()) held = nullptr;
    return {std::move(key), std::move(held)};
  }
  void Tell(const std::optional<typename Store<T>::Change>& change) {
    if (change && on_change_) on_change_(*change, false);
  }

  Store<T>& store_;
  Decode decode_;
  OnChange on_change_;
  Logger log_;
  Rejects rejects_;
  std::vector<Item> list_;
};

}  // namespace certflow::runtime
