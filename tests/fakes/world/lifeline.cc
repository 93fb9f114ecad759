#include "tests/fakes/world/lifeline.h"

namespace certflow::fakes {

void Lifeline::Arm(Cut cut) {
  MutexLock lock(mutex_);
  cut_ = cut;
  dead_ = false;
  count_ = 0;
  done_.clear();
}

bool Lifeline::dead() const {
  MutexLock lock(mutex_);
  return dead_;
}

std::vector<std::string> Lifeline::done() const {
  MutexLock lock(mutex_);
  return done_;
}

int Lifeline::Begin(std::string_view what) {
  MutexLock lock(mutex_);
  if (dead_) return 0;
  ++count_;
  if (count_ == cut_.at && !cut_.after) {
    dead_ = true;
    return 0;
  }
  done_.emplace_back(what);
  return count_;
}

bool Lifeline::End(int number) {
  MutexLock lock(mutex_);
  if (number == cut_.at && cut_.after) dead_ = true;
  return !dead_;
}

Error Lifeline::Gone() {
  return MakeError(ErrorCode::kUnavailable, "ProcessDead", "the process does not live any more");
}

}  // namespace certflow::fakes
