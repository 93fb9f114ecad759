#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/mutex.h"
#include "controller/base/result.h"

namespace certflow::fakes {

// Where a process dies: at its n-th interaction with the outside (from 1), before it had an effect
// or after it. 0: never. With `what`, only those that begin so count.
struct Cut {
  int at = 0;
  bool after = false;
  std::string_view what = {};
};

// All that a process does outside passes here, so that it can be cut off in the middle as SIGKILL
// cuts it off: from then on nothing it tries has an effect. Thread-safe.
class Lifeline {
 public:
  // Alive again, counting from zero.
  void Arm(Cut cut);
  bool dead() const;
  // What has been done since Arm, in order ("shell", "acme POST /order").
  std::vector<std::string> done() const;

  // Counted interactions: a number, or nothing for the dead.
  int Begin(std::string_view what);
  // False when the process died before it got the answer.
  bool End(int number);

  template <typename Fn>
  auto Pass(std::string_view what, Fn act) -> decltype(act()) {
    const int number = Begin(what);
    if (number == 0) return Gone();
    auto result = act();
    if (!End(number)) return Gone();
    return result;
  }
  static Error Gone();

 private:
  mutable Mutex mutex_;
  Cut cut_ CF_GUARDED_BY(mutex_);
  bool dead_ CF_GUARDED_BY(mutex_) = false;
  int count_ CF_GUARDED_BY(mutex_) = 0;
  int met_ CF_GUARDED_BY(mutex_) = 0;    // of those that count
  int fatal_ CF_GUARDED_BY(mutex_) = 0;  // the one that is not survived
  std::vector<std::string> done_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::fakes
