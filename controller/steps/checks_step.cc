#include "controller/steps/checks_step.h"

#include <algorithm>

#include "controller/net/address.h"
#include "controller/pki/certificate.h"
#include "controller/steps/target_access.h"

namespace certflow::steps {

void CheckBook::Passed(std::string_view name, std::string_view value) {
  Add(name, value, "Passed", "");
}

void CheckBook::Warning(std::string_view name, std::string_view value, std::string_view message) {
  Add(name, value, "Warning", message);
}

void CheckBook::Failed(std::string_view name, std::string_view value, const Error& error) {
  Add(name, value, "Failed", error.message);
  if (!failed_) failed_ = Annotate(error, "check " + std::string(name));
}

void CheckBook::Add(std::string_view name, std::string_view value, std::string_view verdict,
                    std::string_view message) {
  records_.push_back({std::string(name), "", std::string(value), std::string(verdict),
                      std::string(message), phase_});
}

namespace {

constexpr const char* kPhaseStart = "Start";
constexpr const char* kPhaseDeployment = "Deployment";
constexpr const char* kMemoLookedAt = "lookedAt";  // so many targets
constexpr Duration kLookLimit{20'000};

std::string PhaseOf(const api::LedgerEntry& entry) {
  if (entry.id == "checks/renewal") return "Renewal";
  if (entry.id == "checks/deployment") return kPhaseDeployment;
  return kPhaseStart;
}

void CheckOwner(const api::WorkflowSpec& spec, CheckBook& book) {
  if (spec.owner_contact.empty() || spec.owner_escalation.empty()) {
    book.Warning("Owner", spec.owner_team,
                 "spec.owner.contact or spec.owner.escalation is not set: nobody is named for "
                 "when this goes wrong");
  } else {
    book.Passed("Owner", spec.owner_contact);
  }
}

void CheckEnvironment(const api::WorkflowSpec& spec, CheckBook& book) {
  if (spec.environment.empty()) {
    book.Warning("Environment", "", "spec.environment is not set");
  } else {
    book.Passed("Environment", spec.environment);
  }
}

// Once the certificate is there, it is of no matter whether the authority could make another one.
void CheckAuthority(const StepScope& scope, CheckBook& book) {
  const api::Reference& authority = scope.plan.authority;
  std::string value = authority.ns + "/" + authority.name;
  auto found = scope.directory.Authority(authority, scope.run.meta.ns);
  if (!found.ok()) return book.Failed("Authority", value, found.error());
  auto ready =
      book.phase() == kPhaseDeployment ? Result<void>() : scope.directory.AuthorityReady(authority);
  if (!ready.ok()) return book.Failed("Authority", value, ready.error());
  book.Passed("Authority", value);
}

std::size_t LookedAt(const workflow::StepMemo& memo) {
  auto it = memo.find(kMemoLookedAt);
  return it == memo.end() ? 0 : static_cast<std::size_t>(std::atoi(it->second.c_str()));
}

// Nobody hears of the run where a channel cannot be used; that is no reason to let a certificate
// end.
void CheckChannels(const StepScope& scope, CheckBook& book) {
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
void CheckPurges(const StepScope& scope, CheckBook& book) {
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
void CheckEndpoints(const api::WorkflowSpec& spec, CheckBook& book) {
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

void CheckPrevious(const StepScope& scope, WallTime now, CheckBook& book) {
  const auto& previous = scope.run.status.previous;
  if (!previous) return book.Passed("PreviousCertificate", "none");
  if (previous->not_after <= now) {
    return book.Warning("PreviousCertificate", FormatTime(previous->not_after),
                        "it has expired: there is nothing good to roll back to");
  }
  book.Passed("PreviousCertificate", FormatTime(previous->not_after));
}

}  // namespace

bool ChecksStep::MayHang(const StepScope& scope) const {
  if (PhaseOf(scope.entry) == kPhaseDeployment) return false;
  return std::any_of(scope.plan.targets.begin(), scope.plan.targets.end(),
                     [&](const api::PlannedTarget& target) {
                       auto resolved = ResolveTarget(scope, target);
                       if (!resolved.ok()) return false;
                       const seams::Party party = parts_.connector.PartyOf(resolved->provider);
                       return party.may_hang && !party.name.empty();
                     });
}

// What would stop the deployment is said before a certificate is asked for. What may be over by
// then (a host that does not answer, a configuration that somebody broke) is a warning.
Result<std::optional<Duration>> ChecksStep::LookAt(const Context& ctx, const StepScope& scope,
                                                   const api::PlannedTarget& planned,
                                                   const seams::TargetRef& target,
                                                   CheckBook& book) {
  const std::optional<Duration> looked;
  std::string warning;
  if (!planned.target.name.empty()) {
    auto ready = scope.directory.TargetReady(planned.target);
    if (!ready.ok() && ready.error().retry == Retry::kNever) {
      Error error = ready.error();
      error.retry = Retry::kBackoff;  // whoever has to mend it may do so while the checks go on
      return book.Failed("Target", planned.id, error), looked;
    }
    if (!ready.ok()) return book.Warning("Target", planned.id, ready.error().message), looked;
    warning = *ready;
  }
  seams::Party party = parts_.connector.PartyOf(target.provider);
  runtime::GateKeeper::Denied denied;
  auto pass = parts_.gates.Enter(party.name, runtime::GateKeeper::Access::kRead, &denied,
                                 {party.actions, party.reads});
  if (!pass && denied.why == runtime::GateKeeper::Refusal::kFull) return {denied.again_after};
  if (!pass) {
    return book.Warning("Target", planned.id, party.name + " is left alone for now"), looked;
  }
  const auto see = [&]() -> Result<seams::TargetState> {
    CF_ASSIGN_OR_RETURN(auto connected, ConnectOnce(ctx, scope, parts_.connector, target));
    return connected->Observe(ctx.WithTimeout(kLookLimit), target.binding);
  };
  auto state = see();
  pass->Leave(state.ok() || !IsPartyTrouble(state.error()));
  if (!state.ok()) {
    if (IsApiServerTrouble(state.error()) || ctx.stopped()) return state.error();
    bool for_good = state.error().retry == Retry::kNever;
    for_good ? book.Failed("Target", planned.id, state.error())
             : book.Warning("Target", planned.id, state.error().message);
  } else if (state->refusal) {
    book.Failed("Target", planned.id, *state->refusal);
  } else {
    for (const std::string& note : state->notes) warning += (warning.empty() ? "" : "; ") + note;
    warning.empty() ? book.Passed("Target", planned.id)
                    : book.Warning("Target", planned.id, Sanitize(warning));
  }
  return looked;
}

Result<std::optional<workflow::InProgress>> ChecksStep::CheckTargets(const Context& ctx,
                                                                     const StepScope& scope,
                                                                     CheckBook& book) {
  const std::size_t looked_at = LookedAt(scope.entry.memo);
  for (std::size_t i = 0; i < scope.plan.targets.size(); ++i) {
    const api::PlannedTarget& planned = scope.plan.targets[i];
    auto resolved = ResolveTarget(scope, planned);
    if (!resolved.ok()) {
      book.Failed("Target", planned.id, resolved.error());
    } else if (book.phase() == kPhaseDeployment || i < looked_at) {
      book.Passed("Target", planned.id);
    } else {
      CF_ASSIGN_OR_RETURN(auto full, LookAt(ctx, scope, planned, *resolved, book));
      // Those before it are not looked at again, so that it gets on beside many others.
      if (full && !book.failed()) {
        return std::optional(
            workflow::InProgress{"a place at " + parts_.connector.PartyOf(resolved->provider).name,
                                 *full,
                                 std::nullopt,
                                 {{kMemoLookedAt, std::to_string(i)}}});
      }
    }
  }
  return std::optional<workflow::InProgress>();
}

Result<workflow::Observation> ChecksStep::Observe(const Context& ctx, const StepScope& scope) {
  CheckBook book(PhaseOf(scope.entry), scope.findings.checks);
  if (!scope.plan.rollback) CheckAuthority(scope, book);
  CF_ASSIGN_OR_RETURN(auto wait, CheckTargets(ctx, scope, book));
  if (wait) return workflow::Observation(*std::move(wait));
  if (book.phase() == kPhaseStart) {
    CheckEnvironment(scope.plan.spec, book);
    CheckOwner(scope.plan.spec, book);
    CheckEndpoints(scope.plan.spec, book);
    CheckChannels(scope, book);
    CheckPurges(scope, book);
    if (!scope.plan.rollback) CheckPrevious(scope, ctx.clock.Now(), book);
  }
  if (book.failed()) return *book.failed();
  auto warnings = std::count_if(scope.findings.checks.begin(), scope.findings.checks.end(),
                                [](const auto& record) { return record.verdict == "Warning"; });
  std::string message = std::to_string(scope.findings.checks.size()) + " checks, " +
                        std::to_string(warnings) + " warnings";
  return workflow::Observation(workflow::Done{"ChecksPassed", message, {}});
}

}  // namespace certflow::steps
