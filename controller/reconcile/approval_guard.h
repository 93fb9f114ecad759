#pragma once

#include <map>
#include <string>

#include "controller/base/context.h"
#include "controller/base/mutex.h"
#include "controller/kube/client.h"

namespace certflow::reconcile {

// An annotation proves who wrote it only while the shipped ValidatingAdmissionPolicy and its
// binding are in force and unchanged. The guard compares both with what was shipped, and asks the
// API server to refuse a forged decision (a dry run that must be denied). It looks each time that
// it is asked, after the decision was read: what is in force then and was not changed since a time
// before the decision, was in force when it was written.
class ApprovalGuard {
 public:
  // JSON of the shipped objects; their `spec` is what counts.
  ApprovalGuard(kube::Client& client, std::string policy_json, std::string binding_json);

  // Since when decisions are proved (the last change of either object and kSettle). Errors:
  // kRefused "PolicyMissing", "PolicyEdited" or "PolicyNotEnforced" with the remedy: nothing
  // counts; others: could not be found out, ask again.
  Result<WallTime> ProvedSince(const Context& ctx);

  // A policy takes effect a moment after it is written.
  static constexpr Duration kSettle{5'000};

 private:
  // One of the objects as it was at the last look.
  struct Seen {
    std::string uid;
    std::int64_t generation = 0;
    WallTime changed{};
  };
  WallTime Remember(const Context& ctx, const std::string& kind, Seen now);
  Result<WallTime> Compare(const Context& ctx, const kube::Resource& resource,
                           const std::string& shipped);
  Result<void> ProbeRefusal(const Context& ctx);

  kube::Client& client_;
  const std::string policy_;
  const std::string binding_;
  Mutex mutex_;
  std::map<std::string, Seen> seen_ CF_GUARDED_BY(mutex_);  // by kind
};

}  // namespace certflow::reconcile
