#include "controller/steps/checks_step.h"

#include <algorithm>

#include "controller/net/address.h"
#include "controller/pki/certificate.h"

namespace certflow::steps {

namespace {

struct Book {
  std::string phase;
  std::vector<api::CheckRecord>& records;
  std::optional<Error> failed;

  void Passed(std::string_view name, std::string_view value) { Add(name, value, "Passed", ""); }
  void Warning(std::string_view name, std::string_view value, std::string_view message) {
    Add(name, value, "Warning", message);
  }
  void Failed(std::string_view name, std::string_view value, const Error& error) {
    Add(name, value, "Failed", error.message);
    if (!failed) failed = Annotate(error, "check " + std::string(name));
  }
  void Add(std::string_view name, std::string_view value, std::string_view verdict,
           std::string_view message) {
    records.push_back({std::string(name), "", std::string(value), std::string(verdict),
                       std::string(message), phase});
  }
};

std::string PhaseOf(const api::LedgerEntry& entry) {
  if (entry.id == "checks/renewal") return "Renewal";
  if (entry.id == "checks/deployment") return "Deployment";
  return "Start";
}

void CheckOwner(const api::WorkflowSpec& spec, Book& book) {
  if (spec.owner_contact.empty() || spec.owner_escalation.empty()) {
    book.Warning("Owner", spec.owner_team,
                 "spec.owner.contact or spec.owner.escalation is not set: nobody is named for "
                 "when this goes wrong");
  } else {
    book.Passed("Owner", spec.owner_contact);
  }
}

void CheckEnvironment(const api::WorkflowSpec& spec, Book& book) {
  if (spec.environment.empty()) {
    book.Warning("Environment", "", "spec.environment is not set");
  } else {
    book.Passed("Environment", spec.environment);
  }
}

void CheckAuthority(const StepScope& scope, Book& book) {
  const api::Reference& authority = scope.plan.authority;
  std::string value = authority.ns + "/" + authority.name;
  auto found = scope.directory.Authority(authority, scope.run.meta.ns);
  if (!found.ok()) return book.Failed("Authority", value, found.error());
  auto ready = scope.directory.AuthorityReady(authority);
  if (!ready.ok()) return book.Failed("Authority", value, ready.error());
  book.Passed("Authority", value);
}

void CheckTargets(const StepScope& scope, Book& book) {
  for (const api::PlannedTarget& target : scope.plan.targets) {
    auto resolved = ResolveTarget(scope, target);
    if (resolved.ok()) {
      book.Passed("Target", target.id);
    } else {
      book.Failed("Target", target.id, resolved.error());
    }
  }
}

// Nobody hears of the run where a channel cannot be used; that is no reason to let a certificate
// end.
void CheckChannels(const StepScope& scope, Book& book) {
  for (const api::NotificationRule& rule : scope.plan.spec.notifications) {
    std::string value = rule.channel.ns + "/" + rule.channel.name;
    auto channel = scope.directory.Channel(rule.channel, scope.run.meta.ns);
    if (channel.ok()) {
      book.Passed("Channel", value);
    } else {
      book.Warning("Channel", value, channel.error().message);
    }
  }
}

// A cache that cannot be reached holds nothing up before the end; who declares it hears of it now.
void CheckPurges(const StepScope& scope, Book& book) {
  for (const api::PurgeUse& purge : scope.plan.spec.purges) {
    std::string value = purge.channel.ns + "/" + purge.channel.name;
    auto channel = scope.directory.Channel(purge.channel, scope.run.meta.ns);
    if (channel.ok()) {
      book.Passed("Purge", value);
    } else {
      book.Warning("Purge", value, channel.error().message);
    }
  }
}

// Each endpoint must be one that the certificate can prove itself to.
void CheckEndpoints(const api::WorkflowSpec& spec, Book& book) {
  std::vector<std::string> endpoints = spec.endpoints;
  for (const api::Wave& wave : spec.waves) {
    endpoints.insert(endpoints.end(), wave.endpoints.begin(), wave.endpoints.end());
  }
  if (endpoints.empty()) {
    return book.Warning("Endpoints", "",
                        "spec.validation.endpoints is empty: the certificate is not proved from "
                        "outside");
  }
  for (const std::string& endpoint : endpoints) {
    auto where = net::ParseHostPort(endpoint);
    if (!where.ok()) {
      book.Failed("Endpoint", endpoint, where.error());
      continue;
    }
    bool by_name = spec.server_name.empty() && !net::IsIpAddress(where->host);
    if (by_name && !pki::NameCovers(spec.dns_names, where->host)) {
      book.Failed("Endpoint", endpoint,
                  MakeError(ErrorCode::kInvalid, "EndpointNotCovered",
                            where->host + " is not among certificate.dnsNames; add it, or set "
                                          "validation.serverName"));
    } else {
      book.Passed("Endpoint", endpoint);
    }
  }
}

void CheckPrevious(const StepScope& scope, WallTime now, Book& book) {
  const auto& previous = scope.run.status.previous;
  if (!previous) return book.Passed("PreviousCertificate", "none");
  if (previous->not_after <= now) {
    return book.Warning("PreviousCertificate", FormatTime(previous->not_after),
                        "it has expired: there is nothing good to roll back to");
  }
  book.Passed("PreviousCertificate", FormatTime(previous->not_after));
}

}  // namespace

Result<workflow::Observation> ChecksStep::Observe(const Context& ctx, const StepScope& scope) {
  Book book{PhaseOf(scope.entry), scope.findings.checks, std::nullopt};
  if (!scope.plan.rollback) CheckAuthority(scope, book);
  CheckTargets(scope, book);
  if (book.phase == "Start") {
    CheckEnvironment(scope.plan.spec, book);
    CheckOwner(scope.plan.spec, book);
    CheckEndpoints(scope.plan.spec, book);
    CheckChannels(scope, book);
    CheckPurges(scope, book);
    if (!scope.plan.rollback) CheckPrevious(scope, ctx.clock.Now(), book);
  }
  if (book.failed) return *book.failed;
  auto warnings = std::count_if(book.records.begin(), book.records.end(),
                                [](const auto& record) { return record.verdict == "Warning"; });
  std::string message =
      std::to_string(book.records.size()) + " checks, " + std::to_string(warnings) + " warnings";
  return workflow::Observation(workflow::Done{"ChecksPassed", message, {}});
}

Result<ActResult> ChecksStep::Act(const Context&, const StepScope&, const workflow::Needed&) {
  return MakeError(ErrorCode::kInternal, "NothingToDo", "checks have no action");
}

}  // namespace certflow::steps
