#include "controller/kube/events.h"

#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <thread>
#include <tuple>

#include "controller/base/mutex.h"
#include "controller/kube/document_json.h"

namespace certflow::kube {
namespace {

using nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kMaxNote = 1024;
constexpr std::size_t kMaxWord = 128;         // reason, action, instance
constexpr std::size_t kMaxRemembered = 4096;  // series, and objects in the spam filter
constexpr minutes kSeriesIdle{6};
constexpr minutes kSeriesFlush{30};
constexpr int kBurst = 25;
constexpr minutes kRefill{5};
constexpr int kMaxTries = 12;
constexpr seconds kRetryDelay{10};
constexpr seconds kTick{1};  // how late the end of a series is told

const Resource& Events() {
  static const Resource resource{"events.k8s.io", "v1", "events", "Event", true};
  return resource;
}

using ObjectId = std::tuple<std::string, std::string, std::string, std::string>;
using SeriesId = std::tuple<ObjectId, bool, std::string, std::string, std::string>;

ObjectId IdOf(const EventRegarding& regarding) {
  return {regarding.kind, regarding.ns, regarding.name, regarding.uid};
}

SeriesId IdOf(const EventNote& note) {
  return {IdOf(note.regarding), note.warning, note.reason, note.action, note.note};
}

std::string NamespaceOf(const EventRegarding& regarding) {
  return regarding.ns.empty() ? "default" : regarding.ns;
}

// The same note again and again, told as one Event with a count.
struct Series {
  EventNote note;
  std::string name;  // of the Event
  int count = 1;
  int told = 1;
  SteadyTime last_seen;
  SteadyTime last_told;
  WallTime last_observed;
};

// A token bucket for each object.
struct Bucket {
  int tokens = kBurst;
  SteadyTime refilled;
};

class Recorder : public EventRecorder {
 public:
  Recorder(Client& client, Clock& clock, Metrics& metrics, Logger log, std::string controller,
           const std::string& instance)
      : client_(client),
        clock_(clock),
        metrics_(metrics),
        log_(std::move(log)),
        controller_(std::move(controller)),
        instance_(Sanitize(instance, kMaxWord)),
        thread_([this] { Run(); }) {}

  ~Recorder() override {
    stop_.request_stop();
    thread_.join();
  }

  void Record(EventNote note) override {
    note.note = Sanitize(note.note, kMaxNote);
    note.reason = Sanitize(note.reason, kMaxWord);
    note.action = Sanitize(note.action, kMaxWord);
    MutexLock lock(mutex_);
    if (queue_.size() >= kMaxQueued) {
      Count("dropped");
      return;
    }
    queue_.push_back(std::move(note));
    changed_.notify_all();
  }

  void Flush(const Context& ctx) override {
    MutexLock lock(mutex_);
    const std::uint64_t mine = ++flushes_wanted_;
    changed_.notify_all();
    while (flushes_done_ < mine && ctx.Check().ok()) {
      changed_.wait_for(mutex_, std::chrono::milliseconds(20));
    }
  }

 private:
  void Run() {
    pthread_setname_np(pthread_self(), "events");
    Context ctx{clock_, SteadyTime::max(), stop_.get_token(), log_};
    while (!ctx.stopped()) {
      EventNote note;
      std::uint64_t flush = 0;
      const bool got = Next(note, flush);
      if (got) Handle(ctx, std::move(note));
      if (!got) TellSeries(ctx, flush != 0);
      if (flush != 0) FlushDone(flush);
    }
  }

  // A note, or nothing when it is time to look after the series; `flush` names the flush that an
  // empty queue answers.
  bool Next(EventNote& note, std::uint64_t& flush) {
    MutexLock lock(mutex_);
    const auto ready = [this]() CF_NO_THREAD_SAFETY_ANALYSIS {
      return !queue_.empty() || flushes_wanted_ != flushes_done_;
    };
    if (series_.empty()) {
      changed_.wait(mutex_, stop_.get_token(), ready);
    } else {
      changed_.wait_for(mutex_, stop_.get_token(), kTick, ready);
    }
    if (queue_.empty()) {
      flush = flushes_wanted_ != flushes_done_ ? flushes_wanted_ : 0;
      return false;
    }
    note = std::move(queue_.front());
    queue_.pop_front();
    return true;
  }

  void FlushDone(std::uint64_t flush) {
    MutexLock lock(mutex_);
    flushes_done_ = flush;
    changed_.notify_all();
  }

  void Handle(const Context& ctx, EventNote note) {
    const SteadyTime now = clock_.Steady();
    const auto known = series_.find(IdOf(note));
    if (known != series_.end() && now - known->second.last_seen < kSeriesIdle) {
      Series& series = known->second;
      ++series.count;
      series.last_seen = now;
      series.last_observed = clock_.Now();
      if (series.count == 2) Tell(ctx, series);
      return;
    }
    if (known != series_.end()) End(ctx, known);
    if (!Admit(IdOf(note.regarding), now)) {
      Count("filtered");
      return;
    }
    Series series{std::move(note), "", 1, 1, now, now, clock_.Now()};
    series.name = NewName(series.note.regarding.name);
    Send(ctx, series, Body(series, false));
    if (series_.size() >= kMaxRemembered) End(ctx, series_.begin());
    SeriesId id = IdOf(series.note);
    series_.insert_or_assign(std::move(id), std::move(series));
  }

  bool Admit(const ObjectId& object, SteadyTime now) {
    if (buckets_.size() >= kMaxRemembered && !buckets_.contains(object)) {
      buckets_.erase(buckets_.begin());
    }
    auto [it, fresh] = buckets_.try_emplace(object, Bucket{kBurst, now});
    Bucket& bucket = it->second;
    const auto earned = (now - bucket.refilled) / kRefill;
    bucket.tokens = static_cast<int>(std::min<long>(kBurst, bucket.tokens + earned));
    bucket.refilled += earned * kRefill;
    if (bucket.tokens == 0) return false;
    --bucket.tokens;
    return true;
  }

  // Counts that nobody was told of: after half an hour, at the end of a series, and on a flush.
  void TellSeries(const Context& ctx, bool flush) {
    const SteadyTime now = clock_.Steady();
    for (auto it = series_.begin(); it != series_.end() && !ctx.stopped();) {
      const auto next = std::next(it);
      if (now - it->second.last_seen >= kSeriesIdle) {
        End(ctx, it);
      } else if (flush || now - it->second.last_told >= kSeriesFlush) {
        Tell(ctx, it->second);
      }
      it = next;
    }
  }

  void End(const Context& ctx, std::map<SeriesId, Series>::iterator series) {
    Tell(ctx, series->second);
    series_.erase(series);
  }

  // The count so far, on the Event that is there.
  void Tell(const Context& ctx, Series& series) {
    if (series.told == series.count) return;
    series.told = series.count;
    series.last_told = clock_.Steady();
    const json patch{{"series", SeriesBody(series)}};
    const ObjectKey key{NamespaceOf(series.note.regarding), series.name};
    const auto patched = client_.MergePatch(ctx, Events(), key, "", Dump(patch));
    if (patched.ok()) {
      Count("series");
    } else if (patched.error().code == ErrorCode::kNotFound) {
      Send(ctx, series, Body(series, true));
    } else {
      Count("failed");
    }
  }

  // Creates the Event, with patience: nobody waits for this thread but a flush.
  void Send(const Context& ctx, const Series& series, const std::string& body) {
    for (int attempt = 1; !ctx.stopped(); ++attempt) {
      const auto created = client_.Create(ctx, Events(), NamespaceOf(series.note.regarding), body);
      // Taken by ourselves: the answer to an earlier try was lost.
      if (created.ok() || created.error().code == ErrorCode::kAlreadyExists) {
        Count("sent");
        return;
      }
      const Error& error = created.error();
      if (error.retry == Retry::kNever || attempt == kMaxTries) {
        Count("failed");
        log_.Warning("event was not recorded",
                     {{"reason", error.reason}, {"error", error.message}});
        return;
      }
      clock_.WaitUntil(clock_.Steady() + error.retry_after.value_or(kRetryDelay),
                       stop_.get_token());
    }
  }

  std::string Body(const Series& series, bool as_series) const {
    const EventNote& note = series.note;
    const EventRegarding& regarding = note.regarding;
    json body{{"apiVersion", "events.k8s.io/v1"},
              {"kind", "Event"},
              {"metadata", {{"name", series.name}, {"namespace", NamespaceOf(regarding)}}},
              {"eventTime", FormatMicroTime(series.last_observed)},
              {"reportingController", controller_},
              {"reportingInstance", instance_},
              {"type", note.warning ? "Warning" : "Normal"},
              {"reason", note.reason},
              {"action", note.action},
              {"note", note.note},
              {"regarding",
               {{"apiVersion", regarding.api_version},
                {"kind", regarding.kind},
                {"namespace", regarding.ns},
                {"name", regarding.name},
                {"uid", regarding.uid}}}};
    if (as_series) body["series"] = SeriesBody(series);
    return Dump(body);
  }

  static json SeriesBody(const Series& series) {
    return {{"count", series.count}, {"lastObservedTime", FormatMicroTime(series.last_observed)}};
  }

  // The object's name, which is a DNS subdomain, and what makes it unique.
  std::string NewName(const std::string& object) {
    char suffix[40];
    std::snprintf(suffix, sizeof suffix, ".%llx%04x",
                  static_cast<unsigned long long>(clock_.Now().time_since_epoch().count()),
                  static_cast<unsigned>(++names_ & 0xffff));
    return object.substr(0, 253 - sizeof suffix) + suffix;
  }

  void Count(std::string_view result) {
    metrics_.Add(
        "certflow_kube_events_total",
        "Kubernetes Events by what became of them (sent, series, filtered, dropped, failed).",
        {{"result", result}});
  }

  Client& client_;
  Clock& clock_;
  Metrics& metrics_;
  const Logger log_;
  const std::string controller_;
  const std::string instance_;
  std::stop_source stop_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<EventNote> queue_ CF_GUARDED_BY(mutex_);
  std::uint64_t flushes_wanted_ CF_GUARDED_BY(mutex_) = 0;
  std::uint64_t flushes_done_ CF_GUARDED_BY(mutex_) = 0;
  // Of the thread alone.
  std::map<SeriesId, Series> series_;
  std::map<ObjectId, Bucket> buckets_;
  unsigned names_ = 0;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<EventRecorder> MakeEventRecorder(Client& client, Clock& clock, Metrics& metrics,
                                                 Logger log, std::string controller,
                                                 const std::string& instance) {
  return std::make_unique<Recorder>(client, clock, metrics, std::move(log), std::move(controller),
                                    instance);
}

}  // namespace certflow::kube
