#pragma once

#include <functional>
#include <memory>

#include "controller/app/config.h"
#include "controller/base/clock.h"
#include "controller/base/metrics.h"
#include "controller/kube/client.h"
#include "controller/net/http_client.h"
#include "controller/net/mail_client.h"
#include "controller/net/shell.h"
#include "controller/runtime/health.h"

namespace certflow::app {

// What the program stands on; tests bring their own. All of it outlives the program.
struct Parts {
  Clock& clock;
  Metrics& metrics;
  Logger log;
  kube::Client& kube;
  net::HttpClient& outgoing;  // authorities and devices
  net::ShellConnector& shells;
  net::MailClient& mail;
  std::string identity;     // of this replica
  std::string policy_json;  // as shipped, for the approval guard
  std::string binding_json;
  std::function<void()> on_lease_lost;  // the process is to end
};

// The controller: informers, queues, workers, reconcilers, leader election. Start order: caches,
// election, workers; stop order the other way round.
class Program {
 public:
  Program(const Config& config, Parts parts);
  ~Program();
  // Returns once the informers run; the rest follows when they are in step.
  void Start();
  // Takes no more work, lets what is under way finish until `grace` is over, gives the Lease back.
  void Stop(Duration grace);

  runtime::Health& health();
  // The key authorization for a token of a run under way, or empty.
  std::string ChallengeAnswer(std::string_view token) const;
  // Sets the gauges that are counted from the caches.
  void RefreshGauges();
  bool leading() const;
  bool synced() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::app
