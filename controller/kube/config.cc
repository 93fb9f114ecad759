#include "controller/kube/config.h"

#include <array>
#include <cstdlib>
#include <sstream>

#include "controller/base/mutex.h"
#include "controller/kube/exec_plugin.h"
#include "controller/kube/files.h"
#include "controller/kube/kubeconfig.h"

namespace certflow::kube {
namespace {

constexpr Duration kLookInterval{1'000};     // how often files are looked at
constexpr Duration kReadInterval{60'000};    // how often a token is read whatever its file's time
constexpr Duration kRefusalInterval{5'000};  // refusals of one credential come in bunches
constexpr std::chrono::seconds kExpiryMargin{10};
constexpr Duration kWaitTick{20};

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// A token in a file: looked at every second, read when it changed and every minute.
class TokenFile {
 public:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}
  bool empty() const { return path_.empty(); }

  Result<SecretBytes> Current(SteadyTime now) {
    if (token_.empty() || now >= look_at_) {
      look_at_ = now + kLookInterval;
      const FileStamp stamp = StampOf(path_);
      if (token_.empty() || stamp != stamp_ || now >= read_at_)
        CF_RETURN_IF_ERROR(Read(stamp, now));
    }
    return token_.Clone();
  }

  void Refused() { look_at_ = read_at_ = SteadyTime::min(); }

 private:
  Result<void> Read(const FileStamp& stamp, SteadyTime now) {
    auto text = ReadSecretFile(path_);
    const std::string_view trimmed = text.ok() ? Trim(text->Reveal()) : std::string_view();
    if (!trimmed.empty()) {
      token_ = SecretBytes(trimmed);
      stamp_ = stamp;
      read_at_ = now + kReadInterval;
    } else if (token_.empty()) {  // otherwise the old one is the best we have
      return MakeError(ErrorCode::kUnauthorized, "NoToken",
                       "token file " + Sanitize(path_, 300) + " is missing or empty");
    }
    return {};
  }

  std::string path_;
  SecretBytes token_;
  FileStamp stamp_;
  SteadyTime look_at_ = SteadyTime::min();
  SteadyTime read_at_ = SteadyTime::min();
};

Result<SecretBytes> Load(const PemSource& source) {
  if (!source.data.empty() || source.path.empty()) return source.data.Clone();
  return ReadSecretFile(source.path);
}

class FileConfig : public ClientConfig {
 public:
  FileConfig(KubeconfigView view, std::string warning)
      : view_(std::move(view)), token_file_(view_.user.token_file), warning_(std::move(warning)) {
    if (view_.cluster.insecure) warning_ = "the API server's certificate is not verified";
  }

  const std::string& server() const override { return view_.cluster.server; }
  const std::string& default_namespace() const override { return view_.ns; }
  const std::string& proxy() const override { return view_.cluster.proxy_url; }

  Result<Credential> Current(const Context& ctx) override {
    Credential credential;
    if (!server().starts_with("https://")) return credential;  // nothing secret over plain text
    if (view_.user.exec) CF_RETURN_IF_ERROR(EnsureExec(ctx));
    MutexLock lock(mutex_);
    if (!warning_.empty()) ctx.log.Warning(std::exchange(warning_, {}), {{"server", server()}});
    CF_RETURN_IF_ERROR(EnsureTls(ctx.clock.Steady()));
    credential.tls = tls_;
    if (view_.user.exec) {
      credential.bearer_token = exec_.token.Clone();
    } else if (!token_file_.empty()) {
      CF_ASSIGN_OR_RETURN(credential.bearer_token, token_file_.Current(ctx.clock.Steady()));
    } else {
      credential.bearer_token = view_.user.token.Clone();
    }
    return credential;
  }

  void Refused() override {
    MutexLock lock(mutex_);
    token_file_.Refused();
    refused_ = true;
  }

 private:
  // Makes new TLS options when a file changed; a broken new file keeps the old ones.
  Result<void> EnsureTls(SteadyTime now) CF_REQUIRES(mutex_) {
    if (tls_ && now < look_at_) return {};
    look_at_ = now + kLookInterval;
    const std::array<FileStamp, 3> stamps{StampOf(view_.cluster.ca.path),
                                          StampOf(view_.user.certificate.path),
                                          StampOf(view_.user.key.path)};
    if (tls_ && stamps == stamps_) return {};
    auto made = MakeTls();
    if (made.ok()) {
      tls_ = std::move(made).value();
      stamps_ = stamps;
    } else if (!tls_) {
      return std::move(made).error();
    }
    return {};
  }

  Result<std::shared_ptr<const net::TlsOptions>> MakeTls() CF_REQUIRES(mutex_) {
    auto tls = std::make_shared<net::TlsOptions>();
    CF_ASSIGN_OR_RETURN(SecretBytes ca, Load(view_.cluster.ca));
    tls->ca_pem = std::string(ca.Reveal());
    if (view_.user.exec) {
      tls->client_cert_pem = exec_.certificate_pem;
      tls->client_key_pem = exec_.key_pem.Clone();
    } else {
      CF_ASSIGN_OR_RETURN(SecretBytes certificate, Load(view_.user.certificate));
      tls->client_cert_pem = std::string(certificate.Reveal());
      CF_ASSIGN_OR_RETURN(tls->client_key_pem, Load(view_.user.key));
    }
    tls->server_name = view_.cluster.tls_server_name;
    tls->insecure_skip_verify = view_.cluster.insecure;
    return std::shared_ptr<const net::TlsOptions>(std::move(tls));
  }

  bool ExecNeeded(const Context& ctx) CF_REQUIRES(mutex_) {
    if (!exec_known_) return true;
    if (exec_.expires && ctx.clock.Now() + kExpiryMargin >= *exec_.expires) return true;
    // Requests that left together are refused together; one new credential serves them all.
    return refused_ && ctx.clock.Steady() >= exec_again_;
  }

  // Runs the plugin when its credential is missing, at its end or refused; one run at a time, and
  // without holding the lock.
  Result<void> EnsureExec(const Context& ctx) {
    {
      MutexLock lock(mutex_);
      while (exec_running_) {
        exec_done_.wait_for(mutex_, kWaitTick);
        CF_RETURN_IF_ERROR(ctx.Check());
      }
      if (!ExecNeeded(ctx)) return {};
      exec_running_ = true;
    }
    auto fresh = RunExecPlugin(ctx, *view_.user.exec, view_.cluster);
    MutexLock lock(mutex_);
    exec_running_ = false;
    exec_done_.notify_all();
    if (!fresh.ok()) return std::move(fresh).error();
    TakeExec(std::move(fresh).value(), ctx.clock.Steady());
    return {};
  }

  void TakeExec(ExecCredential fresh, SteadyTime now) CF_REQUIRES(mutex_) {
    const bool same_certificate = fresh.certificate_pem == exec_.certificate_pem &&
                                  SecretEquals(fresh.key_pem.Reveal(), exec_.key_pem.Reveal());
    if (!same_certificate) tls_.reset();
    exec_again_ = refused_ ? now + kRefusalInterval : now;
    exec_ = std::move(fresh);
    exec_known_ = true;
    refused_ = false;
  }

  const KubeconfigView view_;
  Mutex mutex_;
  TokenFile token_file_ CF_GUARDED_BY(mutex_);
  std::string warning_ CF_GUARDED_BY(mutex_);
  std::shared_ptr<const net::TlsOptions> tls_ CF_GUARDED_BY(mutex_);
  std::array<FileStamp, 3> stamps_ CF_GUARDED_BY(mutex_);
  SteadyTime look_at_ CF_GUARDED_BY(mutex_) = SteadyTime::min();
  CondVar exec_done_;
  ExecCredential exec_ CF_GUARDED_BY(mutex_);
  bool exec_known_ CF_GUARDED_BY(mutex_) = false;
  bool exec_running_ CF_GUARDED_BY(mutex_) = false;
  bool refused_ CF_GUARDED_BY(mutex_) = false;
  SteadyTime exec_again_ CF_GUARDED_BY(mutex_) = SteadyTime::min();
};

std::vector<std::string> SplitPaths(const std::string& list) {
  std::vector<std::string> paths;
  std::istringstream in(list);
  for (std::string path; std::getline(in, path, ':');) {
    if (!path.empty()) paths.push_back(path);
  }
  return paths;
}

std::string InClusterNamespace(const std::string& root) {
  std::string ns = Environment("POD_NAMESPACE");
  if (!ns.empty()) return ns;
  auto text = ReadSecretFile(root + "/namespace");
  if (text.ok()) ns = std::string(Trim(text->Reveal()));
  return ns.empty() ? "default" : ns;
}

}  // namespace

Result<std::shared_ptr<ClientConfig>> LoadKubeconfig(std::string_view explicit_path,
                                                     std::string_view context) {
  std::vector<std::string> paths;
  if (!explicit_path.empty()) {
    paths.emplace_back(explicit_path);
  } else {
    paths = SplitPaths(Environment("KUBECONFIG"));
    if (paths.empty()) paths.push_back(Environment("HOME") + "/.kube/config");
  }
  CF_ASSIGN_OR_RETURN(KubeconfigView view, ReadKubeconfig(paths, !explicit_path.empty(), context));
  return std::shared_ptr<ClientConfig>(std::make_shared<FileConfig>(std::move(view), ""));
}

Result<std::shared_ptr<ClientConfig>> LoadInCluster(std::string_view root) {
  std::string host = Environment("KUBERNETES_SERVICE_HOST");
  const std::string port = Environment("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return MakeError(ErrorCode::kInvalid, "NotInCluster",
                     "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  const std::string folder(root);
  KubeconfigView view;
  view.cluster.server = "https://" + host + ":" + port;
  view.user.token_file = folder + "/token";
  view.ns = InClusterNamespace(folder);
  std::string warning;
  if (StampOf(folder + "/ca.crt").size > 0) {
    view.cluster.ca.path = folder + "/ca.crt";
  } else {
    warning = "no CA file for the API server, the system's roots are used";
  }
  if (StampOf(view.user.token_file).size <= 0) {
    return MakeError(ErrorCode::kInvalid, "NotInCluster",
                     "service account token " + view.user.token_file + " is missing");
  }
  return std::shared_ptr<ClientConfig>(
      std::make_shared<FileConfig>(std::move(view), std::move(warning)));
}

Result<std::shared_ptr<ClientConfig>> LoadConfig(std::string_view explicit_path,
                                                 std::string_view context) {
  if (explicit_path.empty() && !Environment("KUBERNETES_SERVICE_HOST").empty()) {
    return LoadInCluster();
  }
  return LoadKubeconfig(explicit_path, context);
}

}  // namespace certflow::kube
