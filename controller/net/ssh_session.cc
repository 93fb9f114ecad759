#include "controller/net/ssh_session.h"

#include <poll.h>

#include <algorithm>
#include <new>

#include "controller/net/address.h"
#include "controller/net/ssh_host_key.h"
#include "controller/net/tcp_connect.h"

namespace certflow::net {

Result<SshKey> ParsePrivateKey(const SecretBytes& pem) {
  std::string text(pem.Reveal());
  ssh_key key = nullptr;
  const int parsed = ssh_pki_import_privkey_base64(text.c_str(), nullptr, nullptr, nullptr, &key);
  WipeString(text);
  if (parsed != SSH_OK || key == nullptr) {
    return MakeError(ErrorCode::kInvalid, "InvalidPrivateKey",
                     "the SSH key is not an OpenSSH or PEM private key without a passphrase");
  }
  return SshKey(key);
}

Result<std::unique_ptr<SshSession>> SshSession::Open(const Context& ctx,
                                                     const SshIdentity& identity) {
  CF_ASSIGN_OR_RETURN(const auto addresses, ResolveUserGiven(ctx, identity.host));
  Waiter waiter(ctx);
  CF_ASSIGN_OR_RETURN(OwnedFd fd, ConnectTcp(waiter, addresses, identity.port));
  std::unique_ptr<SshSession> session(new SshSession());
  CF_RETURN_IF_ERROR(session->Configure(identity));
  CF_RETURN_IF_ERROR(session->Handshake(waiter, std::move(fd)));
  CF_RETURN_IF_ERROR(session->CheckHostKey(identity));
  CF_RETURN_IF_ERROR(session->Authenticate(waiter, identity.key.get()));
  return session;
}

SshSession::~SshSession() {
  if (session_ == nullptr) return;
  if (alive()) ssh_disconnect(session_);
  ssh_free(session_);
}

Result<void> SshSession::Configure(const SshIdentity& identity) {
  session_ = ssh_new();
  if (session_ == nullptr) throw std::bad_alloc();
  const bool no_config = false;
  const std::string algorithms = HostKeyAlgorithms(identity.host_keys);
  bool set = ssh_options_set(session_, SSH_OPTIONS_PROCESS_CONFIG, &no_config) == SSH_OK &&
             ssh_options_set(session_, SSH_OPTIONS_HOST, identity.host.c_str()) == SSH_OK &&
             ssh_options_set(session_, SSH_OPTIONS_USER, identity.user.c_str()) == SSH_OK;
  if (set && !algorithms.empty()) {
    set = ssh_options_set(session_, SSH_OPTIONS_HOSTKEYS, algorithms.c_str()) == SSH_OK;
  }
  if (!set)
    return Failure(ErrorCode::kInvalid, "InvalidSshSettings", "libssh refuses the settings");
  ssh_set_blocking(session_, 0);
  return {};
}

Result<void> SshSession::Handshake(Waiter& waiter, OwnedFd fd) {
  socket_t raw = fd.get();
  ssh_options_set(session_, SSH_OPTIONS_FD, &raw);
  fd.Release();  // closed by libssh from here on
  CF_ASSIGN_OR_RETURN(const int done,
                      Finish(waiter, SSH_AGAIN, [this] { return ssh_connect(session_); }));
  if (done == SSH_OK) return {};
  return Failure(ErrorCode::kUnavailable, "SshHandshakeFailed", "SSH handshake");
}

Result<void> SshSession::CheckHostKey(const SshIdentity& identity) {
  ssh_key raw = nullptr;
  if (ssh_get_server_publickey(session_, &raw) != SSH_OK) {
    return Failure(ErrorCode::kUnavailable, "SshHandshakeFailed", "the host shows no key");
  }
  const SshKey key(raw);
  if (IsPinned(key.get(), identity.host_keys)) return {};
  return MakeError(ErrorCode::kUntrusted, "HostKeyMismatch",
                   "the host shows the key " + FingerprintOf(key.get()) +
                       ", which is none of the expected ones; compare it on the host itself, "
                       "and correct hostKeys if it is the host's");
}

Result<void> SshSession::Authenticate(Waiter& waiter, ssh_key key) {
  CF_ASSIGN_OR_RETURN(const int done, Finish(waiter, SSH_AUTH_AGAIN, [this, key] {
                        return ssh_userauth_publickey(session_, nullptr, key);
                      }));
  if (done == SSH_AUTH_SUCCESS) return {};
  if (done == SSH_AUTH_DENIED || done == SSH_AUTH_PARTIAL) {
    return MakeError(ErrorCode::kUnauthorized, "SshKeyRefused",
                     "the host does not accept this user with this key");
  }
  return Failure(ErrorCode::kUnavailable, "ConnectionLost", "SSH authentication");
}

Result<SshChannel> SshSession::OpenChannel(Waiter& waiter) {
  SshChannel channel(ssh_channel_new(session_));
  if (!channel) return Failure(ErrorCode::kUnavailable, "ConnectionLost", "new SSH channel");
  CF_ASSIGN_OR_RETURN(const int done, Finish(waiter, SSH_AGAIN, [&channel] {
                        return ssh_channel_open_session(channel.get());
                      }));
  if (done == SSH_OK) return channel;
  return Failure(ErrorCode::kUnavailable, "ConnectionLost", "open an SSH channel");
}

Result<void> SshSession::WaitForSocket(Waiter& waiter) {
  const socket_t fd = ssh_get_fd(session_);
  const bool writes = (ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) != 0;
  return waiter.Wait(fd, static_cast<short>(POLLIN | (writes ? POLLOUT : 0)));
}

template <typename Call>
Result<int> SshSession::Finish(Waiter& waiter, int again, Call call) {
  for (;;) {
    const int answer = call();
    if (answer != again) return answer;
    CF_RETURN_IF_ERROR(WaitForSocket(waiter));
  }
}

Error SshSession::Failure(ErrorCode code, std::string_view reason, std::string_view what) const {
  return MakeError(code, reason, std::string(what) + ": " + ssh_get_error(session_));
}

namespace {

// The numbers that POSIX shells add to 128 for a command that a signal ended.
int SignalNumber(std::string_view name) {
  constexpr std::pair<std::string_view, int> kNumbers[] = {
      {"HUP", 1},   {"INT", 2},   {"QUIT", 3},  {"ILL", 4},   {"ABRT", 6},
      {"FPE", 8},   {"KILL", 9},  {"USR1", 10}, {"SEGV", 11}, {"USR2", 12},
      {"PIPE", 13}, {"ALRM", 14}, {"TERM", 15}};
  for (const auto& [known, number] : kNumbers) {
    if (known == name) return number;
  }
  return 127;
}

// What the channel's callbacks saw. They run inside libssh's calls, on our thread.
struct Collected {
  CommandResult result;
  bool exited = false;
  bool end_of_output = false;
  bool closed = false;

  static int OnData(ssh_session, ssh_channel, void* data, std::uint32_t size, int is_stderr,
                    void* self) {
    auto& all = *static_cast<Collected*>(self);
    std::string& to = is_stderr != 0 ? all.result.err : all.result.out;
    const std::size_t room = kMaxCommandOutput - to.size();
    to.append(static_cast<const char*>(data), std::min<std::size_t>(size, room));
    return static_cast<int>(size);  // the rest is taken and dropped, so that the command can end
  }
  static void OnEof(ssh_session, ssh_channel, void* self) {
    static_cast<Collected*>(self)->end_of_output = true;
  }
  static void OnClose(ssh_session, ssh_channel, void* self) {
    static_cast<Collected*>(self)->closed = true;
  }
  static void OnExit(ssh_session, ssh_channel, int status, void* self) {
    auto& all = *static_cast<Collected*>(self);
    all.result.exit_code = status;
    all.exited = true;
  }
  static void OnSignal(ssh_session, ssh_channel, const char* signal, int, const char*, const char*,
                       void* self) {
    OnExit(nullptr, nullptr, 128 + SignalNumber(signal == nullptr ? "" : signal), self);
  }
  bool finished() const { return closed || (exited && end_of_output); }
};

ssh_channel_callbacks_struct CallbacksInto(Collected& collected) {
  ssh_channel_callbacks_struct callbacks{};
  callbacks.userdata = &collected;
  callbacks.channel_data_function = &Collected::OnData;
  callbacks.channel_eof_function = &Collected::OnEof;
  callbacks.channel_close_function = &Collected::OnClose;
  callbacks.channel_exit_status_function = &Collected::OnExit;
  callbacks.channel_exit_signal_function = &Collected::OnSignal;
  ssh_callbacks_init(&callbacks);
  return callbacks;
}

// As much as the other side takes now. False when it takes no more at all.
bool Feed(ssh_channel channel, std::string_view& input, bool& open) {
  constexpr std::size_t kPiece = 32'000;
  while (!input.empty()) {
    const auto piece = static_cast<std::uint32_t>(std::min(input.size(), kPiece));
    const int written = ssh_channel_write(channel, input.data(), piece);
    if (written < 0) return false;
    if (written == 0) return true;  // its window is full
    input.remove_prefix(static_cast<std::size_t>(written));
  }
  open = false;
  return ssh_channel_send_eof(channel) != SSH_ERROR;
}

}  // namespace

Result<CommandResult> SshSession::Exec(Waiter& waiter, SshChannel channel,
                                       const std::string& command, std::string_view input) {
  Collected collected;
  ssh_channel_callbacks_struct callbacks = CallbacksInto(collected);
  // The channel dies before what its callbacks write into.
  const SshChannel owned = std::move(channel);
  ssh_set_channel_callbacks(owned.get(), &callbacks);
  CF_ASSIGN_OR_RETURN(const int accepted, Finish(waiter, SSH_AGAIN, [&] {
                        return ssh_channel_request_exec(owned.get(), command.c_str());
                      }));
  if (accepted != SSH_OK && alive()) {
    return Failure(ErrorCode::kRefused, "ExecRefused", "the host runs no commands");
  }
  bool feeding = accepted == SSH_OK;
  while (alive() && !collected.finished()) {
    if (feeding && !Feed(owned.get(), input, feeding)) feeding = false;
    // Reads what has come. The first stops doing so at the end of the output, and the exit status
    // may come after that.
    if (collected.end_of_output) {
      ssh_channel_get_exit_status(owned.get());
    } else if (ssh_channel_poll(owned.get(), 0) == SSH_EOF) {
      // An end that came together with the command's acceptance calls nobody back, and from then
      // on this function reads no more.
      collected.end_of_output = true;
      ssh_channel_get_exit_status(owned.get());
    }
    if (collected.finished() || !alive()) break;
    if (auto waited = WaitForSocket(waiter); !waited.ok()) {
      if (collected.exited) break;  // something it left behind keeps its output open
      return std::move(waited).error();
    }
  }
  if (collected.exited) return std::move(collected.result);
  return Failure(ErrorCode::kUnavailable, "ConnectionLost", "while the command ran");
}

}  // namespace certflow::net
