#pragma once

#include <string>

#include "controller/api/run.h"
#include "controller/base/context.h"
#include "controller/kube/client.h"
#include "controller/kube/events.h"
#include "controller/reconcile/approval_guard.h"

namespace certflow::reconcile {

// Takes the decisions that people wrote as annotations on the run and on its workflow into the
// run's status: each once, proved by the guard, judged by workflow/approval.h; a refusal is
// recorded with its reason and told as an event.
class ApprovalDesk {
 public:
  ApprovalDesk(kube::Client& client, ApprovalGuard& guard, kube::EventRecorder& events)
      : client_(client), guard_(guard), events_(events) {}

  // True when something was recorded. `open_gate` is the gate that waits, or empty. When nothing
  // new is written this makes no request.
  Result<bool> TakeIn(const Context& ctx, const api::Workflow* workflow, const api::Plan& plan,
                      std::string_view open_gate, api::Run& run);

 private:
  Result<WallTime> WrittenAt(const Context& ctx, const kube::Resource& resource,
                             const kube::ObjectKey& key, const std::string& annotation,
                             const std::string& value);
  kube::Client& client_;
  ApprovalGuard& guard_;
  kube::EventRecorder& events_;
};

}  // namespace certflow::reconcile
