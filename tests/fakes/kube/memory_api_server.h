#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "controller/base/clock.h"
#include "controller/base/metrics.h"
#include "controller/kube/client.h"
#include "controller/net/http_client.h"

namespace certflow::fakes {

// What becomes of one request; decided by a test before the server looks at it.
struct Interception {
  enum class Kind {
    kPass,
    kFailBefore,   // the connection breaks, nothing happened (kUnavailable)
    kFailAfter,    // it happened, the answer is lost (writes: kUnknownOutcome; reads: kUnavailable)
    kAnswer,       // `status` and `body` are answered, nothing happened
    kAnswerAfter,  // it happened, and `status` and `body` are answered
  };
  Kind kind = Kind::kPass;
  int status = 0;
  std::string body;
  int retry_after_seconds = 0;
};

struct InterceptedRequest {
  std::string_view method;  // "PUT"
  std::string_view path;    // decoded, without the query
  std::string_view query;
  std::string_view verb;      // get list watch create update patch delete, or "other"
  std::string_view resource;  // plural, with "/status" for the subresource; may be empty
};

// A resource beyond the built-in ones (secrets, configmaps, services, namespaces, leases, events).
struct ServedResource {
  kube::Resource resource;
  bool status_subresource = true;
  bool generation = true;             // counts changes outside metadata and status
  bool unconditional_update = false;  // a PUT may come without resourceVersion
};

struct MemoryApiOptions {
  bool watch_list = true;
  int page_limit = 0;            // never more items a page; 0: what was asked for
  std::size_t history = 20'000;  // events a resource remembers for watches
};

// An API server in memory that speaks the same HTTP and JSON, for the real kube::Client: get, list
// (paged), watch (streamed lists, bookmarks, 410), create, PUT, PUT of status, merge patch, delete
// with preconditions and finalizers, metadata only, dry run. No schemas, no admission, no
// authorization, no garbage collection; server-side apply answers 415. Thread-safe. Times come from
// the clock it is given; watches notice a faked one within 20 ms.
class MemoryApiServer : public net::HttpClient {
 public:
  explicit MemoryApiServer(Clock& clock, MemoryApiOptions options = {});
  ~MemoryApiServer() override;

  void Serve(ServedResource resource);
  // "https://memory", no credential.
  static std::shared_ptr<kube::ClientConfig> Config();
  std::unique_ptr<kube::Client> NewClient(Metrics& metrics = NoMetrics());

  // Called on the requesting thread, without a lock; replaces the one before.
  using Interceptor = std::function<Interception(const InterceptedRequest&)>;
  void Intercept(Interceptor interceptor);

  void SetWatchList(bool served);
  // Everything that was, is too old: resuming watches and continue tokens get 410.
  void Compact();
  void EndWatches();    // the server's regular end
  void BreakWatches();  // the connections are lost
  void SendBookmarks();
  // While held, watches see nothing: caches turn stale. Those of one resource, or all.
  void HoldWatches(bool hold, std::string_view plural = {});

  // Handled requests, failed ones included: Count("update", "workflowruns/status").
  std::size_t Count(std::string_view verb, std::string_view resource) const;
  std::map<std::string, std::size_t> Counts() const;  // "verb resource"
  void ResetCounts();
  std::size_t open_watches() const;
  // As JSON text, straight from the store; empty when absent.
  std::string Peek(std::string_view plural, const kube::ObjectKey& key) const;
  std::vector<kube::ObjectKey> Keys(std::string_view plural) const;

  Result<net::HttpResponse> Do(const Context& ctx, const net::HttpRequest& request) override;
  Result<void> Stream(const Context& ctx, const net::HttpRequest& request,
                      net::StreamSink& sink) override;

  struct Impl;  // for the .cc files of this folder

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::fakes
