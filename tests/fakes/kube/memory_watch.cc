// The watches of the API server in memory.

#include <algorithm>
#include <charconv>

#include "controller/kube/document_json.h"
#include "tests/fakes/kube/server_impl.h"

namespace certflow::fakes {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kTick{20};  // how late a faked clock or a stop is noticed
constexpr std::chrono::seconds kBookmarkEvery{60};

std::string Line(std::string_view type, std::string_view object) {
  std::string line = "{\"type\":\"";
  line += type;
  line += "\",\"object\":";
  line += object;
  line += "}\n";
  return line;
}

// One open watch: where it stands and what it wants.
class Watch {
 public:
  Watch(MemoryApiServer::Impl& server, ObjectStore& store, const ApiRequest& request,
        Selector selector, net::StreamSink& sink)
      : server_(server),
        store_(store),
        request_(request),
        selector_(std::move(selector)),
        sink_(sink) {}

  Result<void> Run(const Context& ctx) {
    Open();
    while (true) {
      if (!Send()) return {};
      std::unique_lock lock(server_.mutex);
      if (server_.breaks != breaks_) {
        return MakeError(ErrorCode::kUnavailable, "ConnectionLost", "the stream broke off");
      }
      if (finished_ || server_.ends != ends_) return {};
      CF_RETURN_IF_ERROR(ctx.Check());
      Collect();
      if (!out_.empty()) continue;
      server_.changed.wait_for(lock, ctx.stop, kTick, [this] { return Woken(); });
    }
  }

 private:
  void Open() {
    std::lock_guard lock(server_.mutex);
    ends_ = server_.ends;
    breaks_ = server_.breaks;
    bookmarks_ = server_.bookmarks;
    compactions_ = server_.compactions;
    last_bookmark_ = server_.clock.Steady();
    long seconds = 0;
    const std::string timeout = request_.Parameter("timeoutSeconds");
    std::from_chars(timeout.data(), timeout.data() + timeout.size(), seconds);
    end_ = last_bookmark_ + std::chrono::seconds(seconds > 0 ? seconds : 1800);
    const std::string from = request_.Parameter("resourceVersion");
    const bool initial = request_.Is("sendInitialEvents");
    seen_ = server_.version;
    if (initial || from.empty() || from == "0") {
      for (const StoredPtr& object : store_.All(request_.key.ns)) {
        if (selector_.Matches(object->value)) Add("ADDED", *object);
      }
      if (initial) AddBookmark(true);
      return;
    }
    std::from_chars(from.data(), from.data() + from.size(), seen_);
  }

  bool Woken() const {
    return server_.ends != ends_ || server_.breaks != breaks_ || server_.bookmarks != bookmarks_ ||
           (!Held() && server_.version > seen_);
  }

  bool Held() const {
    return server_.held &&
           (server_.held_resource.empty() || server_.held_resource == request_.plural);
  }

  // Gathers what is new, with the lock held.
  void Collect() {
    if (Held()) return;
    // A compaction takes nothing from a watch that is up to date.
    if (server_.compactions != compactions_ && seen_ >= server_.compacted_at) {
      seen_ = std::max(seen_, server_.compacted_at + 1);
    }
    compactions_ = server_.compactions;
    std::vector<StoreEvent> events;
    if (!store_.EventsSince(seen_, events)) {
      AddError();
      return;
    }
    for (const StoreEvent& event : events) AddEvent(event);
    seen_ = std::max(seen_, server_.version);
    const SteadyTime now = server_.clock.Steady();
    const bool over = now >= end_;
    if (server_.bookmarks != bookmarks_ || now - last_bookmark_ >= kBookmarkEvery || over) {
      bookmarks_ = server_.bookmarks;
      last_bookmark_ = now;
      if (request_.Is("allowWatchBookmarks")) AddBookmark(false);
    }
    finished_ = finished_ || over;
  }

  // What an event means to this watch depends on whether its selector matched before and after.
  void AddEvent(const StoreEvent& event) {
    const StoredPtr& any = event.after ? event.after : event.before;
    if (!request_.key.ns.empty() &&
        any->value.at("metadata").value("namespace", "") != request_.key.ns) {
      return;
    }
    const bool before = event.before && selector_.Matches(event.before->value);
    const bool after = event.after && selector_.Matches(event.after->value);
    if (after) {
      Add(before ? "MODIFIED" : "ADDED", *event.after);
    } else if (before && !event.after) {
      Add("DELETED", *event.before);
    } else if (before) {  // it left the selected set: its old content, the new version
      Stored left = *event.before;
      left.value["metadata"]["resourceVersion"] = std::to_string(event.version);
      left.text = kube::Dump(left.value);
      Add("DELETED", left);
    }
  }

  void Add(std::string_view type, const Stored& object) {
    out_ += Line(type, request_.metadata_only ? MetadataOnly(object.value) : object.text);
  }

  void AddBookmark(bool initial_end) {
    const kube::Resource& resource = store_.served().resource;
    json object{{"kind", resource.kind},
                {"apiVersion", resource.ApiVersion()},
                {"metadata", {{"resourceVersion", std::to_string(seen_)}}}};
    if (initial_end) {
      object["metadata"]["annotations"]["k8s.io/initial-events-end"] = "true";
    }
    out_ += Line("BOOKMARK", kube::Dump(object));
  }

  void AddError() {
    out_ +=
        Line("ERROR",
             Failure(410, "Expired", "too old resource version: " + std::to_string(seen_)).body);
    finished_ = true;
  }

  // Without the lock: the sink is somebody else's code. False when it wants no more.
  bool Send() {
    const std::string out = std::exchange(out_, {});
    return out.empty() || sink_.OnData(out);
  }

  MemoryApiServer::Impl& server_;
  ObjectStore& store_;
  const ApiRequest& request_;
  const Selector selector_;
  net::StreamSink& sink_;
  std::string out_;
  std::uint64_t seen_ = 0;
  std::uint64_t ends_ = 0;
  std::uint64_t breaks_ = 0;
  std::uint64_t bookmarks_ = 0;
  std::uint64_t compactions_ = 0;
  SteadyTime end_;
  SteadyTime last_bookmark_;
  bool finished_ = false;
};

Result<void> Refuse(const Answer& answer, net::StreamSink& sink) {
  if (sink.OnResponse(answer.status, {{"content-type", answer.content_type}})) {
    sink.OnData(answer.body);
  }
  return {};
}

// Counts an open watch for its lifetime.
class Open {
 public:
  explicit Open(MemoryApiServer::Impl& server) : server_(server) { Change(1); }
  ~Open() { Change(-1); }

 private:
  void Change(int by) {
    std::lock_guard lock(server_.mutex);
    server_.watches += static_cast<std::size_t>(by);
  }
  MemoryApiServer::Impl& server_;
};

}  // namespace

Result<void> MemoryApiServer::Stream(const Context& ctx, const net::HttpRequest& http,
                                     net::StreamSink& sink) {
  CF_RETURN_IF_ERROR(ctx.Check());
  const ApiRequest request = ParseRequest(http);
  const Interception interception = impl_->Ask(request);
  if (interception.kind == Interception::Kind::kFailBefore ||
      interception.kind == Interception::Kind::kFailAfter) {
    return MakeError(ErrorCode::kUnavailable, "ConnectionLost", "the connection was lost");
  }
  if (interception.kind != Interception::Kind::kPass) {
    std::vector<net::Header> headers;
    if (interception.retry_after_seconds > 0) {
      headers.push_back({"retry-after", std::to_string(interception.retry_after_seconds)});
    }
    if (sink.OnResponse(interception.status, headers)) sink.OnData(interception.body);
    return {};
  }
  ObjectStore* store = nullptr;
  bool watch_list = false;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->CountRequest(request);
    store = request.watch() ? impl_->Find(request) : nullptr;
    watch_list = impl_->watch_list;
  }
  if (store == nullptr) return Refuse(impl_->Handle(request), sink);
  if (request.Is("sendInitialEvents") && !watch_list) {
    return Refuse(Failure(422, "Invalid",
                          "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: "
                          "sendInitialEvents is forbidden for watch unless the WatchList feature "
                          "gate is enabled"),
                  sink);
  }
  auto selector =
      Selector::Parse(request.Parameter("labelSelector"), request.Parameter("fieldSelector"));
  if (!selector) return Refuse(Failure(400, "BadRequest", "unable to parse the selector"), sink);
  const Open open(*impl_);
  if (!sink.OnResponse(200, {{"content-type", "application/json"}})) return {};
  return Watch(*impl_, *store, request, std::move(*selector), sink).Run(ctx);
}

}  // namespace certflow::fakes
