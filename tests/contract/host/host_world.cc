#include "tests/contract/host/host_world.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/net/address.h"
#include "controller/pki/certificate.h"
#include "providers/targets/host/apache_target.h"
#include "providers/targets/host/haproxy_target.h"
#include "providers/targets/host/nginx_target.h"
#include "tests/peers/local_shell.h"

namespace certflow::contract {
namespace {

namespace fs = std::filesystem;
using test::Peer;

// Lets one command fail, before it is sent or after it was carried out.
class CutShell : public net::Shell {
 public:
  CutShell(std::unique_ptr<net::Shell> inner, Cut& cut, int& count)
      : inner_(std::move(inner)), cut_(cut), count_(count) {}
  Result<net::CommandResult> Run(const Context& ctx, std::string_view command,
                                 std::string_view input) override {
    const bool strikes = ++count_ == cut_.interaction;
    if (strikes && !cut_.after) return MakeError(ErrorCode::kUnavailable, "Cut", "cut");
    auto result = inner_->Run(ctx, command, input);
    if (strikes) return MakeError(ErrorCode::kUnknownOutcome, "Cut", "cut");
    return result;
  }

 private:
  std::unique_ptr<net::Shell> inner_;
  Cut& cut_;
  int& count_;
};

}  // namespace

Peer& Webhost(const std::string& layout) {
  static std::map<std::string, std::unique_ptr<Peer>> hosts;
  auto& host = hosts[layout];
  if (!host) host = std::make_unique<Peer>("webhost", std::vector<std::string>{layout});
  return *host;
}

std::unique_ptr<net::Shell> WebhostShell(Peer& host, bool ssh, Clock& clock) {
  if (!ssh) return std::make_unique<test::LocalShell>();
  const net::HostPort where = *net::ParseHostPort(host["ssh"]);
  static const auto connector = net::MakeSshConnector();
  return std::move(*connector->Connect({clock}, {where.host,
                                                 where.port,
                                                 host["user"],
                                                 SecretBytes(test::ReadFile(host["key"])),
                                                 {host["host_key"]}}));
}

HostWorld::HostWorld(const std::string& layout, bool ssh)
    : layout_(layout), host_(Webhost(layout)), ssh_(ssh), clock_(MakeSystemClock()) {
  original_certificate_ = host_.folder() / "original-cert";
  original_key_ = host_.folder() / "original-key";
  if (!fs::exists(original_certificate_)) {
    fs::copy_file(host_["cert"], original_certificate_);
    fs::copy_file(host_["keyfile"], original_key_);
  }
}

HostWorld::~HostWorld() {
  Empty(Binding("site"));
  fs::copy_file(original_certificate_, host_["cert"]);
  if (host_["cert"] != host_["keyfile"]) fs::copy_file(original_key_, host_["keyfile"]);
}

std::string HostWorld::type() const {
  if (layout_.starts_with("apache")) return "apache";
  return layout_.starts_with("haproxy") ? "haproxy" : "nginx";
}

std::string HostWorld::settings(bool sudo) const {
  nlohmann::json settings = {{"host", "web.test"},
                             {"sudo", sudo},
                             {type() + "Path", host_["server"]},
                             {"configFile", host_["config"]}};
  if (type() == "nginx") settings["challengeDirectory"] = host_["challenges"];
  if (type() == "haproxy") {
    settings["statsSocket"] = host_["socket"];
    settings["pidFile"] = host_["pid"];
  }
  return settings.dump();
}

std::unique_ptr<seams::Target> HostWorld::ConnectBy(std::unique_ptr<net::Shell> shell) {
  namespace host = providers::host;
  if (type() == "apache") return std::move(*host::MakeApacheTarget(settings(), std::move(shell)));
  if (type() == "haproxy") return std::move(*host::MakeHaproxyTarget(settings(), std::move(shell)));
  return std::move(*host::MakeNginxTarget(settings(), std::move(shell)));
}

std::unique_ptr<seams::Target> HostWorld::Connect() {
  return ConnectBy(std::make_unique<CutShell>(WebhostShell(host_, ssh_, *clock_), cut_, count_));
}

seams::Binding HostWorld::Binding(const std::string& workflow) const {
  const std::string port = host_["https"].substr(host_["https"].rfind(':') + 1);
  const std::map<std::string, nlohmann::json> names = {
      {"nginx-sites", {{"serverName", "site.test"}, {"listen", host_["https"]}}},
      {"apache-sites", {{"virtualHost", "*:" + port}, {"serverName", "site.test"}}},
      {"apache-single", {{"serverName", "site.test"}}},
      {"haproxy-list", {{"frontend", "web"}, {"serverName", "site.test"}}},
  };
  std::string certificate = host_["cert"], key = host_["keyfile"];
  if (workflow != "site") {
    // A process that is told by its socket must know the file.
    const std::string name = layout_ == "haproxy-dir" ? workflow : "workflow-" + workflow;
    const fs::path beside = fs::path(certificate).parent_path() / (name + ".pem");
    key = certificate == key ? beside.string() : beside.string() + ".key";
    certificate = beside;
  }
  nlohmann::json settings = {{"certificateFile", certificate}, {"keyFile", key}};
  if (workflow == "site" && names.contains(layout_)) settings = names.at(layout_);
  return {"0/web", "prod", workflow, "uid", settings.dump()};
}

HostWorld::Paths HostWorld::PathsOf(const seams::Binding& at) const {
  const auto settings = nlohmann::json::parse(at.settings);
  if (!settings.contains("certificateFile")) return {host_["cert"], host_["keyfile"]};
  return {settings["certificateFile"], settings["keyFile"]};
}

std::string HostWorld::folder(const seams::Binding& at) const {
  return (fs::path(PathsOf(at).certificate).parent_path() /
          (".certflow-" + at.workflow_ns + "-" + at.workflow_name))
      .string();
}

void HostWorld::PutForeign(const seams::Binding& at, const Pair& pair) {
  const Paths paths = PathsOf(at);
  // As a person would: new files in place of what is there.
  fs::remove(paths.certificate);
  if (paths.certificate == paths.key) {
    test::WriteFile(paths.certificate, pair.chain + pair.key);
    return;
  }
  fs::remove(paths.key);
  test::WriteFile(paths.certificate, pair.chain);
  test::WriteFile(paths.key, pair.key);
}

void HostWorld::Empty(const seams::Binding& at) {
  const Paths paths = PathsOf(at);
  fs::remove(paths.certificate);
  fs::remove(paths.key);
  fs::remove_all(folder(at));
}

std::optional<Pair> HostWorld::Live(const seams::Binding& at) {
  const Paths paths = PathsOf(at);
  if (!fs::exists(paths.certificate) || !fs::exists(paths.key)) return std::nullopt;
  Pair pair{test::ReadFile(paths.certificate), test::ReadFile(paths.key), ""};
  const auto chain = pki::ReadChain(pair.chain);
  if (chain.ok()) pair.fingerprint = chain->front().fingerprint;
  return pair;
}

void HostWorld::Arm(Cut cut) {
  cut_ = cut;
  count_ = 0;
}

std::string HostWorld::Served(const std::string& server_name) {
  test::LocalShell shell;
  const std::string command = "openssl s_client -connect " + host_["https"] + " -servername " +
                              server_name + " </dev/null 2>/dev/null | openssl x509";
  auto result = shell.Run({*clock_}, command, {});
  if (!result.ok()) return {};
  const auto chain = pki::ReadChain(result->out);
  return chain.ok() ? chain->front().fingerprint : std::string();
}

bool HostWorld::AwaitServed(const std::string& fingerprint, const std::string& server_name) {
  const SteadyTime end = clock_->Steady() + std::chrono::seconds(10);
  while (clock_->Steady() < end) {
    if (Served(server_name) == fingerprint) return true;
  }
  return false;
}

}  // namespace certflow::contract
