#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/clock.h"
#include "controller/kube/types.h"

namespace certflow::api {

inline constexpr std::string_view kGroup = "certflow.dev";
inline constexpr std::string_view kVersion = "v1alpha1";
inline constexpr std::string_view kApiVersion = "certflow.dev/v1alpha1";

// Annotations that people write (design: approval by annotation).
inline constexpr std::string_view kApproveAnnotation = "certflow.dev/approve";
inline constexpr std::string_view kRejectAnnotation = "certflow.dev/reject";
inline constexpr std::string_view kRenewAnnotation = "certflow.dev/renew";
inline constexpr std::string_view kRollbackAnnotation = "certflow.dev/rollback";  // on a run
inline constexpr std::string_view kChangedByAnnotation = "certflow.dev/changed-by";
// On a run that leaves something outside to put back when it is deleted.
inline constexpr std::string_view kRunFinalizer = "certflow.dev/run";

const kube::Resource& WorkflowResource();
const kube::Resource& RunResource();
const kube::Resource& AuthorityResource();
const kube::Resource& TargetResource();
const kube::Resource& ChannelResource();

struct ObjectMeta {
  std::string name;
  std::string ns;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  WallTime created{};
  bool deleting = false;
  std::map<std::string, std::string> annotations;  // those of certflow.dev only
  std::string owner_name;                          // the controlling owner
  std::string owner_uid;
  bool has_run_finalizer = false;

  kube::ObjectKey key() const { return {ns, name}; }
};

struct Reference {
  std::string name;
  std::string ns;  // never empty once resolved: the holder's namespace is the default
  friend auto operator<=>(const Reference&, const Reference&) = default;
};

enum class ConditionStatus { kTrue, kFalse, kUnknown };

// metav1.Condition.
struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::kUnknown;
  std::int64_t observed_generation = 0;
  WallTime last_transition{};
  std::string reason;
  std::string message;
};

inline constexpr std::string_view kReady = "Ready";
inline constexpr std::string_view kReconciling = "Reconciling";
inline constexpr std::string_view kStalled = "Stalled";
// Reason of Ready where something may be used, but not all of it works.
inline constexpr std::string_view kReasonUsableWithWarning = "UsableWithWarning";

// Sets a condition; the transition time moves only when the status does.
void SetCondition(std::vector<Condition>& conditions, std::string_view type, ConditionStatus status,
                  std::string_view reason, std::string_view message, std::int64_t generation,
                  WallTime now);
// Reconciling and Stalled are present only while true.
void RemoveCondition(std::vector<Condition>& conditions, std::string_view type);
const Condition* FindCondition(const std::vector<Condition>& conditions, std::string_view type);

// metav1.LabelSelector: empty matches everything.
struct LabelSelector {
  struct Expression {
    std::string key;
    std::string op;  // In, NotIn, Exists, DoesNotExist
    std::vector<std::string> values;
  };
  std::map<std::string, std::string> match_labels;
  std::vector<Expression> match_expressions;

  bool empty() const { return match_labels.empty() && match_expressions.empty(); }
  bool Matches(const std::map<std::string, std::string>& labels) const;
};

// Who may refer to an object from another namespace, as Gateway API does for routes.
struct AllowedNamespaces {
  enum class From { kSame, kAll, kSelector };
  From from = From::kSame;
  LabelSelector selector;
};
// `labels` are those of the namespace that refers; null when it is not known (then a selector says
// no).
bool Allows(const AllowedNamespaces& allowed, std::string_view own_ns, std::string_view other_ns,
            const std::map<std::string, std::string>* labels);

}  // namespace certflow::api
