#include "tests/fakes/kube/memory_api_server.h"

#include <algorithm>
#include <charconv>

#include "controller/kube/document_json.h"
#include "tests/fakes/kube/server_impl.h"

namespace certflow::fakes {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxSnapshots = 100;

class MemoryConfig : public kube::ClientConfig {
 public:
  const std::string& server() const override { return server_; }
  const std::string& default_namespace() const override { return namespace_; }
  const std::string& proxy() const override { return proxy_; }
  Result<kube::Credential> Current(const Context&) override { return kube::Credential(); }
  void Refused() override {}

 private:
  const std::string server_ = "https://memory";
  const std::string namespace_ = "default";
  const std::string proxy_;
};

kube::Resource BuiltIn(std::string group, std::string plural, std::string kind,
                       bool namespaced = true) {
  return {std::move(group), "v1", std::move(plural), std::move(kind), namespaced};
}

Answer NoSuchPath() {
  Answer answer;
  answer.status = 404;
  answer.content_type = "text/plain; charset=utf-8";
  answer.body = "404 page not found\n";
  return answer;
}

std::uint64_t Number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Answer Expired() {
  return Failure(410, "Expired", "The resourceVersion for the provided list is too old.");
}

}  // namespace

std::string MetadataOnly(const json& object) {
  return kube::Dump({{"kind", "PartialObjectMetadata"},
                     {"apiVersion", "meta.k8s.io/v1"},
                     {"metadata", object.at("metadata")}});
}

MemoryApiServer::Impl::Impl(Clock& the_clock, MemoryApiOptions the_options)
    : clock(the_clock), options(the_options), watch_list(the_options.watch_list) {
  for (const char* data : {"secrets:Secret", "configmaps:ConfigMap"}) {
    const std::string_view pair = data;
    const std::size_t colon = pair.find(':');
    Serve({BuiltIn("", std::string(pair.substr(0, colon)), std::string(pair.substr(colon + 1))),
           false, false, true});
  }
  Serve({BuiltIn("", "services", "Service"), true, false, true});
  Serve({BuiltIn("", "namespaces", "Namespace", false), true, false, true});
  Serve({BuiltIn("coordination.k8s.io", "leases", "Lease"), false, false, false});
  Serve({BuiltIn("events.k8s.io", "events", "Event"), false, false, true});
}

void MemoryApiServer::Impl::Serve(ServedResource resource) {
  const std::string name =
      resource.resource.group + "/" + resource.resource.version + "/" + resource.resource.plural;
  stores[name] =
      std::make_unique<ObjectStore>(std::move(resource), clock, version, uids, options.history);
}

ObjectStore* MemoryApiServer::Impl::Find(const ApiRequest& request) {
  const auto it = stores.find(request.group + "/" + request.version + "/" + request.plural);
  return it == stores.end() ? nullptr : it->second.get();
}

ObjectStore* MemoryApiServer::Impl::FindPlural(std::string_view plural) {
  for (const auto& [name, store] : stores) {
    if (store->served().resource.plural == plural) return store.get();
  }
  return nullptr;
}

Answer MemoryApiServer::Impl::HandleRaw(const ApiRequest& request) const {
  Answer answer;
  if (request.path == "/version") {
    answer.value = {{"major", "1"}, {"minor", "36"}, {"gitVersion", "v1.36.0-memory"}};
    return answer;
  }
  if (request.path == "/readyz" || request.path == "/livez") {
    answer.body = "ok";
    answer.content_type = "text/plain; charset=utf-8";
    return answer;
  }
  json resources = json::array();
  for (const auto& [name, store] : stores) {
    const kube::Resource& resource = store->served().resource;
    if (request.path == (resource.group.empty() ? "/api/" : "/apis/") + resource.ApiVersion()) {
      resources.push_back({{"name", resource.plural},
                           {"kind", resource.kind},
                           {"namespaced", resource.namespaced}});
    }
  }
  if (resources.empty()) return NoSuchPath();
  answer.value = {{"kind", "APIResourceList"}, {"apiVersion", "v1"}, {"resources", resources}};
  return answer;
}

Answer MemoryApiServer::Impl::HandleWrite(ObjectStore& store, const ApiRequest& request) {
  const bool status = request.subresource == "status";
  json body = json::parse(request.body.begin(), request.body.end(), nullptr, false);
  if (request.method == "DELETE" && request.body.empty()) body = json::object();
  if (!body.is_object()) return Failure(400, "BadRequest", "the body is not a JSON object");
  if (request.method == "DELETE") return store.Delete(request.key, body, request.dry_run());
  if (request.method == "PATCH") {
    if (request.content_type != "application/merge-patch+json") {
      return Failure(415, "UnsupportedMediaType", "only merge patches are served");
    }
    return store.Patch(request.key, status, body, request.dry_run());
  }
  const kube::Resource& resource = store.served().resource;
  if (body.value("kind", "") != resource.kind ||
      body.value("apiVersion", "") != resource.ApiVersion()) {
    return Failure(400, "BadRequest", "kind and apiVersion do not match the URL");
  }
  if (request.method == "PUT") {
    return store.Replace(request.key, status, std::move(body), request.dry_run());
  }
  return store.Create(request.key.ns, std::move(body), request.dry_run());
}

Answer MemoryApiServer::Impl::HandleLocked(const ApiRequest& request) {
  ObjectStore* store = request.plural.empty() ? nullptr : Find(request);
  if (store == nullptr) return HandleRaw(request);
  const bool status = request.subresource == "status";
  if (!request.subresource.empty() && !(status && store->served().status_subresource)) {
    return NoSuchPath();
  }
  if (request.method == "GET" && request.key.name.empty()) return List(*store, request);
  if (request.method == "GET") {
    const StoredPtr found = store->Find(request.key);
    if (!found) {
      return Failure(404, "NotFound", request.plural + " \"" + request.key.name + "\" not found");
    }
    Answer answer;
    answer.body = request.metadata_only ? MetadataOnly(found->value) : found->text;
    return answer;
  }
  const std::uint64_t before = version;
  Answer answer = HandleWrite(*store, request);
  if (version != before) changed.notify_all();
  const bool object = answer.status < 300 && request.method != "DELETE";
  if (object && request.metadata_only) {
    answer.value = json::parse(answer.body.empty() ? kube::Dump(answer.value) : answer.body);
    answer.body = MetadataOnly(answer.value);
  }
  return answer;
}

Answer MemoryApiServer::Impl::Handle(const ApiRequest& request) {
  Answer answer;
  {
    std::lock_guard lock(mutex);
    CountRequest(request);
    answer = HandleLocked(request);
  }
  if (answer.body.empty()) answer.body = kube::Dump(answer.value);
  return answer;
}

Answer MemoryApiServer::Impl::List(ObjectStore& store, const ApiRequest& request) {
  const std::string token = request.Parameter("continue");
  if (!token.empty()) {
    const std::size_t colon = token.find(':');
    const auto it = snapshots.find(Number(token));
    if (colon == std::string::npos || it == snapshots.end()) return Expired();
    return Page(store, request, *it->second, Number(token.substr(colon + 1)));
  }
  const std::uint64_t wanted = Number(request.Parameter("resourceVersion"));
  if (wanted > version) {
    return Failure(504, "Timeout", "Too large resource version", "ResourceVersionTooLarge", 1);
  }
  const auto selector =
      Selector::Parse(request.Parameter("labelSelector"), request.Parameter("fieldSelector"));
  if (!selector) return Failure(400, "BadRequest", "unable to parse the selector");
  Snapshot snapshot{version, store.All(request.key.ns)};
  std::erase_if(snapshot.objects,
                [&](const StoredPtr& object) { return !selector->Matches(object->value); });
  return Page(store, request, snapshot, 0);
}

Answer MemoryApiServer::Impl::Page(ObjectStore& store, const ApiRequest& request,
                                   const Snapshot& snapshot, std::size_t from) {
  std::size_t limit = Number(request.Parameter("limit"));
  if (options.page_limit > 0) {
    const auto most = static_cast<std::size_t>(options.page_limit);
    limit = limit == 0 ? most : std::min(limit, most);
  }
  const std::size_t rest = snapshot.objects.size() - std::min(from, snapshot.objects.size());
  const std::size_t count = limit == 0 ? rest : std::min(limit, rest);
  json metadata{{"resourceVersion", std::to_string(snapshot.version)}};
  if (count < rest) {
    snapshots[++last_token] = std::make_shared<Snapshot>(snapshot);
    if (snapshots.size() > kMaxSnapshots) snapshots.erase(snapshots.begin());
    metadata["continue"] = std::to_string(last_token) + ":" + std::to_string(from + count);
  }
  const kube::Resource& resource = store.served().resource;
  std::string items;
  for (std::size_t i = from; i < from + count; ++i) {
    const Stored& object = *snapshot.objects[i];
    if (!items.empty()) items += ',';
    items += request.metadata_only ? MetadataOnly(object.value) : object.text;
  }
  Answer answer;
  answer.body = "{\"kind\":\"" + (request.metadata_only ? "PartialObjectMetadata" : resource.kind) +
                "List\",\"apiVersion\":\"" +
                (request.metadata_only ? "meta.k8s.io/v1" : resource.ApiVersion()) +
                "\",\"metadata\":" + metadata.dump() + ",\"items\":[" + items + "]}";
  return answer;
}

Interception MemoryApiServer::Impl::Ask(const ApiRequest& request) {
  std::shared_ptr<const Interceptor> current;
  {
    std::lock_guard lock(mutex);
    current = interceptor;
  }
  if (!current || !*current) return {};
  const std::string verb = request.Verb();
  const std::string resource = request.ResourceName();
  return (*current)({request.method, request.path, request.query, verb, resource});
}

void MemoryApiServer::Impl::CountRequest(const ApiRequest& request) {
  ++counts[request.Verb() + " " + request.ResourceName()];
}

MemoryApiServer::MemoryApiServer(Clock& clock, MemoryApiOptions options)
    : impl_(std::make_unique<Impl>(clock, options)) {}
MemoryApiServer::~MemoryApiServer() = default;

std::shared_ptr<kube::ClientConfig> MemoryApiServer::Config() {
  return std::make_shared<MemoryConfig>();
}

std::unique_ptr<kube::Client> MemoryApiServer::NewClient(Metrics& metrics) {
  return kube::MakeClient(*this, Config(), metrics);
}

void MemoryApiServer::Serve(ServedResource resource) {
  std::lock_guard lock(impl_->mutex);
  impl_->Serve(std::move(resource));
}

void MemoryApiServer::Intercept(Interceptor interceptor) {
  std::lock_guard lock(impl_->mutex);
  impl_->interceptor = std::make_shared<const Interceptor>(std::move(interceptor));
}

void MemoryApiServer::SetWatchList(bool served) {
  std::lock_guard lock(impl_->mutex);
  impl_->watch_list = served;
}

void MemoryApiServer::Compact() {
  std::lock_guard lock(impl_->mutex);
  impl_->compacted_at = impl_->version;
  ++impl_->compactions;
  ++impl_->version;  // so that what was current before is too old as well
  for (auto& [name, store] : impl_->stores) store->Compact();
  impl_->snapshots.clear();
}

void MemoryApiServer::EndWatches() {
  std::lock_guard lock(impl_->mutex);
  ++impl_->ends;
  impl_->changed.notify_all();
}

void MemoryApiServer::BreakWatches() {
  std::lock_guard lock(impl_->mutex);
  ++impl_->breaks;
  impl_->changed.notify_all();
}

void MemoryApiServer::SendBookmarks() {
  std::lock_guard lock(impl_->mutex);
  ++impl_->bookmarks;
  impl_->changed.notify_all();
}

void MemoryApiServer::HoldWatches(bool hold, std::string_view plural) {
  std::lock_guard lock(impl_->mutex);
  impl_->held = hold;
  impl_->held_resource = plural;
  impl_->changed.notify_all();
}

std::size_t MemoryApiServer::Count(std::string_view verb, std::string_view resource) const {
  std::lock_guard lock(impl_->mutex);
  const auto it = impl_->counts.find(std::string(verb) + " " + std::string(resource));
  return it == impl_->counts.end() ? 0 : it->second;
}

std::map<std::string, std::size_t> MemoryApiServer::Counts() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->counts;
}

void MemoryApiServer::ResetCounts() {
  std::lock_guard lock(impl_->mutex);
  impl_->counts.clear();
}

std::size_t MemoryApiServer::open_watches() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->watches;
}

std::string MemoryApiServer::Peek(std::string_view plural, const kube::ObjectKey& key) const {
  std::lock_guard lock(impl_->mutex);
  ObjectStore* store = impl_->FindPlural(plural);
  const StoredPtr found = store == nullptr ? nullptr : store->Find(key);
  return found ? found->text : "";
}

std::vector<kube::ObjectKey> MemoryApiServer::Keys(std::string_view plural) const {
  std::lock_guard lock(impl_->mutex);
  std::vector<kube::ObjectKey> keys;
  const ObjectStore* store = impl_->FindPlural(plural);
  if (store == nullptr) return keys;
  for (const auto& [key, object] : store->objects()) keys.push_back(key);
  return keys;
}

namespace {

net::HttpResponse Response(Answer answer) {
  net::HttpResponse response;
  response.status = answer.status;
  response.headers = {{"content-type", answer.content_type}};
  response.body = std::move(answer.body);
  return response;
}

net::HttpResponse Response(const Interception& interception) {
  net::HttpResponse response;
  response.status = interception.status;
  response.body = interception.body;
  if (interception.retry_after_seconds > 0) {
    response.headers = {{"retry-after", std::to_string(interception.retry_after_seconds)}};
  }
  return response;
}

}  // namespace

Result<net::HttpResponse> MemoryApiServer::Do(const Context& ctx, const net::HttpRequest& http) {
  CF_RETURN_IF_ERROR(ctx.Check());
  const ApiRequest request = ParseRequest(http);
  const Interception interception = impl_->Ask(request);
  const bool read = request.method == "GET";
  switch (interception.kind) {
    case Interception::Kind::kPass:
      return Response(impl_->Handle(request));
    case Interception::Kind::kFailBefore:
      return MakeError(ErrorCode::kUnavailable, "ConnectFailed", "connection refused");
    case Interception::Kind::kFailAfter:
      impl_->Handle(request);
      return MakeError(read ? ErrorCode::kUnavailable : ErrorCode::kUnknownOutcome,
                       "ConnectionLost", "the connection was lost before the answer");
    case Interception::Kind::kAnswer:
      return Response(interception);
    case Interception::Kind::kAnswerAfter:
      impl_->Handle(request);
      return Response(interception);
  }
  return MakeError(ErrorCode::kInternal, "Interception", "unknown interception");
}

}  // namespace certflow::fakes
