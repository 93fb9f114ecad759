#include "controller/kube/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

extern char** environ;

namespace certflow::kube {
namespace {

constexpr int kTickMs = 20;  // how late a stop may be noticed

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Fd() { Close(); }
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

struct Pipe {
  Fd read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return MakeError(ErrorCode::kUnavailable, "NoDescriptors", std::strerror(errno));
  }
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// A socket pair instead of a pipe, because writing to a program that does not read must not raise
// SIGPIPE in ours.
Result<Pipe> MakeInput() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return MakeError(ErrorCode::kUnavailable, "NoDescriptors", std::strerror(errno));
  }
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

bool IsExecutable(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

Result<std::string> FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (IsExecutable(name)) return name;
  } else if (const char* path = std::getenv("PATH"); path != nullptr && !name.empty()) {
    std::istringstream folders{std::string(path)};
    for (std::string folder; std::getline(folders, folder, ':');) {
      if (folder.empty()) continue;
      folder.append("/").append(name);
      if (IsExecutable(folder)) return folder;
    }
  }
  return MakeError(ErrorCode::kNotFound, "NoSuchProgram",
                   "program " + Sanitize(name, 200) + " was not found or may not be run");
}

// exec's interface is older than const.
std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void BecomeProgram(const char* path, char* const* argv, char* const* env, int in,
                                int out, int err, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::close_range(3, ~0u, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execve(path, argv, env);
  ::_exit(127);
}

class Run {
 public:
  Run(const Context& ctx, const Program& program) : ctx_(ctx), program_(program) {}
  ~Run() { Kill(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Result<ProgramOutput> Go() {
    CF_RETURN_IF_ERROR(ctx_.Check());
    CF_RETURN_IF_ERROR(Start());
    CF_RETURN_IF_ERROR(Converse());
    CF_RETURN_IF_ERROR(Reap());
    return std::move(output_);
  }

 private:
  Result<void> Start() {
    CF_ASSIGN_OR_RETURN(std::string path,
                        FindProgram(program_.argv.empty() ? "" : program_.argv[0]));
    CF_ASSIGN_OR_RETURN(Pipe input, MakeInput());
    CF_ASSIGN_OR_RETURN(Pipe out, MakePipe());
    CF_ASSIGN_OR_RETURN(Pipe err, MakePipe());
    std::vector<std::string> words = program_.argv;
    std::vector<std::string> variables = program_.env;
    std::vector<char*> argv = Pointers(words);
    std::vector<char*> env = Pointers(variables);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) {
      return MakeError(ErrorCode::kUnavailable, "NoProcess", std::strerror(errno));
    }
    if (pid_ == 0) {
      BecomeProgram(path.c_str(), argv.data(), env.data(), input.read.get(), out.write.get(),
                    err.write.get(), parent);
    }
    ::setpgid(pid_, pid_);
    in_ = std::move(input.write);
    out_ = std::move(out.read);
    err_ = std::move(err.read);
    if (program_.input.empty()) in_.Close();
    return {};
  }

  // Feeds and reads until both outputs are closed.
  Result<void> Converse() {
    while (out_.get() >= 0 || err_.get() >= 0) {
      CF_RETURN_IF_ERROR(ctx_.Check());
      std::array<pollfd, 3> fds{pollfd{out_.get(), POLLIN, 0}, pollfd{err_.get(), POLLIN, 0},
                                pollfd{in_.get(), POLLOUT, 0}};
      if (::poll(fds.data(), fds.size(), kTickMs) <= 0) continue;
      if (fds[0].revents != 0) CF_RETURN_IF_ERROR(ReadSome(out_, output_.out));
      if (fds[1].revents != 0) CF_RETURN_IF_ERROR(ReadSome(err_, output_.err));
      if (fds[2].revents != 0) WriteSome();
    }
    return {};
  }

  Result<void> ReadSome(Fd& from, std::string& to) {
    char buffer[8192];
    const ssize_t n = ::read(from.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return {};
    if (n <= 0) {
      from.Close();
      return {};
    }
    if (to.size() + static_cast<std::size_t>(n) > program_.max_output) {
      return MakeError(ErrorCode::kRefused, "OutputTooLarge",
                       "program " + Sanitize(program_.argv[0], 200) + " wrote too much");
    }
    to.append(buffer, static_cast<std::size_t>(n));
    return {};
  }

  void WriteSome() {
    const std::string_view rest = std::string_view(program_.input).substr(written_);
    const ssize_t n = ::send(in_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    written_ += n > 0 ? static_cast<std::size_t>(n) : 0;
    if (n < 0 || written_ == program_.input.size()) in_.Close();
  }

  // A program may close its outputs and go on.
  Result<void> Reap() {
    in_.Close();
    for (int tick = 0;; ++tick) {
      int status = 0;
      const pid_t done = ::waitpid(pid_, &status, WNOHANG);
      if (done == pid_) {
        pid_ = -1;
        output_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return {};
      }
      CF_RETURN_IF_ERROR(ctx_.Check());
      ::poll(nullptr, 0, tick < 5 ? 1 : kTickMs);
    }
  }

  void Kill() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  const Context& ctx_;
  const Program& program_;
  ProgramOutput output_;
  pid_t pid_ = -1;
  Fd in_, out_, err_;
  std::size_t written_ = 0;
};

}  // namespace

Result<ProgramOutput> RunProgram(const Context& ctx, const Program& program) {
  return Run(ctx, program).Go();
}

std::vector<std::string> OwnEnvironment() {
  std::vector<std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    variables.emplace_back(*entry);
  }
  return variables;
}

}  // namespace certflow::kube
