#include "providers/targets/host/nginx_target.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "controller/pki/certificate.h"
#include "tests/contract/target/target_contract.h"
#include "tests/peers/local_shell.h"
#include "tests/peers/peer.h"

namespace certflow::contract {
namespace {

namespace fs = std::filesystem;
using providers::host::MakeNginxTarget;
using test::Peer;

// One host a layout for the whole program: starting one takes longer than a test.
Peer& Host(const std::string& layout) {
  static std::map<std::string, std::unique_ptr<Peer>> hosts;
  auto& host = hosts[layout];
  if (!host) host = std::make_unique<Peer>("webhost", std::vector<std::string>{layout});
  return *host;
}

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

class NginxWorld : public TargetWorld {
 public:
  NginxWorld(std::string layout, bool ssh) : host_(Host(layout)), ssh_(ssh) {
    original_certificate_ = host_.folder() / "original-cert";
    original_key_ = host_.folder() / "original-key";
    if (!fs::exists(original_certificate_)) {
      fs::copy_file(host_["cert"], original_certificate_);
      fs::copy_file(host_["keyfile"], original_key_);
    }
  }
  // The next user finds a server that can be reloaded.
  ~NginxWorld() override { Restore(); }

  std::unique_ptr<seams::Target> Connect() override {
    const nlohmann::json settings = {
        {"host", "web.test"}, {"nginxPath", host_["nginx"]}, {"configFile", host_["config"]}};
    auto shell = std::make_unique<CutShell>(MakeShell(), cut_, count_);
    return std::move(*MakeNginxTarget(settings.dump(), std::move(shell)));
  }
  seams::Binding Binding(const std::string& workflow) const override {
    const bool combined = host_["cert"] == host_["keyfile"];
    std::string certificate = host_["cert"], key = host_["keyfile"];
    if (workflow != "site") {
      certificate = host_.folder() / (workflow + ".pem");
      key = combined ? certificate : host_.folder() / (workflow + ".key");
    }
    const nlohmann::json settings = {{"certificateFile", certificate}, {"keyFile", key}};
    return {"0/web", "prod", workflow, "uid", settings.dump()};
  }
  void PutForeign(const seams::Binding& at, const Pair& pair) override {
    const Paths paths = PathsOf(at);
    // As certbot or a person would: new files in place of what is there.
    fs::remove(paths.certificate);
    if (paths.certificate == paths.key) {
      test::WriteFile(paths.certificate, pair.chain + pair.key);
      return;
    }
    fs::remove(paths.key);
    test::WriteFile(paths.certificate, pair.chain);
    test::WriteFile(paths.key, pair.key);
  }
  void Empty(const seams::Binding& at) override {
    const Paths paths = PathsOf(at);
    fs::remove(paths.certificate);
    fs::remove(paths.key);
    fs::remove_all(fs::path(paths.certificate).parent_path() /
                   (".certflow-prod-" + at.workflow_name));
  }
  std::optional<Pair> Live(const seams::Binding& at) override {
    const Paths paths = PathsOf(at);
    if (!fs::exists(paths.certificate) || !fs::exists(paths.key)) return std::nullopt;
    Pair pair{test::ReadFile(paths.certificate), test::ReadFile(paths.key), ""};
    const auto chain = pki::ReadChain(pair.chain);
    if (chain.ok()) pair.fingerprint = chain->front().fingerprint;
    return pair;
  }
  void Arm(Cut cut) override {
    cut_ = cut;
    count_ = 0;
  }
  int interactions() const override { return count_; }

 private:
  struct Paths {
    std::string certificate, key;
  };
  static Paths PathsOf(const seams::Binding& at) {
    const auto settings = nlohmann::json::parse(at.settings);
    return {settings["certificateFile"], settings["keyFile"]};
  }
  std::unique_ptr<net::Shell> MakeShell();
  void Restore() {
    Empty(Binding("site"));
    fs::copy_file(original_certificate_, host_["cert"]);
    if (host_["cert"] != host_["keyfile"]) fs::copy_file(original_key_, host_["keyfile"]);
  }

  Peer& host_;
  bool ssh_;
  std::string original_certificate_, original_key_;
  Cut cut_;
  int count_ = 0;
};

std::unique_ptr<net::Shell> NginxWorld::MakeShell() {
  if (!ssh_) return std::make_unique<test::LocalShell>();
  return std::make_unique<test::LocalShell>();
}

std::unique_ptr<TargetWorld> PlainFiles() { return std::make_unique<NginxWorld>("plain", false); }
std::unique_ptr<TargetWorld> OneFile() { return std::make_unique<NginxWorld>("combined", false); }

INSTANTIATE_TEST_SUITE_P(NginxWithTwoFiles, TargetContract, testing::Values(&PlainFiles));
INSTANTIATE_TEST_SUITE_P(NginxWithOneFile, TargetContract, testing::Values(&OneFile));

}  // namespace
}  // namespace certflow::contract
