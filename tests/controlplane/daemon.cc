#include "tests/controlplane/daemon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>

namespace certflow::controlplane {

Keeper::Keeper() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return work_ != nullptr || ending_; });
      if (work_ == nullptr) return;
      (*work_)();
      work_ = nullptr;
      wake_.notify_all();
    }
  });
}

Keeper::~Keeper() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Keeper::Do(const std::function<void()>& work) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return work_ == nullptr; });
  work_ = &work;
  wake_.notify_all();
  wake_.wait(lock, [this, &work] { return work_ != &work; });
}

namespace {

[[noreturn]] void Become(char* const* argv, int log, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::close_range(3, ~0u, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(argv[0], argv);
  ::_exit(127);
}

}  // namespace

Result<void> Daemon::Start(Keeper& keeper, const std::vector<std::string>& argv,
                           const std::string& log) {
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return MakeError(ErrorCode::kUnavailable, "NoLog", std::strerror(errno));
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const pid_t parent = ::getpid();
  keeper.Do([&] {
    pid_ = ::fork();
    if (pid_ == 0) Become(words.data(), fd, parent);
  });
  ::close(fd);
  if (pid_ < 0) return MakeError(ErrorCode::kUnavailable, "NoProcess", std::strerror(errno));
  ::setpgid(pid_, pid_);
  return {};
}

void Daemon::Kill() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Daemon::Signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

bool Daemon::Running() {
  if (pid_ <= 0) return false;
  if (::waitpid(pid_, nullptr, WNOHANG) != pid_) return true;
  pid_ = -1;
  return false;
}

int FreePort() {
  static thread_local std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> range(20000, 32000);
  while (true) {
    const int port = range(random);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool taken = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0;
    ::close(fd);
    if (!taken) return port;
  }
}

}  // namespace certflow::controlplane
