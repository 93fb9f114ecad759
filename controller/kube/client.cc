#include "controller/kube/client.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>

#include "controller/kube/answer.h"
#include "controller/kube/document_json.h"
#include "controller/kube/url.h"
#include "controller/kube/watch.h"

namespace certflow::kube {
namespace {

using nlohmann::json;

// Above the server's own limits (60 s for reads, 34 s for writes), so that its answer wins.
constexpr Duration kReadLimit{65'000};
constexpr Duration kWriteLimit{40'000};
constexpr Duration kWatchMargin{5'000};
constexpr std::size_t kMaxAnswer = 64u << 20;

constexpr std::string_view kManager = "certflow";
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kMergePatch = "application/merge-patch+json";
constexpr std::string_view kApplyPatch = "application/apply-patch+yaml";
constexpr std::string_view kMetadataOnly =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
constexpr std::string_view kMetadataOnlyList =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

bool IsSecret(const Resource& resource) {
  return resource.group.empty() && resource.plural == "secrets";
}

// One request on its way: what is sent, and what it is called in metrics and messages.
struct Call {
  std::string_view verb;
  bool write = false;
  bool wipe_answer = false;
  net::HttpRequest request;
  std::function<std::string()> what;  // only for errors
};

Query WriteQuery(std::string_view manager, bool dry_run) {
  Query query;
  query.Add("fieldManager", manager).Add("fieldValidation", "Strict");
  if (dry_run) query.Add("dryRun", "All");
  return query;
}

void Select(Query& query, const ListOptions& select) {
  query.Add("labelSelector", select.label_selector).Add("fieldSelector", select.field_selector);
}

std::string DeleteBody(const DeleteOptions& options) {
  json body{{"kind", "DeleteOptions"}, {"apiVersion", "v1"}};
  body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) {
    body["preconditions"]["resourceVersion"] = options.resource_version;
  }
  switch (options.propagation) {
    case Propagation::kBackground:
      body["propagationPolicy"] = "Background";
      break;
    case Propagation::kForeground:
      body["propagationPolicy"] = "Foreground";
      break;
    case Propagation::kOrphan:
      body["propagationPolicy"] = "Orphan";
      break;
  }
  return Dump(body);
}

// Items of built-in types carry no kind and apiVersion of their own.
void Complete(json& item, const Resource& resource) {
  if (!item.contains("kind")) item["kind"] = resource.kind;
  if (!item.contains("apiVersion")) item["apiVersion"] = resource.ApiVersion();
}

std::string TakeText(json& object, const char* field) {
  const auto it = object.find(field);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

Result<ListPage> TakePage(Document document, const Resource& resource) {
  json& list = document.impl().json;
  const auto metadata = list.find("metadata");
  const auto items = list.find("items");
  if (metadata == list.end() || !metadata->is_object() || items == list.end()) {
    Error error = MakeError(ErrorCode::kUnavailable, "InvalidAnswer", "the answer is not a list");
    error.origin = Origin::kApiServer;
    return error;
  }
  ListPage page;
  page.resource_version = TakeText(*metadata, "resourceVersion");
  page.continue_token = TakeText(*metadata, "continue");
  if (!items->is_array()) return page;  // null: none
  page.items.reserve(items->size());
  for (json& item : *items) {
    if (!item.is_object()) continue;
    Complete(item, resource);
    page.items.push_back(MakeDocument(std::move(item)));
  }
  return page;
}

// The caller's time may have been used up by something else.
Error FromApiServer(const Context& ctx, Error error, const Call& call) {
  if (ctx.Check().ok()) error.origin = Origin::kApiServer;
  // A credential that is refused today may be replaced any time.
  if (error.code == ErrorCode::kUnauthorized) error.retry = Retry::kBackoff;
  return Annotate(std::move(error), call.what());
}

class RestClient : public Client {
 public:
  RestClient(net::HttpClient& http, std::shared_ptr<ClientConfig> config, Metrics& metrics)
      : http_(http), config_(std::move(config)), metrics_(metrics) {}

  Result<Document> Get(const Context& ctx, const Resource& resource, const ObjectKey& key,
                       bool metadata_only) override {
    CF_ASSIGN_OR_RETURN(std::string path, ObjectPath(resource, key));
    Call call = MakeCall("get", "GET", path, metadata_only ? kMetadataOnly : kJson);
    call.wipe_answer = IsSecret(resource);
    call.what = [&] { return "get " + resource.plural + " " + key.ToString(); };
    return DoDocument(ctx, call);
  }

  Result<ListPage> List(const Context& ctx, const Resource& resource, const ListOptions& options,
                        int limit, std::string_view continue_token,
                        std::string_view resource_version) override {
    CF_ASSIGN_OR_RETURN(std::string path, CollectionPath(resource, options.ns));
    Query query;
    Select(query, options);
    if (limit > 0) query.Add("limit", std::to_string(limit));
    if (!continue_token.empty()) {
      query.Add("continue", continue_token);
    } else if (!resource_version.empty()) {
      query.Add("resourceVersion", resource_version).Add("resourceVersionMatch", "NotOlderThan");
    }
    Call call = MakeCall("list", "GET", path + query.text(),
                         options.metadata_only ? kMetadataOnlyList : kJson);
    call.what = [&] { return "list " + resource.plural; };
    CF_ASSIGN_OR_RETURN(Document document, DoDocument(ctx, call));
    return TakePage(std::move(document), resource);
  }

  Result<void> Watch(const Context& ctx, const Resource& resource, const WatchOptions& options,
                     WatchSink& sink) override {
    CF_ASSIGN_OR_RETURN(std::string path, CollectionPath(resource, options.select.ns));
    Query query;
    Select(query, options.select);
    query.Add("watch", "1").Add("allowWatchBookmarks", "true");
    query.Add("resourceVersion", options.resource_version);
    if (options.send_initial_events) {
      query.Add("sendInitialEvents", "true").Add("resourceVersionMatch", "NotOlderThan");
    }
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(options.timeout);
    query.Add("timeoutSeconds", std::to_string(std::max<long>(1, seconds.count())));
    Call call = MakeCall("watch", "GET", path + query.text(),
                         options.select.metadata_only ? kMetadataOnly : kJson);
    call.what = [&] { return "watch " + resource.plural; };
    return DoWatch(ctx, options.timeout + kWatchMargin, call, sink);
  }

  Result<Document> Create(const Context& ctx, const Resource& resource, std::string_view ns,
                          const std::string& body, bool dry_run) override {
    CF_ASSIGN_OR_RETURN(Call call, MakeCreate(resource, ns, dry_run, kJson));
    call.request.body = body;
    return DoDocument(ctx, call);
  }

  // The answer to a Secret's write is asked for without its data.
  Result<Document> CreateSecretBody(const Context& ctx, const Resource& resource,
                                    std::string_view ns, SecretBytes body) override {
    CF_ASSIGN_OR_RETURN(
        Call call, MakeCreate(resource, ns, false, IsSecret(resource) ? kMetadataOnly : kJson));
    call.request.secret_body = std::move(body);
    call.wipe_answer = true;
    return DoDocument(ctx, call);
  }

  Result<Document> ReplaceSecretBody(const Context& ctx, const Resource& resource,
                                     const ObjectKey& key, SecretBytes body) override {
    CF_ASSIGN_OR_RETURN(std::string path, ObjectPath(resource, key));
    Call call = MakeWrite("update", "PUT", path, WriteQuery(kManager, false), kJson,
                          IsSecret(resource) ? kMetadataOnly : kJson);
    call.request.secret_body = std::move(body);
    call.wipe_answer = true;
    call.what = [&] { return "replace " + resource.plural + " " + key.ToString(); };
    return DoDocument(ctx, call);
  }

  Result<Document> ReplaceStatus(const Context& ctx, const Resource& resource, const ObjectKey& key,
                                 const std::string& body) override {
    CF_ASSIGN_OR_RETURN(std::string path, ObjectPath(resource, key, "status"));
    Call call = MakeWrite("update_status", "PUT", path, WriteQuery(kManager, false), kJson, kJson);
    call.request.body = body;
    call.what = [&] { return "replace status of " + resource.plural + " " + key.ToString(); };
    return DoDocument(ctx, call);
  }

  Result<Document> MergePatch(const Context& ctx, const Resource& resource, const ObjectKey& key,
                              std::string_view subresource, const std::string& patch,
                              bool dry_run) override {
    CF_ASSIGN_OR_RETURN(std::string path, ObjectPath(resource, key, subresource));
    Call call = MakeWrite(subresource.empty() ? "patch" : "patch_status", "PATCH", path,
                          WriteQuery(kManager, dry_run), kMergePatch,
                          IsSecret(resource) ? kMetadataOnly : kJson);
    call.request.body = patch;
    call.what = [&] { return "patch " + resource.plural + " " + key.ToString(); };
    return DoDocument(ctx, call);
  }

  Result<Document> Apply(const Context& ctx, const Resource& resource, const ObjectKey& key,
                         std::string_view field_manager, bool force,
                         const std::string& body) override {
    CF_ASSIGN_OR_RETURN(std::string path, ObjectPath(resource, key));
    Query query = WriteQuery(field_manager, false);
    if (force) query.Add("force", "true");
    Call call = MakeWrite("apply", "PATCH", path, query, kApplyPatch, kJson);
    call.request.body = body;
    call.what = [&] { return "apply " + resource.plural + " " + key.ToString(); };
    return DoDocument(ctx, call);
  }

  Result<void> Delete(const Context& ctx, const Resource& resource, const ObjectKey& key,
                      const DeleteOptions& options) override {
    if (options.uid.empty()) {
      return MakeError(ErrorCode::kInvalid, "UidMissing", "delete needs the object's uid");
    }
    CF_ASSIGN_OR_RETURN(std::string path, ObjectPath(resource, key));
    Call call = MakeWrite("delete", "DELETE", path, Query(), kJson, kJson);
    call.request.body = DeleteBody(options);
    call.wipe_answer = IsSecret(resource);
    call.what = [&] { return "delete " + resource.plural + " " + key.ToString(); };
    auto body = DoText(ctx, call);
    if (!body.ok()) return std::move(body).error();
    if (call.wipe_answer) WipeString(*body);
    return {};
  }

  Result<std::string> Raw(const Context& ctx, std::string_view path) override {
    const bool plain =
        path.starts_with('/') && path.find("/../") == std::string_view::npos &&
        std::all_of(path.begin(), path.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    if (!plain) return MakeError(ErrorCode::kInvalid, "InvalidPath", "not a path of the API");
    Call call = MakeCall("raw", "GET", std::string(path), kJson);
    call.what = [path] { return "get " + std::string(path); };
    return DoText(ctx, call);
  }

 private:
  Call MakeCall(std::string_view verb, std::string_view method, const std::string& path,
                std::string_view accept) const {
    Call call;
    call.verb = verb;
    call.request.method = method;
    call.request.url = config_->server() + path;
    call.request.headers = {{"Accept", std::string(accept)}};
    call.request.proxy = config_->proxy().empty() ? "env" : config_->proxy();
    call.request.max_response_bytes = kMaxAnswer;
    return call;
  }

  Call MakeWrite(std::string_view verb, std::string_view method, const std::string& path,
                 const Query& query, std::string_view content_type, std::string_view accept) const {
    Call call = MakeCall(verb, method, path + query.text(), accept);
    call.write = true;
    call.request.headers.push_back({"Content-Type", std::string(content_type)});
    return call;
  }

  Result<Call> MakeCreate(const Resource& resource, std::string_view ns, bool dry_run,
                          std::string_view accept) const {
    if (resource.namespaced && ns.empty()) {
      return MakeError(ErrorCode::kInvalid, "InvalidName", "a namespace is missing");
    }
    CF_ASSIGN_OR_RETURN(std::string path, CollectionPath(resource, ns));
    Call call = MakeWrite("create", "POST", path, WriteQuery(kManager, dry_run), kJson, accept);
    call.what = [&resource] { return "create " + resource.plural; };
    return call;
  }

  // Puts the present credential on the request. Auth data is for https only.
  Result<void> Authorize(const Context& ctx, net::HttpRequest& request) {
    CF_ASSIGN_OR_RETURN(Credential credential, config_->Current(ctx));
    request.tls = std::move(credential.tls);
    request.authorization = std::move(credential.bearer_token);
    request.authorization_scheme = request.authorization.empty() ? "" : "Bearer";
    return {};
  }

  void Count(std::string_view verb, int status) {
    std::array<char, 8> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), status).ptr;
    const std::string_view code =
        status == 0 ? "none" : std::string_view(digits.data(), end - digits.data());
    metrics_.Add("certflow_kube_requests_total",
                 "Requests to the API server by verb and HTTP code (none: no answer).",
                 {{"verb", verb}, {"code", code}});
  }

  Result<std::string> DoText(const Context& ctx, Call& call) {
    const Context limited = ctx.WithTimeout(call.write ? kWriteLimit : kReadLimit);
    for (int attempt = 0;; ++attempt) {
      auto authorized = Authorize(limited, call.request);
      if (!authorized.ok()) return FromApiServer(ctx, std::move(authorized).error(), call);
      auto response = http_.Do(limited, call.request);
      Count(call.verb, response.ok() ? response->status : 0);
      if (!response.ok()) return FromApiServer(ctx, std::move(response).error(), call);
      if (response->status >= 200 && response->status < 300) return std::move(response->body);
      if (response->status == 401) {
        config_->Refused();
        if (attempt == 0) continue;
      }
      return FromApiServer(
          ctx, AnswerError(call.write, response->status, response->headers, response->body), call);
    }
  }

  Result<Document> DoDocument(const Context& ctx, Call& call) {
    CF_ASSIGN_OR_RETURN(std::string body, DoText(ctx, call));
    auto document = ParseDocument(body);
    if (call.wipe_answer) WipeString(body);
    if (document.ok()) return document;
    // A write that was answered with 2xx happened, but what it left is not known.
    const ErrorCode code = call.write ? ErrorCode::kUnknownOutcome : ErrorCode::kUnavailable;
    return FromApiServer(ctx, MakeError(code, "InvalidAnswer", "the answer is not JSON"), call);
  }

  Result<void> DoWatch(const Context& ctx, Duration limit, Call& call, WatchSink& sink) {
    const Context limited = ctx.WithTimeout(limit);
    for (int attempt = 0;; ++attempt) {
      CF_RETURN_IF_ERROR(Authorize(limited, call.request));
      WatchEnd end = RunWatch(http_, limited, call.request, sink);
      Count(call.verb, end.status);
      if (end.result.ok()) return {};
      if (end.status == 401) {
        config_->Refused();
        if (attempt == 0) continue;
      }
      // Our own deadline, not the caller's: the server is silent beyond its time.
      if (end.result.error().code == ErrorCode::kTimeout && ctx.Check().ok()) {
        return FromApiServer(ctx,
                             MakeError(ErrorCode::kUnavailable, "StreamSilent",
                                       "no end came within the time asked for"),
                             call);
      }
      return FromApiServer(ctx, std::move(end.result).error(), call);
    }
  }

  net::HttpClient& http_;
  const std::shared_ptr<ClientConfig> config_;
  Metrics& metrics_;
};

}  // namespace

std::unique_ptr<Client> MakeClient(net::HttpClient& http, std::shared_ptr<ClientConfig> config,
                                   Metrics& metrics) {
  return std::make_unique<RestClient>(http, std::move(config), metrics);
}

}  // namespace certflow::kube
