#pragma once

#include <string>
#include <vector>

#include "controller/base/log.h"
#include "controller/base/result.h"

namespace certflow::app {

// Everything that can be told on the command line (docs/install.md).
struct Config {
  std::string kubeconfig, context;
  std::string own_namespace = "certflow-system";
  bool leader_elect = true;
  Duration lease_duration{15'000}, renew_deadline{10'000}, retry_period{2'000};
  int max_workers = 512;
  Duration check_interval{600'000};  // between looks at what is ready
  std::string health_address = ":8081";
  std::string metrics_address = ":8080";
  std::string acme_address = ":8089";
  int http01_port = 80;
  Duration grace{30'000};  // to finish what is under way, after SIGTERM
  LogLevel log_level = LogLevel::kInfo;
};

// Exits with usage on --help and --version (0) and on wrong arguments (2).
Config ParseCommandLine(int argc, char** argv);

}  // namespace certflow::app
