#include "controller/net/sigpipe_guard.h"

#include <pthread.h>

#include <ctime>

namespace certflow::net {
namespace {

sigset_t OnlySigpipe() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}

}  // namespace

SigpipeGuard::SigpipeGuard() {
  const sigset_t set = OnlySigpipe();
  pthread_sigmask(SIG_BLOCK, &set, &before_);
}

SigpipeGuard::~SigpipeGuard() {
  // What arrived meanwhile would be delivered by unblocking it.
  const sigset_t set = OnlySigpipe();
  const timespec now{};
  while (sigismember(&before_, SIGPIPE) == 0 && sigtimedwait(&set, nullptr, &now) == SIGPIPE) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace certflow::net
