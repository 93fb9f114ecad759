#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"
#include "controller/kube/client.h"
#include "controller/kube/program.h"

namespace certflow::controlplane {

// Somebody the API server knows, by a token of its token file. Service account users
// ("system:serviceaccount:NS:NAME") get the groups of service accounts by themselves.
struct Identity {
  std::string user;
  std::vector<std::string> groups;
};

struct Options {
  std::string dir;                          // empty: a new one under the system's temp folder
  std::vector<Identity> users;              // "admin" of system:masters is always there
  std::vector<std::string> apiserver_args;  // after ours; the last one wins
  std::vector<std::string> etcd_args;
  bool keep_dir = false;
};

// The folder with kube-apiserver, etcd and kubectl: KUBEBUILDER_ASSETS, else what
// tests/controlplane/build has built before. Builds nothing; kNotFound when there is none.
Result<std::string> FindAssets();
// CERTFLOW_REQUIRE_ENVTEST=1: a missing control plane is a failure, not a reason to skip.
bool Required();

class Clients;

// A real etcd and kube-apiserver on loopback, each in its own process group, killed with this
// object and with this process. Calls may come from any thread, one at a time for the ones that
// change the processes.
class ControlPlane {
 public:
  static Result<std::unique_ptr<ControlPlane>> Start(Options options);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  const std::string& url() const;       // "https://127.0.0.1:port"
  const std::string& etcd_url() const;  // "http://127.0.0.1:port"
  const std::string& dir() const;
  std::string ca_file() const;  // signs the server's certificate
  // Signs client certificates; CN is the user, O the groups. (The same key pair.)
  std::string ca_key_file() const;
  std::string LogTail(std::string_view program) const;  // "etcd" or "kube-apiserver"

  // For the users given at the start, and "admin".
  std::string KubeconfigFor(std::string_view user) const;
  std::string TokenFor(std::string_view user) const;
  // A client of its own over one curl engine shared by all; lives as long as this object.
  kube::Client& ClientFor(std::string_view user);

  // The real kubectl. Exit codes are in the result; fails the call only when it cannot be run.
  Result<kube::ProgramOutput> Kubectl(std::vector<std::string> args,
                                      std::string_view user = "admin", std::string input = "");
  // kubectl apply --server-side of a file or folder (of files that end in .yaml), as admin; waits
  // until CRDs are established and served.
  Result<void> ApplyFile(std::string_view path);
  Result<void> ApplyText(std::string_view yaml);

  // Kills the server (SIGKILL) and starts it on the same etcd and port, with `extra` arguments
  // instead of Options::apiserver_args when given.
  Result<void> RestartApiServer(const std::vector<std::string>* extra = nullptr);
  void StopApiServer();
  // SIGSTOP and SIGCONT.
  void FreezeApiServer();
  void ThawApiServer();
  void FreezeEtcd();
  void ThawEtcd();
  int apiserver_pid() const;
  int etcd_pid() const;

 private:
  struct Impl;
  explicit ControlPlane(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  std::unique_ptr<Clients> clients_;
};

}  // namespace certflow::controlplane
