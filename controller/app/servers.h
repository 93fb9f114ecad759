#pragma once

#include "controller/app/config.h"
#include "controller/app/program.h"
#include "controller/serve/http_server.h"
#include "controller/serve/prometheus_metrics.h"

namespace certflow::app {

// What others call: health, metrics, and the answers to http-01 challenges, each on its own port.
class Servers {
 public:
  Servers(const Config& config, Program& program, serve::PrometheusMetrics& metrics,
          const Logger& log);
  Result<void> Start();
  void Stop();

 private:
  const Config& config_;
  serve::HttpServer health_, metrics_, acme_;
};

}  // namespace certflow::app
