#include "controller/api/meta.h"

#include <algorithm>

namespace certflow::api {

namespace {

kube::Resource Make(const char* plural, const char* kind) {
  return {std::string(kGroup), std::string(kVersion), plural, kind, true};
}

}  // namespace

const kube::Resource& WorkflowResource() {
  static const kube::Resource resource = Make("certificateworkflows", "CertificateWorkflow");
  return resource;
}
const kube::Resource& RunResource() {
  static const kube::Resource resource = Make("workflowruns", "WorkflowRun");
  return resource;
}
const kube::Resource& AuthorityResource() {
  static const kube::Resource resource = Make("certificateauthorities", "CertificateAuthority");
  return resource;
}
const kube::Resource& TargetResource() {
  static const kube::Resource resource = Make("deploymenttargets", "DeploymentTarget");
  return resource;
}
const kube::Resource& ChannelResource() {
  static const kube::Resource resource = Make("notificationchannels", "NotificationChannel");
  return resource;
}

void SetCondition(std::vector<Condition>& conditions, std::string_view type, ConditionStatus status,
                  std::string_view reason, std::string_view message, std::int64_t generation,
                  WallTime now) {
  auto it = std::find_if(conditions.begin(), conditions.end(),
                         [&](const Condition& c) { return c.type == type; });
  if (it == conditions.end()) {
    conditions.push_back(
        {std::string(type), status, generation, now, std::string(reason), std::string(message)});
    return;
  }
  if (it->status != status) it->last_transition = now;
  it->status = status;
  it->observed_generation = generation;
  it->reason = reason;
  it->message = message;
}

void RemoveCondition(std::vector<Condition>& conditions, std::string_view type) {
  std::erase_if(conditions, [&](const Condition& c) { return c.type == type; });
}

const Condition* FindCondition(const std::vector<Condition>& conditions, std::string_view type) {
  auto it = std::find_if(conditions.begin(), conditions.end(),
                         [&](const Condition& c) { return c.type == type; });
  return it == conditions.end() ? nullptr : &*it;
}

namespace {

bool MatchesOne(const LabelSelector::Expression& expression,
                const std::map<std::string, std::string>& labels) {
  auto it = labels.find(expression.key);
  bool among = it != labels.end() && std::find(expression.values.begin(), expression.values.end(),
                                               it->second) != expression.values.end();
  if (expression.op == "In") return among;
  if (expression.op == "NotIn") return !among;
  if (expression.op == "Exists") return it != labels.end();
  if (expression.op == "DoesNotExist") return it == labels.end();
  return false;  // an operator of a later version: say no
}

}  // namespace

bool LabelSelector::Matches(const std::map<std::string, std::string>& labels) const {
  for (const auto& [key, value] : match_labels) {
    auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return false;
  }
  return std::all_of(match_expressions.begin(), match_expressions.end(),
                     [&](const auto& expression) { return MatchesOne(expression, labels); });
}

bool Allows(const AllowedNamespaces& allowed, std::string_view own_ns, std::string_view other_ns,
            const std::map<std::string, std::string>* labels) {
  if (own_ns == other_ns || allowed.from == AllowedNamespaces::From::kAll) return true;
  if (allowed.from == AllowedNamespaces::From::kSame || labels == nullptr) return false;
  return allowed.selector.Matches(*labels);
}

}  // namespace certflow::api
