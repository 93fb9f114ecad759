#include "tests/fakes/world/front_door.h"

#include <nlohmann/json.hpp>

#include "tests/fakes/kube/request.h"

namespace certflow::fakes {
namespace {

using nlohmann::json;

net::HttpResponse Denied() {
  json status{{"kind", "Status"},
              {"apiVersion", "v1"},
              {"status", "Failure"},
              {"reason", "Invalid"},
              {"code", 422},
              {"message",
               "ValidatingAdmissionPolicy 'certflow-approvals' with binding 'certflow-approvals' "
               "denied request: a decision cannot come with the object"}};
  return {422, {{"content-type", "application/json"}}, status.dump()};
}

std::string NoteKey(const std::string& plural, const json& metadata, const std::string& key,
                    const std::string& value) {
  return plural + "/" + metadata.value("namespace", "") + "/" + metadata.value("name", "") + " " +
         key + "=" + value;
}

bool IsPolicy(const ApiRequest& asked) { return asked.group == "admissionregistration.k8s.io"; }

std::string SpecKey(const std::string& plural, const json& metadata, std::int64_t generation) {
  return NoteKey(plural, metadata, "spec", std::to_string(generation));
}

}  // namespace

// The answer of a write is where new annotations show first.
void FrontDoor::NoteWrite(const std::string& plural, const std::string& body) {
  const json object = json::parse(body, nullptr, false);
  if (!object.is_object() || !object.contains("metadata")) return;
  const json& metadata = object["metadata"];
  if (notes_ == nullptr) return;
  MutexLock lock(notes_->mutex);
  notes_->written.emplace(SpecKey(plural, metadata, metadata.value("generation", 1)), clock_.Now());
  const json annotations = metadata.value("annotations", json::object());
  for (const auto& [key, value] : annotations.items()) {
    notes_->written.emplace(NoteKey(plural, metadata, key, value), clock_.Now());
  }
}

WallTime FrontDoor::SpecTime(const std::string& plural,
                             const json& metadata) const CF_NO_THREAD_SAFETY_ANALYSIS {
  const std::int64_t now = metadata.value("generation", 1);
  const auto found = notes_->written.find(SpecKey(plural, metadata, frozen_ ? 1 : now));
  return found == notes_->written.end() ? clock_.Now() : found->second;
}

void FrontDoor::Touch(const std::string& plural, const std::string& ns, const std::string& name) {
  MutexLock lock(notes_->mutex);
  const std::string prefix = plural + "/" + ns + "/" + name + " ";
  for (auto& [key, time] : notes_->written) {
    if (key.starts_with(prefix)) time = clock_.Now();
  }
}

void FrontDoor::AddManagedFields(const std::string& plural, std::string& body) {
  json object = json::parse(body, nullptr, false);
  if (!object.is_object() || !object.contains("metadata") || notes_ == nullptr) return;
  json& metadata = object["metadata"];
  json fields = json::array();
  MutexLock lock(notes_->mutex);
  const json annotations = metadata.value("annotations", json::object());
  for (const auto& [key, value] : annotations.items()) {
    // Whoever reads between a write and its note sees what was written just now.
    const auto at =
        notes_->written.emplace(NoteKey(plural, metadata, key, value), clock_.Now()).first;
    fields.push_back({{"manager", "kubectl"},
                      {"operation", "Update"},
                      {"time", FormatTime(at->second)},
                      {"fieldsV1", {{"f:metadata", {{"f:annotations", {{"f:" + key, {}}}}}}}}});
  }
  fields.push_back({{"manager", "kubectl"},
                    {"operation", "Update"},
                    {"time", FormatTime(SpecTime(plural, metadata))},
                    {"fieldsV1", {{"f:spec", json::object()}}}});
  metadata["managedFields"] = std::move(fields);
  body = object.dump();
}

Result<net::HttpResponse> FrontDoor::Serve(const Context& ctx, const net::HttpRequest& request) {
  const ApiRequest asked = ParseRequest(request);
  const bool probe = asked.dry_run() && asked.plural == "workflowruns";
  if (probe && enforced_) return Denied();
  if (drop_ && drop_(request)) {
    return net::HttpResponse{
        200, {{"content-type", "application/json"}}, server_.Peek(asked.plural, asked.key)};
  }
  auto response = server_.Do(ctx, request);
  activity_.Touch();
  if (!response.ok() || response->status >= 300) return response;
  const bool ours = asked.group == "certflow.dev" || IsPolicy(asked);
  if (asked.method == "GET" && ours && !asked.key.name.empty()) {
    AddManagedFields(asked.plural, response->body);
  } else if (asked.method != "GET" && ours && !asked.dry_run()) {
    NoteWrite(asked.plural, response->body);
  }
  return response;
}

Result<net::HttpResponse> FrontDoor::Do(const Context& ctx, const net::HttpRequest& request) {
  if (life_ == nullptr) return Serve(ctx, request);
  const ApiRequest asked = ParseRequest(request);
  const bool counted = asked.method != "GET" && !asked.dry_run() && asked.plural != "events" &&
                       (asked.plural != "leases" || count_leases_);
  if (counted) {
    return life_->Pass("api " + asked.Verb() + " " + asked.ResourceName(),
                       [&] { return Serve(ctx, request); });
  }
  if (life_->dead()) return Lifeline::Gone();
  auto response = Serve(ctx, request);
  if (life_->dead()) return Lifeline::Gone();
  return response;
}

Result<void> FrontDoor::Stream(const Context& ctx, const net::HttpRequest& request,
                               net::StreamSink& sink) {
  if (life_ != nullptr && life_->dead()) return Lifeline::Gone();
  return server_.Stream(ctx, request, sink);
}

}  // namespace certflow::fakes
