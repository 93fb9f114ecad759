#include "tests/controlplane/controlplane.h"

#include <curl/curl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "controller/base/base64.h"
#include "tests/controlplane/clients.h"
#include "tests/controlplane/daemon.h"

namespace certflow::controlplane {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kStartLimit{60};
constexpr int kStartTries = 3;  // a port may be taken between choosing and binding it

Error Failure(const std::string& message) {
  return MakeError(ErrorCode::kUnavailable, "ControlPlane", Sanitize(message, 4000));
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteAll(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  ::chmod(path.c_str(), 0600);
  out << text;
}

std::string RandomToken() {
  char bytes[16];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) std::abort();
  return HexEncode({bytes, sizeof bytes});
}

// A file name for a user, whose name may hold colons.
std::string FileName(std::string_view user) {
  std::string name(user);
  for (char& c : name) {
    if (c == '/' || c == ':' || c == ' ') c = '-';
  }
  return name;
}

std::vector<std::string> GroupsOf(const Identity& identity) {
  std::vector<std::string> groups = identity.groups;
  constexpr std::string_view kPrefix = "system:serviceaccount:";
  if (identity.user.starts_with(kPrefix)) {
    const std::string rest = identity.user.substr(kPrefix.size());
    groups.push_back("system:serviceaccounts");
    groups.push_back("system:serviceaccounts:" + rest.substr(0, rest.find(':')));
  }
  return groups;
}

Result<kube::ProgramOutput> RunHere(std::vector<std::string> argv, std::vector<std::string> env,
                                    std::string input) {
  const std::unique_ptr<Clock> clock = MakeSystemClock();
  Context ctx{*clock, SteadyTime::max(), {}, {}};
  kube::Program program{std::move(argv), std::move(env), std::move(input), 64u << 20};
  return kube::RunProgram(ctx.WithTimeout(Duration{120'000}), program);
}

std::size_t Collect(char* data, std::size_t size, std::size_t count, void* text) {
  static_cast<std::string*>(text)->append(data, size * count);
  return size * count;
}

// The body of a 200, else empty.
std::string Fetch(const std::string& url, const std::string& ca, const std::string& token) {
  std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  curl_slist* headers = curl_slist_append(nullptr, ("Authorization: Bearer " + token).c_str());
  std::string body;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, 2000L);
  curl_easy_setopt(curl.get(), CURLOPT_CAINFO, ca.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, Collect);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &body);
  long status = 0;
  if (curl_easy_perform(curl.get()) == CURLE_OK) {
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  }
  curl_slist_free_all(headers);
  return status == 200 ? body : "";
}

}  // namespace

Result<std::string> FindAssets() {
  const auto complete = [](const std::string& folder) {
    return !folder.empty() && fs::exists(folder + "/kube-apiserver") &&
           fs::exists(folder + "/etcd") && fs::exists(folder + "/kubectl");
  };
  const char* given = std::getenv("KUBEBUILDER_ASSETS");
  if (given != nullptr && *given != '\0') {
    if (complete(given)) return std::string(given);
    return MakeError(ErrorCode::kNotFound, "NoControlPlane",
                     "KUBEBUILDER_ASSETS lacks kube-apiserver, etcd or kubectl");
  }
  const std::string build = std::string(CERTFLOW_SOURCE_DIR) + "/tests/controlplane/build";
  auto where = RunHere({build, "--where"}, kube::OwnEnvironment(), "");
  if (where.ok() && where->exit_code == 0) {
    std::string folder = where->out.substr(0, where->out.find('\n'));
    if (complete(folder)) return folder;
  }
  return MakeError(ErrorCode::kNotFound, "NoControlPlane",
                   "no control plane: run tests/controlplane/build or set KUBEBUILDER_ASSETS");
}

bool Required() {
  const char* value = std::getenv("CERTFLOW_REQUIRE_ENVTEST");
  return value != nullptr && std::string_view(value) == "1";
}

struct ControlPlane::Impl {
  Options options;
  std::string assets;
  std::string dir;
  std::map<std::string, std::string, std::less<>> tokens;
  int api_port = 0;
  int etcd_port = 0;
  std::string url;
  std::string etcd_url;
  Keeper keeper;
  Daemon etcd;
  Daemon apiserver;

  ~Impl() {
    apiserver.Kill();
    etcd.Kill();
    std::error_code ignored;
    if (!dir.empty() && !options.keep_dir) fs::remove_all(dir, ignored);
  }

  Result<void> MakeFolder() {
    if (options.dir.empty()) {
      std::string pattern = (fs::temp_directory_path() / "certflow-cp-XXXXXX").string();
      if (::mkdtemp(pattern.data()) == nullptr) return Failure("no temp folder");
      dir = pattern;
      return {};
    }
    fs::create_directories(options.dir);
    dir = fs::absolute(options.dir).string();
    return {};
  }

  // One self-signed pair: the server's certificate, the CA of client certificates and the key of
  // service account tokens. It lives as long as the folder.
  Result<void> MakeKeys() {
    auto made = RunHere(
        {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "30", "-subj", "/CN=certflow-controlplane", "-addext",
         "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", dir + "/ca.key", "-out",
         dir + "/ca.crt"},
        kube::OwnEnvironment(), "");
    if (!made.ok()) return made.error();
    if (made->exit_code != 0) return Failure("openssl req: " + made->err);
    return {};
  }

  void WriteUsers() {
    options.users.push_back({"admin", {"system:masters"}});
    std::ostringstream csv;
    for (const Identity& identity : options.users) {
      const std::string token = RandomToken();
      if (!tokens.emplace(identity.user, token).second) continue;
      csv << token << ",\"" << identity.user << "\",\"" << identity.user << "\",\"";
      std::string separator;
      for (const std::string& group : GroupsOf(identity)) {
        csv << separator << group;
        separator = ",";
      }
      csv << "\"\n";
    }
    WriteAll(dir + "/tokens.csv", csv.str());
  }

  void WriteKubeconfigs() {
    const std::string ca = Base64Encode(ReadAll(dir + "/ca.crt"));
    for (const auto& [user, token] : tokens) {
      WriteAll(KubeconfigPath(user),
               "apiVersion: v1\nkind: Config\ncurrent-context: certflow\n"
               "clusters:\n- name: certflow\n  cluster:\n    server: " +
                   url + "\n    certificate-authority-data: " + ca +
                   "\nusers:\n- name: certflow\n  user:\n    token: " + token +
                   "\ncontexts:\n- name: certflow\n  context:\n    cluster: certflow\n"
                   "    user: certflow\n    namespace: default\n");
    }
  }

  std::string KubeconfigPath(std::string_view user) const {
    return dir + "/" + FileName(user) + ".kubeconfig";
  }

  void ChoosePorts() {
    etcd_port = FreePort();
    do {
      api_port = FreePort();
    } while (api_port == etcd_port);
    url = "https://127.0.0.1:" + std::to_string(api_port);
    etcd_url = "http://127.0.0.1:" + std::to_string(etcd_port);
  }

  Result<void> StartEtcd() {
    fs::remove_all(dir + "/etcd");
    std::vector<std::string> argv{
        assets + "/etcd", "--name=certflow", "--data-dir=" + dir + "/etcd",
        "--listen-client-urls=" + etcd_url, "--advertise-client-urls=" + etcd_url,
        // Nobody dials a lone member; the kernel chooses the port.
        "--listen-peer-urls=http://127.0.0.1:0", "--unsafe-no-fsync=true", "--log-level=warn"};
    argv.insert(argv.end(), options.etcd_args.begin(), options.etcd_args.end());
    return etcd.Start(keeper, argv, dir + "/etcd.log");
  }

  Result<void> StartApiServer(const std::vector<std::string>& extra) {
    std::vector<std::string> argv{
        assets + "/kube-apiserver",
        "--etcd-servers=" + etcd_url,
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--secure-port=" + std::to_string(api_port),
        "--cert-dir=" + dir,
        "--tls-cert-file=" + dir + "/ca.crt",
        "--tls-private-key-file=" + dir + "/ca.key",
        "--client-ca-file=" + dir + "/ca.crt",
        "--token-auth-file=" + dir + "/tokens.csv",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=" + url + "/",
        "--service-account-key-file=" + dir + "/ca.crt",
        "--service-account-signing-key-file=" + dir + "/ca.key",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",
    };
    argv.insert(argv.end(), extra.begin(), extra.end());
    return apiserver.Start(keeper, argv, dir + "/kube-apiserver.log");
  }

  bool Served() const {
    const std::string ca = dir + "/ca.crt";
    const std::string& token = tokens.find("admin")->second;
    return Fetch(url + "/readyz", ca, token) == "ok" &&
           !Fetch(url + "/api/v1/namespaces/default", ca, token).empty();
  }

  Result<void> WaitServed() {
    const auto limit = steady_clock::now() + kStartLimit;
    while (!Served()) {
      if (!etcd.Running()) return Failure("etcd ended: " + Tail("etcd"));
      if (!apiserver.Running()) return Failure("kube-apiserver ended: " + Tail("kube-apiserver"));
      if (steady_clock::now() > limit) {
        return Failure("kube-apiserver is not ready: " + Tail("kube-apiserver"));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return {};
  }

  std::string Tail(std::string_view program) const {
    std::string text = ReadAll(dir + "/" + std::string(program) + ".log");
    return text.size() > 3000 ? text.substr(text.size() - 3000) : text;
  }

  Result<void> StartBoth() {
    Result<void> started = Failure("not tried");
    for (int i = 0; i < kStartTries && !started.ok(); ++i) {
      ChoosePorts();
      CF_RETURN_IF_ERROR(StartEtcd());
      CF_RETURN_IF_ERROR(StartApiServer(options.apiserver_args));
      started = WaitServed();
      if (!started.ok()) {
        apiserver.Kill();
        etcd.Kill();
      }
    }
    return started;
  }
};

ControlPlane::ControlPlane(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)), clients_(std::make_unique<Clients>()) {}
ControlPlane::~ControlPlane() = default;

Result<std::unique_ptr<ControlPlane>> ControlPlane::Start(Options options) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  auto impl = std::make_unique<Impl>();
  CF_ASSIGN_OR_RETURN(impl->assets, FindAssets());
  impl->options = std::move(options);
  CF_RETURN_IF_ERROR(impl->MakeFolder());
  CF_RETURN_IF_ERROR(impl->MakeKeys());
  impl->WriteUsers();
  CF_RETURN_IF_ERROR(impl->StartBoth());
  impl->WriteKubeconfigs();
  return std::unique_ptr<ControlPlane>(new ControlPlane(std::move(impl)));
}

const std::string& ControlPlane::url() const { return impl_->url; }
const std::string& ControlPlane::etcd_url() const { return impl_->etcd_url; }
const std::string& ControlPlane::dir() const { return impl_->dir; }
std::string ControlPlane::ca_file() const { return impl_->dir + "/ca.crt"; }
std::string ControlPlane::ca_key_file() const { return impl_->dir + "/ca.key"; }
std::string ControlPlane::LogTail(std::string_view program) const { return impl_->Tail(program); }
int ControlPlane::apiserver_pid() const { return impl_->apiserver.pid(); }
int ControlPlane::etcd_pid() const { return impl_->etcd.pid(); }

std::string ControlPlane::KubeconfigFor(std::string_view user) const {
  return impl_->KubeconfigPath(user);
}

std::string ControlPlane::TokenFor(std::string_view user) const {
  const auto it = impl_->tokens.find(user);
  return it == impl_->tokens.end() ? "" : it->second;
}

Result<kube::ProgramOutput> ControlPlane::Kubectl(std::vector<std::string> args,
                                                  std::string_view user, std::string input) {
  args.insert(args.begin(), impl_->assets + "/kubectl");
  // A home of its own: kubectl's discovery cache must not outlive this server.
  const char* path = std::getenv("PATH");
  return RunHere(std::move(args),
                 {"KUBECONFIG=" + KubeconfigFor(user), "HOME=" + impl_->dir,
                  std::string("PATH=") + (path == nullptr ? "/usr/bin:/bin" : path)},
                 std::move(input));
}

namespace {

// "customresourcedefinition.apiextensions.k8s.io/widgets.test.dev serverside-applied" lines.
std::vector<std::string> AppliedDefinitions(const std::string& out) {
  constexpr std::string_view kPrefix = "customresourcedefinition.apiextensions.k8s.io/";
  std::vector<std::string> names;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kPrefix)) continue;
    names.push_back(line.substr(kPrefix.size(), line.find(' ') - kPrefix.size()));
  }
  return names;
}

Result<void> Applied(ControlPlane& plane, Result<kube::ProgramOutput> result) {
  if (!result.ok()) return result.error();
  if (result->exit_code != 0) return Failure("kubectl apply: " + result->err);
  for (const std::string& name : AppliedDefinitions(result->out)) {
    const auto limit = steady_clock::now() + kStartLimit;
    while (true) {
      auto listed = plane.Kubectl({"get", name, "--all-namespaces", "--request-timeout=5s"});
      if (listed.ok() && listed->exit_code == 0) break;
      if (steady_clock::now() > limit) return Failure("CRD " + name + " is not served");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  return {};
}

}  // namespace

Result<void> ControlPlane::ApplyFile(std::string_view path) {
  return Applied(*this,
                 Kubectl({"apply", "--server-side", "--force-conflicts", "-f", std::string(path)}));
}

Result<void> ControlPlane::ApplyText(std::string_view yaml) {
  return Applied(*this, Kubectl({"apply", "--server-side", "--force-conflicts", "-f", "-"}, "admin",
                                std::string(yaml)));
}

Result<void> ControlPlane::RestartApiServer(const std::vector<std::string>* extra) {
  impl_->apiserver.Kill();
  CF_RETURN_IF_ERROR(
      impl_->StartApiServer(extra != nullptr ? *extra : impl_->options.apiserver_args));
  return impl_->WaitServed();
}

void ControlPlane::StopApiServer() { impl_->apiserver.Kill(); }
void ControlPlane::FreezeApiServer() { impl_->apiserver.Signal(SIGSTOP); }
void ControlPlane::ThawApiServer() { impl_->apiserver.Signal(SIGCONT); }
void ControlPlane::FreezeEtcd() { impl_->etcd.Signal(SIGSTOP); }
void ControlPlane::ThawEtcd() { impl_->etcd.Signal(SIGCONT); }

}  // namespace certflow::controlplane
