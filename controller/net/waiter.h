#pragma once

#include <optional>
#include <stop_token>

#include "controller/base/context.h"
#include "controller/base/result.h"

namespace certflow::net {

// Owns a file descriptor.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.Release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd();
  int get() const { return fd_; }
  int Release();

 private:
  int fd_;
};

// Waits on descriptors under a context's deadline and stop, without looking again and again.
class Waiter {
 public:
  explicit Waiter(const Context& ctx);
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Until one of `events` (of poll) happens on `fd`; kTimeout or kCancelled otherwise.
  Result<void> Wait(int fd, short events);

 private:
  struct Signal {
    int fd;
    void operator()() const;
  };
  int MillisecondsLeft() const;

  const Context& ctx_;
  OwnedFd stop_fd_;
  std::stop_callback<Signal> on_stop_;
};

}  // namespace certflow::net
