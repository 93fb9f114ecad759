#include "tests/peers/peer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace certflow::test {
namespace {

constexpr std::string_view kReady = "ready";
constexpr std::size_t kLogTail = 4096;
constexpr int kStopMilliseconds = 5000;

// True when the child ended within the time; it stays to be reaped.
bool WaitForEnd(pid_t pid, int milliseconds) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return true;
  pollfd wait{fd, POLLIN, 0};
  const int ready = poll(&wait, 1, milliseconds);
  close(fd);
  return ready > 0;
}

std::map<std::string, std::string> ParseReadyLine(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  if (word != kReady) throw std::runtime_error("peer said: " + line);
  std::map<std::string, std::string> values;
  while (words >> word) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) throw std::runtime_error("peer said: " + line);
    values[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return values;
}

// Runs in the child of a process that may have threads: only async-signal-safe calls.
[[noreturn]] void BecomePeer(char* const* argv, int in, int out, int err, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(126);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execv(argv[0], argv);
  _exit(127);
}

}  // namespace

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "certflow-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed for " + name);
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Peer::Peer(std::string_view name, std::vector<std::string> args, int timeout_s) {
  Launch(name, args);
  try {
    values_ = ParseReadyLine(ReadReadyLine(timeout_s));
  } catch (const std::exception& error) {
    Stop();
    throw std::runtime_error(std::string(name) + ": " + error.what() + "\n" + LogTail());
  }
}

Peer::~Peer() { Stop(); }

void Peer::Launch(std::string_view name, const std::vector<std::string>& args) {
  std::vector<std::string> words = {CERTFLOW_SOURCE_DIR "/tests/peers/" + std::string(name),
                                    folder_.path().string()};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  const std::string log_path = folder_ / "peer.log";
  const int log = open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) BecomePeer(argv.data(), in[0], out[1], log, parent);
  close(in[0]);
  close(out[1]);
  close(log);
  stdin_ = in[1];
  stdout_ = out[0];
  if (pid_ < 0) throw std::runtime_error("fork");
  setpgid(pid_, pid_);  // in both processes, so that neither has to wait for the other
}

std::string Peer::ReadReadyLine(int timeout_s) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(timeout_s);
  std::string line;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd wait{stdout_, POLLIN, 0};
    if (left.count() <= 0 || poll(&wait, 1, static_cast<int>(left.count())) == 0) {
      throw std::runtime_error("not ready in time");
    }
    char byte = 0;
    const ssize_t got = read(stdout_, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::runtime_error("ended before it was ready");
    if (byte == '\n') return line;
    line += byte;
  }
}

void Peer::Stop() {
  if (stdin_ >= 0) close(std::exchange(stdin_, -1));
  if (stdout_ >= 0) close(std::exchange(stdout_, -1));
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  WaitForEnd(pid_, kStopMilliseconds);
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string Peer::LogTail() const {
  const std::string text = ReadFile(folder_ / "peer.log");
  return text.size() <= kLogTail ? text : text.substr(text.size() - kLogTail);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file.write(text.data(), static_cast<std::streamsize>(text.size())).flush()) {
    throw std::runtime_error("cannot write " + path);
  }
}

}  // namespace certflow::test
