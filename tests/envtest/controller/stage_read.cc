// What stands in the cluster, and waiting for it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/api/meta.h"
#include "controller/base/base64.h"
#include "controller/base/clock.h"
#include "controller/kube/document_json.h"
#include "tests/envtest/controller/await.h"
#include "tests/envtest/controller/stage.h"

namespace certflow::envtest {
namespace {

Context Now(int seconds = 20) {
  static const std::unique_ptr<Clock> clock = MakeSystemClock();
  return {*clock, clock->Steady() + std::chrono::seconds(seconds), {}, {}};
}

const kube::Resource& ResourceOf(std::string_view plural) {
  static const kube::Resource secrets{"", "v1", "secrets", "Secret", true};
  static const kube::Resource events{"events.k8s.io", "v1", "events", "Event", true};
  static const kube::Resource ingresses{"networking.k8s.io", "v1", "ingresses", "Ingress", true};
  static const kube::Resource leases{"coordination.k8s.io", "v1", "leases", "Lease", true};
  static const kube::Resource namespaces{"", "v1", "namespaces", "Namespace", false};
  if (plural == "runs") return api::RunResource();
  if (plural == "workflows") return api::WorkflowResource();
  if (plural == "authorities") return api::AuthorityResource();
  if (plural == "targets") return api::TargetResource();
  if (plural == "channels") return api::ChannelResource();
  if (plural == "events") return events;
  if (plural == "ingresses") return ingresses;
  if (plural == "leases") return leases;
  if (plural == "namespaces") return namespaces;
  EXPECT_EQ(plural, "secrets");
  return secrets;
}

// A fresh object has no status yet; readers need not mind.
Json WithStatus(Json object) {
  if (!object.contains("status")) object["status"] = Json::object();
  return object;
}

std::string Status(const Json& run) {
  return run.is_null() ? "there is no run" : run.value("status", Json::object()).dump(1);
}

}  // namespace

Json Stage::Get(std::string_view plural, const std::string& ns, const std::string& name) {
  auto got = plane_->ClientFor(kAdmin).Get(Now(), ResourceOf(plural), {ns, name});
  return got.ok() ? WithStatus(kube::Json(*got)) : Json();
}

std::vector<Json> Stage::List(std::string_view plural, const std::string& ns) {
  std::vector<Json> out;
  kube::ListOptions options;
  options.ns = ns;
  std::string more;
  do {
    auto page = plane_->ClientFor(kAdmin).List(Now(), ResourceOf(plural), options, 500, more, "");
    if (!page.ok()) {
      ADD_FAILURE() << page.error().message;
      return out;
    }
    for (const auto& item : page->items) out.push_back(WithStatus(kube::Json(item)));
    more = page->continue_token;
  } while (!more.empty());
  return out;
}

std::string Stage::Events(const std::string& ns) {
  std::string out;
  for (const Json& event : List("events", ns)) {
    out += event.value("reason", "") + ": " + event.value("note", "") + "\n";
  }
  return out;
}

std::string Stage::SecretValue(const std::string& ns, const std::string& name,
                               const std::string& key) {
  Json secret = Get("secrets", ns, name);
  if (secret.is_null()) return "";
  auto value = Base64Decode(secret.value("data", Json::object()).value(key, ""));
  return value.ok() ? std::string(value->Reveal()) : "";
}

bool Stage::Patch(std::string_view plural, const std::string& ns, const std::string& name,
                  const std::string& patch) {
  auto patched =
      plane_->ClientFor(kAdmin).MergePatch(Now(), ResourceOf(plural), {ns, name}, "", patch);
  EXPECT_TRUE(patched.ok()) << patched.error().message;
  return patched.ok();
}

void Stage::Delete(std::string_view plural, const std::string& ns, const std::string& name) {
  Json object = Get(plural, ns, name);
  ASSERT_FALSE(object.is_null()) << plural << " " << name;
  auto deleted = plane_->ClientFor(kAdmin).Delete(Now(), ResourceOf(plural), {ns, name},
                                                  {object["metadata"]["uid"].get<std::string>()});
  EXPECT_TRUE(deleted.ok()) << deleted.error().message;
}

Json Stage::NewestRun(const std::string& ns, const std::string& workflow) {
  Json newest;
  for (Json& run : List("runs", ns)) {
    if (run["spec"]["workflowRef"]["name"] != workflow) continue;
    if (newest.is_null() || run["spec"]["number"] > newest["spec"]["number"]) {
      newest = std::move(run);
    }
  }
  // One that nobody has taken up yet says nothing.
  if (!newest.is_null() && newest["status"].is_null()) newest["status"] = Json::object();
  return newest;
}

Json Stage::AwaitRun(const std::string& ns, const std::string& workflow, const std::string& what,
                     const std::function<bool(Json&)>& holds, int seconds, int number) {
  Json run;
  bool came = Await(
      [&] {
        run = NewestRun(ns, workflow);
        return !run.is_null() && run["spec"]["number"] >= number && holds(run);
      },
      seconds);
  EXPECT_TRUE(came) << "the run of " << ns << "/" << workflow << " is not " << what << ": "
                    << Status(run)
                    << Get("workflows", ns, workflow).value("status", Json()).dump(1);
  return run.is_null() ? Json{{"status", Json::object()}, {"metadata", {{"name", ""}}}} : run;
}

Json Stage::AwaitState(const std::string& ns, const std::string& workflow, const std::string& state,
                       int seconds, int number) {
  return AwaitRun(
      ns, workflow, state, [&](const Json& run) { return StateOf(run) == state; }, seconds, number);
}

Json Stage::AwaitGate(const std::string& ns, const std::string& workflow, const std::string& gate,
                      int seconds, int number) {
  return AwaitRun(
      ns, workflow, "at the gate " + gate,
      [&](const Json& run) {
        return run.value("status", Json::object())
            .value("waitingFor", "")
            .starts_with("approval " + gate);
      },
      seconds, number);
}

std::string StateOf(const Json& run) {
  return run.is_null() ? "" : run.value("status", Json::object()).value("state", "");
}

std::string NameOf(const Json& object) { return object["metadata"]["name"].get<std::string>(); }

std::string Condition(const Json& object, std::string_view type) {
  if (object.is_null()) return "";
  for (const Json& one :
       object.value("status", Json::object()).value("conditions", Json::array())) {
    if (one["type"] != type) continue;
    return one.value("status", "") + " " + one.value("reason", "") + " " + one.value("message", "");
  }
  return "";
}

}  // namespace certflow::envtest
