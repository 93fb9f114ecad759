#include "tests/unit/net/sshd_fixture.h"

#include <pwd.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/fakes/net/loopback.h"

namespace certflow::net {
namespace {

pid_t Spawn(std::vector<std::string> words, int stdio, pid_t group) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1 /* O_WRONLY */, 0);
  if (stdio >= 0) {
    posix_spawn_file_actions_adddup2(&actions, stdio, 0);
    posix_spawn_file_actions_adddup2(&actions, stdio, 1);
  } else {
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1 /* O_WRONLY */, 0);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, group);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) throw std::runtime_error("cannot start " + words[0]);
  return pid;
}

void RunToEnd(const std::vector<std::string>& words) {
  int status = 0;
  ::waitpid(Spawn(words, -1, 0), &status, 0);
  if (status != 0) throw std::runtime_error(words[0] + " failed");
}

void MakeKey(const std::string& path, const std::string& type, bool pem = false) {
  std::vector<std::string> words{"ssh-keygen", "-q", "-t", type, "-N", "", "-f", path};
  if (type == "rsa") words.insert(words.end(), {"-b", "2048"});
  if (pem) words.insert(words.end(), {"-m", "PEM"});
  RunToEnd(words);
}

}  // namespace

SshServer::SshServer() {
  std::string pattern = (std::filesystem::temp_directory_path() / "certflow-sshd-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  folder_ = pattern;
  for (const char* type : {"ed25519", "ecdsa", "rsa"}) {
    MakeKey(folder_ + "/host_" + type, type);
    MakeKey(folder_ + "/user_" + type, type);
  }
  MakeKey(folder_ + "/user_rsa_pem", "rsa", true);
  MakeKey(folder_ + "/user_ecdsa_pem", "ecdsa", true);
  MakeKey(folder_ + "/stranger", "ed25519");
  WriteConfig();
  listener_ = fakes::ListenOnLoopback();
  acceptor_ = std::thread([this] { Accept(); });
}

SshServer::~SshServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  Signal(SIGKILL);
  for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
  std::filesystem::remove_all(folder_);
}

void SshServer::WriteConfig() const {
  std::ofstream authorized(folder_ + "/authorized_keys");
  for (const char* type : {"ed25519", "ecdsa", "rsa", "rsa_pem", "ecdsa_pem"}) {
    authorized << Read(std::string("user_") + type + ".pub");
  }
  std::ofstream config(folder_ + "/sshd_config");
  for (const char* type : {"ed25519", "ecdsa", "rsa"}) {
    config << "HostKey " << folder_ << "/host_" << type << "\n";
  }
  config << "AuthorizedKeysFile " << folder_ << "/authorized_keys\n"
         << "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
         << "KbdInteractiveAuthentication no\nPrintMotd no\n";
}

std::string SshServer::Read(const std::string& name) const {
  std::ifstream file(folder_ + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  if (text.str().empty()) throw std::runtime_error("cannot read " + name);
  return text.str();
}

std::string SshServer::HostFingerprint(const std::string& type) const {
  const std::string command = "ssh-keygen -lf " + folder_ + "/host_" + type + ".pub";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  char line[256] = {};
  const bool got = std::fgets(line, sizeof line, pipe) != nullptr;
  ::pclose(pipe);
  std::istringstream words(got ? line : "");
  std::string bits;
  std::string fingerprint;
  words >> bits >> fingerprint;
  return fingerprint;
}

std::string SshServer::user() const { return ::getpwuid(::getuid())->pw_name; }

std::uint16_t SshServer::port() const { return fakes::PortOf(listener_); }

int SshServer::connections() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(children_.size());
}

void SshServer::Accept() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (stopping_ || fd < 0) {
      if (fd >= 0) ::close(fd);
      return;
    }
    children_.push_back(Spawn({"/usr/sbin/sshd", "-i", "-f", folder_ + "/sshd_config"}, fd, 0));
    ::close(fd);
  }
}

void SshServer::Signal(int number) {
  const std::lock_guard lock(mutex_);
  // Their process groups: sshd forks one process more after the login.
  for (const pid_t child : children_) ::kill(-child, number);
}

void SshServer::CutConnections() { Signal(SIGKILL); }
void SshServer::FreezeConnections() { Signal(SIGSTOP); }

}  // namespace certflow::net
