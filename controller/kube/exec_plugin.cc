#include "controller/kube/exec_plugin.h"

#include "controller/base/base64.h"
#include "controller/kube/document_json.h"
#include "controller/kube/files.h"
#include "controller/kube/program.h"

namespace certflow::kube {
namespace {

using nlohmann::json;

constexpr Duration kLimit{60'000};

Error Failed(const ExecSpec& spec, const std::string& why) {
  std::string message = "credential plugin " + Sanitize(spec.command, 200) + ": " + why;
  if (!spec.install_hint.empty()) message += " (" + Sanitize(spec.install_hint, 300) + ")";
  return MakeError(ErrorCode::kUnauthorized, "CredentialPluginFailed", message);
}

json ClusterInfo(const ClusterEntry& cluster) {
  json info{{"server", cluster.server}};
  if (!cluster.tls_server_name.empty()) info["tls-server-name"] = cluster.tls_server_name;
  if (cluster.insecure) info["insecure-skip-tls-verify"] = true;
  if (!cluster.proxy_url.empty()) info["proxy-url"] = cluster.proxy_url;
  if (!cluster.ca.data.empty()) {
    info["certificate-authority-data"] = Base64Encode(cluster.ca.data.Reveal());
  } else if (auto ca = ReadSecretFile(cluster.ca.path); ca.ok()) {
    info["certificate-authority-data"] = Base64Encode(ca->Reveal());
  }
  if (!cluster.exec_config.empty()) {
    info["config"] = json::parse(cluster.exec_config, nullptr, false);
  }
  return info;
}

std::string ExecInfo(const ExecSpec& spec, const ClusterEntry& cluster) {
  json info{{"kind", "ExecCredential"},
            {"apiVersion", spec.api_version},
            {"spec", {{"interactive", false}}}};
  if (spec.provide_cluster_info) info["spec"]["cluster"] = ClusterInfo(cluster);
  return Dump(info);
}

// Moves a string out of the document, so that no second copy stays.
SecretBytes TakeSecret(json& object, const char* field) {
  const auto it = object.find(field);
  if (it == object.end() || !it->is_string()) return {};
  return SecretBytes::Take(std::move(it->get_ref<std::string&>()));
}

Result<ExecCredential> Decode(const ExecSpec& spec, std::string_view out) {
  auto document = ParseDocument(out);
  if (!document.ok()) return Failed(spec, "its answer is not JSON");
  json& answer = document->impl().json;
  if (answer.value("apiVersion", json()) != spec.api_version) {
    return Failed(spec, "its answer has another apiVersion than asked for");
  }
  const auto status = answer.find("status");
  if (status == answer.end() || !status->is_object()) return Failed(spec, "its answer is empty");
  ExecCredential credential;
  credential.token = TakeSecret(*status, "token");
  credential.certificate_pem = std::string(TakeSecret(*status, "clientCertificateData").Reveal());
  credential.key_pem = TakeSecret(*status, "clientKeyData");
  if (credential.certificate_pem.empty() != credential.key_pem.empty()) {
    return Failed(spec, "certificate and key belong together");
  }
  if (credential.token.empty() && credential.key_pem.empty()) {
    return Failed(spec, "it gave neither a token nor a certificate");
  }
  const auto expires = status->find("expirationTimestamp");
  if (expires != status->end() && expires->is_string()) {
    auto time = ParseTime(expires->get_ref<const std::string&>());
    if (!time.ok()) return Failed(spec, "its expirationTimestamp is not a time");
    credential.expires = *time;
  }
  return credential;
}

// What the entry sets goes before our own environment's values of the same name.
std::vector<std::string> Environment(const ExecSpec& spec, const ClusterEntry& cluster) {
  std::vector<std::string> wanted = spec.env;
  wanted.push_back("KUBERNETES_EXEC_INFO=" + ExecInfo(spec, cluster));
  std::vector<std::string> result = wanted;
  for (std::string& own : OwnEnvironment()) {
    const std::string name = own.substr(0, own.find('=') + 1);
    bool replaced = false;
    for (const std::string& variable : wanted) replaced = replaced || variable.starts_with(name);
    if (!replaced) result.push_back(std::move(own));
  }
  return result;
}

}  // namespace

Result<ExecCredential> RunExecPlugin(const Context& ctx, const ExecSpec& spec,
                                     const ClusterEntry& cluster) {
  Program program;
  program.argv.push_back(spec.command);
  program.argv.insert(program.argv.end(), spec.args.begin(), spec.args.end());
  program.env = Environment(spec, cluster);
  auto ran = RunProgram(ctx.WithTimeout(kLimit), program);
  if (!ran.ok()) {
    if (ran.error().code == ErrorCode::kCancelled) return std::move(ran).error();
    return Failed(spec, ran.error().message);
  }
  if (ran->exit_code != 0) {
    WipeString(ran->out);
    return Failed(spec,
                  "exit code " + std::to_string(ran->exit_code) + ", " + Sanitize(ran->err, 300));
  }
  auto credential = Decode(spec, ran->out);
  WipeString(ran->out);
  return credential;
}

}  // namespace certflow::kube
