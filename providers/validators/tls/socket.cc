#include "providers/validators/tls/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

namespace certflow::providers {
namespace {

// How late a stop or a deadline may be noticed.
constexpr int kSliceMs = 20;

Error Unavailable(std::string_view what, int code) {
  return MakeError(ErrorCode::kUnavailable, "ConnectionFailed",
                   std::string(what) + ": " + std::generic_category().message(code));
}

struct FreeAddress {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

}  // namespace

Result<Socket> Socket::Connect(const Context& ctx, const std::string& address, std::uint16_t port) {
  CF_RETURN_IF_ERROR(ctx.Check());
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* raw = nullptr;
  if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &raw) != 0) {
    return MakeError(ErrorCode::kInvalid, "AddressInvalid", "not an address");
  }
  const std::unique_ptr<addrinfo, FreeAddress> where(raw);
  Socket socket(::socket(where->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.fd_ < 0) return Unavailable("open a socket", errno);
  if (connect(socket.fd_, where->ai_addr, where->ai_addrlen) == 0) return socket;
  if (errno != EINPROGRESS) return Unavailable("connect", errno);
  CF_RETURN_IF_ERROR(socket.Wait(ctx, POLLOUT));
  int fault = 0;
  socklen_t size = sizeof fault;
  if (getsockopt(socket.fd_, SOL_SOCKET, SO_ERROR, &fault, &size) != 0) fault = errno;
  if (fault != 0) return Unavailable("connect", fault);
  return socket;
}

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

Result<void> Socket::Wait(const Context& ctx, short events) const {
  while (true) {
    CF_RETURN_IF_ERROR(ctx.Check());
    pollfd watched{fd_, events, 0};
    const int ready = poll(&watched, 1, kSliceMs);
    if (ready > 0) return {};  // errors too: the next call on the socket tells them
    if (ready < 0 && errno != EINTR) return Unavailable("wait", errno);
  }
}

Result<void> Socket::Send(const Context& ctx, std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      data.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      CF_RETURN_IF_ERROR(Wait(ctx, POLLOUT));
    } else if (errno != EINTR) {
      return Unavailable("send", errno);
    }
  }
  return {};
}

Result<std::string> Socket::Receive(const Context& ctx) {
  std::array<char, 16u << 10> buffer;
  while (true) {
    // Also between reads that do not wait: a peer that never stops talking must not hold us.
    CF_RETURN_IF_ERROR(ctx.Check());
    const ssize_t received = recv(fd_, buffer.data(), buffer.size(), 0);
    if (received >= 0) return std::string(buffer.data(), static_cast<std::size_t>(received));
    if (errno == EAGAIN) {
      CF_RETURN_IF_ERROR(Wait(ctx, POLLIN));
    } else if (errno != EINTR) {
      return Unavailable("receive", errno);
    }
  }
}

}  // namespace certflow::providers
