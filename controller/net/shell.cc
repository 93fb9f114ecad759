#include "controller/net/shell.h"

#include <algorithm>

#include "controller/net/address.h"
#include "controller/net/sigpipe_guard.h"
#include "controller/net/ssh_host_key.h"
#include "controller/net/ssh_session.h"

namespace certflow::net {
namespace {

class SshShell final : public Shell {
 public:
  explicit SshShell(SshIdentity identity) : identity_(std::move(identity)) {}
  ~SshShell() override {
    const SigpipeGuard guard;
    session_.reset();
  }

  Result<CommandResult> Run(const Context& ctx, std::string_view command,
                            std::string_view input) override {
    if (command.find('\0') != std::string_view::npos) {
      return MakeError(ErrorCode::kInvalid, "InvalidCommand", "a command cannot hold a NUL byte");
    }
    CF_RETURN_IF_ERROR(ctx.Check());
    const SigpipeGuard guard;
    auto result = RunConnected(ctx, std::string(command), input);
    // After a failure the connection's state is anybody's guess; a new one is cheap.
    if (!result.ok()) session_.reset();
    if (result.ok()) return result;
    return Annotate(std::move(result).error(),
                    "ssh " + FormatHostPort({identity_.host, identity_.port}));
  }

 private:
  Result<CommandResult> RunConnected(const Context& ctx, const std::string& command,
                                     std::string_view input) {
    Waiter waiter(ctx);
    CF_ASSIGN_OR_RETURN(SshChannel channel, OpenChannel(ctx, waiter));
    auto result = session_->Exec(waiter, std::move(channel), command, input);
    if (result.ok()) return result;
    return AfterTheCommandLeft(std::move(result).error());
  }

  // On the connection that is there, or on a new one when that has died meanwhile: nothing has run.
  Result<SshChannel> OpenChannel(const Context& ctx, Waiter& waiter) {
    if (session_) {
      auto channel = session_->OpenChannel(waiter);
      if (channel.ok() || channel.error().code != ErrorCode::kUnavailable) return channel;
      session_.reset();
    }
    CF_ASSIGN_OR_RETURN(session_, SshSession::Open(ctx, identity_));
    return session_->OpenChannel(waiter);
  }

  static Error AfterTheCommandLeft(Error error) {
    if (error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout) {
      return MakeError(ErrorCode::kUnknownOutcome, error.reason,
                       "the command may have run: " + error.message);
    }
    return error;
  }

  const SshIdentity identity_;
  std::unique_ptr<SshSession> session_;
};

Result<void> CheckEndpoint(const SshEndpoint& endpoint) {
  if (endpoint.host_keys.empty()) {
    return MakeError(ErrorCode::kInvalid, "HostKeyMissing",
                     "no host key is given for " + Sanitize(endpoint.host, 253) +
                         "; an unknown host is never trusted");
  }
  for (const std::string& pin : endpoint.host_keys) {
    if (IsHostKeyPin(pin)) continue;
    return MakeError(ErrorCode::kInvalid, "InvalidHostKey",
                     "\"" + Sanitize(pin, 80) +
                         "\" is no host key; write \"ssh-ed25519 AAAA...\" or \"SHA256:...\"");
  }
  if (endpoint.user.empty() || endpoint.host.empty() || endpoint.port == 0) {
    return MakeError(ErrorCode::kInvalid, "InvalidSshSettings", "host, port and user are needed");
  }
  return {};
}

class SshConnector final : public ShellConnector {
 public:
  Result<std::unique_ptr<Shell>> Connect(const Context& ctx, const SshEndpoint& endpoint) override {
    CF_RETURN_IF_ERROR(ctx.Check());
    CF_RETURN_IF_ERROR(CheckEndpoint(endpoint));
    SshIdentity identity{endpoint.host, endpoint.port, endpoint.user, endpoint.host_keys, nullptr};
    CF_ASSIGN_OR_RETURN(identity.key, ParsePrivateKey(endpoint.private_key_pem));
    return std::unique_ptr<Shell>(std::make_unique<SshShell>(std::move(identity)));
  }
};

}  // namespace

std::unique_ptr<ShellConnector> MakeSshConnector() { return std::make_unique<SshConnector>(); }

std::string ShellQuote(std::string_view text) {
  std::string quoted = "'";
  for (char c : text.substr(0, text.find('\0'))) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted += '\'';
}

}  // namespace certflow::net
