#pragma once

#include <map>
#include <string>

#include "controller/api/run.h"
#include "controller/base/context.h"
#include "controller/base/mutex.h"
#include "controller/kube/client.h"
#include "controller/kube/events.h"
#include "controller/reconcile/approval_guard.h"
#include "controller/workflow/approval.h"

namespace certflow::reconcile {

// Takes the decisions that people wrote as annotations on the run and on its workflow into the
// run's status: each once, proved by the guard, judged by workflow/approval.h; a refusal is
// recorded with its reason and told as an event.
class ApprovalDesk {
 public:
  ApprovalDesk(kube::Client& client, ApprovalGuard& guard, kube::EventRecorder& events)
      : client_(client), guard_(guard), events_(events) {}

  // True when something was recorded. `open_gate` is the gate that waits, or empty. When nothing
  // new is written this makes no request; else it looks at the objects and then at the policy.
  //
  // When a decision was written cannot be told: the server's record of its writer moves with other
  // fields that this one writes. So what counts is not that time but that the policy was in force
  // since before the decision can have been written: since the run was made, or since a look that
  // did not find it. Where neither holds, what stands there is refused once, and what is written
  // after that counts.
  Result<bool> TakeIn(const Context& ctx, const api::Workflow* workflow, const api::Plan& plan,
                      std::string_view open_gate, api::Run& run);

 private:
  struct Written;
  struct Look;
  Result<Look> LookAt(const Context& ctx, const api::Workflow* workflow, const api::Run& run);
  bool IsProvedFor(const api::Run& run, WallTime since);
  workflow::DecisionVerdict Judge(const Written& written, const Look& look, const api::Plan& plan,
                                  std::string_view open_gate, const api::Run& run, WallTime now);
  void Remember(const api::Run& run, WallTime looked);

  static constexpr std::size_t kMaxLooks = 10'000;
  kube::Client& client_;
  ApprovalGuard& guard_;
  kube::EventRecorder& events_;
  Mutex mutex_;
  // By the run's uid: when nothing stood there that is not on record. Forgetting one costs one
  // more refusal.
  std::map<std::string, WallTime> looks_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::reconcile
