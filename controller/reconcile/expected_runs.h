#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "controller/base/clock.h"
#include "controller/base/mutex.h"
#include "controller/kube/types.h"

namespace certflow::reconcile {

// Runs that were created a moment ago and that the informer may not have told of yet, one a
// workflow: whoever reconciles the workflow meanwhile does not try to create the run again. A hint
// and nothing more, so a restart may forget it: the run's name comes from its number, and the API
// server refuses a second one. It counts for a limited time, so that a run that somebody deleted
// before it was ever seen holds nothing up. Thread-safe.
class ExpectedRuns {
 public:
  void Expect(const kube::ObjectKey& workflow, const std::string& uid, std::int64_t number,
              SteadyTime until);
  // Until when the next run of the workflow is to be waited for; nothing when none is expected, or
  // `newest`, the highest number seen, says that it has come.
  std::optional<SteadyTime> Awaited(const kube::ObjectKey& workflow, const std::string& uid,
                                    std::int64_t newest, SteadyTime now);
  void Forget(const kube::ObjectKey& workflow);

 private:
  struct Expected {
    std::string uid;  // of the workflow: another one may have its name by now
    std::int64_t number;
    SteadyTime until;
  };
  Mutex mutex_;
  std::map<kube::ObjectKey, Expected> expected_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::reconcile
