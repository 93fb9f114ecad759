#include "tests/fakes/world/lifeline.h"

namespace certflow::fakes {

void Lifeline::Arm(Cut cut) {
  MutexLock lock(mutex_);
  cut_ = cut;
  dead_ = false;
  count_ = met_ = fatal_ = 0;
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
  if (what.starts_with(cut_.what) && ++met_ == cut_.at) {
    dead_ = !cut_.after;
    if (dead_) return 0;
    fatal_ = count_;
  }
  done_.emplace_back(what);
  return count_;
}

bool Lifeline::End(int number) {
  MutexLock lock(mutex_);
  if (number == fatal_) dead_ = true;
  return !dead_;
}

Error Lifeline::Gone() {
  return MakeError(ErrorCode::kUnavailable, "ProcessDead", "the process does not live any more");
}

}  // namespace certflow::fakes
