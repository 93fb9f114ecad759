#include "controller/app/servers.h"

namespace certflow::app {

namespace {

constexpr std::string_view kChallengePath = "/.well-known/acme-challenge/";

serve::ServedResponse Answer(const runtime::Health& health, runtime::Health::Probe probe,
                             const serve::ServedRequest& request) {
  auto report = health.Run(probe);
  bool plain = report.ok() && !request.verbose;
  return {report.ok() ? 200 : 500, plain ? "ok" : report.Text()};
}

}  // namespace

Servers::Servers(const Config& config, Program& program, serve::PrometheusMetrics& metrics,
                 const Logger& log)
    : config_(config), health_("health", log), metrics_("metrics", log), acme_("acme", log) {
  health_.Get("/livez", [&program](const serve::ServedRequest& request) {
    return Answer(program.health(), runtime::Health::Probe::kLive, request);
  });
  health_.Get("/readyz", [&program](const serve::ServedRequest& request) {
    return Answer(program.health(), runtime::Health::Probe::kReady, request);
  });
  metrics_.Get("/metrics", [&metrics](const serve::ServedRequest&) {
    return serve::ServedResponse{200, metrics.Expose(), "text/plain; version=0.0.4"};
  });
  // What is asked for is looked up, never echoed (RFC 8555 section 8.3).
  acme_.Get(std::string(kChallengePath), [&program](const serve::ServedRequest& request) {
    std::string answer = program.ChallengeAnswer(request.path.substr(kChallengePath.size()));
    if (answer.empty()) return serve::ServedResponse{404, "not found\n"};
    return serve::ServedResponse{200, std::move(answer)};
  });
}

Result<void> Servers::Start() {
  CF_ASSIGN_OR_RETURN([[maybe_unused]] auto health, health_.Start(config_.health_address));
  CF_ASSIGN_OR_RETURN([[maybe_unused]] auto metrics, metrics_.Start(config_.metrics_address));
  CF_ASSIGN_OR_RETURN([[maybe_unused]] auto acme, acme_.Start(config_.acme_address));
  return {};
}

void Servers::Stop() {
  health_.Stop();
  metrics_.Stop();
  acme_.Stop();
}

}  // namespace certflow::app
