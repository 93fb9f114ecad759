#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "controller/base/backoff.h"
#include "controller/base/context.h"
#include "controller/base/metrics.h"
#include "controller/kube/client.h"
#include "controller/runtime/store.h"

namespace certflow::runtime {

// What an informer feeds; untyped, so that the list-watch machinery is compiled once.
class InformerSink {
 public:
  virtual ~InformerSink() = default;
  virtual void OnUpsert(kube::Document object, bool initial) = 0;
  virtual void OnDelete(const kube::Document& object) = 0;
  virtual void OnReplace(std::vector<kube::Document> objects) = 0;  // a whole list, at once
};

struct InformerOptions {
  kube::ListOptions select;
  bool use_watch_list = true;      // falls back by itself where the server does not have it
  int page_size = 500;
  Duration silence{600'000};       // no event and no bookmark for so long: list again
  BackoffPolicy backoff{Duration{800}, 2.0, Duration{30'000}, 1.0};
};

// Keeps a sink equal to the server: list (streamed where served), watch, bookmarks, resume at the
// last resourceVersion, 410 as status and in-stream, half-open connections cut by an own deadline.
// One thread, named "informer". Objects that cannot be decoded are the sink's to report; they stop
// nothing.
class Informer {
 public:
  Informer(kube::Client& client, kube::Resource resource, InformerOptions options, Clock& clock,
           Metrics& metrics, Logger log, InformerSink& sink);
  ~Informer();
  void Start();
  void Stop();
  bool synced() const;                       // the first list is complete
  bool WaitSynced(const Context& ctx) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The sink of a typed store: decodes, stores, and tells who listens. `decode` returns an error for
// an object that is not of the expected shape: it is logged once per resourceVersion and kept out of
// the store. `on_change` is called in order, on the informer's thread; it only enqueues keys.
template <typename T>
class StoreSink : public InformerSink {
 public:
  using Decode = std::function<Result<T>(const kube::Document&)>;
  using OnChange = std::function<void(const typename Store<T>::Change&, bool initial)>;
  StoreSink(Store<T>& store, Decode decode, OnChange on_change, Logger log);
  void OnUpsert(kube::Document object, bool initial) override;
  void OnDelete(const kube::Document& object) override;
  void OnReplace(std::vector<kube::Document> objects) override;

 private:
  Store<T>& store_;
  Decode decode_;
  OnChange on_change_;
  Logger log_;
};

}  // namespace certflow::runtime
