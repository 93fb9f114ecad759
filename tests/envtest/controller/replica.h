#pragma once

#include <string>
#include <vector>

#include "tests/controlplane/daemon.h"

namespace certflow::envtest {

// One process of the real program, as the Deployment would run it. Its log outlives it.
class Replica {
 public:
  // `kubeconfig` says who it is; `log` is appended to. Ports are free ones of loopback.
  Replica(controlplane::Keeper& keeper, std::string kubeconfig, std::string log,
          std::vector<std::string> args = {});

  void Start();
  // SIGKILL: what a lost node looks like.
  void Kill() { process_.Kill(); }
  // SIGTERM; true when it ended by itself in time.
  bool Stop();
  void Signal(int number) const { process_.Signal(number); }
  bool Running() { return process_.Running(); }

  // Of all its lives so far.
  std::string Log() const;
  // Whether this life works: it leads, or needs no lease.
  bool AwaitLeading(int seconds = 30);
  int acme_port() const { return acme_port_; }
  int metrics_port() const { return metrics_port_; }
  const std::string& log_file() const { return log_; }

 private:
  controlplane::Keeper& keeper_;
  const std::string kubeconfig_;
  const std::string log_;
  const std::vector<std::string> args_;
  const int acme_port_ = controlplane::FreePort();
  const int metrics_port_ = controlplane::FreePort();
  std::size_t life_begins_ = 0;
  controlplane::Daemon process_;
};

}  // namespace certflow::envtest
