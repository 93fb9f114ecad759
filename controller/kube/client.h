#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/metrics.h"
#include "controller/base/result.h"
#include "controller/kube/config.h"
#include "controller/kube/types.h"
#include "controller/net/http_client.h"

namespace certflow::kube {

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark };

struct WatchEvent {
  WatchEventType type;
  Document object;
  bool initial_events_end = false;  // on the bookmark that ends a streamed list
};

// Receives watch events on the calling thread of Client::Watch, in order. Their objects come
// without metadata.managedFields.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  virtual void OnEvent(WatchEvent event) = 0;
};

struct WatchOptions {
  ListOptions select;
  std::string resource_version;
  bool send_initial_events = false;  // WatchList, KEP-3157
  Duration timeout{290'000};         // asked of the server; the stream is cut a margin later
};

// A thin client of the Kubernetes API: one call, one request. Thread-safe.
//
// Errors follow the answer's code and then its Status reason: kNotFound, kAlreadyExists, kConflict,
// kExpired (410, as status or inside a stream), kForbidden, kUnauthorized (after one retry with a
// fresh credential), kRateLimited and kUnavailable with the server's Retry-After, kInvalid (400,
// 413, 422), kUnknownOutcome for a write that was lost (connection, 504, 500 with timeout). The
// message is the server's, sanitized; bodies that are not a Status are quoted shortened. All have
// Origin::kApiServer, but what the caller's own deadline or stop ended.
class Client {
 public:
  virtual ~Client() = default;

  virtual Result<Document> Get(const Context& ctx, const Resource& resource, const ObjectKey& key,
                               bool metadata_only = false) = 0;
  // One page of at most `limit` items; `continue_token` of the page before, or empty.
  // `resource_version`: empty for the most recent, otherwise "at least this" (NotOlderThan).
  virtual Result<ListPage> List(const Context& ctx, const Resource& resource,
                                const ListOptions& options, int limit,
                                std::string_view continue_token,
                                std::string_view resource_version) = 0;
  // Returns without error at the server's regular end of the stream. kInvalid when the server does
  // not know WatchList (fall back to List).
  virtual Result<void> Watch(const Context& ctx, const Resource& resource,
                             const WatchOptions& options, WatchSink& sink) = 0;

  // Bodies are JSON text: apiVersion, kind and metadata included. `secret` bodies are wiped.
  virtual Result<Document> Create(const Context& ctx, const Resource& resource, std::string_view ns,
                                  const std::string& body, bool dry_run = false) = 0;
  virtual Result<Document> CreateSecretBody(const Context& ctx, const Resource& resource,
                                            std::string_view ns, SecretBytes body) = 0;
  // PUT of the object; the body carries the resourceVersion it replaces.
  virtual Result<Document> ReplaceSecretBody(const Context& ctx, const Resource& resource,
                                             const ObjectKey& key, SecretBytes body) = 0;
  // PUT of /status; only metadata{name,namespace,resourceVersion} and status are needed.
  virtual Result<Document> ReplaceStatus(const Context& ctx, const Resource& resource,
                                         const ObjectKey& key, const std::string& body) = 0;
  // RFC 7386; put metadata.resourceVersion in the patch to make it conditional.
  // `subresource` is empty or "status".
  virtual Result<Document> MergePatch(const Context& ctx, const Resource& resource,
                                      const ObjectKey& key, std::string_view subresource,
                                      const std::string& patch, bool dry_run = false) = 0;
  // Server-side apply; `force` takes fields over.
  virtual Result<Document> Apply(const Context& ctx, const Resource& resource, const ObjectKey& key,
                                 std::string_view field_manager, bool force,
                                 const std::string& body) = 0;
  // Success also when the object was accepted for deletion and waits for finalizers.
  virtual Result<void> Delete(const Context& ctx, const Resource& resource, const ObjectKey& key,
                              const DeleteOptions& options) = 0;
  // GET of any path ("/version", "/apis/certflow.dev/v1alpha1"), the body as text.
  virtual Result<std::string> Raw(const Context& ctx, std::string_view path) = 0;
};

// `http` is used for everything; it outlives the client.
std::unique_ptr<Client> MakeClient(net::HttpClient& http, std::shared_ptr<ClientConfig> config,
                                   Metrics& metrics);

}  // namespace certflow::kube
