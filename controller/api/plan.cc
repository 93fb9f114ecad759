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

std::string BindingSpecOfPlan(std::string_view plan_json) {
  Json plan = ParseObject(plan_json);
  auto spec = plan.find("spec");
  return spec == plan.end() ? std::string() : Text(WithoutStanding(*spec));
}

SpecStanding SpecStandingOf(std::string_view spec_json, std::string_view plan_json) {
  Json spec = ParseObject(spec_json);
  const Json plan = ParseObject(plan_json);
  const bool suspended = spec.value("suspend", Json()) == Json(true);
  auto planned = plan.find("spec");
  const bool same =
      planned != plan.end() && WithoutStanding(std::move(spec)) == WithoutStanding(*planned);
  return {suspended, !same};
}

namespace {

PlannedTarget OwnSecret(const WorkflowSpec& spec, std::string_view ns) {
  PlannedTarget own;
  own.id = "0/0-secret";
  own.target.ns = ns;
  own.type = "kubernetes";
  own.settings = Text(Json{{"secretName", spec.secret_name}});
  own.retry = spec.retry;
  return own;
}

// What a planned target takes from the use in the spec that it was made of.
void TakeFromUse(const WorkflowSpec& spec, const TargetUse& use, PlannedTarget& target) {
  target.type = use.type;
  target.retry = use.retry;
  target.settings = use.settings;
  if (use.type != "kubernetes") return;
  Json settings = ParseObject(use.settings);
  if (!settings.contains("secretName")) settings["secretName"] = spec.secret_name;
  target.settings = Text(settings);
}

// A namespace without a match is an error, so that no copy is left out unseen.
Result<std::vector<Reference>> TargetsOf(const TargetUse& use, std::string_view own_ns,
                                         const SelectTargets& select) {
  if (use.selector.empty()) return std::vector<Reference>{use.target};
  std::vector<std::string> namespaces = use.namespaces;
  if (namespaces.empty()) namespaces.emplace_back(own_ns);
  std::vector<Reference> all;
  for (const std::string& ns : namespaces) {
    auto found = select ? select(use.selector, use.type, ns) : std::vector<Reference>();
    if (found.empty()) {
      Error error =
          MakeError(ErrorCode::kNotFound, "NoTargetMatches",
                    "no DeploymentTarget of type " + use.type + " in namespace " + ns +
                        " has the labels of the targetSelector; label one, or correct it");
      error.retry = Retry::kBackoff;
      return error;
    }
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

}  // namespace

Result<std::vector<PlannedTarget>> PlanTargets(const WorkflowSpec& spec, std::string_view ns,
                                               const SelectTargets& select) {
  std::vector<PlannedTarget> out = {OwnSecret(spec, ns)};
  for (std::size_t wave = 0; wave < spec.waves.size(); ++wave) {
    std::size_t index = wave == 0 ? 1 : 0;
    const std::vector<TargetUse>& uses = spec.waves[wave].targets;
    for (std::size_t use = 0; use < uses.size(); ++use) {
      CF_ASSIGN_OR_RETURN(const auto references, TargetsOf(uses[use], ns, select));
      for (const Reference& reference : references) {
        PlannedTarget target;
        target.wave = static_cast<int>(wave);
        target.use = static_cast<int>(use);
        target.id = std::to_string(wave) + "/" + std::to_string(index++) + "-" + reference.name;
        target.target = reference;
        TakeFromUse(spec, uses[use], target);
        out.push_back(std::move(target));
      }
    }
  }
  if (out.size() <= kMaxTargets) return out;
  return MakeError(ErrorCode::kInvalid, "TooManyTargets",
                   "the plan would have " + std::to_string(out.size()) +
                       " targets; at most 200: make several workflows");
}

namespace {

Json WriteTargets(const std::vector<PlannedTarget>& targets) {
  Json list = Json::array();
  for (const PlannedTarget& target : targets) {
    Json item = {{"id", target.id},
                 {"wave", target.wave},
                 {"type", target.type},
                 {"namespace", target.target.ns}};
    if (target.use >= 0) item["use"] = target.use;
    Put(item, "name", target.target.name);
    list.push_back(std::move(item));
  }
  return list;
}

Json WriteRollback(const RollbackPlan& rollback) {
  Json items = Json::array();
  for (const RollbackPlan::Item& item : rollback.items) {
    Json one = {{"target", item.target}};
    if (!item.memo.empty()) one["memo"] = item.memo;
    items.push_back(std::move(one));
  }
  Json out = {{"run", rollback.run}, {"items", std::move(items)}};
  if (rollback.force) out["force"] = true;
  if (rollback.certificate) out["certificate"] = WriteCertificate(*rollback.certificate);
  return out;
}

RollbackPlan ReadRollback(const Fields& fields) {
  RollbackPlan rollback;
  rollback.run = fields.String("run");
  rollback.force = fields.Bool("force", false);
  if (fields.has("certificate")) {
    rollback.certificate = ReadCertificate(fields.Object("certificate"));
  }
  fields.Each("items", [&](const Fields& item) {
    rollback.items.push_back({item.String("target"), item.StringMap("memo")});
  });
  return rollback;
}

// The spec says the rest of each target: it is written once.
std::vector<PlannedTarget> ReadTargets(const Fields& plan, const WorkflowSpec& spec,
                                       std::string_view ns) {
  std::vector<PlannedTarget> out;
  plan.Each("targets", [&](const Fields& item) {
    auto use = item.Int("use", -1);
    auto wave = item.Int("wave", 0);
    if (use < 0) return out.push_back(OwnSecret(spec, ns));
    bool known = wave >= 0 && wave < static_cast<std::int64_t>(spec.waves.size()) &&
                 use < static_cast<std::int64_t>(spec.waves[wave].targets.size());
    if (!known) return item.Fail("use", "the place of a target in spec.deployment.waves");
    PlannedTarget target;
    target.id = item.String("id");
    target.wave = static_cast<int>(wave);
    target.use = static_cast<int>(use);
    target.target = ReadReference(item, ns);
    TakeFromUse(spec, spec.waves[wave].targets[use], target);
    out.push_back(std::move(target));
  });
  return out;
}

}  // namespace

std::string CanonicalPlan(const PlanParts& parts) {
  Json plan = {{"spec", WithoutStanding(ParseObject(parts.spec_json))},
               {"authority",
                {{"name", parts.authority.name},
                 {"namespace", parts.authority.ns},
                 {"type", parts.authority_type},
                 {"reason", parts.authority_reason}}},
               {"targets", WriteTargets(parts.targets)}};
  return Text(plan);
}

std::string CanonicalRollbackPlan(std::string_view plan_json, const RollbackPlan& rollback) {
  Json plan = ParseObject(plan_json);
  plan["rollback"] = WriteRollback(rollback);
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
  plan.targets = ReadTargets(fields, plan.spec, ns);
  if (fields.has("rollback")) plan.rollback = ReadRollback(fields.Object("rollback"));
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
