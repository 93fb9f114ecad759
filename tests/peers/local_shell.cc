#include "tests/peers/local_shell.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace certflow::test {
namespace {

struct Child {
  pid_t pid = -1;
  int in = -1, out = -1, err = -1;
};

Child Start(const std::string& command) {
  int in[2], out[2], err[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
    return {};
  }
  const char* const argv[] = {"/bin/sh", "-c", command.c_str(), nullptr};
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    execv(argv[0], const_cast<char* const*>(argv));
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  return {pid, in[1], out[0], err[0]};
}

// False at the end.
bool ReadSome(int fd, std::string& into) {
  std::array<char, 4096> buffer;
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  if (got > 0) into.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0;
}

void Exchange(Child& child, std::string_view input, net::CommandResult& result) {
  fcntl(child.in, F_SETFL, O_NONBLOCK);
  while (child.out >= 0 || child.err >= 0) {
    if (child.in >= 0 && input.empty()) close(std::exchange(child.in, -1));
    std::array<pollfd, 3> polls = {pollfd{child.in, POLLOUT, 0}, pollfd{child.out, POLLIN, 0},
                                   pollfd{child.err, POLLIN, 0}};
    poll(polls.data(), polls.size(), -1);
    if (polls[0].revents != 0) {
      const ssize_t sent = write(child.in, input.data(), input.size());
      if (sent > 0) input.remove_prefix(static_cast<std::size_t>(sent));
      if (sent < 0 && errno != EAGAIN) close(std::exchange(child.in, -1));
    }
    if (polls[1].revents != 0 && !ReadSome(child.out, result.out)) {
      close(std::exchange(child.out, -1));
    }
    if (polls[2].revents != 0 && !ReadSome(child.err, result.err)) {
      close(std::exchange(child.err, -1));
    }
  }
  if (child.in >= 0) close(child.in);
}

}  // namespace

Result<net::CommandResult> LocalShell::Run(const Context&, std::string_view command,
                                           std::string_view input) {
  signal(SIGPIPE, SIG_IGN);
  Child child = Start(prefix_ + std::string(command));
  if (child.pid < 0) return MakeError(ErrorCode::kUnavailable, "NoShell", "cannot start a shell");
  net::CommandResult result;
  Exchange(child, input, result);
  int status = 0;
  waitpid(child.pid, &status, 0);
  if (WIFSIGNALED(status)) {
    return MakeError(ErrorCode::kUnknownOutcome, "ConnectionLost", "the shell was killed");
  }
  result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace certflow::test
