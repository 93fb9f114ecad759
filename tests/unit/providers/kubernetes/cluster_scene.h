#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "controller/kube/client.h"
#include "controller/seams/connector.h"
#include "controller/seams/secret_store.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/kube/memory_api_server.h"

namespace certflow::providers::kubernetes {

// An API server in memory with workloads and Gateways, and the target "cluster" of namespace "edge"
// that the workflow prod/site uses.
class ClusterScene : public testing::Test {
 protected:
  using json = nlohmann::json;
  using Counts = std::map<std::string, std::size_t>;

  ClusterScene();
  Context ctx() { return {clock_}; }

  void Place(std::string_view kind, const std::string& name, const json& rest);
  // A workload with 3 pods that has rolled out.
  void PlaceWorkload(std::string_view kind, const std::string& name, const json& spec = {});
  // What its controller does when all pods are new.
  void RollOut(std::string_view kind, const std::string& name);
  void SetStatus(std::string_view kind, const std::string& name, const json& status);
  json Get(std::string_view kind, const std::string& name) const;
  // The version that the pods of a workload were told to start with; empty for none.
  std::string ToldVersion(std::string_view kind, const std::string& name,
                          const std::string& secret = "site-tls") const;
  // A Gateway with listeners https (refers to the Secret old-tls), tls (to no Secret) and http.
  void PlaceGateway(const std::string& name = "gw");
  json RefsOf(const std::string& listener, const std::string& gateway = "gw") const;
  // Requests of that verb are answered so, by resource.
  void Answer(const std::string& verb, const std::string& resource, int status);

  std::unique_ptr<seams::Target> Connect();
  // Stages and activates in a new process; a version always is the same pair.
  Result<void> Deploy(const std::string& version);
  Result<void> GoBack(const std::string& version, const seams::WayBack& way_back = {});
  seams::TargetState Observe();
  seams::ProviderRef Provider() const;
  // The version of the live Secret; empty where there is none.
  std::string LiveVersion(const std::string& name = "site-tls") const;

  fakes::SimulatedClock clock_;
  fakes::MemoryApiServer api_{clock_};
  std::unique_ptr<kube::Client> client_ = api_.NewClient();
  std::unique_ptr<seams::SecretStore> store_;
  std::map<std::string, std::pair<std::string, std::string>> made_;  // PEM of chain and key
  json settings_ = json::object();                                   // spec.kubernetes
  json binding_ = {{"secretName", "site-tls"}};
};

}  // namespace certflow::providers::kubernetes
