#include "providers/targets/http/http_target.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "providers/targets/http/http_steps.h"

namespace certflow::providers::http {
namespace {

using seams::Binding;

constexpr const char* kActive = "active";
constexpr const char* kCapturedActive = "captured.active";
constexpr std::size_t kMaxPages = 20;
constexpr std::size_t kMaxObjects = 2000;

class HttpTarget : public seams::Target {
 public:
  HttpTarget(HttpSteps steps, ServerSettings server, Login login, net::HttpClient& client)
      : steps_(std::move(steps)),
        host_(HostOf(server.base_url)),
        caller_(client, std::move(server), std::move(login)) {}

  Result<seams::TargetState> Observe(const Context& ctx, const Binding& at) override;
  Result<void> Stage(const Context& ctx, const Binding& at, const seams::Bundle& bundle) override;
  Result<void> Activate(const Context& ctx, const Binding& at,
                        const seams::StagedRef& which) override;
  Result<void> Deactivate(const Context& ctx, const Binding& at,
                          const seams::WayBack& way_back) override;
  Result<void> Prune(const Context& ctx, const Binding& at, const seams::KeepList& keep) override;

  // The number of certificates that carry a name of ours.
  Result<std::size_t> Count(const Context& ctx) {
    Values values;
    CF_ASSIGN_OR_RETURN(const auto objects, List(ctx, values));
    return std::count_if(objects.begin(), objects.end(),
                         [](const Object& object) { return object.name.starts_with("certflow-"); });
  }

 private:
  struct Object {
    std::string name, id;
    bool complete = true;
  };
  struct Seen {
    seams::TargetState state;
    std::vector<Object> objects;
    std::string id;      // in use
    bool ours = false;   // by this workflow, at this place
    bool other = false;  // another workflow's
  };

  Result<std::vector<Object>> List(const Context& ctx, Values values);
  Result<Seen> Look(const Context& ctx, const Binding& at);
  Result<void> LookAtService(const Context& ctx, const Values& values, Seen& seen);
  Result<std::string> ReadFingerprint(const Values& values) const;
  Result<std::string> IdOf(const Binding& at, const Seen& seen,
                           const seams::StagedRef& which) const;
  Result<void> Change(const Context& ctx, const Step& step, Values& values);
  Result<void> SwitchTo(const Context& ctx, const Binding& at, const std::string& id,
                        const std::string& version);
  Result<void> Remove(const Context& ctx, const Binding& at, const Object& object,
                      const std::string& version);
  static Result<void> CheckOwner(const Seen& seen);

  HttpSteps steps_;
  std::string host_;
  Caller caller_;
  // Of this reconcile, for devices whose list is late: object name to identifier.
  std::map<std::string, std::string> staged_ids_;
};

Result<std::vector<HttpTarget::Object>> HttpTarget::List(const Context& ctx, Values values) {
  std::vector<Object> out;
  values.fields["page"] = "";
  for (std::size_t page = 0; page < kMaxPages; ++page) {
    StepResult result;
    CF_RETURN_IF_ERROR(caller_.Run(ctx, steps_.list.requests, Effect::kRead, values, result));
    if (!result.last) return out;
    for (const Answer& item : result.last->List(steps_.list.items)) {
      Object object;
      object.name = item.Text(steps_.list.name).value_or("");
      object.id = item.Text(steps_.list.id).value_or("");
      for (const auto& [pointer, wanted] : steps_.list.complete) {
        object.complete = object.complete && item.Text(pointer).value_or("") == wanted;
      }
      if (object.id.empty() || object.id.size() > kMaxCapturedBytes) continue;
      out.push_back(std::move(object));
    }
    if (out.size() > kMaxObjects) break;
    auto next = steps_.list.next_page ? result.last->Text(*steps_.list.next_page) : std::nullopt;
    if (!next || next->empty()) return out;
    if (next->size() > kMaxCapturedBytes) break;
    values.fields["page"] = std::move(*next);
  }
  return MakeError(
      ErrorCode::kRefused, "ListTooLong",
      "the list of certificates has no end in sight: let steps.list ask for those whose "
      "name begins with certflow-");
}

Result<std::string> HttpTarget::ReadFingerprint(const Values& values) const {
  const auto text = [&](const char* name) {
    const auto found = values.fields.find(std::string("captured.") + name);
    return found == values.fields.end() ? std::string() : found->second;
  };
  if (const std::string pem = text("pem"); !pem.empty()) {
    CF_ASSIGN_OR_RETURN(const auto chain, pki::ReadChain(pem));
    return chain.front().fingerprint;
  }
  if (const std::string der = text("der"); !der.empty()) {
    CF_ASSIGN_OR_RETURN(const SecretBytes bytes, Base64Decode(der));
    CF_ASSIGN_OR_RETURN(const auto certificate, pki::ReadDer(bytes.Reveal()));
    return certificate.fingerprint;
  }
  if (std::string fingerprint = pki::ReadFingerprint(text("fingerprint")); !fingerprint.empty()) {
    return fingerprint;
  }
  return MakeError(ErrorCode::kUnavailable, "FingerprintMissing",
                   "the device tells what is in use, and neither its certificate nor its SHA-256 "
                   "fingerprint: check what steps.observe captures as pem, der or fingerprint");
}

// What is configured may not be what is served yet, and the device may still be at it.
Result<void> HttpTarget::LookAtService(const Context& ctx, const Values& values, Seen& seen) {
  Values own = values;
  StepResult result;
  for (const RequestSpec& spec : steps_.settle) {
    const auto looked = caller_.Run(ctx, {spec}, Effect::kRead, own, result);
    if (looked.ok()) continue;
    if (looked.error().reason != "HttpAnswerUnexpected") return looked;
    seen.state.settling = host_ + " is still at work: " + looked.error().message;
  }
  if (steps_.read_back.empty()) return {};
  CF_RETURN_IF_ERROR(caller_.Run(ctx, steps_.read_back, Effect::kRead, own, result));
  const bool served = own.fields[kCapturedActive] == seen.id;
  // While it works on, it is only waited for.
  seen.state.running = served || !seen.state.settling.empty();
  return {};
}

Result<HttpTarget::Seen> HttpTarget::Look(const Context& ctx, const Binding& at) {
  const ObjectNames names(at);
  CF_ASSIGN_OR_RETURN(Values values, BindingValues(at));
  Seen seen;
  Values observed = values;
  StepResult result;
  CF_RETURN_IF_ERROR(caller_.Run(ctx, steps_.observe, Effect::kRead, observed, result));
  CF_ASSIGN_OR_RETURN(seen.objects, List(ctx, values));
  seen.id = observed.fields[kCapturedActive];
  for (const Object& object : seen.objects) {
    const std::string version = names.VersionIn(object.name);
    if (!version.empty() && object.complete) seen.state.staged.push_back(version);
    if (object.id != seen.id || seen.id.empty()) continue;
    seen.ours = !version.empty();
    seen.other = names.IsOthers(object.name);
    if (seen.ours) seen.state.active = version;
  }
  if (!seen.id.empty()) {
    CF_ASSIGN_OR_RETURN(seen.state.fingerprint, ReadFingerprint(observed));
    if (!seen.ours) {
      seen.state.active = seams::OriginalVersion(seen.state.fingerprint);
      seen.state.staged.push_back(seen.state.active);
    }
    seen.state.way_back[kActive] = seen.id;
  }
  CF_RETURN_IF_ERROR(LookAtService(ctx, values, seen));
  seams::Placement placement;
  placement.device = host_;
  for (const auto& [name, value] : values.fields) {
    placement.location += (placement.location.empty() ? "" : " ") +
                          name.substr(std::string_view("parameters.").size()) + "=" + value;
  }
  placement.location = Sanitize(placement.location, 300);
  seen.state.placements = {std::move(placement)};
  return seen;
}

Result<void> HttpTarget::CheckOwner(const Seen& seen) {
  if (!seen.other) return {};
  return MakeError(
      ErrorCode::kForbidden, "PlaceOwnedByOther",
      "another workflow deploys to this place: remove the target from one of them, and "
      "there the certificate from the device");
}

Result<seams::TargetState> HttpTarget::Observe(const Context& ctx, const Binding& at) {
  CF_ASSIGN_OR_RETURN(Seen seen, Look(ctx, at));
  return std::move(seen.state);
}

// Where one of several requests was accepted, what was changed but not made live is given up.
Result<void> HttpTarget::Change(const Context& ctx, const Step& step, Values& values) {
  StepResult result;
  Result<void> done = caller_.Run(ctx, step, Effect::kChange, values, result);
  if (done.ok() || !result.changed) return done;
  StepResult ignored;
  if (!steps_.discard.empty() &&
      caller_.Run(ctx, steps_.discard, Effect::kChange, values, ignored).ok()) {
    return done;
  }
  Error error = std::move(done).error();
  error.code = ErrorCode::kUnknownOutcome;
  return error;
}

Result<void> HttpTarget::Stage(const Context& ctx, const Binding& at, const seams::Bundle& bundle) {
  CF_RETURN_IF_ERROR(CheckVersion(bundle.version));
  CF_ASSIGN_OR_RETURN(Values values, BindingValues(at));
  CF_RETURN_IF_ERROR(AddBundle(bundle, values));
  const std::string name = ObjectNames(at).Of(bundle.version);
  CF_ASSIGN_OR_RETURN(const Seen seen, Look(ctx, at));
  CF_RETURN_IF_ERROR(CheckOwner(seen));
  for (const Object& object : seen.objects) {
    if (object.name != name) continue;
    if (object.complete) return {};
    // An upload that broke off is begun anew.
    CF_RETURN_IF_ERROR(Remove(ctx, at, object, bundle.version));
  }
  values.fields["name"] = name;
  values.fields["version"] = bundle.version;
  StepResult result;
  CF_RETURN_IF_ERROR(caller_.Run(ctx, steps_.stage, Effect::kChange, values, result));
  const std::string id = values.fields["captured.id"];
  if (!id.empty()) staged_ids_[name] = id;
  return {};
}

Result<std::string> HttpTarget::IdOf(const Binding& at, const Seen& seen,
                                     const seams::StagedRef& which) const {
  const std::string name = ObjectNames(at).Of(which.version);
  for (const Object& object : seen.objects) {
    if (object.name == name && object.complete) return object.id;
  }
  const auto staged = staged_ids_.find(name);
  if (staged != staged_ids_.end()) return staged->second;
  const auto back = which.way_back.find(kActive);
  if (which.reverting && back != which.way_back.end() && !back->second.empty()) return back->second;
  Error error = MakeError(ErrorCode::kNotFound, "VersionMissing",
                          host_ + " does not list " + Sanitize(which.version, 64));
  error.retry = Retry::kBackoff;  // lists can be late
  return error;
}

Result<void> HttpTarget::SwitchTo(const Context& ctx, const Binding& at, const std::string& id,
                                  const std::string& version) {
  CF_ASSIGN_OR_RETURN(Values values, BindingValues(at));
  values.fields["id"] = id;
  values.fields["version"] = version;
  values.fields["name"] = ObjectNames(at).Of(version);
  CF_RETURN_IF_ERROR(Change(ctx, steps_.activate, values));
  CF_ASSIGN_OR_RETURN(const Seen after, Look(ctx, at));
  if (after.id == id) return {};
  return MakeError(ErrorCode::kUnknownOutcome, "SwitchNotSeen",
                   host_ + " accepted the switch and does not show it");
}

Result<void> HttpTarget::Activate(const Context& ctx, const Binding& at,
                                  const seams::StagedRef& which) {
  const bool original = which.reverting && seams::IsOriginal(which.version);
  if (!original) CF_RETURN_IF_ERROR(CheckVersion(which.version));
  CF_ASSIGN_OR_RETURN(const Seen seen, Look(ctx, at));
  CF_RETURN_IF_ERROR(CheckOwner(seen));
  if (seen.state.active == which.version && seen.state.running) return {};
  CF_ASSIGN_OR_RETURN(const std::string id, IdOf(at, seen, which));
  return SwitchTo(ctx, at, id, which.version);
}

Result<void> HttpTarget::Deactivate(const Context& ctx, const Binding& at,
                                    const seams::WayBack& way_back) {
  CF_ASSIGN_OR_RETURN(const Seen seen, Look(ctx, at));
  CF_RETURN_IF_ERROR(CheckOwner(seen));
  if (!seen.ours && !(seen.id.empty() && !seen.state.running)) return {};
  const auto back = way_back.find(kActive);
  if (back != way_back.end() && !back->second.empty()) {
    return SwitchTo(ctx, at, back->second, "original");
  }
  if (steps_.deactivate.empty()) {
    return MakeError(ErrorCode::kRefused, "DeactivateUnknown",
                     "nothing stood there before, and spec.http.steps has no deactivate: take the "
                     "certificate out by hand, or add the step");
  }
  CF_ASSIGN_OR_RETURN(Values values, BindingValues(at));
  values.fields["id"] = seen.id;
  values.fields["name"] = ObjectNames(at).Of(seen.state.active);
  CF_RETURN_IF_ERROR(Change(ctx, steps_.deactivate, values));
  CF_ASSIGN_OR_RETURN(const Seen after, Look(ctx, at));
  if (after.id.empty()) return {};
  return MakeError(ErrorCode::kUnknownOutcome, "SwitchNotSeen",
                   host_ + " accepted that the certificate is taken out and still shows it");
}

Result<void> HttpTarget::Remove(const Context& ctx, const Binding& at, const Object& object,
                                const std::string& version) {
  if (steps_.remove.empty()) {
    return MakeError(ErrorCode::kRefused, "RemoveUnknown",
                     "an upload of " + object.name +
                         " broke off, and spec.http.steps has no remove: "
                         "remove it by hand, or add the step");
  }
  CF_ASSIGN_OR_RETURN(Values values, BindingValues(at));
  values.fields["id"] = object.id;
  values.fields["name"] = object.name;
  values.fields["version"] = version;
  StepResult result;
  return caller_.Run(ctx, steps_.remove, Effect::kChange, values, result);
}

Result<void> HttpTarget::Prune(const Context& ctx, const Binding& at, const seams::KeepList& keep) {
  if (steps_.remove.empty()) return {};
  CF_ASSIGN_OR_RETURN(const Seen seen, Look(ctx, at));
  // What is configured and what is served may differ while the device is at work.
  if (!seen.state.running || !seen.state.settling.empty()) return {};
  const ObjectNames names(at);
  Result<void> worst;
  for (const Object& object : seen.objects) {
    const std::string version = names.VersionIn(object.name);
    if (version.empty() || object.id == seen.id) continue;
    if (std::find(keep.versions.begin(), keep.versions.end(), version) != keep.versions.end()) {
      continue;
    }
    Result<void> removed = Remove(ctx, at, object, version);
    if (!removed.ok() && removed.error().code != ErrorCode::kNotFound) worst = std::move(removed);
  }
  return worst;
}

}  // namespace

Result<std::unique_ptr<seams::Target>> MakeHttpTarget(std::string_view settings,
                                                      ServerSettings server, Login login,
                                                      net::HttpClient& client) {
  CF_ASSIGN_OR_RETURN(HttpSteps steps, ParseSteps(settings));
  return std::unique_ptr<seams::Target>(
      new HttpTarget(std::move(steps), std::move(server), std::move(login), client));
}

Result<std::string> CheckHttpTarget(const Context& ctx, std::string_view settings,
                                    ServerSettings server, Login login, net::HttpClient& client) {
  CF_ASSIGN_OR_RETURN(HttpSteps steps, ParseSteps(settings));
  for (const RequestSpec& spec : steps.list.requests) {
    for (const std::string& name : spec.names()) {
      if (name.starts_with("parameters.")) {
        return std::string(
            "settings and credentials are there; not asked, because steps.list needs "
            "the parameters of a workflow");
      }
    }
  }
  HttpTarget target(std::move(steps), std::move(server), std::move(login), client);
  CF_ASSIGN_OR_RETURN(const std::size_t count, target.Count(ctx));
  return "answers; certificates of certflow there: " + std::to_string(count);
}

}  // namespace certflow::providers::http
