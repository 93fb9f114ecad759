#pragma once

// For .cc files of this folder: what kubeconfig files say, merged, for one context.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"
#include "controller/base/secret.h"

namespace certflow::kube {

// PEM in a file, or given in place (which wins).
struct PemSource {
  std::string path;
  SecretBytes data;
  bool empty() const { return path.empty() && data.empty(); }
};

struct ExecSpec {
  std::string api_version;
  std::string command;
  std::vector<std::string> args;
  std::vector<std::string> env;  // "NAME=value"
  std::string interactive_mode;
  std::string install_hint;
  bool provide_cluster_info = false;
};

struct ClusterEntry {
  std::string server;
  PemSource ca;
  bool insecure = false;
  std::string tls_server_name;
  std::string proxy_url;
  std::string exec_config;  // JSON of the extension client.authentication.k8s.io/exec, or empty
};

struct UserEntry {
  PemSource certificate;
  PemSource key;
  SecretBytes token;
  std::string token_file;
  std::optional<ExecSpec> exec;
};

struct KubeconfigView {
  ClusterEntry cluster;
  UserEntry user;
  std::string ns;
};

// Reads `paths` (missing ones are skipped unless `must_exist`) and picks `context` (empty: the
// current one). kInvalid says which file or entry is wrong.
Result<KubeconfigView> ReadKubeconfig(const std::vector<std::string>& paths, bool must_exist,
                                      std::string_view context);

}  // namespace certflow::kube
