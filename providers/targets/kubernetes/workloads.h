#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/kube/client.h"

namespace certflow::providers::kubernetes {

// A workload whose pods read the Secret only when they start.
struct Workload {
  std::string kind;  // "Deployment", "StatefulSet" or "DaemonSet"
  std::string ns;
  std::string name;
  std::string ToString() const { return kind + " " + ns + "/" + name; }
};

// In the pod template's metadata, one for each Secret that a workload reads: its version. A new
// value rolls the workload, the same one again does nothing.
std::string RestartAnnotation(std::string_view secret);

// How far a workload is.
struct Rollout {
  std::string uid;
  std::string version;   // of the annotation; empty: never restarted for that Secret
  std::string settling;  // what is not through yet ("Deployment web/shop: 1 of 3 ..."), or empty
  std::string obstacle;  // why a restart would not reach every pod, with the remedy, or empty
};

// Nothing where the workload does not exist. kForbidden, "RestartForbidden", with the remedy.
Result<std::optional<Rollout>> ReadRollout(const Context& ctx, kube::Client& client,
                                           const Workload& workload, std::string_view secret);

// Rolls the workload with that UID, once for a version: kConflict where it is another one by now.
Result<void> Restart(const Context& ctx, kube::Client& client, const Workload& workload,
                     const std::string& uid, std::string_view secret, std::string_view version);

// Whether a restart would be let through and reach every pod; changes nothing. kNotFound
// "WorkloadNotFound", kRefused "RestartRefused", kForbidden "RestartForbidden".
Result<void> CheckRestart(const Context& ctx, kube::Client& client, const Workload& workload);

Error WorkloadNotFound(const Workload& workload);
Error RestartRefused(const Workload& workload, std::string_view obstacle);

}  // namespace certflow::providers::kubernetes
