#include "controller/runtime/informer.h"

#include <pthread.h>

#include <algorithm>
#include <thread>

namespace certflow::runtime {
namespace {

// Less than what the server gives a quiet watch, spread so that not all informers come back at
// once.
constexpr Duration kWatchTimeout{290'000};
constexpr std::uint64_t kWatchSpread = 30'000;
// A watch that ends sooner without an event is a failure, else a broken proxy makes us spin.
constexpr Duration kTooShort{1'000};
// After so long without a failure the backoff starts anew.
constexpr Duration kHealthy{120'000};
constexpr Duration kLongestRetryAfter{300'000};
// Streamed lists that fail so often in a row are done by pages for once.
constexpr int kStreamTries = 3;

// Failures that say nothing about where we are in the history: the watch is resumed.
bool KeepsPlace(ErrorCode code) {
  switch (code) {
    case ErrorCode::kRateLimited:
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
    case ErrorCode::kUnauthorized:
    case ErrorCode::kForbidden:
    case ErrorCode::kCancelled:
      return true;
    case ErrorCode::kInvalid:
    case ErrorCode::kNotFound:
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kConflict:
    case ErrorCode::kExpired:
    case ErrorCode::kUnknownOutcome:
    case ErrorCode::kRefused:
    case ErrorCode::kUntrusted:
    case ErrorCode::kInternal:
      return false;
  }
  return false;
}

}  // namespace

struct Informer::Impl : kube::WatchSink {
  Impl(kube::Client& its_client, kube::Resource what, InformerOptions its_options, Clock& its_clock,
       Metrics& its_metrics, const Logger& its_log, InformerSink& its_sink)
      : client(its_client),
        resource(std::move(what)),
        options(std::move(its_options)),
        clock(its_clock),
        metrics(its_metrics),
        log(its_log.With({{"resource", resource.plural}})),
        sink(its_sink),
        stream_lists(options.use_watch_list) {}

  void Run() {
    while (!stop.stop_requested()) {
      const Result<void> result = Step();
      if (stop.stop_requested()) return;
      if (result.ok()) continue;
      if (!KeepsPlace(result.error().code)) version.clear();
      Pause(result.error());
    }
  }

  // One request or one list; an error is backed off from.
  Result<void> Step() {
    if (!version.empty() && clock.Steady() - heard >= options.silence) {
      log.Warning("watch is silent, listing again");
      version.clear();
    }
    if (!version.empty()) return Follow();
    if (stream_lists && stream_failures < kStreamTries) return StreamList();
    return PageList();
  }

  Result<void> Follow() {
    kube::WatchOptions watch{options.select, version, false, WatchTimeout()};
    return Watch(watch, heard + options.silence);
  }

  // A list as a stream of events up to a mark, then the watch on the same stream.
  Result<void> StreamList() {
    sink.BeginReplace();
    collecting = true;
    kube::WatchOptions watch{options.select, "", true, WatchTimeout()};
    Result<void> result = Watch(watch, clock.Steady() + options.silence);
    if (!std::exchange(collecting, false) || stop.stop_requested()) return result;
    ++stream_failures;
    if (result.ok()) {
      return MakeError(ErrorCode::kUnavailable, "ListInterrupted",
                       "the streamed list ended before its end mark");
    }
    if (!KeepsPlace(result.error().code) && result.error().code != ErrorCode::kExpired) {
      log.Info("lists are not streamed here, reading pages", {{"error", result.error().message}});
      stream_lists = false;
      return {};
    }
    return result;
  }

  Result<void> Watch(const kube::WatchOptions& watch, SteadyTime deadline) {
    events = 0;
    const SteadyTime begin = clock.Steady();
    Result<void> result = client.Watch(MakeContext(deadline), resource, watch, *this);
    worked = events > 0 || clock.Steady() - begin >= kTooShort;
    if (result.ok() && !worked) {
      return MakeError(ErrorCode::kUnavailable, "WatchTooShort", "the watch ended at once");
    }
    return result;
  }

  Result<void> PageList() {
    Result<std::string> listed = ReadPages(options.page_size);
    if (!listed.ok() && listed.error().code == ErrorCode::kExpired) {
      // The history was compacted between two pages; the rest would be of another time. One answer
      // cannot be torn.
      listed = ReadPages(0);
    }
    if (!listed.ok()) return std::move(listed).error();
    stream_failures = 0;
    FinishList(*listed, "pages");
    return {};
  }

  // The resourceVersion of the list.
  Result<std::string> ReadPages(int page_size) {
    sink.BeginReplace();
    std::string token;
    while (true) {
      const Context ctx = MakeContext(clock.Steady() + options.list_timeout);
      CF_ASSIGN_OR_RETURN(kube::ListPage page,
                          client.List(ctx, resource, options.select, page_size, token, ""));
      for (kube::Document& object : page.items) sink.AddToReplace(std::move(object));
      token = std::move(page.continue_token);
      if (!token.empty()) continue;
      if (page.resource_version.empty()) {
        return MakeError(ErrorCode::kUnavailable, "ListWithoutVersion",
                         "the list came without a resourceVersion");
      }
      return std::move(page.resource_version);
    }
  }

  void FinishList(std::string at, std::string_view how) {
    version = std::move(at);
    Hear();
    sink.EndReplace(!synced.stop_requested());
    synced.request_stop();
    metrics.Add("certflow_informer_lists_total", "Complete lists read.",
                {{"resource", resource.plural}, {"how", how}});
    TellHeard();
  }

  void OnEvent(kube::WatchEvent event) override {
    ++events;
    Hear();
    std::string at = event.object.resource_version();
    if (event.type == kube::WatchEventType::kBookmark) return OnBookmark(event, std::move(at));
    if (collecting) return Collect(std::move(event));
    if (!at.empty()) version = std::move(at);
    if (event.type == kube::WatchEventType::kDeleted) {
      sink.OnDelete(event.object);
    } else {
      sink.OnUpsert(std::move(event.object));
    }
  }

  // Before the end mark come the objects in no order, and changes made meanwhile: no place in the
  // history may be taken from them.
  void Collect(kube::WatchEvent event) {
    if (event.type == kube::WatchEventType::kDeleted) {
      sink.DropFromReplace(event.object);
    } else {
      sink.AddToReplace(std::move(event.object));
    }
  }

  void OnBookmark(const kube::WatchEvent& event, std::string at) {
    if (at.empty()) return;
    if (!collecting) {
      version = std::move(at);
      TellHeard();
    } else if (event.initial_events_end) {
      collecting = false;
      stream_failures = 0;
      FinishList(std::move(at), "stream");
    }
  }

  void Pause(const Error& error) {
    log.Warning(
        "list or watch failed",
        {{"code", ErrorCodeName(error.code)}, {"reason", error.reason}, {"error", error.message}});
    metrics.Add("certflow_informer_failures_total", "Lists and watches that failed.",
                {{"resource", resource.plural}, {"code", ErrorCodeName(error.code)}});
    // Watches that are cut after a while (load balancers do that) must not age the cache ever more.
    const bool was_cut = worked && error.code != ErrorCode::kExpired;
    if (was_cut || clock.Steady() - failed > kHealthy) failures = 0;
    worked = false;
    // A place that is too old is the normal end of a long pause; a second one soon after is not.
    const bool at_once = error.code == ErrorCode::kExpired && failures == 0;
    Duration delay = BackoffDelay(options.backoff, ++failures, JitterWord());
    if (error.retry_after)
      delay = std::max(delay, std::min(*error.retry_after, kLongestRetryAfter));
    if (!at_once) clock.WaitUntil(clock.Steady() + delay, stop.get_token());
    failed = clock.Steady();
  }

  void Hear() { heard = clock.Steady(); }
  void TellHeard() {
    const auto now = std::chrono::duration<double>(clock.Now().time_since_epoch());
    metrics.Set("certflow_informer_last_heard_timestamp_seconds",
                "When a list or bookmark last said that the cache is up to date.",
                {{"resource", resource.plural}}, now.count());
  }
  Context MakeContext(SteadyTime deadline) { return {clock, deadline, stop.get_token(), log}; }
  Duration WatchTimeout() const {
    return kWatchTimeout - Duration(static_cast<Duration::rep>(JitterWord() % kWatchSpread));
  }

  kube::Client& client;
  const kube::Resource resource;
  const InformerOptions options;
  Clock& clock;
  Metrics& metrics;
  const Logger log;
  InformerSink& sink;

  std::stop_source stop;
  std::stop_source synced;  // "stopped" once the first list is complete
  std::thread thread;

  // Of the informer's thread.
  bool stream_lists;
  int stream_failures = 0;  // in a row
  std::string version;      // where to resume; empty: list
  bool collecting = false;  // inside a streamed list, before its end mark
  std::size_t events = 0;   // of the stream
  bool worked = false;      // the last stream did, before it ended
  SteadyTime heard{};       // the last sign of the server
  SteadyTime failed{};
  int failures = 0;
};

Informer::Informer(kube::Client& client, kube::Resource resource, InformerOptions options,
                   Clock& clock, Metrics& metrics, const Logger& log, InformerSink& sink)
    : impl_(std::make_unique<Impl>(client, std::move(resource), std::move(options), clock, metrics,
                                   log, sink)) {}

Informer::~Informer() { Stop(); }

void Informer::Start() {
  if (impl_->thread.joinable()) return;
  impl_->thread = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "informer");
    impl->Run();
  });
}

void Informer::Stop() {
  impl_->stop.request_stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

bool Informer::synced() const { return impl_->synced.stop_requested(); }

bool Informer::WaitSynced(const Context& ctx) const {
  std::stop_source either;
  const auto end = [&either] { either.request_stop(); };
  const std::stop_callback on_synced(impl_->synced.get_token(), end);
  const std::stop_callback on_stop(ctx.stop, end);
  ctx.clock.WaitUntil(ctx.deadline, either.get_token());
  return synced();
}

void Rejects::Report(const kube::Document& object, const Error& error, const Logger& log) {
  const kube::ObjectKey key{object.ns(), object.name()};
  std::string version = object.resource_version();
  const auto known = versions_.find(key);
  if (known != versions_.end() && known->second == version) return;
  log.Error("object cannot be read and is left out",
            {{"object", key.ToString()}, {"reason", error.reason}, {"error", error.message}});
  if (known == versions_.end() && versions_.size() >= kMaxRemembered) {
    versions_.erase(versions_.begin());
  }
  versions_[key] = std::move(version);
}

void Rejects::Forget(const kube::ObjectKey& key) {
  if (!versions_.empty()) versions_.erase(key);
}

}  // namespace certflow::runtime
