#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace certflow::net {

// The real sshd, one process a connection on a socket that we listen on: no port to guess, and the
// connection can be cut from outside. Keys and configuration live in a folder that goes with it.
class SshServer {
 public:
  SshServer();
  ~SshServer();
  SshServer(const SshServer&) = delete;
  SshServer& operator=(const SshServer&) = delete;

  std::uint16_t port() const;
  // "ssh-ed25519 AAAA... comment" of the host; types: ed25519, ecdsa, rsa.
  std::string HostKey(const std::string& type) const { return Read("host_" + type + ".pub"); }
  std::string HostFingerprint(const std::string& type) const;
  // A private key that is accepted for `user()`; also in PEM form as "rsa_pem" and "ecdsa_pem".
  std::string UserKey(const std::string& type) const { return Read("user_" + type); }
  std::string StrangerKey() const { return Read("stranger"); }
  std::string user() const;
  std::string folder() const { return folder_; }
  int connections() const;
  // Kills the processes that serve connections, as a lost connection.
  void CutConnections();
  // Stops them without closing anything, as a host that hangs.
  void FreezeConnections();

 private:
  std::string Read(const std::string& name) const;
  void WriteConfig() const;
  void Accept();
  void Signal(int number);

  std::string folder_;
  int listener_ = -1;
  mutable std::mutex mutex_;
  std::vector<pid_t> children_;
  bool stopping_ = false;
  std::thread acceptor_;
};

}  // namespace certflow::net
