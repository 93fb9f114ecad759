#include "controller/steps/validation_step.h"

#include <algorithm>

#include "controller/net/address.h"
#include "controller/workflow/ledger.h"

namespace certflow::steps {

namespace {

constexpr Duration kProbeTimeout{10'000};
// The first look is short, so that a run whose endpoints hang soon says what it waits for.
constexpr Duration kFirstLook{3'000};
constexpr Duration kFirstPoll{1'000};
constexpr Duration kLongestPoll{10'000};

// The name to ask for: what the workflow says, the endpoint's own name, or the certificate's first;
// for a wildcard a name that it covers.
std::string ServerName(const api::WorkflowSpec& spec, const std::string& host) {
  if (!spec.server_name.empty()) return spec.server_name;
  if (!net::IsIpAddress(host)) return host;
  std::string name = spec.dns_names.front();
  for (const std::string& candidate : spec.dns_names) {
    if (!candidate.starts_with("*.")) {
      name = candidate;
      break;
    }
  }
  return name.starts_with("*.") ? "certflow-probe" + name.substr(1) : name;
}

bool IsLastWave(const StepScope& scope) {
  int wave = workflow::WaveOf(scope.entry);
  return std::all_of(scope.plan.targets.begin(), scope.plan.targets.end(),
                     [&](const auto& target) { return target.wave <= wave; });
}

void AddOnce(const std::vector<std::string>& from, std::vector<std::string>& to) {
  for (const std::string& one : from) {
    if (std::find(to.begin(), to.end(), one) == to.end()) to.push_back(one);
  }
}

// Those of the waves up to `wave`; in the end, and where no wave names its own, all.
std::vector<std::string> EndpointsUpTo(const api::WorkflowSpec& spec, int wave, bool all) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < spec.waves.size(); ++i) {
    if (all || static_cast<int>(i) <= wave) AddOnce(spec.waves[i].endpoints, out);
  }
  if (all || !workflow::WavesNameEndpoints(spec)) AddOnce(spec.endpoints, out);
  return out;
}

bool Contains(const std::vector<std::string>& list, const std::string& what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

api::Evidence Judge(const seams::Served& served, const Expected& accepted) {
  api::Evidence evidence;
  evidence.address = served.address;
  evidence.fingerprint = served.fingerprint;
  evidence.issuer = Sanitize(served.issuer, 256);
  evidence.tls_version = served.tls_version;
  evidence.not_after = served.not_after;
  const bool anything = accepted.good.empty() && served.fingerprint != accepted.gone;
  const bool as_before = anything || Contains(accepted.before, served.fingerprint);
  if (!as_before && accepted.good.empty()) {
    evidence.message = "still serves " + accepted.gone.substr(0, 16);
  } else if (!as_before && !Contains(accepted.good, served.fingerprint)) {
    evidence.message = "serves another certificate than " + accepted.good.front().substr(0, 16);
  } else if (!as_before && served.fault) {
    evidence.message = served.fault->reason + ": " + served.fault->message;
  } else {
    evidence.passed = true;
  }
  return evidence;
}

Duration PollAfter(WallTime started, WallTime now) {
  auto waited = std::chrono::duration_cast<Duration>(now - started);
  return std::clamp(waited / 2, kFirstPoll, kLongestPoll);
}

}  // namespace

std::vector<api::Evidence> ValidationStep::ProbeAll(const Context& ctx, const StepScope& scope,
                                                    const Expected& expected) {
  std::vector<api::Evidence> out;
  const api::WorkflowSpec& spec = scope.plan.spec;
  for (const std::string& endpoint : expected.endpoints) {
    std::vector<api::Evidence> found;
    auto where = net::ParseHostPort(endpoint);
    Result<std::vector<seams::Served>> served =
        where.ok() ? parts_.connector.validator().Probe(ctx.WithTimeout(kProbeTimeout),
                                                        {endpoint, ServerName(spec, where->host),
                                                         expected.trust_pem, spec.min_tls})
                   : Result<std::vector<seams::Served>>(where.error());
    if (served.ok()) {
      for (const seams::Served& one : *served) found.push_back(Judge(one, expected));
    } else {
      found.emplace_back();
      found.back().message = Sanitize(served.error().message, 512);
      // Where it is not known that anything good was there, silence is no sign of what is gone.
      found.back().passed = expected.good.empty();
    }
    for (api::Evidence& evidence : found) {
      evidence.endpoint = endpoint;
      evidence.wave = workflow::WaveOf(scope.entry);
      evidence.time = ctx.clock.Now();
      out.push_back(std::move(evidence));
    }
  }
  return out;
}

Expected ValidationStep::ExpectedOf(const StepScope& scope) const {
  const api::RunStatus& status = scope.run.status;
  const api::WorkflowSpec& spec = scope.plan.spec;
  Expected out;
  if (expect_ == Expect::kNew) {
    bool last = IsLastWave(scope);
    if (status.certificate) out.good.push_back(status.certificate->fingerprint);
    // An endpoint of a wave that is still to come may serve what it did.
    if (!last && !workflow::WavesNameEndpoints(spec) && status.previous) {
      out.good.push_back(status.previous->fingerprint);
    }
    out.endpoints = EndpointsUpTo(spec, workflow::WaveOf(scope.entry), last);
    return out;
  }
  const auto& previous = scope.plan.rollback ? scope.plan.rollback->certificate : status.previous;
  if (previous) out.good.push_back(previous->fingerprint);
  const auto& taken_back = scope.plan.rollback ? status.previous : status.certificate;
  if (taken_back) out.gone = taken_back->fingerprint;
  for (const api::LedgerEntry& entry : status.ledger) {
    auto noted = entry.memo.find(workflow::kMemoPreviousFingerprint);
    if (entry.step == workflow::kStepRollback && noted != entry.memo.end()) {
      AddOnce({noted->second}, out.before);
    }
  }
  out.endpoints = EndpointsUpTo(spec, 0, true);
  return out;
}

Result<workflow::Observation> ValidationStep::Observe(const Context& ctx, const StepScope& scope) {
  using workflow::Observation;
  Expected expected = ExpectedOf(scope);
  if (expected.good.empty() && expected.before.empty() && expected.gone.empty()) {
    return Observation(workflow::Done{"NothingBefore", "no certificate stood there before", {}});
  }
  if (scope.plan.spec.trust == api::Trust::kAuthority) {
    CF_ASSIGN_OR_RETURN(auto authority,
                        scope.directory.Authority(scope.plan.authority, scope.run.meta.ns));
    CF_ASSIGN_OR_RETURN(expected.trust_pem, parts_.connector.TrustRoots(ctx, authority));
  }
  const WallTime begin = ctx.clock.Now();
  const bool first = begin - scope.entry.started_at.value_or(begin) < kFirstPoll;
  auto evidence = ProbeAll(first ? ctx.WithTimeout(kFirstLook) : ctx, scope, expected);
  auto failed = std::find_if(evidence.begin(), evidence.end(),
                             [](const api::Evidence& e) { return !e.passed; });
  WallTime now = ctx.clock.Now();
  WallTime started = scope.entry.started_at.value_or(now);
  WallTime until = started + scope.plan.spec.validation_timeout;
  if (failed == evidence.end()) {
    std::string message =
        std::to_string(evidence.size()) +
        (expected.good.empty() ? " addresses no longer serve " + expected.gone.substr(0, 16)
                               : " addresses serve " + expected.good.front().substr(0, 16));
    scope.findings.evidence = std::move(evidence);
    return Observation(workflow::Done{"Proved", message, {}});
  }
  std::string fault = failed->endpoint + (failed->address.empty() ? "" : " " + failed->address) +
                      ": " + failed->message;
  if (now >= until) {
    scope.findings.evidence = std::move(evidence);
    return MakeError(ErrorCode::kRefused, "ValidationFailed", fault);
  }
  return Observation(
      workflow::InProgress{"proof from outside: " + fault, PollAfter(started, now), until, {}});
}

}  // namespace certflow::steps
