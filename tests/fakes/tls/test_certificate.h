#pragma once

#include <string>
#include <utility>
#include <vector>

#include "controller/base/clock.h"
#include "controller/pki/key.h"

namespace certflow::fakes {

// A certificate as a test wants it, also one that no CA would sign.
struct CertificateSpec {
  std::string common_name = "test";
  std::string names;  // OpenSSL's SAN text, "DNS:a.example,IP:192.0.2.7"; empty: none
  bool ca = false;
  bool key_ids = true;     // SKI and AKI
  std::string serial_hex;  // empty: random
  WallTime not_before;
  WallTime not_after;
  std::vector<std::pair<std::string, std::string>> extensions;  // more, by OpenSSL's short names
  std::string digest = "SHA256";
};

struct TestCertificate {
  std::string pem;
  pki::PrivateKey key;
};

// Signed by `issuer`, or by itself. Aborts on nonsense: it is the test that is wrong.
TestCertificate MakeCertificate(const CertificateSpec& spec,
                                const TestCertificate* issuer = nullptr);

// The usual three: root, intermediate and the server's, valid from a day before `now` for a year.
struct TestHierarchy {
  TestCertificate root;
  TestCertificate intermediate;
  TestCertificate leaf;

  std::string served_chain() const { return leaf.pem + intermediate.pem; }
};
TestHierarchy MakeHierarchy(const std::string& names, WallTime now);

}  // namespace certflow::fakes
