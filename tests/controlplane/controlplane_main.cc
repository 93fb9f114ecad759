// certflow-controlplane: starts etcd and kube-apiserver, writes a kubeconfig for each user, prints
// "ready" and waits for SIGTERM or SIGINT.

#include <pthread.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <sstream>

#include "tests/controlplane/controlplane.h"

namespace {

certflow::controlplane::Identity ParseIdentity(const std::string& text) {
  // "user=group,group" for users with a colon in their name, else "user:group,group"; service
  // accounts need no groups.
  std::size_t at = text.find('=');
  if (at == std::string::npos && !text.starts_with("system:serviceaccount:")) at = text.find(':');
  certflow::controlplane::Identity identity{text.substr(0, at), {}};
  std::istringstream groups(at == std::string::npos ? "" : text.substr(at + 1));
  for (std::string group; std::getline(groups, group, ',');) identity.groups.push_back(group);
  return identity;
}

}  // namespace

int main(int argc, char** argv) {
  certflow::controlplane::Options options;
  std::vector<std::string> users;
  CLI::App app{"A real etcd and kube-apiserver on loopback, until SIGTERM or SIGINT"};
  app.add_option("--dir", options.dir, "folder for everything, removed at the end")->required();
  app.add_option("--user", users, "USER:GROUP,... or USER=GROUP,...; may be repeated");
  app.add_option("--apiserver-arg", options.apiserver_args, "a further argument of kube-apiserver");
  app.add_flag("--keep-dir", options.keep_dir, "leave the folder behind");
  CLI11_PARSE(app, argc, argv);
  for (const std::string& user : users) options.users.push_back(ParseIdentity(user));

  // Blocked before any thread starts, so that only sigwait sees them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  auto plane = certflow::controlplane::ControlPlane::Start(options);
  if (!plane.ok()) {
    std::cerr << "certflow-controlplane: " << plane.error().message << std::endl;
    return 1;
  }
  std::cout << "server " << (*plane)->url() << "\nready" << std::endl;
  int number = 0;
  sigwait(&ends, &number);
  return 0;
}
