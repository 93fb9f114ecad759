#pragma once

#include <poll.h>

#include <chrono>

namespace certflow::envtest {

// Looks ten times a second until `holds` says yes; false when the time is up. What is awaited
// happens in other processes, which tell nobody.
template <typename Holds>
bool Await(Holds holds, int seconds) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    ::poll(nullptr, 0, 100);
  }
  return true;
}

inline double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace certflow::envtest
