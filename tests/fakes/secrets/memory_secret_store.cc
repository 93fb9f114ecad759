#include "tests/fakes/secrets/memory_secret_store.h"

namespace certflow::fakes {
namespace {

Error Fault(ErrorCode code, std::string_view ns, std::string_view name) {
  return MakeError(code, ErrorCodeName(code), std::string(ns) + "/" + std::string(name));
}

}  // namespace

seams::SecretObject CloneSecret(const seams::SecretObject& from) {
  seams::SecretObject to;
  to.ns = from.ns;
  to.name = from.name;
  to.uid = from.uid;
  to.version = from.version;
  to.type = from.type;
  to.labels = from.labels;
  to.annotations = from.annotations;
  to.owner_api_version = from.owner_api_version;
  to.owner_kind = from.owner_kind;
  to.owner_name = from.owner_name;
  to.owner_uid = from.owner_uid;
  to.rest = from.rest;
  for (const auto& [key, value] : from.data) to.data[key] = value.Clone();
  return to;
}

Result<void> MemorySecretStore::Count(const std::string& kind) {
  ++requests[kind];
  ++total_requests;
  return before ? before(total_requests) : Result<void>();
}

Result<seams::SecretObject> MemorySecretStore::Get(const Context&, std::string_view ns,
                                                   std::string_view name) {
  CF_RETURN_IF_ERROR(Count("GET"));
  const auto found = secrets_.find({std::string(ns), std::string(name)});
  if (found == secrets_.end()) return Fault(ErrorCode::kNotFound, ns, name);
  if (after) CF_RETURN_IF_ERROR(after(total_requests));
  return CloneSecret(found->second);
}

Result<seams::SecretObject> MemorySecretStore::Put(const Context&,
                                                   const seams::SecretObject& secret) {
  const bool create = secret.version.empty();
  CF_RETURN_IF_ERROR(Count(create ? "POST" : "PUT"));
  const auto found = secrets_.find({secret.ns, secret.name});
  if (create && found != secrets_.end()) {
    return Fault(ErrorCode::kAlreadyExists, secret.ns, secret.name);
  }
  if (!create && found == secrets_.end()) {
    return Fault(ErrorCode::kNotFound, secret.ns, secret.name);
  }
  if (!create && found->second.version != secret.version) {
    return Fault(ErrorCode::kConflict, secret.ns, secret.name);
  }
  if (!create && found->second.type != secret.type) {
    return Fault(ErrorCode::kInvalid, secret.ns, secret.name);
  }
  seams::SecretObject stored = CloneSecret(secret);
  if (create) stored.uid = "uid-" + std::to_string(next_version_);
  stored.version = std::to_string(next_version_++);
  seams::SecretObject answer = CloneSecret(stored);
  answer.data.clear();
  secrets_[{secret.ns, secret.name}] = std::move(stored);
  if (after) CF_RETURN_IF_ERROR(after(total_requests));
  return answer;
}

Result<void> MemorySecretStore::Delete(const Context&, std::string_view ns, std::string_view name,
                                       std::string_view uid) {
  CF_RETURN_IF_ERROR(Count("DELETE"));
  const auto found = secrets_.find({std::string(ns), std::string(name)});
  if (found != secrets_.end()) {
    if (found->second.uid != uid) return Fault(ErrorCode::kConflict, ns, name);
    secrets_.erase(found);
  }
  return after ? after(total_requests) : Result<void>();
}

const seams::SecretObject* MemorySecretStore::Peek(const std::string& ns,
                                                   const std::string& name) const {
  const auto found = secrets_.find({ns, name});
  return found == secrets_.end() ? nullptr : &found->second;
}

void MemorySecretStore::Place(seams::SecretObject secret) {
  const Key key{secret.ns, secret.name};
  secret.uid = "uid-" + std::to_string(next_version_);
  secret.version = std::to_string(next_version_++);
  secrets_[key] = std::move(secret);
}

}  // namespace certflow::fakes
