#include <algorithm>

#include "controller/api/fields.h"
#include "controller/api/run.h"
#include "controller/base/base64.h"

namespace certflow::api {

namespace {

// What belongs to the standing policy and not to one execution.
constexpr const char* kNotBinding[] = {"suspend", "historyLimit"};

Json ParseObject(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_object() ? json : Json::object();
}

// Another spelling of the same certificate is no reason for a new one.
void Normalize(Json& certificate) {
  if (auto names = certificate.find("dnsNames"); names != certificate.end() && names->is_array()) {
    std::sort(names->begin(), names->end());
  }
  auto key = certificate.find("privateKey");
  if (key == certificate.end() || !key->is_object()) return;
  bool rsa = key->value("algorithm", Json("ECDSA")) == "RSA";
  if (key->value("size", Json()) == Json(rsa ? 2048 : 256)) key->erase("size");
}

Json WithoutStanding(Json spec) {
  if (!spec.is_object()) return Json::object();
  for (const char* key : kNotBinding) spec.erase(key);
  return spec;
}

}  // namespace

std::string BindingSpec(std::string_view spec_json) {
  return Text(WithoutStanding(ParseObject(spec_json)));
}

std::string BindingSpecOfPlan(std::string_view plan_json) {
  Json plan = ParseObject(plan_json);
  auto spec = plan.find("spec");
  return spec == plan.end() ? std::string() : Text(WithoutStanding(*spec));
}

std::vector<PlannedTarget> PlanTargets(const WorkflowSpec& spec, std::string_view ns) {
  std::vector<PlannedTarget> out;
  Json own = {{"secretName", spec.secret_name}};
  out.push_back({"0/0-secret", 0, {"", std::string(ns)}, "kubernetes", Text(own)});
  for (std::size_t wave = 0; wave < spec.waves.size(); ++wave) {
    std::size_t index = wave == 0 ? 1 : 0;
    for (const TargetUse& use : spec.waves[wave].targets) {
      PlannedTarget target;
      target.wave = static_cast<int>(wave);
      target.id = std::to_string(wave) + "/" + std::to_string(index++) + "-" + use.target.name;
      target.target = use.target;
      target.type = use.type;
      target.settings = use.settings;
      if (use.type == "kubernetes") {
        Json settings = ParseObject(use.settings);
        if (!settings.contains("secretName")) settings["secretName"] = spec.secret_name;
        target.settings = Text(settings);
      }
      out.push_back(std::move(target));
    }
  }
  return out;
}

std::string CanonicalPlan(std::string_view spec_json, const Reference& authority,
                          std::string_view authority_type, std::string_view authority_reason,
                          const std::vector<PlannedTarget>& targets) {
  Json list = Json::array();
  for (const PlannedTarget& target : targets) {
    Json item = {{"id", target.id},
                 {"wave", target.wave},
                 {"type", target.type},
                 {"namespace", target.target.ns}};
    Put(item, "name", target.target.name);
    list.push_back(std::move(item));
  }
  Json plan = {{"spec", WithoutStanding(ParseObject(spec_json))},
               {"authority",
                {{"name", authority.name},
                 {"namespace", authority.ns},
                 {"type", authority_type},
                 {"reason", authority_reason}}},
               {"targets", std::move(list)}};
  return Text(plan);
}

std::string DigestOf(std::string_view canonical_json) {
  return "sha256:" + Sha256Hex(canonical_json);
}

std::string PlanDigest(std::string_view plan_json) {
  Json plan = ParseObject(plan_json);
  if (plan.contains("spec")) plan["spec"] = WithoutStanding(std::move(plan["spec"]));
  return DigestOf(Text(plan));
}

std::string WantedDigest(std::string_view spec_json) {
  Json spec = ParseObject(spec_json);
  Json wanted = Json::object();
  for (const char* key : {"certificate", "authorities"}) {
    if (spec.contains(key)) wanted[key] = spec[key];
  }
  if (wanted.contains("certificate")) Normalize(wanted["certificate"]);
  return DigestOf(Text(wanted));
}

std::string WantedDigestOf(const Run& run) {
  if (run.plan_json.empty()) return run.wanted_digest;
  return WantedDigest(BindingSpecOfPlan(run.plan_json));
}

Result<Plan> DecodePlan(std::string_view json, std::string_view ns) {
  Json parsed = Json::parse(json, nullptr, false);
  std::optional<Error> fault;
  Fields fields(&parsed, "spec.plan", &fault);
  Plan plan;
  CF_ASSIGN_OR_RETURN(plan.spec, DecodeWorkflowSpec(fields.Text("spec"), ns));
  Fields authority = fields.Object("authority");
  plan.authority = ReadReference(authority, ns);
  plan.authority_type = authority.String("type");
  plan.authority_reason = authority.String("reason");
  // The frozen spec says the rest of each target; the list in the plan is for people.
  plan.targets = PlanTargets(plan.spec, ns);
  if (fault.has_value()) return *fault;
  return plan;
}

std::string EncodeNewRun(const NewRun& run) {
  Json trigger = {{"reason", TriggerReasonName(run.trigger.reason)},
                  {"urgency", run.trigger.urgency == Urgency::kEmergency ? "Emergency" : "Normal"}};
  Put(trigger, "requestedBy", run.trigger.requested_by);
  Put(trigger, "payload", run.trigger.payload);
  Json metadata = {{"name", run.name},
                   {"namespace", run.ns},
                   {"labels", {{"certflow.dev/workflow-uid", run.workflow_uid}}},
                   {"ownerReferences",
                    {{{"apiVersion", kApiVersion},
                      {"kind", "CertificateWorkflow"},
                      {"name", run.workflow_name},
                      {"uid", run.workflow_uid},
                      {"controller", true}}}}};
  if (run.finalizer) metadata["finalizers"] = {kRunFinalizer};
  return Text(Json{{"apiVersion", kApiVersion},
                   {"kind", "WorkflowRun"},
                   {"metadata", std::move(metadata)},
                   {"spec",
                    {{"workflowRef", {{"name", run.workflow_name}, {"uid", run.workflow_uid}}},
                     {"number", run.number},
                     {"trigger", std::move(trigger)},
                     {"plan", ParseObject(run.plan_json)},
                     {"planDigest", run.plan_digest},
                     {"runbookVersion", kRunbookVersion}}}});
}

}  // namespace certflow::api
