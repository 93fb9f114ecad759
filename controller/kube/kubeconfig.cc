#include "controller/kube/kubeconfig.h"

#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <map>

#include "controller/base/base64.h"
#include "controller/kube/document_json.h"
#include "controller/kube/files.h"

namespace certflow::kube {
namespace {

using nlohmann::json;

Error Invalid(const std::string& message) {
  return MakeError(ErrorCode::kInvalid, "InvalidKubeconfig", Sanitize(message));
}

// An entry and the folder that its relative paths start from.
struct Entry {
  YAML::Node node;
  std::filesystem::path folder;
};

struct Merged {
  std::string current_context;
  std::map<std::string, Entry, std::less<>> clusters, users, contexts;
};

std::string Text(const YAML::Node& node, const char* field) {
  const YAML::Node value = node[field];
  return value && value.IsScalar() ? value.Scalar() : "";
}

bool Flag(const YAML::Node& node, const char* field) { return Text(node, field) == "true"; }

// The first file wins, entry by entry; entries are taken whole.
void Merge(const YAML::Node& list, const char* inner, const std::filesystem::path& folder,
           std::map<std::string, Entry, std::less<>>& into) {
  if (!list || !list.IsSequence()) return;
  for (const YAML::Node& item : list) {
    if (!item.IsMap()) continue;
    const YAML::Node body = item[inner];
    if (body && body.IsMap()) into.try_emplace(Text(item, "name"), Entry{body, folder});
  }
}

Result<void> MergeFile(const std::string& path, const std::string& text, Merged& merged) {
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap()) return Invalid("kubeconfig " + path + " is not a map");
    const auto folder = std::filesystem::absolute(path).parent_path();
    if (merged.current_context.empty()) merged.current_context = Text(root, "current-context");
    Merge(root["clusters"], "cluster", folder, merged.clusters);
    Merge(root["users"], "user", folder, merged.users);
    Merge(root["contexts"], "context", folder, merged.contexts);
    return {};
  } catch (const YAML::Exception& e) {
    // The message quotes no values, only the place.
    return Invalid("kubeconfig " + path + " is not YAML (line " + std::to_string(e.mark.line + 1) +
                   ")");
  }
}

std::string Resolve(const Entry& entry, const std::string& path) {
  if (path.empty()) return path;
  return (entry.folder / path).lexically_normal().string();  // an absolute path stays itself
}

Result<PemSource> Pem(const Entry& entry, const std::string& field) {
  PemSource source;
  const std::string data = Text(entry.node, (field + "-data").c_str());
  if (data.empty()) {
    source.path = Resolve(entry, Text(entry.node, field.c_str()));
    return source;
  }
  auto decoded = Base64Decode(data);
  if (!decoded.ok()) return Invalid(field + "-data is not base64");
  source.data = std::move(decoded).value();
  return source;
}

json ToJson(const YAML::Node& node) {
  if (node.IsMap()) {
    json object = json::object();
    for (const auto& field : node) object[field.first.Scalar()] = ToJson(field.second);
    return object;
  }
  if (node.IsSequence()) {
    json array = json::array();
    for (const YAML::Node& item : node) array.push_back(ToJson(item));
    return array;
  }
  if (!node.IsScalar()) return nullptr;
  if (node.Tag() == "!") return node.Scalar();  // quoted
  json plain = json::parse(node.Scalar(), nullptr, false);
  return plain.is_primitive() && !plain.is_discarded() ? plain : json(node.Scalar());
}

std::string ExecConfig(const YAML::Node& cluster) {
  const YAML::Node extensions = cluster["extensions"];
  if (!extensions || !extensions.IsSequence()) return "";
  for (const YAML::Node& item : extensions) {
    if (item.IsMap() && Text(item, "name") == "client.authentication.k8s.io/exec") {
      return Dump(ToJson(item["extension"]));
    }
  }
  return "";
}

Result<std::string> Server(std::string server) {
  if (!server.starts_with("https://") && !server.starts_with("http://")) {
    return Invalid("cluster server \"" + server + "\" does not begin with https:// or http://");
  }
  while (server.ends_with('/')) server.pop_back();
  return server;
}

Result<ClusterEntry> Cluster(const Entry& entry) {
  ClusterEntry cluster;
  CF_ASSIGN_OR_RETURN(cluster.server, Server(Text(entry.node, "server")));
  CF_ASSIGN_OR_RETURN(cluster.ca, Pem(entry, "certificate-authority"));
  cluster.insecure = Flag(entry.node, "insecure-skip-tls-verify");
  cluster.tls_server_name = Text(entry.node, "tls-server-name");
  cluster.proxy_url = Text(entry.node, "proxy-url");
  cluster.exec_config = ExecConfig(entry.node);
  if (cluster.insecure && !cluster.ca.empty()) {
    return Invalid("certificate-authority and insecure-skip-tls-verify exclude each other");
  }
  const std::string& proxy = cluster.proxy_url;
  if (!proxy.empty() && !proxy.starts_with("http://") && !proxy.starts_with("https://") &&
      !proxy.starts_with("socks5://")) {
    return Invalid("proxy-url must begin with http://, https:// or socks5://");
  }
  return cluster;
}

Result<ExecSpec> Exec(const Entry& entry, const YAML::Node& node) {
  ExecSpec exec;
  exec.api_version = Text(node, "apiVersion");
  exec.command = Text(node, "command");
  exec.interactive_mode = Text(node, "interactiveMode");
  exec.install_hint = Text(node, "installHint");
  exec.provide_cluster_info = Flag(node, "provideClusterInfo");
  // A bare name is looked up in PATH; anything with a slash belongs to the file's folder.
  if (exec.command.find('/') != std::string::npos) exec.command = Resolve(entry, exec.command);
  if (node["args"] && node["args"].IsSequence()) {
    for (const YAML::Node& arg : node["args"]) exec.args.push_back(arg.Scalar());
  }
  if (node["env"] && node["env"].IsSequence()) {
    for (const YAML::Node& item : node["env"]) {
      exec.env.push_back(Text(item, "name") + "=" + Text(item, "value"));
    }
  }
  if (exec.command.empty()) return Invalid("exec has no command");
  const bool v1 = exec.api_version == "client.authentication.k8s.io/v1";
  if (!v1 && exec.api_version != "client.authentication.k8s.io/v1beta1") {
    return Invalid("exec apiVersion \"" + exec.api_version + "\" is not supported");
  }
  const std::string& mode = exec.interactive_mode;
  if (mode == "Always") return Invalid("exec needs a terminal (interactiveMode Always)");
  if (mode != "Never" && mode != "IfAvailable" && (v1 || !mode.empty())) {
    return Invalid("exec interactiveMode must be Never or IfAvailable");
  }
  return exec;
}

Result<UserEntry> User(const Entry& entry) {
  // Rather no start than acting as somebody else than the file says.
  for (const char* field :
       {"as", "as-uid", "as-groups", "as-user-extra", "auth-provider", "username", "password"}) {
    if (entry.node[field]) return Invalid(std::string("user field ") + field + " is not supported");
  }
  UserEntry user;
  CF_ASSIGN_OR_RETURN(user.certificate, Pem(entry, "client-certificate"));
  CF_ASSIGN_OR_RETURN(user.key, Pem(entry, "client-key"));
  if (user.certificate.empty() != user.key.empty()) {
    return Invalid("client-certificate and client-key belong together");
  }
  user.token = SecretBytes::Take(Text(entry.node, "token"));
  user.token_file = Resolve(entry, Text(entry.node, "tokenFile"));
  const bool fixed = !user.token.empty() || !user.token_file.empty() || !user.certificate.empty();
  if (const YAML::Node exec = entry.node["exec"]; exec && exec.IsMap() && !fixed) {
    CF_ASSIGN_OR_RETURN(user.exec, Exec(entry, exec));
  }
  return user;
}

Result<Merged> ReadFiles(const std::vector<std::string>& paths, bool must_exist) {
  Merged merged;
  bool any = false;
  for (const std::string& path : paths) {
    if (!must_exist && !std::filesystem::exists(path)) continue;
    auto text = ReadSecretFile(path);
    if (!text.ok()) return Invalid("kubeconfig " + path + " cannot be read");
    CF_RETURN_IF_ERROR(MergeFile(path, std::string(text->Reveal()), merged));
    any = true;
  }
  if (!any) return Invalid("no kubeconfig was found");
  return merged;
}

}  // namespace

Result<KubeconfigView> ReadKubeconfig(const std::vector<std::string>& paths, bool must_exist,
                                      std::string_view context) {
  CF_ASSIGN_OR_RETURN(const Merged merged, ReadFiles(paths, must_exist));
  const std::string name = context.empty() ? merged.current_context : std::string(context);
  if (name.empty()) return Invalid("the kubeconfig has no current-context");
  const auto chosen = merged.contexts.find(name);
  if (chosen == merged.contexts.end()) return Invalid("context \"" + name + "\" does not exist");
  const std::string cluster_name = Text(chosen->second.node, "cluster");
  const std::string user_name = Text(chosen->second.node, "user");
  const auto cluster = merged.clusters.find(cluster_name);
  if (cluster == merged.clusters.end()) {
    return Invalid("cluster \"" + cluster_name + "\" does not exist");
  }
  KubeconfigView view;
  CF_ASSIGN_OR_RETURN(view.cluster, Cluster(cluster->second));
  view.ns = Text(chosen->second.node, "namespace");
  if (view.ns.empty()) view.ns = "default";
  if (user_name.empty()) return view;
  const auto user = merged.users.find(user_name);
  if (user == merged.users.end()) return Invalid("user \"" + user_name + "\" does not exist");
  CF_ASSIGN_OR_RETURN(view.user, User(user->second));
  return view;
}

}  // namespace certflow::kube
