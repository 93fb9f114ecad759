#pragma once

#include <map>
#include <string>

#include "tests/envtest/controller/stage.h"
#include "tests/peers/peer.h"

namespace certflow::envtest {

// A real host with SSH and nginx, as a DeploymentTarget of a namespace.
class Webhost {
 public:
  Webhost() : peer_("webhost") {}

  // The Secret "ssh" and the DeploymentTarget; `port` other than the host's own is a way to it.
  void Declare(Stage& stage, const std::string& ns, const std::string& name = "edge", int port = 0);
  // An entry of spec.deployment.waves[].targets.
  std::string Use(const std::string& name = "edge") const;
  // SHA-256 of what nginx serves.
  std::string Served() const { return ServedFingerprint(peer_["https"], "shop.example.com"); }
  // Whether certificate and key on the disk belong together.
  bool PairMatches() const;
  // More configuration, in a file of conf.d; nginx is not told.
  void Configure(const std::string& file, const std::string& text);
  void Forget(const std::string& file);
  void Reload();
  int ssh_port() const;
  test::Peer& peer() { return peer_; }

 private:
  test::Peer peer_;
};

// The port behind the last colon.
int PortOf(const std::string& endpoint);

}  // namespace certflow::envtest
