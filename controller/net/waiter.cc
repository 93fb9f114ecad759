#include "controller/net/waiter.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace certflow::net {
namespace {

int NewEventFd() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  fd_ = other.Release();
  return *this;
}

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}

int OwnedFd::Release() { return std::exchange(fd_, -1); }

void Waiter::Signal::operator()() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
}

Waiter::Waiter(const Context& ctx)
    : ctx_(ctx), stop_fd_(NewEventFd()), on_stop_(ctx.stop, Signal{stop_fd_.get()}) {}

int Waiter::MillisecondsLeft() const {
  if (ctx_.deadline == SteadyTime::max()) return -1;
  const auto left = std::chrono::ceil<Duration>(ctx_.deadline - ctx_.clock.Steady()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 600'000));
}

Result<void> Waiter::Wait(int fd, short events) {
  for (;;) {
    CF_RETURN_IF_ERROR(ctx_.Check());
    std::array<pollfd, 2> fds{pollfd{fd, events, 0}, pollfd{stop_fd_.get(), POLLIN, 0}};
    const int ready = ::poll(fds.data(), fds.size(), MillisecondsLeft());
    if (ready < 0 && errno != EINTR) {
      return MakeError(ErrorCode::kInternal, "PollFailed", "poll failed");
    }
    if (ready > 0 && fds[0].revents != 0) return {};
  }
}

}  // namespace certflow::net
