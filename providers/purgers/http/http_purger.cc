#include "providers/purgers/http/http_purger.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace certflow::providers::http {
namespace {

using nlohmann::json;

struct PurgeSteps {
  Step everything, host, url;
};

// Reads one step; it may name `own` (empty: none), the request's id and what it captured.
Result<Step> ReadStep(const json& steps, const char* name, std::string_view own) {
  const auto found = steps.find(name);
  if (found == steps.end()) return Step();
  CF_ASSIGN_OR_RETURN(Step step, ParseStep(found->dump(), std::string("steps.") + name));
  for (const RequestSpec& spec : step) {
    for (const std::string& field : spec.names()) {
      if (field == "id" || field == own || field.starts_with("captured.")) continue;
      return MakeError(
          ErrorCode::kInvalid, "InvalidSettings",
          std::string("steps.") + name + ": there is no field {{ ." + field + " }} in this step");
    }
  }
  return step;
}

Error NotPossible(const char* step) {
  return MakeError(
      ErrorCode::kInvalid, "PurgeNotPossible",
      std::string("the channel cannot do this purge: spec.httpPurge.steps has no ") + step);
}

class HttpPurger : public seams::Purger {
 public:
  HttpPurger(PurgeSteps steps, Caller caller)
      : steps_(std::move(steps)), caller_(std::move(caller)) {}

  Result<void> Purge(const Context& ctx, const seams::PurgeRequest& request) override {
    const bool everything = request.hosts.empty() && request.urls.empty();
    if (everything && steps_.everything.empty()) return NotPossible("everything");
    if (!request.hosts.empty() && steps_.host.empty()) return NotPossible("host");
    if (!request.urls.empty() && steps_.url.empty()) return NotPossible("url");
    if (everything) return Run(ctx, steps_.everything, request.id, "", "");
    for (const std::string& host : request.hosts) {
      CF_RETURN_IF_ERROR(Run(ctx, steps_.host, request.id, "host", host));
    }
    for (const std::string& url : request.urls) {
      CF_RETURN_IF_ERROR(Run(ctx, steps_.url, request.id, "url", url));
    }
    return {};
  }

 private:
  Result<void> Run(const Context& ctx, const Step& step, const std::string& id, const char* name,
                   const std::string& value) {
    Values values;
    values.fields["id"] = id;
    if (*name != '\0') values.fields[name] = value;
    StepResult result;
    auto done = caller_.Run(ctx, step, Effect::kChange, values, result);
    if (!done.ok())
      return Annotate(std::move(done).error(),
                      "purge of " + (value.empty() ? "everything" : value));
    return {};
  }

  const PurgeSteps steps_;
  Caller caller_;
};

}  // namespace

Result<std::unique_ptr<seams::Purger>> MakeHttpPurger(std::string_view settings,
                                                      ServerSettings server, Login login,
                                                      net::HttpClient& client) {
  const json from = json::parse(settings, nullptr, /*allow_exceptions=*/false);
  const json steps = from.is_object() ? from.value("steps", json::object()) : json::object();
  PurgeSteps read;
  CF_ASSIGN_OR_RETURN(read.everything, ReadStep(steps, "everything", ""));
  CF_ASSIGN_OR_RETURN(read.host, ReadStep(steps, "host", "host"));
  CF_ASSIGN_OR_RETURN(read.url, ReadStep(steps, "url", "url"));
  if (read.everything.empty() && read.host.empty() && read.url.empty()) {
    return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                     "steps: needs at least one of everything, host and url");
  }
  return std::unique_ptr<seams::Purger>(
      new HttpPurger(std::move(read), Caller(client, std::move(server), std::move(login))));
}

}  // namespace certflow::providers::http
