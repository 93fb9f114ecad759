#include "providers/targets/kubernetes/workloads.h"

#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/kube/document_json.h"
#include "providers/targets/kubernetes/kube_object.h"

namespace certflow::providers::kubernetes {
namespace {

using nlohmann::json;

constexpr std::string_view kAnnotationPrefix = "secret.certflow.dev/";
constexpr std::size_t kMaxAnnotationName = 63;  // after the prefix, by the API

kube::Resource ResourceOf(const Workload& workload) {
  const std::string plural = workload.kind == "Deployment"    ? "deployments"
                             : workload.kind == "StatefulSet" ? "statefulsets"
                                                              : "daemonsets";
  return {"apps", "v1", plural, workload.kind, true};
}

Error Explain(Error error, const Workload& workload) {
  if (error.code != ErrorCode::kForbidden) return error;
  return MakeError(ErrorCode::kForbidden, "RestartForbidden",
                   WithRemedy(error.message, "certflow-restart", workload.ns, "restart.yaml"));
}

std::string ObstacleOf(const json& spec, const Workload& workload) {
  if (workload.kind == "Deployment") {
    const auto paused = spec.find("paused");
    return paused != spec.end() && *paused == json(true) ? "it is paused: resume it" : "";
  }
  const json strategy = ObjectAt(spec, "updateStrategy");
  if (TextAt(strategy, "type") == "OnDelete") {
    return "its updateStrategy is OnDelete, so nothing restarts its pods: make it RollingUpdate";
  }
  if (IntAt(ObjectAt(strategy, "rollingUpdate"), "partition", 0) > 0) {
    return "its updateStrategy keeps pods back by a partition: make that 0";
  }
  return "";
}

struct Counts {
  std::int64_t wanted = 0, updated = 0, available = 0, all = 0;
};

Counts CountsOf(const json& spec, const json& status, const Workload& workload) {
  if (workload.kind == "DaemonSet") {
    const std::int64_t wanted = IntAt(status, "desiredNumberScheduled", 0);
    return {wanted, IntAt(status, "updatedNumberScheduled", 0), IntAt(status, "numberAvailable", 0),
            wanted};
  }
  return {IntAt(spec, "replicas", 1), IntAt(status, "updatedReplicas", 0),
          IntAt(status, "availableReplicas", 0), IntAt(status, "replicas", 0)};
}

bool DeadlinePassed(const json& status) {
  for (const json& condition : ListAt(status, "conditions")) {
    if (TextAt(condition, "reason") == "ProgressDeadlineExceeded") return true;
  }
  return false;
}

std::string SettlingOf(const json& object, const Workload& workload) {
  const json status = ObjectAt(object, "status");
  const std::string name = workload.ToString();
  if (IntAt(status, "observedGeneration", 0) <
      IntAt(ObjectAt(object, "metadata"), "generation", 0)) {
    return name + ": the rollout has not begun";
  }
  const Counts counts = CountsOf(ObjectAt(object, "spec"), status, workload);
  const std::string of = " of " + std::to_string(counts.wanted) + " pods are ";
  const std::string late = DeadlinePassed(status) ? "; its progress deadline is exceeded" : "";
  if (counts.updated < counts.wanted) {
    return name + ": " + std::to_string(counts.updated) + of + "new" + late;
  }
  if (counts.all > counts.updated) {
    return name + ": " + std::to_string(counts.all - counts.updated) + " old pods are left" + late;
  }
  if (counts.available < counts.wanted) {
    return name + ": " + std::to_string(counts.available) + of + "available" + late;
  }
  return "";
}

Rollout RolloutOf(const kube::Document& document, const Workload& workload,
                  std::string_view secret) {
  const json& object = kube::Json(document);
  const json spec = ObjectAt(object, "spec");
  const json annotations =
      ObjectAt(ObjectAt(ObjectAt(spec, "template"), "metadata"), "annotations");
  return {document.uid(), TextAt(annotations, RestartAnnotation(secret)),
          SettlingOf(object, workload), ObstacleOf(spec, workload)};
}

}  // namespace

std::string RestartAnnotation(std::string_view secret) {
  std::string name(secret);
  if (name.size() > kMaxAnnotationName) {
    const std::string mark = "-" + Sha256Hex(secret).substr(0, 8);
    name = name.substr(0, kMaxAnnotationName - mark.size()) + mark;
  }
  return std::string(kAnnotationPrefix) + name;
}

Result<std::optional<Rollout>> ReadRollout(const Context& ctx, kube::Client& client,
                                           const Workload& workload, std::string_view secret) {
  auto found = client.Get(ctx, ResourceOf(workload), {workload.ns, workload.name});
  if (found.ok()) return std::optional<Rollout>(RolloutOf(*found, workload, secret));
  if (found.error().code == ErrorCode::kNotFound) return std::optional<Rollout>();
  return Explain(Annotate(std::move(found).error(), "get " + workload.ToString()), workload);
}

Result<void> Restart(const Context& ctx, kube::Client& client, const Workload& workload,
                     const std::string& uid, std::string_view secret, std::string_view version) {
  // By UID and not by version of the object: its status changes all the time during a rollout, and
  // a value that is there already changes nothing.
  const json patch = {
      {"metadata", {{"uid", uid}}},
      {"spec",
       {{"template",
         {{"metadata", {{"annotations", {{RestartAnnotation(secret), std::string(version)}}}}}}}}}};
  auto done = client.MergePatch(ctx, ResourceOf(workload), {workload.ns, workload.name}, "",
                                kube::Dump(patch));
  if (done.ok()) return {};
  return Explain(Annotate(std::move(done).error(), "restart " + workload.ToString()), workload);
}

Result<void> CheckRestart(const Context& ctx, kube::Client& client, const Workload& workload) {
  CF_ASSIGN_OR_RETURN(const auto rollout, ReadRollout(ctx, client, workload, ""));
  if (!rollout) return WorkloadNotFound(workload);
  if (!rollout->obstacle.empty()) return RestartRefused(workload, rollout->obstacle);
  // Asked as it will be asked, so that admission has its say too.
  const json nothing = {{"metadata", {{"uid", rollout->uid}}}};
  auto may = client.MergePatch(ctx, ResourceOf(workload), {workload.ns, workload.name}, "",
                               kube::Dump(nothing), true);
  if (may.ok()) return {};
  return Explain(Annotate(std::move(may).error(), "restart " + workload.ToString()), workload);
}

Error WorkloadNotFound(const Workload& workload) {
  return MakeError(
      ErrorCode::kNotFound, "WorkloadNotFound",
      workload.ToString() + " does not exist: create it, or take it off spec.kubernetes.restart");
}

Error RestartRefused(const Workload& workload, std::string_view obstacle) {
  return MakeError(ErrorCode::kRefused, "RestartRefused",
                   workload.ToString() + " cannot be restarted: " + std::string(obstacle) +
                       ", or take it off spec.kubernetes.restart");
}

}  // namespace certflow::providers::kubernetes
