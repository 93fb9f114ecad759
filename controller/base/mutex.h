#pragma once

#include <condition_variable>
#include <mutex>

// Thread-safety annotations, checked by the clang build (-Wthread-safety).
#if defined(__clang__)
#define CF_ATTRIBUTE(x) __attribute__((x))
#else
#define CF_ATTRIBUTE(x)
#endif
#define CF_CAPABILITY(x) CF_ATTRIBUTE(capability(x))
#define CF_SCOPED_CAPABILITY CF_ATTRIBUTE(scoped_lockable)
#define CF_GUARDED_BY(x) CF_ATTRIBUTE(guarded_by(x))
#define CF_REQUIRES(...) CF_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define CF_EXCLUDES(...) CF_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define CF_ACQUIRE(...) CF_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define CF_RELEASE(...) CF_ATTRIBUTE(release_capability(__VA_ARGS__))
#define CF_NO_THREAD_SAFETY_ANALYSIS CF_ATTRIBUTE(no_thread_safety_analysis)

namespace certflow {

// std::mutex that the thread-safety analysis knows. BasicLockable, so that
// std::condition_variable_any can wait on it.
class CF_CAPABILITY("mutex") Mutex {
 public:
  void lock() CF_ACQUIRE() { mutex_.lock(); }
  void unlock() CF_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class CF_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) CF_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() CF_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

using CondVar = std::condition_variable_any;

}  // namespace certflow
