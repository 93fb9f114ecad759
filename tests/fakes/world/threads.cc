#include "tests/fakes/world/threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace certflow::fakes {
namespace {

// proc_pid_status(5); empty when the thread has ended.
std::string_view ReadStatus(const std::string& thread, std::array<char, 4096>& buffer) {
  const std::string path = "/proc/self/task/" + thread + "/status";
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  const ssize_t size = ::read(file, buffer.data(), buffer.size());
  ::close(file);
  return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

// From "name" to the end of the text; empty where it does not stand.
std::string_view From(std::string_view status, std::string_view name) {
  return status.substr(std::min(status.find(name), status.size()));
}

// The threads and how often each gave up the processor or lost it; nothing when one does not sleep.
std::optional<std::string> IfAsleep() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/task"), &::closedir);
  if (!folder) {
    std::perror("world: /proc/self/task");
    std::abort();
  }
  const std::string self = std::to_string(::gettid());
  std::array<char, 4096> buffer;
  std::string seen;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string thread = entry->d_name;
    if (thread.front() == '.' || thread == self) continue;
    const std::string_view status = ReadStatus(thread, buffer);
    if (!From(status, "\nState:").starts_with("\nState:\tS")) return std::nullopt;
    seen += thread;
    seen += From(status, "\nvoluntary_ctxt_switches:");  // the last lines: these and the others
  }
  return seen;
}

}  // namespace

bool OtherThreadsSleep() {
  // One look is not enough: a thread that was seen asleep may have been woken by one that fell
  // asleep before it was seen.
  const auto first = IfAsleep();
  return first && first == IfAsleep();
}

}  // namespace certflow::fakes
