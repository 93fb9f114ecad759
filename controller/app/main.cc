#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "controller/app/config.h"
#include "controller/app/identity.h"
#include "controller/app/program.h"
#include "controller/app/servers.h"
#include "controller/app/shipped_policy.h"
#include "controller/kube/config.h"
#include "controller/serve/prometheus_metrics.h"

namespace {

// Keys must not end up in a core file, and nobody may attach.
void ForbidCoreFiles() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

// Workers are many and mostly wait: without a bound each would keep an arena of its own.
void BoundAllocatorArenas() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

int Fail(const certflow::Logger& log, const certflow::Error& error) {
  log.Error("cannot start", {{"reason", error.reason}, {"error", error.message}});
  return 1;
}

}  // namespace

namespace certflow {
namespace {

int RunProgram(int argc, char** argv) {
  app::Config config = app::ParseCommandLine(argc, argv);
  ForbidCoreFiles();
  BoundAllocatorArenas();
  sigset_t signals = BlockSignals();

  auto clock = MakeSystemClock();
  Logger log(MakeJsonLogSink(STDOUT_FILENO, config.log_level));
  serve::PrometheusMetrics metrics;
  auto kube_config = kube::LoadConfig(config.kubeconfig, config.context);
  if (!kube_config.ok()) return Fail(log, kube_config.error());
  net::HttpEngineOptions options;
  options.user_agent = "certflow/" CERTFLOW_VERSION;
  auto kube_http = net::MakeCurlHttpClient("http-api", options);
  auto outgoing = net::MakeCurlHttpClient("http-out", options);
  auto shells = net::MakeSshConnector();
  auto mail = net::MakeCurlMailClient();
  auto client = kube::MakeClient(*kube_http, *kube_config, metrics);
  app::ShippedPolicy policy = app::LoadShippedPolicy();

  app::Program program(
      config, {*clock, metrics, log, *client, *outgoing, *shells, *mail, app::ReplicaIdentity(),
               policy.policy_json, policy.binding_json, [&log] {
                 log.Error("the Lease was lost: this process ends");
                 _exit(1);
               }});
  metrics.BeforeExposition([&program] { program.RefreshGauges(); });
  app::Servers servers(config, program, metrics, log);
  if (auto started = servers.Start(); !started.ok()) return Fail(log, started.error());
  log.Info("starting", {{"version", CERTFLOW_VERSION}, {"server", (*kube_config)->server()}});
  program.Start();

  int signal = 0;
  sigwait(&signals, &signal);
  log.Info("stopping", {{"signal", signal}});
  program.Stop(config.grace);
  servers.Stop();
  log.Info("stopped");
  return 0;
}

}  // namespace
}  // namespace certflow

int main(int argc, char** argv) { return certflow::RunProgram(argc, argv); }
