#include "tests/fakes/net/raw_http_server.h"

#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include "controller/net/sigpipe_guard.h"
#include "tests/fakes/net/loopback.h"
#include "tests/fakes/net/raw_channel.h"

namespace certflow::fakes {
namespace {

constexpr std::chrono::seconds kPatience{10};

// Reads one request; nothing when the connection ended before it was complete.
std::optional<RawRequest> ReadRequest(RawChannel& channel, std::string& buffer) {
  std::size_t head_end = 0;
  while ((head_end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!channel.Read(buffer)) return std::nullopt;
  }
  RawRequest request;
  request.head = buffer.substr(0, head_end + 2);
  buffer.erase(0, head_end + 4);
  const std::size_t space = request.head.find(' ');
  request.method = request.head.substr(0, space);
  request.target = request.head.substr(space + 1, request.head.find(' ', space + 1) - space - 1);
  const std::string length = request.header("Content-Length");
  const std::size_t size = length.empty() ? 0 : std::strtoull(length.c_str(), nullptr, 10);
  while (buffer.size() < size) {
    if (!channel.Read(buffer)) return std::nullopt;
  }
  request.body = buffer.substr(0, size);
  buffer.erase(0, size);
  return request;
}

}  // namespace

std::string RawRequest::header(std::string_view name) const {
  std::string_view rest = head;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        strncasecmp(line.data(), name.data(), name.size()) == 0) {
      const std::size_t value = line.find_first_not_of(' ', name.size() + 1);
      return value == std::string_view::npos ? "" : std::string(line.substr(value));
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 2);
  }
  return {};
}

RawReply RawReply::Ok(std::string_view body, std::string_view headers) {
  RawReply reply;
  reply.bytes = "HTTP/1.1 200 OK\r\n" + std::string(headers) +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  return reply;
}

RawReply RawReply::Status(int status, std::string_view body) {
  RawReply reply;
  reply.bytes = "HTTP/1.1 " + std::to_string(status) +
                " Scripted\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                std::string(body);
  return reply;
}

RawReply RawReply::CutAt(std::size_t count) const {
  RawReply reply = *this;
  reply.bytes.resize(std::min(count, reply.bytes.size()));
  reply.close = true;
  return reply;
}

class RawHttpServer::State {
 public:
  State(Script script, const RawTls* tls)
      : script_(std::move(script)), tls_(tls ? std::make_unique<RawTlsContext>(*tls) : nullptr) {
    listener_ = ListenOnLoopback();
    acceptor_ = std::thread([this] { Accept(); });
  }

  ~State() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (const auto& connection : connections_) {
        if (!connection.ended) ::shutdown(connection.fd, SHUT_RDWR);
      }
    }
    changed_.notify_all();
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (auto& connection : connections_) connection.thread.join();
    ::close(listener_);
  }

  std::uint16_t port() const { return PortOf(listener_); }
  bool secure() const { return tls_ != nullptr; }
  std::vector<RawRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(connections_.size());
  }
  int open() const {
    const std::lock_guard lock(mutex_);
    return open_;
  }
  bool WaitForRequests(std::size_t count) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return requests_.size() >= count; });
  }
  bool WaitForOpen(int count) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return open_ <= count; });
  }

 private:
  struct Connection {
    int fd = -1;
    bool ended = false;
    std::thread thread;
  };

  void Accept() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const std::lock_guard lock(mutex_);
      if (stopping_ || fd < 0) {
        if (fd >= 0) ::close(fd);
        return;
      }
      const int number = static_cast<int>(connections_.size());
      Connection& connection = connections_.emplace_back();
      connection.fd = fd;
      ++open_;
      connection.thread = std::thread([this, &connection, number] { Serve(connection, number); });
    }
  }

  void Serve(Connection& connection, int number) {
    const net::SigpipeGuard guard;
    RawChannel channel(connection.fd, tls_.get());
    if (channel.Handshake()) Converse(channel, number);
    channel.End();
    {
      const std::lock_guard lock(mutex_);
      connection.ended = true;
      ::close(connection.fd);
      --open_;
    }
    changed_.notify_all();
  }

  void Converse(RawChannel& channel, int number) {
    std::string buffer;
    for (int place = 0;; ++place) {
      auto request = ReadRequest(channel, buffer);
      if (!request) return;
      request->connection = number;
      request->on_connection = place;
      request->client_common_name = channel.ClientCommonName();
      request->server_name = channel.ServerName();
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(*request);
      }
      changed_.notify_all();
      if (!Answer(channel, script_(*request))) return;
    }
  }

  // False when the conversation is over.
  bool Answer(RawChannel& channel, const RawReply& reply) {
    std::string_view rest = reply.bytes;
    while (!rest.empty()) {
      const std::string_view piece = rest.substr(0, reply.piece == 0 ? rest.size() : reply.piece);
      if (!channel.Write(piece)) return false;
      rest.remove_prefix(piece.size());
      if (!rest.empty() && Pause(reply.pause)) return false;
    }
    if (reply.hang) {
      // Until the other side gives up or the server ends.
      std::string ignored;
      while (channel.Read(ignored)) {
      }
      return false;
    }
    if (reply.reset) channel.ResetOnEnd();
    return !reply.close && !reply.reset;
  }

  // True when the server is ending.
  bool Pause(std::chrono::milliseconds pause) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, pause, [this] { return stopping_; });
  }

  const Script script_;
  const std::unique_ptr<RawTlsContext> tls_;
  int listener_ = -1;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::list<Connection> connections_;
  std::vector<RawRequest> requests_;
  int open_ = 0;
  bool stopping_ = false;
  std::thread acceptor_;
};

RawHttpServer::RawHttpServer(Script script, const RawTls* tls)
    : state_(std::make_unique<State>(std::move(script), tls)) {}
RawHttpServer::~RawHttpServer() = default;

std::uint16_t RawHttpServer::port() const { return state_->port(); }
std::string RawHttpServer::url(std::string_view path) const {
  return (state_->secure() ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port()) +
         std::string(path);
}
std::vector<RawRequest> RawHttpServer::requests() const { return state_->requests(); }
int RawHttpServer::connections() const { return state_->connections(); }
int RawHttpServer::open_connections() const { return state_->open(); }
bool RawHttpServer::WaitForRequests(std::size_t count) const {
  return state_->WaitForRequests(count);
}
bool RawHttpServer::WaitForOpenConnections(int count) const { return state_->WaitForOpen(count); }

}  // namespace certflow::fakes
