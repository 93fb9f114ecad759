#include "tests/envtest/controller/replica.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/envtest/controller/await.h"

namespace certflow::envtest {

Replica::Replica(controlplane::Keeper& keeper, std::string kubeconfig, std::string log,
                 std::vector<std::string> args)
    : keeper_(keeper),
      kubeconfig_(std::move(kubeconfig)),
      log_(std::move(log)),
      args_(std::move(args)) {}

void Replica::Start() {
  std::error_code none;
  life_begins_ = std::filesystem::exists(log_) ? std::filesystem::file_size(log_, none) : 0;
  auto at = [](int port) { return "127.0.0.1:" + std::to_string(port); };
  std::vector<std::string> argv = {std::string(CERTFLOW_BIN_DIR) + "/certflow",
                                   "--kubeconfig",
                                   kubeconfig_,
                                   "--health-address",
                                   at(controlplane::FreePort()),
                                   "--metrics-address",
                                   at(metrics_port_),
                                   "--acme-address",
                                   at(acme_port_),
                                   "--log-level",
                                   "debug"};
  argv.insert(argv.end(), args_.begin(), args_.end());
  auto started = process_.Start(keeper_, argv, log_);
  ASSERT_TRUE(started.ok()) << started.error().message;
}

bool Replica::Stop() {
  process_.Signal(SIGTERM);
  bool ended = Await([this] { return !process_.Running(); }, 40);
  process_.Kill();
  return ended;
}

std::string Replica::Log() const {
  std::ifstream in(log_, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool Replica::AwaitLeading(int seconds) {
  return Await(
      [this] { return Log().find("leading: workers started", life_begins_) != std::string::npos; },
      seconds);
}

}  // namespace certflow::envtest
