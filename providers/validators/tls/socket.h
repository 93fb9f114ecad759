#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "controller/base/context.h"
#include "controller/base/result.h"

namespace certflow::providers {

// A connected, non-blocking TCP socket. Waits end with the context: kCancelled and kTimeout within
// 50 ms.
class Socket {
 public:
  // `address` is numeric. kUnavailable where nothing answers.
  static Result<Socket> Connect(const Context& ctx, const std::string& address, std::uint16_t port);
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();

  // All of it; never raises SIGPIPE.
  Result<void> Send(const Context& ctx, std::string_view data);
  // What there is, waiting for at least a byte; empty at the end of the stream.
  Result<std::string> Receive(const Context& ctx);

 private:
  explicit Socket(int fd) : fd_(fd) {}
  Result<void> Wait(const Context& ctx, short events) const;

  int fd_;
};

}  // namespace certflow::providers
