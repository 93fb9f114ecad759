#pragma once

#include <shared_mutex>

#include "controller/base/mutex.h"

namespace certflow::runtime {

// std::shared_mutex that the thread-safety analysis knows: many readers or one writer.
class CF_CAPABILITY("shared_mutex") SharedMutex {
 public:
  void lock() CF_ACQUIRE() { mutex_.lock(); }
  void unlock() CF_RELEASE() { mutex_.unlock(); }
  void lock_shared() CF_ATTRIBUTE(acquire_shared_capability()) { mutex_.lock_shared(); }
  void unlock_shared() CF_ATTRIBUTE(release_shared_capability()) { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

class CF_SCOPED_CAPABILITY WriterLock {
 public:
  explicit WriterLock(SharedMutex& mutex) CF_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~WriterLock() CF_RELEASE() { mutex_.unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class CF_SCOPED_CAPABILITY ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mutex) CF_ATTRIBUTE(acquire_shared_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~ReaderLock() CF_RELEASE() { mutex_.unlock_shared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mutex_;
};

}  // namespace certflow::runtime
