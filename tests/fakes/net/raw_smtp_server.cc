#include "tests/fakes/net/raw_smtp_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "controller/base/base64.h"
#include "controller/net/sigpipe_guard.h"
#include "tests/fakes/net/loopback.h"
#include "tests/fakes/net/raw_channel.h"

namespace certflow::fakes {
namespace {

std::string Friendly(const std::string& step, bool offer_tls, bool offer_auth) {
  if (step == "GREETING") return "220 ready";
  if (step == "EHLO") {
    std::string lines = "250-here\r\n";
    if (offer_tls) lines += "250-STARTTLS\r\n";
    if (offer_auth) lines += "250-AUTH PLAIN\r\n";
    return lines + "250 SIZE 1000000";
  }
  if (step == "STARTTLS") return "220 go ahead";
  if (step == "AUTH") return "235 welcome";
  if (step == "DATA") return "354 go ahead";
  if (step == "QUIT") return "221 bye";
  return "250 fine";
}

std::string BetweenAngles(const std::string& line) {
  const std::size_t open = line.find('<');
  return line.substr(open + 1, line.find('>') - open - 1);
}

}  // namespace

// One connection after the other, on one thread.
class RawSmtpServer::State {
 public:
  explicit State(SmtpOptions options)
      : options_(std::move(options)), listener_(ListenOnLoopback()) {
    if (!options_.tls.cert_pem.empty()) tls_ = std::make_unique<RawTlsContext>(options_.tls);
    thread_ = std::thread([this] { Accept(); });
  }
  ~State() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      if (connection_ >= 0) ::shutdown(connection_, SHUT_RDWR);
    }
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port() const { return PortOf(listener_); }
  std::vector<SmtpMessage> messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
  }
  std::vector<std::string> commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
  }
  bool WaitFor(const std::string& verb) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return std::any_of(commands_.begin(), commands_.end(),
                         [&](const std::string& line) { return line.starts_with(verb); });
    });
  }

 private:
  void Accept() {
    const net::SigpipeGuard guard;
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      {
        const std::lock_guard lock(mutex_);
        if (stopping_ || fd < 0) {
          if (fd >= 0) ::close(fd);
          return;
        }
        connection_ = fd;
      }
      Serve(fd);
      const std::lock_guard lock(mutex_);
      connection_ = -1;
      ::close(fd);
    }
  }

  void Serve(int fd) {
    RawChannel plain(fd, options_.implicit_tls ? tls_.get() : nullptr);
    std::string buffer;
    SmtpMessage message;
    message.tls = options_.implicit_tls;
    if (!plain.Handshake() || !Reply(plain, "GREETING", message)) return plain.End();
    if (Converse(plain, buffer, message)) {
      RawChannel secure(fd, tls_.get());
      message.tls = true;
      if (secure.Handshake()) Converse(secure, buffer, message);
      return secure.End();
    }
    plain.End();
  }

  // True when the client asked for TLS and shall get it.
  bool Converse(RawChannel& channel, std::string& buffer, SmtpMessage& message) {
    while (const auto line = ReadUntil(channel, buffer, "\r\n")) {
      Note(*line);
      std::string verb = line->substr(0, line->find(' '));
      if (verb == "AUTH" && line->size() > 11) TakeLogin(*line, message);
      if (verb == "MAIL") message.from = BetweenAngles(*line);
      if (verb == "RCPT") message.to.push_back(BetweenAngles(*line));
      if (!Reply(channel, verb, message)) return false;
      if (verb == "QUIT") return false;
      if (verb == "STARTTLS" && !options_.script.contains(verb)) return true;
      if (verb == "DATA" && !options_.script.contains(verb)) {
        if (!TakeMessage(channel, buffer, message)) return false;
      }
    }
    return false;
  }

  void TakeLogin(const std::string& line, SmtpMessage& message) {
    const auto decoded = Base64Decode(std::string_view(line).substr(11));
    if (decoded.ok()) message.login = std::string(decoded->Reveal());
  }

  bool TakeMessage(RawChannel& channel, std::string& buffer, SmtpMessage& message) {
    auto text = ReadUntil(channel, buffer, "\r\n.\r\n");
    if (!text) return false;
    message.text = *text + "\r\n";
    for (std::size_t at = 0; (at = message.text.find("\r\n..", at)) != std::string::npos; ++at) {
      message.text.erase(at + 2, 1);
    }
    {
      const std::lock_guard lock(mutex_);
      messages_.push_back(message);
    }
    return Reply(channel, "MESSAGE", message);
  }

  static std::optional<std::string> ReadUntil(RawChannel& channel, std::string& buffer,
                                              std::string_view end) {
    std::size_t at = 0;
    while ((at = buffer.find(end)) == std::string::npos) {
      if (!channel.Read(buffer)) return std::nullopt;
    }
    std::string text = buffer.substr(0, at);
    buffer.erase(0, at + end.size());
    return text;
  }

  bool Reply(RawChannel& channel, const std::string& step, const SmtpMessage& message) {
    const auto scripted = options_.script.find(step);
    const bool offer_tls = tls_ != nullptr && !message.tls && options_.offer_starttls;
    const std::string reply = scripted == options_.script.end()
                                  ? Friendly(step, offer_tls, message.tls)
                                  : scripted->second;
    if (reply == "close") return false;
    if (reply == "hang") {
      Note("hanging after " + step);
      std::string ignored;
      while (channel.Read(ignored)) {
      }
      return false;
    }
    return channel.Write(reply + "\r\n");
  }

  void Note(const std::string& line) {
    {
      const std::lock_guard lock(mutex_);
      commands_.push_back(line);
    }
    changed_.notify_all();
  }

  const SmtpOptions options_;
  std::unique_ptr<RawTlsContext> tls_;
  int listener_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<SmtpMessage> messages_;
  std::vector<std::string> commands_;
  int connection_ = -1;
  bool stopping_ = false;
  std::thread thread_;
};

RawSmtpServer::RawSmtpServer(SmtpOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}
RawSmtpServer::~RawSmtpServer() = default;
std::uint16_t RawSmtpServer::port() const { return state_->port(); }
std::vector<SmtpMessage> RawSmtpServer::messages() const { return state_->messages(); }
std::vector<std::string> RawSmtpServer::commands() const { return state_->commands(); }
bool RawSmtpServer::WaitForCommand(const std::string& verb) const { return state_->WaitFor(verb); }

}  // namespace certflow::fakes
