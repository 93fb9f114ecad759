#include "controller/runtime/leader_elector.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "controller/base/backoff.h"
#include "controller/kube/document_json.h"

namespace certflow::runtime {
namespace {

constexpr Duration kShortestCall{1'000};
constexpr int kReleaseTries = 2;

// LeaseSpec, as far as elections use it.
struct Record {
  std::string holder;
  std::string acquired;
  std::string renewed;
  int duration_seconds = 0;
  int transitions = 0;
  friend bool operator==(const Record&, const Record&) = default;
};

std::string Text(const nlohmann::json& spec, const char* field) {
  const auto found = spec.find(field);
  return found != spec.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int Number(const nlohmann::json& spec, const char* field) {
  const auto found = spec.find(field);
  return found != spec.end() && found->is_number_integer() ? found->get<int>() : 0;
}

Record ReadRecord(const kube::Document& lease) {
  const nlohmann::json& json = kube::Json(lease);
  const auto spec = json.find("spec");
  if (spec == json.end() || !spec->is_object()) return {};
  return {Text(*spec, "holderIdentity"), Text(*spec, "acquireTime"), Text(*spec, "renewTime"),
          Number(*spec, "leaseDurationSeconds"), Number(*spec, "leaseTransitions")};
}

nlohmann::json SpecOf(const Record& record) {
  return {{"holderIdentity", record.holder},
          {"leaseDurationSeconds", record.duration_seconds},
          {"acquireTime", record.acquired},
          {"renewTime", record.renewed},
          {"leaseTransitions", record.transitions}};
}

kube::Resource LeaseResource() { return {"coordination.k8s.io", "v1", "leases", "Lease", true}; }

}  // namespace

struct LeaderElector::Impl {
  enum class Attempt { kHeld, kOther, kFailed };

  Impl(kube::Client& its_client, LeaderOptions its_options, Clock& its_clock, Metrics& its_metrics,
       const Logger& its_log)
      : client(its_client),
        options(std::move(its_options)),
        clock(its_clock),
        metrics(its_metrics),
        log(its_log.With({{"lease", options.ns + "/" + options.name}})) {}

  void Run(const std::function<void()>& on_elected, const std::function<void()>& on_lost) {
    if (!Campaign()) return;
    TellLeading(true);
    log.Info("leading", {{"epoch", epoch.load()}});
    on_elected();
    if (KeepRenewing()) return;
    TellLeading(false);
    log.Error("lease lost");
    on_lost();
  }

  // False when stopped.
  bool Campaign() {
    while (!stop.stop_requested()) {
      const Attempt attempt = TryOnce(clock.Steady() + CallTimeout());
      if (attempt == Attempt::kHeld) return true;
      // Candidates that were started together must not stay in step: retry * [1, 2.2).
      const double spread = 1.0 + 1.2 * static_cast<double>(JitterWord() % 1024) / 1024.0;
      const auto pause = std::chrono::duration<double, std::milli>(
          static_cast<double>(options.retry_period.count()) * spread);
      SteadyTime next = clock.Steady() + std::chrono::duration_cast<Duration>(pause);
      // The moment at which a dead leader's lease ends is known: nothing is gained by oversleeping
      // it.
      if (attempt == Attempt::kOther) next = std::min(next, StaleAt());
      clock.WaitUntil(next, stop.get_token());
    }
    return false;
  }

  // True when stopped, false when the lease is lost.
  bool KeepRenewing() {
    while (true) {
      const SteadyTime end = LastRenewal() + options.renew_deadline;
      clock.WaitUntil(std::min(clock.Steady() + options.retry_period, end), stop.get_token());
      if (stop.stop_requested()) return true;
      const SteadyTime now = clock.Steady();
      if (now >= end) return false;
      if (TryOnce(std::min(now + CallTimeout(), end)) == Attempt::kOther) {
        return stop.stop_requested();
      }
      if (stop.stop_requested()) return true;
    }
  }

  Attempt TryOnce(SteadyTime deadline) {
    const Context ctx{clock, deadline, stop.get_token(), log};
    if (leading.load()) {
      // Nobody else writes a lease that is held: the usual renewal is one request.
      const Result<void> renewed = Write(ctx, false);
      if (renewed.ok()) return Attempt::kHeld;
      if (renewed.error().code != ErrorCode::kConflict) return Fail(renewed.error());
    }
    Result<kube::Document> lease = client.Get(ctx, LeaseResource(), Key());
    if (!lease.ok()) {
      if (lease.error().code != ErrorCode::kNotFound) return Fail(lease.error());
      const Result<void> created = Create(ctx);
      return created.ok() ? Attempt::kHeld : Fail(created.error());
    }
    See(*lease);
    const bool mine = observed.holder == options.identity;
    if (!mine && (leading.load() || (!observed.holder.empty() && clock.Steady() < StaleAt()))) {
      return Attempt::kOther;
    }
    const Result<void> taken = Write(ctx, !mine);
    return taken.ok() ? Attempt::kHeld : Fail(taken.error());
  }

  // The time counts from when we saw the record change, whatever its own clock says.
  void See(const kube::Document& lease) {
    version = lease.resource_version();
    Record record = ReadRecord(lease);
    if (seen && record == observed) return;
    if (!seen || record.holder != observed.holder) {
      log.Info("lease holder", {{"holder", Sanitize(record.holder, 256)}});
    }
    seen = true;
    observed = std::move(record);
    observed_at = clock.Steady();
  }

  SteadyTime StaleAt() const {
    const Duration lasts = observed.duration_seconds > 0
                               ? Duration(std::chrono::seconds(observed.duration_seconds))
                               : options.lease_duration;
    return observed_at + lasts;
  }

  Record Mine(bool takeover) const {
    const std::string now = FormatMicroTime(clock.Now());
    Record record = observed;
    record.holder = options.identity;
    record.renewed = now;
    record.duration_seconds =
        static_cast<int>(std::chrono::ceil<std::chrono::seconds>(options.lease_duration).count());
    if (takeover || record.acquired.empty()) record.acquired = now;
    if (takeover) ++record.transitions;
    return record;
  }

  Result<void> Write(const Context& ctx, bool takeover) {
    const SteadyTime before = clock.Steady();
    Record record = Mine(takeover);
    const nlohmann::json patch = {{"metadata", {{"resourceVersion", version}}},
                                  {"spec", SpecOf(record)}};
    CF_ASSIGN_OR_RETURN(const kube::Document lease,
                        client.MergePatch(ctx, LeaseResource(), Key(), "", kube::Dump(patch)));
    Hold(lease, before);
    return {};
  }

  Result<void> Create(const Context& ctx) {
    const SteadyTime before = clock.Steady();
    observed = Record();
    Record record = Mine(true);
    record.transitions = 0;
    const nlohmann::json body = {{"apiVersion", "coordination.k8s.io/v1"},
                                 {"kind", "Lease"},
                                 {"metadata", {{"name", options.name}, {"namespace", options.ns}}},
                                 {"spec", SpecOf(record)}};
    CF_ASSIGN_OR_RETURN(const kube::Document lease,
                        client.Create(ctx, LeaseResource(), options.ns, kube::Dump(body)));
    Hold(lease, before);
    return {};
  }

  // Our own lease counts from before the request: the others may have seen it since then.
  void Hold(const kube::Document& lease, SteadyTime before) {
    seen = true;
    version = lease.resource_version();
    observed = ReadRecord(lease);
    observed_at = before;
    epoch.store(observed.transitions);
    last_renewal.store(before.time_since_epoch().count());
    last_failure = std::nullopt;
  }

  Attempt Fail(const Error& error) {
    const bool raced =
        error.code == ErrorCode::kConflict || error.code == ErrorCode::kAlreadyExists;
    if (raced || stop.stop_requested()) return Attempt::kFailed;
    metrics.Add("certflow_leader_failures_total", "Requests about the lease that failed.",
                {{"code", ErrorCodeName(error.code)}});
    if (last_failure != error.code) {
      log.Warning("lease request failed", {{"code", ErrorCodeName(error.code)},
                                           {"reason", error.reason},
                                           {"error", error.message}});
    }
    last_failure = error.code;
    return Attempt::kFailed;
  }

  // A renewal that was cut off may still arrive, hence the second try.
  void Release() {
    const Context ctx{clock, clock.Steady() + CallTimeout(), {}, log};
    for (int i = 0; i < kReleaseTries; ++i) {
      const Result<kube::Document> lease = client.Get(ctx, LeaseResource(), Key());
      if (!lease.ok()) return LogRelease(lease.error());
      Record record = ReadRecord(*lease);
      // Somebody else may have taken it meanwhile; theirs is not ours to wipe.
      if (record.holder != options.identity) return;
      record.holder.clear();
      record.duration_seconds = 1;
      record.acquired = record.renewed = FormatMicroTime(clock.Now());
      const nlohmann::json patch = {{"metadata", {{"resourceVersion", lease->resource_version()}}},
                                    {"spec", SpecOf(record)}};
      const auto released = client.MergePatch(ctx, LeaseResource(), Key(), "", kube::Dump(patch));
      if (released.ok()) return log.Info("lease released");
      if (released.error().code != ErrorCode::kConflict) return LogRelease(released.error());
    }
  }

  void LogRelease(const Error& error) {
    log.Warning("lease not released, the next one has to wait",
                {{"reason", error.reason}, {"error", error.message}});
  }

  void TellLeading(bool now) {
    leading.store(now);
    metrics.Set("certflow_leader", "1 while this process holds the lease.", {}, now ? 1 : 0);
  }

  kube::ObjectKey Key() const { return {options.ns, options.name}; }
  Duration CallTimeout() const { return std::max(kShortestCall, options.renew_deadline / 2); }
  SteadyTime LastRenewal() const { return SteadyTime(SteadyTime::duration(last_renewal.load())); }

  kube::Client& client;
  const LeaderOptions options;
  Clock& clock;
  Metrics& metrics;
  const Logger log;
  std::stop_source stop;
  std::thread thread;

  std::atomic<bool> leading = false;
  std::atomic<int> epoch = 0;
  std::atomic<SteadyTime::rep> last_renewal = 0;

  // Of the elector's thread.
  bool seen = false;
  Record observed;
  SteadyTime observed_at{};
  std::string version;
  std::optional<ErrorCode> last_failure;
};

LeaderElector::LeaderElector(kube::Client& client, LeaderOptions options, Clock& clock,
                             Metrics& metrics, const Logger& log)
    : impl_(std::make_unique<Impl>(client, std::move(options), clock, metrics, log)) {}

LeaderElector::~LeaderElector() { Stop(false); }

void LeaderElector::Start(std::function<void()> on_elected, std::function<void()> on_lost) {
  impl_->thread =
      std::thread([impl = impl_.get(), elected = std::move(on_elected), lost = std::move(on_lost)] {
        pthread_setname_np(pthread_self(), "leader");
        impl->Run(elected, lost);
      });
}

void LeaderElector::Stop(bool release) {
  if (!impl_->thread.joinable()) return;
  impl_->stop.request_stop();
  impl_->thread.join();
  if (!impl_->leading.load()) return;
  impl_->TellLeading(false);
  if (release) impl_->Release();
}

bool LeaderElector::MayAct() const {
  return impl_->leading.load() &&
         impl_->clock.Steady() < impl_->LastRenewal() + impl_->options.renew_deadline;
}

bool LeaderElector::leading() const { return impl_->leading.load(); }

int LeaderElector::epoch() const { return impl_->epoch.load(); }

bool LeaderElector::Overdue() const {
  return impl_->leading.load() &&
         impl_->clock.Steady() > impl_->LastRenewal() + impl_->options.lease_duration;
}

}  // namespace certflow::runtime
