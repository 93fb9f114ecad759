#include "controller/reconcile/expected_runs.h"

namespace certflow::reconcile {

void ExpectedRuns::Expect(const kube::ObjectKey& workflow, const std::string& uid,
                          std::int64_t number, SteadyTime until) {
  MutexLock lock(mutex_);
  expected_.insert_or_assign(workflow, Expected{uid, number, until});
}

std::optional<SteadyTime> ExpectedRuns::Awaited(const kube::ObjectKey& workflow,
                                                const std::string& uid, std::int64_t newest,
                                                SteadyTime now) {
  MutexLock lock(mutex_);
  const auto found = expected_.find(workflow);
  if (found == expected_.end()) return std::nullopt;
  const Expected& expected = found->second;
  if (expected.uid == uid && newest < expected.number && now < expected.until) {
    return expected.until;
  }
  expected_.erase(found);
  return std::nullopt;
}

void ExpectedRuns::Forget(const kube::ObjectKey& workflow) {
  MutexLock lock(mutex_);
  expected_.erase(workflow);
}

}  // namespace certflow::reconcile
