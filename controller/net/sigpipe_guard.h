#pragma once

#include <csignal>

namespace certflow::net {

// While it lives, a write to a closed connection is an error on this thread and no signal: libcurl,
// OpenSSL and libssh all write with write(2). Leaves the process's own disposition alone.
class SigpipeGuard {
 public:
  SigpipeGuard();
  ~SigpipeGuard();
  SigpipeGuard(const SigpipeGuard&) = delete;
  SigpipeGuard& operator=(const SigpipeGuard&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace certflow::net
