#include "tests/envtest/controller/webhost.h"

#include <filesystem>
#include <nlohmann/json.hpp>

namespace certflow::envtest {

int PortOf(const std::string& endpoint) {
  return std::stoi(endpoint.substr(endpoint.rfind(':') + 1));
}

int Webhost::ssh_port() const { return PortOf(peer_["ssh"]); }

void Webhost::Declare(Stage& stage, const std::string& ns, const std::string& name, int port) {
  if (stage.Get("secrets", ns, "ssh").is_null()) {
    stage.MakeSecret(ns, "ssh", {{"id_ed25519", test::ReadFile(peer_["key"])}});
  }
  std::string host_key = test::ReadFile((peer_.folder() / "host_key.pub"));
  host_key = host_key.substr(0, host_key.find(' ', host_key.find(' ') + 1));
  stage.Create(ns, Fill(R"(
apiVersion: certflow.dev/v1alpha1
kind: DeploymentTarget
metadata: {name: "{name}"}
spec:
  nginx:
    host: 127.0.0.1
    port: {port}
    user: {user}
    privateKeySecretRef: {name: ssh, key: id_ed25519}
    hostKeys: ["{host_key}"]
    nginxPath: {nginx}
    configFile: {config}
    challengeDirectory: {challenges}
)",
                        {{"name", name},
                         {"port", std::to_string(port == 0 ? ssh_port() : port)},
                         {"user", peer_["user"]},
                         {"host_key", host_key},
                         {"nginx", peer_["nginx"]},
                         {"config", peer_["config"]},
                         {"challenges", peer_["challenges"]}}));
}

std::string Webhost::Use(const std::string& name) const {
  return "{targetRef: {name: " + name + "}, nginx: {certificateFile: " + peer_["cert"] +
         ", keyFile: " + peer_["keyfile"] + "}}";
}

bool Webhost::PairMatches() const {
  std::string of_certificate =
      RunTool({"openssl", "x509", "-in", peer_["cert"], "-noout", "-pubkey"});
  return RunTool({"openssl", "pkey", "-in", peer_["keyfile"], "-pubout"}) == of_certificate;
}

void Webhost::Configure(const std::string& file, const std::string& text) {
  test::WriteFile(peer_.folder() / ("conf.d/" + file), text);
}

void Webhost::Forget(const std::string& file) {
  std::filesystem::remove(peer_.folder() / ("conf.d/" + file));
}

void Webhost::Reload() { RunTool({peer_["nginx"], "-c", peer_["config"], "-s", "reload"}); }

}  // namespace certflow::envtest
