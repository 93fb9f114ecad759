#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tests/fakes/kube/memory_api_server.h"

namespace certflow::fakes {

// An object at one resourceVersion, with its text made once.
struct Stored {
  nlohmann::json value;
  std::string text;
  std::uint64_t version = 0;
};
using StoredPtr = std::shared_ptr<const Stored>;

struct StoreEvent {
  std::uint64_t version = 0;
  StoredPtr before;  // null: it did not exist
  StoredPtr after;   // null: deleted, then `before` carries the deletion's version
};

struct Answer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  nlohmann::json value;  // when set, the body is made of it
};

// A Status of the API.
Answer Failure(int code, std::string_view reason, const std::string& message,
               std::string_view cause = "", int retry_after = 0);

// The objects of one resource and the rules of writing them. Not thread-safe: the server's lock
// guards all of them.
class ObjectStore {
 public:
  ObjectStore(ServedResource served, Clock& clock, std::uint64_t& version, std::uint64_t& uids,
              std::size_t history);

  const ServedResource& served() const { return served_; }
  StoredPtr Find(const kube::ObjectKey& key) const;
  std::vector<StoredPtr> All(std::string_view ns) const;
  const std::map<kube::ObjectKey, StoredPtr>& objects() const { return objects_; }

  // Errors are answers too; `changed` tells that an event was added.
  Answer Create(const std::string& ns, nlohmann::json object, bool dry_run);
  Answer Replace(const kube::ObjectKey& key, bool status, nlohmann::json object, bool dry_run);
  Answer Patch(const kube::ObjectKey& key, bool status, const nlohmann::json& patch, bool dry_run);
  Answer Delete(const kube::ObjectKey& key, const nlohmann::json& options, bool dry_run);

  // Events after `version`; false when some of them are forgotten.
  bool EventsSince(std::uint64_t version, std::vector<StoreEvent>& events) const;
  void Compact();

 private:
  Answer NotFound(const kube::ObjectKey& key) const;
  Answer Conflict(const kube::ObjectKey& key, const std::string& why) const;
  // Checks what a write may not change, then stores it.
  Answer Update(const kube::ObjectKey& key, const StoredPtr& old, bool status,
                nlohmann::json object, bool dry_run);
  void KeepServerFields(const nlohmann::json& old, bool status, nlohmann::json& object) const;
  StoredPtr Put(const kube::ObjectKey& key, const StoredPtr& before, nlohmann::json object);
  Answer Remove(const kube::ObjectKey& key, const StoredPtr& old);
  void Remember(StoreEvent event);

  const ServedResource served_;
  Clock& clock_;
  std::uint64_t& version_;
  std::uint64_t& uids_;
  const std::size_t max_history_;
  std::map<kube::ObjectKey, StoredPtr> objects_;
  std::deque<StoreEvent> history_;
  std::uint64_t forgotten_ = 0;  // events up to this version are gone
};

}  // namespace certflow::fakes
