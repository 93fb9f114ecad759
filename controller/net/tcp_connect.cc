#include "controller/net/tcp_connect.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

namespace certflow::net {
namespace {

Error NotConnected(const std::string& address, int code) {
  return MakeError(ErrorCode::kUnavailable, "ConnectFailed",
                   address + ": " + std::generic_category().message(code));
}

Result<OwnedFd> ConnectOne(Waiter& waiter, const std::string& address, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return NotConnected(address, EADDRNOTAVAIL);
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, &freeaddrinfo);
  OwnedFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return NotConnected(address, errno);
  EnableKeepalive(fd.get());
  if (::connect(fd.get(), found->ai_addr, found->ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return NotConnected(address, errno);
  CF_RETURN_IF_ERROR(waiter.Wait(fd.get(), POLLOUT));
  int code = 0;
  socklen_t size = sizeof code;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
  if (code != 0) return NotConnected(address, code);
  return fd;
}

}  // namespace

void EnableKeepalive(int fd) {
  const int on = 1;
  const int idle_seconds = 30;
  const int interval_seconds = 10;
  const int tries = 3;
  const unsigned unacknowledged_milliseconds = 60'000;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_milliseconds,
               sizeof unacknowledged_milliseconds);
}

Result<OwnedFd> ConnectTcp(Waiter& waiter, const std::vector<std::string>& addresses,
                           std::uint16_t port) {
  Error last = MakeError(ErrorCode::kUnavailable, "ConnectFailed", "no address to connect to");
  for (const std::string& address : addresses) {
    auto fd = ConnectOne(waiter, address, port);
    if (fd.ok() || fd.error().code != ErrorCode::kUnavailable) return fd;
    last = std::move(fd).error();
  }
  return last;
}

}  // namespace certflow::net
