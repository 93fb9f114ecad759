#include "tests/fakes/kube/object_store.h"

#include <algorithm>
#include <cstdio>

#include "controller/base/base64.h"
#include "controller/kube/document_json.h"

namespace certflow::fakes {
namespace {

using nlohmann::json;

std::string Text(const json& object, const char* field) {
  const auto it = object.find(field);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

bool HasFinalizers(const json& object) {
  const auto it = object.at("metadata").find("finalizers");
  return it != object.at("metadata").end() && it->is_array() && !it->empty();
}

bool Deleting(const json& object) { return object.at("metadata").contains("deletionTimestamp"); }

// What the API server leaves out, so that two ways of saying nothing compare equal.
void DropNulls(json& object) {
  if (!object.is_object()) return;
  for (auto it = object.begin(); it != object.end();) {
    it = it->is_null() ? object.erase(it) : std::next(it);
  }
}

void Tidy(json& object) {
  json& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = json::object();
  DropNulls(object);
  DropNulls(metadata);
  for (const char* field : {"labels", "annotations", "finalizers", "ownerReferences"}) {
    const auto it = metadata.find(field);
    if (it != metadata.end() && it->empty()) metadata.erase(it);
  }
  metadata.erase("managedFields");
}

// The write-only convenience of Secrets.
void FoldStringData(json& object) {
  const auto it = object.find("stringData");
  if (it == object.end()) return;
  for (const auto& [name, value] : it->items()) {
    if (value.is_string()) object["data"][name] = Base64Encode(value.get<std::string>());
  }
  object.erase("stringData");
}

bool AddsFinalizer(const json& old, const json& now) {
  const json before = old.at("metadata").value("finalizers", json::array());
  for (const json& name : now.at("metadata").value("finalizers", json::array())) {
    if (std::find(before.begin(), before.end(), name) == before.end()) return true;
  }
  return false;
}

// Compared by the generation: everything but metadata and, with a subresource, status.
json Body(const json& object, bool status_subresource) {
  json body = object;
  body.erase("metadata");
  if (status_subresource) body.erase("status");
  return body;
}

std::string Uid(std::uint64_t number) {
  char text[40];
  std::snprintf(text, sizeof text, "%08x-0000-4000-8000-%012llx",
                static_cast<unsigned>(number * 2654435761u),
                static_cast<unsigned long long>(number));
  return text;
}

}  // namespace

Answer Failure(int code, std::string_view reason, const std::string& message,
               std::string_view cause, int retry_after) {
  json status{{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", json::object()},
              {"status", "Failure"}, {"reason", reason},   {"message", message},
              {"code", code}};
  if (!cause.empty()) {
    status["details"]["causes"] = json::array({{{"reason", cause}, {"message", message}}});
  }
  if (retry_after > 0) status["details"]["retryAfterSeconds"] = retry_after;
  Answer answer;
  answer.status = code;
  answer.body = kube::Dump(status);
  return answer;
}

ObjectStore::ObjectStore(ServedResource served, Clock& clock, std::uint64_t& version,
                         std::uint64_t& uids, std::size_t history)
    : served_(std::move(served)),
      clock_(clock),
      version_(version),
      uids_(uids),
      max_history_(history),
      forgotten_(version) {}

StoredPtr ObjectStore::Find(const kube::ObjectKey& key) const {
  const auto it = objects_.find(key);
  return it == objects_.end() ? nullptr : it->second;
}

std::vector<StoredPtr> ObjectStore::All(std::string_view ns) const {
  std::vector<StoredPtr> all;
  for (const auto& [key, object] : objects_) {
    if (ns.empty() || key.ns == ns) all.push_back(object);
  }
  return all;
}

Answer ObjectStore::NotFound(const kube::ObjectKey& key) const {
  return Failure(404, "NotFound", served_.resource.plural + " \"" + key.name + "\" not found");
}

Answer ObjectStore::Conflict(const kube::ObjectKey& key, const std::string& why) const {
  return Failure(409, "Conflict",
                 "Operation cannot be fulfilled on " + served_.resource.plural + " \"" + key.name +
                     "\": " + why);
}

Answer ObjectStore::Create(const std::string& ns, json object, bool dry_run) {
  Tidy(object);
  json& metadata = object["metadata"];
  const kube::ObjectKey key{served_.resource.namespaced ? ns : "", Text(metadata, "name")};
  if (key.name.empty()) {
    return Failure(422, "Invalid", "metadata.name: Required value: name is required");
  }
  if (!Text(metadata, "resourceVersion").empty()) {
    return Failure(400, "BadRequest", "resourceVersion should not be set on objects to be created");
  }
  if (served_.resource.namespaced && !Text(metadata, "namespace").empty() &&
      Text(metadata, "namespace") != ns) {
    return Failure(400, "BadRequest",
                   "the namespace of the provided object does not match the namespace sent on the "
                   "request");
  }
  if (const StoredPtr old = Find(key)) {
    const std::string what = served_.resource.plural + " \"" + key.name + "\"";
    return Failure(409, "AlreadyExists",
                   Deleting(old->value) ? "object is being deleted: " + what + " already exists"
                                        : what + " already exists");
  }
  FoldStringData(object);
  if (served_.resource.namespaced) metadata["namespace"] = ns;
  metadata["uid"] = Uid(++uids_);
  metadata["creationTimestamp"] = FormatTime(clock_.Now());
  metadata.erase("deletionTimestamp");
  metadata.erase("deletionGracePeriodSeconds");
  metadata.erase("generation");
  if (served_.generation) metadata["generation"] = 1;
  if (served_.status_subresource) object.erase("status");
  Answer answer;
  answer.status = 201;
  if (dry_run) {
    answer.value = std::move(object);
  } else {
    answer.body = Put(key, nullptr, std::move(object))->text;
  }
  return answer;
}

Answer ObjectStore::Replace(const kube::ObjectKey& key, bool status, json object, bool dry_run) {
  Tidy(object);
  const std::string version = Text(object["metadata"], "resourceVersion");
  const std::string name = Text(object["metadata"], "name");
  if (name != key.name) {
    return Failure(400, "BadRequest",
                   "the name of the object (" + name + ") does not match the name on the URL (" +
                       key.name + ")");
  }
  const StoredPtr old = Find(key);
  if (!old) return NotFound(key);
  if (version.empty() && !served_.unconditional_update) {
    return Failure(422, "Invalid",
                   "metadata.resourceVersion: Invalid value: 0: must be specified for an update");
  }
  return Update(key, old, status, std::move(object), dry_run);
}

Answer ObjectStore::Patch(const kube::ObjectKey& key, bool status, const json& patch,
                          bool dry_run) {
  const StoredPtr old = Find(key);
  if (!old) return NotFound(key);
  json object = old->value;
  object.merge_patch(patch);
  if (!object.is_object()) return Failure(400, "BadRequest", "the patch is not an object");
  Tidy(object);
  return Update(key, old, status, std::move(object), dry_run);
}

void ObjectStore::KeepServerFields(const json& old, bool status, json& object) const {
  if (status) {  // nothing but the status changes
    json kept = old;
    kept.erase("status");
    if (const auto it = object.find("status"); it != object.end()) kept["status"] = *it;
    object = std::move(kept);
    return;
  }
  json& metadata = object["metadata"];
  const json& before = old.at("metadata");
  for (const char* field : {"name", "namespace", "uid", "creationTimestamp", "generation",
                            "deletionTimestamp", "deletionGracePeriodSeconds"}) {
    metadata.erase(field);
    if (before.contains(field)) metadata[field] = before.at(field);
  }
  metadata["resourceVersion"] = before.at("resourceVersion");
  object["apiVersion"] = old.at("apiVersion");
  object["kind"] = old.at("kind");
  FoldStringData(object);
  if (!served_.status_subresource) return;
  object.erase("status");
  if (old.contains("status")) object["status"] = old.at("status");
}

Answer ObjectStore::Update(const kube::ObjectKey& key, const StoredPtr& old, bool status,
                           json object, bool dry_run) {
  const json& metadata = object["metadata"];
  const std::string version = Text(metadata, "resourceVersion");
  if (!version.empty() && version != Text(old->value.at("metadata"), "resourceVersion")) {
    return Conflict(key,
                    "the object has been modified; please apply your changes to the latest version "
                    "and try again");
  }
  const std::string uid = Text(metadata, "uid");
  const std::string live = Text(old->value.at("metadata"), "uid");
  if (!uid.empty() && uid != live) {
    return Conflict(
        key, "Precondition failed: UID in precondition: " + uid + ", UID in object meta: " + live);
  }
  KeepServerFields(old->value, status, object);
  if (Deleting(object) && AddsFinalizer(old->value, object)) {
    return Failure(
        422, "Invalid",
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is "
        "being deleted");
  }
  Answer answer;
  if (object == old->value) {  // no write at all
    answer.body = old->text;
    return answer;
  }
  if (served_.generation &&
      Body(object, served_.status_subresource) != Body(old->value, served_.status_subresource)) {
    object["metadata"]["generation"] = object["metadata"].value("generation", 0) + 1;
  }
  if (dry_run) {
    answer.value = std::move(object);
    return answer;
  }
  if (Deleting(object) && !HasFinalizers(object)) {  // the last finalizer: gone in the same write
    const auto last = std::make_shared<Stored>(Stored{std::move(object), "", old->version});
    answer.body = kube::Dump(last->value);
    Remove(key, last);
    return answer;
  }
  answer.body = Put(key, old, std::move(object))->text;
  return answer;
}

Answer ObjectStore::Delete(const kube::ObjectKey& key, const json& options, bool dry_run) {
  const StoredPtr old = Find(key);
  if (!old) return NotFound(key);
  const json& metadata = old->value.at("metadata");
  const json preconditions = options.value("preconditions", json::object());
  for (const char* field : {"uid", "resourceVersion"}) {
    const std::string wanted = Text(preconditions, field);
    if (!wanted.empty() && wanted != Text(metadata, field)) {
      return Conflict(key, std::string("Precondition failed: ") + field + " in precondition: " +
                               wanted + ", in object meta: " + Text(metadata, field));
    }
  }
  Answer answer;
  if (HasFinalizers(old->value)) {
    answer.body = old->text;
    if (Deleting(old->value) || dry_run) return answer;
    json object = old->value;
    object["metadata"]["deletionTimestamp"] = FormatTime(clock_.Now());
    object["metadata"]["deletionGracePeriodSeconds"] = 0;
    if (served_.generation) {
      object["metadata"]["generation"] = metadata.value("generation", 0) + 1;
    }
    answer.body = Put(key, old, std::move(object))->text;
    return answer;
  }
  if (!dry_run) return Remove(key, old);
  answer.body = old->text;
  return answer;
}

StoredPtr ObjectStore::Put(const kube::ObjectKey& key, const StoredPtr& before, json object) {
  auto stored = std::make_shared<Stored>();
  stored->version = ++version_;
  object["metadata"]["resourceVersion"] = std::to_string(stored->version);
  stored->value = std::move(object);
  stored->text = kube::Dump(stored->value);
  objects_[key] = stored;
  Remember({stored->version, before, stored});
  return stored;
}

Answer ObjectStore::Remove(const kube::ObjectKey& key, const StoredPtr& old) {
  auto last = std::make_shared<Stored>(*old);
  last->version = ++version_;
  last->value["metadata"]["resourceVersion"] = std::to_string(last->version);
  last->text = kube::Dump(last->value);
  objects_.erase(key);
  Remember({last->version, last, nullptr});
  Answer answer;
  answer.value = {{"kind", "Status"},
                  {"apiVersion", "v1"},
                  {"metadata", json::object()},
                  {"status", "Success"},
                  {"details", {{"name", key.name}, {"uid", Text(old->value["metadata"], "uid")}}}};
  return answer;
}

void ObjectStore::Remember(StoreEvent event) {
  history_.push_back(std::move(event));
  if (history_.size() <= max_history_) return;
  forgotten_ = history_.front().version;
  history_.pop_front();
}

bool ObjectStore::EventsSince(std::uint64_t version, std::vector<StoreEvent>& events) const {
  if (version < forgotten_) return false;
  auto first =
      std::upper_bound(history_.begin(), history_.end(), version,
                       [](std::uint64_t v, const StoreEvent& event) { return v < event.version; });
  events.assign(first, history_.end());
  return true;
}

void ObjectStore::Compact() {
  history_.clear();
  forgotten_ = version_;
}

}  // namespace certflow::fakes
