#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "tests/fakes/kube/memory_api_server.h"
#include "tests/fakes/kube/object_store.h"
#include "tests/fakes/kube/request.h"
#include "tests/fakes/kube/selector.h"

namespace certflow::fakes {

// The rest of a list, kept for its continue token.
struct Snapshot {
  std::uint64_t version = 0;
  std::vector<StoredPtr> objects;
};

struct MemoryApiServer::Impl {
  Impl(Clock& the_clock, MemoryApiOptions the_options);

  void Serve(ServedResource resource);
  ObjectStore* Find(const ApiRequest& request);
  ObjectStore* FindPlural(std::string_view plural);

  // The whole of a request that is no watch. Takes the lock.
  Answer Handle(const ApiRequest& request);
  Answer HandleLocked(const ApiRequest& request);
  Answer HandleRaw(const ApiRequest& request) const;
  Answer HandleWrite(ObjectStore& store, const ApiRequest& request);
  Answer List(ObjectStore& store, const ApiRequest& request);
  Answer Page(ObjectStore& store, const ApiRequest& request, const Snapshot& snapshot,
              std::size_t from);

  Interception Ask(const ApiRequest& request);
  void CountRequest(const ApiRequest& request);

  Clock& clock;
  const MemoryApiOptions options;
  mutable std::mutex mutex;
  std::condition_variable_any changed;
  std::uint64_t version = 1000;
  std::uint64_t uids = 0;
  std::uint64_t last_token = 0;
  std::map<std::string, std::unique_ptr<ObjectStore>, std::less<>>
      stores;  // "group/version/plural"
  std::map<std::uint64_t, std::shared_ptr<const Snapshot>> snapshots;
  std::map<std::string, std::size_t> counts;
  std::shared_ptr<const Interceptor> interceptor;
  bool watch_list = true;
  bool held = false;
  std::string held_resource;  // empty: all
  std::size_t watches = 0;
  // Counters that open watches compare with what they saw at their start.
  std::uint64_t ends = 0;
  std::uint64_t breaks = 0;
  std::uint64_t bookmarks = 0;
  std::uint64_t compactions = 0;
  std::uint64_t compacted_at = 0;  // the version before the last compaction
};

// An object as a client that asked for its metadata alone sees it.
std::string MetadataOnly(const nlohmann::json& object);

}  // namespace certflow::fakes
