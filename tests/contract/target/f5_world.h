#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "controller/net/http_client.h"
#include "providers/targets/f5/f5_target.h"
#include "tests/contract/target/target_contract.h"
#include "tests/peers/peer.h"

namespace certflow::contract {

// Lets one request fail, before it is sent or after it was carried out; where the process dies of
// it, all that come later too.
class CutHttp : public net::HttpClient {
 public:
  explicit CutHttp(net::HttpClient& inner) : inner_(inner) {}
  void Arm(Cut cut, bool dies);
  int count() const { return count_; }
  // What was sent: "PATCH /mgmt/tm/ltm/...", without the query.
  std::vector<std::string> seen;

  Result<net::HttpResponse> Do(const Context& ctx, const net::HttpRequest& request) override;
  Result<void> Stream(const Context& ctx, const net::HttpRequest& request,
                      net::StreamSink& sink) override;

 private:
  net::HttpClient& inner_;
  Cut cut_;
  bool dies_ = false;
  int count_ = 0;
};

// A simulated BIG-IP pair with the virtual servers /Common/vs_site and /Common/vs_other, one pair
// for the whole program. What is live is what a virtual server answers a TLS handshake with.
class F5World : public TargetWorld {
 public:
  // `dies`: whether a cut ends the process; `auto_sync`: whether the group passes changes on
  // itself.
  explicit F5World(bool dies = false, bool auto_sync = false);
  ~F5World() override;

  std::unique_ptr<seams::Target> Connect() override;
  seams::Binding Binding(const std::string& workflow) const override;
  void PutForeign(const seams::Binding& at, const Pair& pair) override;
  void Empty(const seams::Binding& at) override;
  std::optional<Pair> Live(const seams::Binding& at) override;
  void Arm(Cut cut) override { http_.Arm(cut, dies_); }
  int interactions() const override { return http_.count(); }

  // The DeploymentTarget, with changes for a test.
  seams::ProviderRef Provider(const nlohmann::json& changes = {}) const;
  std::unique_ptr<seams::Target> ConnectBy(providers::f5::F5Targets& targets,
                                           const nlohmann::json& changes = {});
  providers::f5::F5Targets::Login login(const std::string& user = "admin") const;
  // The scripts' side of the simulator.
  nlohmann::json Ask(const std::string& method, const std::string& path,
                     const nlohmann::json& body = {}) const;
  // iControl REST of a unit ("a", "b"), as an administrator beside certflow.
  nlohmann::json Rest(const std::string& unit, const std::string& method, const std::string& path,
                      const nlohmann::json& body = {}) const;
  // Makes the group equal, from the active unit.
  void Sync() const;
  std::string Active() const;
  // The fingerprint that a handshake meets. `algorithm` is the only signature that the client
  // accepts ("rsa_pss_rsae_sha256"), which chooses among the certificates of a profile.
  std::string Served(const std::string& virtual_server, const std::string& server_name = "");
  std::string Served(const std::string& virtual_server, const std::string& server_name,
                     const std::string& algorithm);
  CutHttp& http() { return http_; }
  test::Peer& peer() const { return peer_; }
  Context ctx() const;
  // Lets time pass for all that go by ctx().
  void Advance(Duration by);

 private:
  void PutObjects(nlohmann::json objects) const;
  std::string AddressOf(const std::string& virtual_server) const;
  nlohmann::json VirtualServer(const std::string& name, const std::string& profile) const;

  test::Peer& peer_;
  const bool dies_;
  class AheadClock;
  std::unique_ptr<AheadClock> clock_;
  std::unique_ptr<net::HttpClient> curl_;
  CutHttp http_;
};

}  // namespace certflow::contract
