#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "controller/base/result.h"

namespace certflow::controlplane {

// A thread that lives as long as the processes it started: the kernel's "parent died" signal is
// sent when the starting thread ends, not the process.
class Keeper {
 public:
  Keeper();
  ~Keeper();
  void Do(const std::function<void()>& work);

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  const std::function<void()>* work_ = nullptr;
  bool ending_ = false;
  std::thread thread_;
};

// One long-running program in its own process group, killed with this object and this process.
class Daemon {
 public:
  ~Daemon() { Kill(); }
  Result<void> Start(Keeper& keeper, const std::vector<std::string>& argv, const std::string& log);
  void Kill();
  void Signal(int number) const;
  bool Running();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

// A port nobody listens on, below the kernel's range for outgoing connections.
int FreePort();

}  // namespace certflow::controlplane
