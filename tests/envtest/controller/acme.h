#pragma once

#include <string>

#include "tests/envtest/controller/stage.h"
#include "tests/peers/peer.h"

namespace certflow::envtest {

// Pebble, and BIND with the zone "localhost", whose names lead to this machine.
class Acme {
 public:
  explicit Acme(Stage& stage)
      : bind_("bind", {"--zone", "localhost"}),
        pebble_("pebble",
                {"--dns", bind_["dns"], "--http-port", std::to_string(stage.http01_port())}) {}

  // A CertificateAuthority with one solver: "dns01", "Target" or "Cluster". `nameserver` other than
  // BIND is for what must be refused.
  void Declare(Stage& stage, const std::string& ns, const std::string& name,
               const std::string& solver, const std::string& nameserver = "");
  // Certificates that were issued so far, and orders that were made.
  int Issued() const;
  int Orders() const;

 private:
  int Count(const std::string& text) const;
  test::Peer bind_, pebble_;
};

}  // namespace certflow::envtest
