#pragma once

#include <set>
#include <string>

#include "controller/base/metrics.h"
#include "controller/base/mutex.h"
#include "controller/kube/events.h"
#include "controller/reconcile/status_writer.h"
#include "controller/reconcile/store_directory.h"
#include "controller/runtime/gate.h"
#include "controller/runtime/worker_pool.h"
#include "controller/seams/connector.h"

namespace certflow::reconcile {

// Sends what runs have put into their outbox, on a queue and workers of its own: a mail server that
// hangs delays no run, and a notification that cannot be sent is tried kOutboxAttempts times and
// then shown as failed. Each is sent at least once: a crash between sending and recording repeats
// it with the same id.
class OutboxSender {
 public:
  OutboxSender(World& world, StatusWriter& writer, const StoreDirectory& directory,
               seams::Connector& connector, runtime::GateKeeper& gates, kube::EventRecorder& events,
               Metrics& metrics)
      : world_(world),
        writer_(writer),
        directory_(directory),
        connector_(connector),
        gates_(gates),
        events_(events),
        metrics_(metrics) {}
  Result<runtime::Outcome> Reconcile(const Context& ctx, std::string_view key);

 private:
  // How long to wait, where there is no place at the channel now or the API server does not serve.
  std::optional<Duration> SendOne(const Context& ctx, const api::Run& run, const api::Plan& plan,
                                  api::OutboxEntry& entry);
  void BookFailure(const Context& ctx, const api::Run& run, api::OutboxEntry& entry,
                   const Error& error);

  World& world_;
  StatusWriter& writer_;
  const StoreDirectory& directory_;
  seams::Connector& connector_;
  runtime::GateKeeper& gates_;
  kube::EventRecorder& events_;
  Metrics& metrics_;
  Mutex mutex_;
  // Sent, but not on record yet: a lost status write must not send again while this process lives.
  std::set<std::string> sent_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::reconcile
