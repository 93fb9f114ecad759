#pragma once

#include <chrono>
#include <thread>

namespace certflow::runtime {

// Waits until other threads have made `done` true; false after ten real seconds: the test failed.
template <typename Fn>
[[nodiscard]] bool Soon(Fn done) {
  const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done()) {
    if (std::chrono::steady_clock::now() > late) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace certflow::runtime
