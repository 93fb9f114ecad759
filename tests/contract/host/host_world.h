#pragma once

#include <memory>
#include <optional>
#include <string>

#include "controller/net/shell.h"
#include "tests/contract/target/target_contract.h"
#include "tests/peers/peer.h"

namespace certflow::contract {

// One webhost a layout (tests/peers/webhost) for the whole program: starting one takes longer than
// a test.
test::Peer& Webhost(const std::string& layout);

// A shell on the host, over SSH or on this machine.
std::unique_ptr<net::Shell> WebhostShell(test::Peer& host, bool ssh, Clock& clock);

// The server of a webhost. "site" is addressed by its name where the layout has names, any other
// workflow by files of its own. Leaves the host as it was.
class HostWorld : public TargetWorld {
 public:
  HostWorld(const std::string& layout, bool ssh);
  ~HostWorld() override;

  std::unique_ptr<seams::Target> Connect() override;
  std::unique_ptr<seams::Target> ConnectBy(std::unique_ptr<net::Shell> shell);
  seams::Binding Binding(const std::string& workflow) const override;
  void PutForeign(const seams::Binding& at, const Pair& pair) override;
  void Empty(const seams::Binding& at) override;
  std::optional<Pair> Live(const seams::Binding& at) override;
  void Arm(Cut cut) override;
  int interactions() const override { return count_; }

  test::Peer& host() { return host_; }
  std::string folder(const seams::Binding& at) const;
  // "nginx", "apache" or "haproxy".
  std::string type() const;
  // What the target's spec would say.
  std::string settings(bool sudo = false) const;
  // SHA-256 of the certificate that is served for a name on the HTTPS port; empty when none is.
  std::string Served(const std::string& server_name = "site.test");
  // Waits until it is served: a reload ends after the command that asks for it.
  bool AwaitServed(const std::string& fingerprint, const std::string& server_name = "site.test");

 private:
  struct Paths {
    std::string certificate, key;
  };
  Paths PathsOf(const seams::Binding& at) const;

  const std::string layout_;
  test::Peer& host_;
  bool ssh_;
  std::unique_ptr<Clock> clock_;
  std::string original_certificate_, original_key_;
  Cut cut_;
  int count_ = 0;
};

}  // namespace certflow::contract
