#pragma once

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include <memory>
#include <string>
#include <string_view>

#include "controller/net/shell.h"
#include "controller/net/waiter.h"

namespace certflow::net {

template <auto Free>
struct SshDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using SshKey = std::unique_ptr<ssh_key_struct, SshDeleter<&ssh_key_free>>;
using SshChannel = std::unique_ptr<ssh_channel_struct, SshDeleter<&ssh_channel_free>>;

struct SshIdentity {
  std::string host;
  std::uint16_t port = 22;
  std::string user;
  std::vector<std::string> host_keys;
  SshKey key;
};

// kInvalid for what is not an unencrypted private key.
Result<SshKey> ParsePrivateKey(const SecretBytes& pem);

// One authenticated connection. libssh never blocks here: every wait is a Waiter's.
class SshSession {
 public:
  // Connects, checks the host key, then proves who we are; in this order.
  static Result<std::unique_ptr<SshSession>> Open(const Context& ctx, const SshIdentity& identity);
  ~SshSession();
  SshSession(const SshSession&) = delete;
  SshSession& operator=(const SshSession&) = delete;

  // Nothing has run when this fails.
  Result<SshChannel> OpenChannel(Waiter& waiter);
  Result<CommandResult> Exec(Waiter& waiter, SshChannel channel, const std::string& command,
                             std::string_view input);
  bool alive() const { return ssh_is_connected(session_) == 1; }

 private:
  SshSession() = default;
  Result<void> Configure(const SshIdentity& identity);
  Result<void> Handshake(Waiter& waiter, OwnedFd fd);
  Result<void> CheckHostKey(const SshIdentity& identity);
  Result<void> Authenticate(Waiter& waiter, ssh_key key);
  // Until libssh can go on.
  Result<void> WaitForSocket(Waiter& waiter);
  // Repeats a libssh call for as long as it says "again"; its last answer.
  template <typename Call>
  Result<int> Finish(Waiter& waiter, int again, Call call);
  Error Failure(ErrorCode code, std::string_view reason, std::string_view what) const;

  ssh_session session_ = nullptr;
};

}  // namespace certflow::net
