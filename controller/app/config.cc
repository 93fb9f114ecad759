#include "controller/app/config.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <map>

namespace certflow::app {

namespace {

void AddSeconds(CLI::App& app, const std::string& name, Duration& value, const std::string& help) {
  app.add_option_function<int>(
         name, [&value](const int& seconds) { value = std::chrono::seconds(seconds); },
         help + " (seconds, default " +
             std::to_string(std::chrono::duration_cast<std::chrono::seconds>(value).count()) + ")")
      ->check(CLI::Range(1, 3600));
}

}  // namespace

Config ParseCommandLine(int argc, char** argv) {
  Config config;
  CLI::App app{
      "certflow keeps certificates in force: it renews, asks, deploys, proves and rolls back."};
  app.set_version_flag("--version", "certflow " CERTFLOW_VERSION);
  app.add_option("--kubeconfig", config.kubeconfig,
                 "kubeconfig file; default: KUBECONFIG, ~/.kube/config, or the service account");
  app.add_option("--context", config.context, "context of the kubeconfig");
  app.add_option("--namespace", config.own_namespace,
                 "where the Lease and http-01 Ingresses are kept")
      ->envname("POD_NAMESPACE")
      ->capture_default_str();
  app.add_flag("--leader-elect,!--no-leader-elect", config.leader_elect,
               "act only while holding the Lease (default on)");
  AddSeconds(app, "--lease-duration", config.lease_duration, "how long a Lease holds");
  AddSeconds(app, "--renew-deadline", config.renew_deadline, "give up leading after so long");
  AddSeconds(app, "--retry-period", config.retry_period, "between tries of the Lease");
  app.add_option("--max-workers", config.max_workers,
                 "runs that are worked on at a time; threads are made when they are needed")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  AddSeconds(app, "--check-interval", config.check_interval,
             "between looks at an authority, target or channel that is ready");
  app.add_option("--health-address", config.health_address, "/livez and /readyz")
      ->capture_default_str();
  app.add_option("--metrics-address", config.metrics_address, "/metrics")->capture_default_str();
  app.add_option("--acme-address", config.acme_address, "answers to http-01 challenges")
      ->capture_default_str();
  app.add_option("--http01-port", config.http01_port,
                 "where http-01 answers are looked for before the CA is asked")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  AddSeconds(app, "--grace-period", config.grace, "to finish what is under way after SIGTERM");
  std::map<std::string, LogLevel> levels{{"debug", LogLevel::kDebug},
                                         {"info", LogLevel::kInfo},
                                         {"warning", LogLevel::kWarning},
                                         {"error", LogLevel::kError}};
  app.add_option("--log-level", config.log_level, "debug, info, warning or error")
      ->transform(CLI::CheckedTransformer(levels, CLI::ignore_case));
  try {
    app.parse(argc, argv);
    if (config.lease_duration <= config.renew_deadline ||
        config.renew_deadline <= config.retry_period * 6 / 5) {
      throw CLI::ValidationError("lease",
                                 "--lease-duration must be longer than --renew-deadline, and that "
                                 "longer than 1.2 times --retry-period");
    }
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error);
    std::exit(code == 0 ? 0 : 2);
  }
  return config;
}

}  // namespace certflow::app
