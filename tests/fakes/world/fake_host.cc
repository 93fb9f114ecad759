#include "tests/fakes/world/fake_host.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "controller/pki/certificate.h"
#include "tests/fakes/tls/test_certificate.h"
#include "tests/peers/local_shell.h"

namespace certflow::fakes {
namespace {

namespace fs = std::filesystem;

// Arguments of nginx as certflow gives them: -v, -t, or -s reload.
constexpr std::string_view kNginx = R"sh(#!/bin/sh
case " $* " in
*" -v "*) echo 'nginx version: nginx/1.22.1' >&2; exit 0 ;;
esac
if [ -e "$D/broken" ]; then
  echo "nginx: [emerg] unexpected end of file in $D/nginx.conf:7" >&2
  exit 1
fi
a=$(openssl x509 -noout -pubkey -in "$D/tls/site.pem" 2>/dev/null)
b=$(openssl pkey -pubout -in "$D/tls/site.key" 2>/dev/null)
if [ -z "$a" ] || [ "$a" != "$b" ]; then
  echo 'nginx: [emerg] SSL_CTX_use_PrivateKey failed (key values mismatch)' >&2
  exit 1
fi
case " $* " in
*" reload "*)
  if [ -e "$D/refuse-reload" ]; then
    echo 'nginx: [error] invalid PID number in nginx.pid' >&2
    exit 1
  fi
  rm -rf "$D/loading"
  mkdir "$D/loading"
  cat "$D/tls/site.pem" >"$D/loading/site.pem"
  cat "$D/tls/site.key" >"$D/loading/site.key"
  rm -rf "$D/loaded"
  mv "$D/loading" "$D/loaded" ;;
esac
)sh";

}  // namespace

FakeHost::FakeHost(std::string name, const std::string& dns_name, WallTime now)
    : name_(std::move(name)) {
  fs::create_directory(folder_ / "tls");
  fs::create_directory(folder_ / "loaded");
  fs::create_directory(folder_ / "acme");
  const TestHierarchy before = MakeHierarchy("DNS:" + dns_name, now);
  for (const char* place : {"tls", "loaded"}) {
    test::WriteFile(folder_ / (std::string(place) + "/site.pem"), before.served_chain());
    test::WriteFile(folder_ / (std::string(place) + "/site.key"), before.leaf.key.ToPem().Reveal());
  }
  original_ = Live().fingerprint;
  WriteNginx();
  MutexLock lock(mutex_);
  Serve();
}

void FakeHost::WriteNginx() const {
  const std::string text(kNginx);
  const std::size_t line = text.find('\n') + 1;
  test::WriteFile(folder_ / "nginx", text.substr(0, line) + "D='" + folder_.path().string() +
                                         "'\n" + text.substr(line));
  fs::permissions(folder_ / "nginx", fs::perms::owner_all);
}

std::string FakeHost::settings() const {
  return nlohmann::json{{"host", name_},
                        {"user", "deploy"},
                        {"privateKeySecretRef", {{"name", "host-ssh"}, {"key", "id"}}},
                        {"hostKeys", {"SHA256:pinned"}},
                        {"nginxPath", folder_ / "nginx"},
                        {"challengeDirectory", folder_ / "acme"}}
      .dump();
}

std::string FakeHost::binding() const {
  return nlohmann::json{{"certificateFile", folder_ / "tls/site.pem"},
                        {"keyFile", folder_ / "tls/site.key"}}
      .dump();
}

std::string FakeHost::endpoint() const {
  MutexLock lock(mutex_);
  return server_->endpoint();
}

void FakeHost::Flag(const std::string& file, bool set) {
  if (set) {
    test::WriteFile(folder_ / file, "");
  } else {
    fs::remove(folder_ / file);
  }
}

FakeHost::Pair FakeHost::Read(const std::string& place) const {
  Pair pair;
  const std::string certificate = folder_ / (place + "/site.pem");
  const std::string key_file = folder_ / (place + "/site.key");
  if (!fs::exists(certificate) || !fs::exists(key_file)) return pair;
  const std::string chain = test::ReadFile(certificate);
  auto read = pki::ReadChain(chain);
  if (read.ok()) pair.fingerprint = read->front().fingerprint;
  const auto key = pki::PrivateKey::FromPem(test::ReadFile(key_file));
  pair.fits = key.ok() && pki::CheckPair(chain, *key).ok();
  return pair;
}

FakeHost::Pair FakeHost::Live() const { return Read("tls"); }
FakeHost::Pair FakeHost::Loaded() const { return Read("loaded"); }

std::string FakeHost::Challenge(const std::string& token) const {
  const std::string file = folder_ / ("acme/" + token);
  return fs::exists(file) ? test::ReadFile(file) : "";
}

std::size_t FakeHost::versions() const {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path() / "tls")) {
    count += entry.is_directory() && !entry.is_symlink() &&
             entry.path().parent_path().filename().string().starts_with(".certflow-");
  }
  return count;
}

void FakeHost::Serve() {
  const std::string loaded = test::ReadFile(folder_ / "loaded/site.pem");
  if (loaded == served_) return;
  served_ = loaded;
  SecretBytes key(test::ReadFile(folder_ / "loaded/site.key"));
  if (server_) return server_->Load(loaded, std::move(key));
  TlsServerOptions options;
  options.chain_pem = loaded;
  options.key_pem = std::move(key);
  server_ = TlsServer::Start(options);
}

Result<net::CommandResult> FakeHost::Run(const Context& ctx, std::string_view command,
                                         std::string_view input) {
  auto result = test::LocalShell().Run(ctx, command, input);
  MutexLock lock(mutex_);
  Serve();
  return result;
}

namespace {

class FakeShell : public net::Shell {
 public:
  FakeShell(FakeShells& shells, std::string host) : shells_(shells), host_(std::move(host)) {}
  Result<net::CommandResult> Run(const Context& ctx, std::string_view command,
                                 std::string_view input) override {
    return shells_.Run(ctx, host_, command, input);
  }

 private:
  FakeShells& shells_;
  const std::string host_;
};

}  // namespace

void FakeShells::SetDown(const std::string& host, bool down) {
  MutexLock lock(mutex_);
  down_[host] = down;
}

Result<std::unique_ptr<net::Shell>> FakeShells::Connect(const Context&,
                                                        const net::SshEndpoint& endpoint) {
  return std::unique_ptr<net::Shell>(std::make_unique<FakeShell>(*this, endpoint.host));
}

void FakeShells::BeforeCommand(Hook hook) {
  MutexLock lock(mutex_);
  before_command_ = std::move(hook);
}

Result<net::CommandResult> FakeShells::Run(const Context& ctx, const std::string& host,
                                           std::string_view command, std::string_view input) {
  const auto found = hosts_.find(host);
  Hook before;
  {
    MutexLock lock(mutex_);
    if (found == hosts_.end() || down_[host]) {
      return MakeError(ErrorCode::kUnavailable, "ConnectionFailed", host + ": no route to host");
    }
    before = before_command_;
  }
  if (before) before(host);
  return life_.Pass("shell", [&] { return found->second->Run(ctx, command, input); });
}

}  // namespace certflow::fakes
