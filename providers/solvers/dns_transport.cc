#include "providers/solvers/dns_transport.h"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>

#include "providers/solvers/dns_message.h"

namespace certflow::providers::solvers {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

struct AddressFree {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using AddressPtr = std::unique_ptr<addrinfo, AddressFree>;

class Connection {
 public:
  Connection(const Context& ctx, std::string where, int family)
      : ctx_(ctx),
        where_(std::move(where)),
        socket_(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        on_stop_(ctx.stop, [this] { eventfd_write(wake_.get(), 1); }) {}

  Result<void> Connect(const addrinfo& address) {
    if (socket_.get() < 0 || wake_.get() < 0) return Failed("open a socket");
    if (connect(socket_.get(), address.ai_addr, address.ai_addrlen) == 0) return {};
    if (errno != EINPROGRESS) return Failed("connect");
    CF_RETURN_IF_ERROR(Await(POLLOUT));
    socklen_t size = sizeof(errno);
    int error = 0;
    getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    if (error != 0) return Failed("connect");
    return {};
  }

  Result<void> Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        CF_RETURN_IF_ERROR(Await(POLLOUT));
      } else if (errno != EINTR) {
        return Failed("send");
      }
    }
    return {};
  }

  Result<std::string> Receive(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const ssize_t got = recv(socket_.get(), bytes.data() + have, size - have, 0);
      if (got > 0) {
        have += static_cast<std::size_t>(got);
      } else if (got == 0) {
        return MakeError(ErrorCode::kUnavailable, "DnsUnavailable",
                         where_ + ": the name server closed the connection");
      } else if (errno == EAGAIN) {
        CF_RETURN_IF_ERROR(Await(POLLIN));
      } else if (errno != EINTR) {
        return Failed("receive");
      }
    }
    return bytes;
  }

 private:
  Error Failed(std::string_view what) const {
    return MakeError(ErrorCode::kUnavailable, "DnsUnavailable",
                     where_ + ": " + std::string(what) + ": " + std::strerror(errno));
  }

  Result<void> Await(short events) {
    while (true) {
      const Result<void> going = ctx_.Check();
      if (!going.ok()) return Annotate(going.error(), where_);
      const auto left = std::chrono::ceil<Duration>(ctx_.deadline - ctx_.clock.Steady());
      const int wait = static_cast<int>(std::clamp<long long>(left.count(), 1, 1000));
      pollfd fds[2] = {{socket_.get(), events, 0}, {wake_.get(), POLLIN, 0}};
      const int ready = poll(fds, 2, wait);
      if (ready < 0 && errno != EINTR) return Failed("wait");
      if (ready > 0 && fds[0].revents != 0) return {};
    }
  }

  const Context& ctx_;
  std::string where_;
  Descriptor socket_;
  Descriptor wake_;
  std::stop_callback<std::function<void()>> on_stop_;
};

}  // namespace

Result<std::string> ExchangeTcp(const Context& caller, const std::string& address,
                                std::uint16_t port, std::string_view message) {
  const Context ctx = caller.WithTimeout(kExchangeLimit);
  CF_RETURN_IF_ERROR(ctx.Check());
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const std::string where = net::FormatHostPort({address, port});
  if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) {
    return MakeError(ErrorCode::kInvalid, "InvalidAddress", where + " is no numeric address");
  }
  const AddressPtr owner(list);
  Connection connection(ctx, where, list->ai_family);
  CF_RETURN_IF_ERROR(connection.Connect(*list));
  std::string framed;
  AppendU16(framed, static_cast<std::uint16_t>(message.size()));
  framed += message;
  CF_RETURN_IF_ERROR(connection.Send(framed));
  CF_ASSIGN_OR_RETURN(const std::string size, connection.Receive(2));
  return connection.Receive(ReadU16(size, 0));
}

Result<std::string> ExchangeWith(const Context& ctx, const net::HostPort& server,
                                 std::string_view message) {
  CF_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                      net::ResolveUserGiven(ctx, server.host));
  std::optional<Error> last;
  for (const std::string& address : addresses) {
    Result<std::string> reply = ExchangeTcp(ctx, address, server.port, message);
    if (reply.ok() || reply.error().code == ErrorCode::kCancelled) return reply;
    last = std::move(reply).error();
  }
  return last.value_or(MakeError(ErrorCode::kUnavailable, "DnsUnavailable",
                                 Sanitize(server.host) + " has no address"));
}

}  // namespace certflow::providers::solvers
