#include "tests/envtest/controller/acme.h"

#include <nlohmann/json.hpp>

namespace certflow::envtest {

void Acme::Declare(Stage& stage, const std::string& ns, const std::string& name,
                   const std::string& solver, const std::string& nameserver) {
  Json how = {{"http01", {{"via", solver}}}};
  if (solver == "dns01") {
    if (stage.Get("secrets", ns, "dns-update").is_null()) {
      stage.MakeSecret(ns, "dns-update", {{"tsig", bind_["key_secret"]}});
    }
    how = {{"dns01",
            {{"rfc2136",
              {{"nameserver", nameserver.empty() ? bind_["dns"] : nameserver},
               {"zone", "localhost"},
               {"tsigKeyName", bind_["key_name"]},
               {"tsigSecretRef", {{"name", "dns-update"}, {"key", "tsig"}}}}}}}};
  }
  const std::string root =
      RunTool({"curl", "-s", "--cacert", pebble_["ca"], pebble_["management"] + "/roots/0"});
  Json authority = {{"apiVersion", "certflow.dev/v1alpha1"},
                    {"kind", "CertificateAuthority"},
                    {"metadata", {{"name", name}}},
                    {"spec",
                     {{"trustBundle", root},
                      {"acme",
                       {{"server", pebble_["directory"]},
                        {"caBundle", test::ReadFile(pebble_["ca"])},
                        {"accountKeySecretRef", {{"name", name + "-account"}}},
                        {"solvers", {how}}}}}}};
  stage.Create(ns, authority.dump());
}

int Acme::Issued() const { return Count("Issued certificate serial"); }
int Acme::Orders() const { return Count("Added order "); }

int Acme::Count(const std::string& text) const {
  const std::string log = test::ReadFile(pebble_.folder() / "pebble.log");
  int count = 0;
  for (std::size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace certflow::envtest
