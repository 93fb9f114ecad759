#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "controller/base/context.h"
#include "controller/kube/client.h"
#include "controller/kube/document_json.h"
#include "tests/controlplane/controlplane.h"
#include "tests/fakes/kube/memory_api_server.h"

namespace certflow::contract {

inline const kube::Resource kWidgets{"contract.certflow.dev", "v1", "widgets", "Widget", true};
inline const kube::Resource kNamespaces{"", "v1", "namespaces", "Namespace", false};
inline const kube::Resource kSecrets{"", "v1", "secrets", "Secret", true};
inline const kube::Resource kConfigMaps{"", "v1", "configmaps", "ConfigMap", true};
inline const kube::Resource kLeases{"coordination.k8s.io", "v1", "leases", "Lease", true};

// The one real control plane of this program, started at first use with the widgets' CRD and users
// "admin" and "stranger"; null where it is not built.
controlplane::ControlPlane* RealPlane();

// Collects what a watch brings. Used from the watching thread, read after it ended, or through the
// locked accessors.
class Collector : public kube::WatchSink {
 public:
  struct Seen {
    kube::WatchEventType type;
    std::string name;
    std::string version;
    bool initial_end = false;
    nlohmann::json object;
  };
  void OnEvent(kube::WatchEvent event) override;
  std::vector<Seen> events() const;
  // Until `enough` holds or ten seconds passed.
  bool WaitFor(const std::function<bool(const std::vector<Seen>&)>& enough) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<Seen> events_;
};

// Runs a watch on a thread of its own.
class Watching {
 public:
  Watching(kube::Client& client, const Context& ctx, kube::Resource resource,
           kube::WatchOptions options);
  ~Watching();
  Collector& seen() { return seen_; }
  void Stop() { stop_.request_stop(); }
  Result<void> Join();

 private:
  std::stop_source stop_;
  Collector seen_;
  Result<void> result_;
  std::thread thread_;
};

// The same questions to the API server in memory and to the real one.
class KubeContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override;
  bool real() const { return GetParam() == "Real"; }
  kube::Client& client() { return *client_; }
  Context ctx() {
    return Context{*clock_, SteadyTime::max(), {}, {}}.WithTimeout(Duration{30'000});
  }
  const std::string& ns() const { return ns_; }
  kube::ObjectKey Key(const std::string& name) const { return {ns_, name}; }

  nlohmann::json Widget(const std::string& name, int size = 1) const;
  kube::Document MustCreate(const nlohmann::json& object);
  // Lists one page of this test's namespace.
  Result<kube::ListPage> List(int limit = 0, std::string_view token = "");
  std::string CurrentVersion();

  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  std::unique_ptr<fakes::MemoryApiServer> memory_;
  std::unique_ptr<kube::Client> memory_client_;
  kube::Client* client_ = nullptr;
  std::string ns_;
};

}  // namespace certflow::contract
