#include "controller/steps/renewal_step.h"

#include <algorithm>
#include <utility>

#include "controller/pki/certificate.h"
#include "controller/workflow/ledger.h"
#include "controller/workflow/run_id.h"
#include "controller/workflow/trigger.h"

namespace certflow::steps {

namespace {

constexpr const char* kActionBegin = "Begin";      // take over what is at hand, or make a key
constexpr const char* kActionAdvance = "Advance";  // the authority's next step
constexpr const char* kActionCleanup = "Cleanup";
constexpr const char* kActionTidy = "Tidy";  // what earlier runs left is nobody's any more
constexpr const char* kMemoCleaned = "cleaned";
constexpr const char* kMemoTidied = "tidied";
constexpr const char* kFromRun = "certflow.dev/from-run";  // on the Secret: who got it
// A certificate that was got longer ago is not taken over: what keeps it from being deployed may be
// the certificate itself.
constexpr std::chrono::hours kAtHandFor{48};
constexpr std::string_view kChallengePrefix = "http01/";
constexpr std::string_view kChallengeDomainPrefix = "http01-domain/";

pki::RequestNames NamesOf(const api::WorkflowSpec& spec) {
  return {spec.common_name, spec.dns_names};
}

api::CertificateStatus StatusOf(const pki::CertificateInfo& info, std::string_view run) {
  api::CertificateStatus out;
  out.serial = info.serial;
  out.fingerprint = info.fingerprint;
  out.issuer = info.issuer;
  out.signature_type = info.signature_type;
  out.common_name = info.common_name;
  out.dns_names = info.dns_names;
  out.not_before = info.not_before;
  out.not_after = info.not_after;
  out.version = run;
  return out;
}

// The chain answers the plan: it fits the key, covers every name and is valid now.
Result<pki::CertificateInfo> Judge(const Context& ctx, const api::WorkflowSpec& spec,
                                   std::string_view chain_pem, const pki::PrivateKey& key) {
  CF_ASSIGN_OR_RETURN(auto chain, pki::ReadChain(chain_pem));
  CF_RETURN_IF_ERROR(pki::CheckPair(chain_pem, key));
  const pki::CertificateInfo& leaf = chain.front();
  for (const std::string& name : spec.dns_names) {
    if (!pki::NameCovers(leaf.dns_names, name)) {
      return MakeError(ErrorCode::kRefused, "CertificateNotAsked",
                       "the authority's certificate does not cover " + name);
    }
  }
  if (leaf.not_after <= ctx.clock.Now()) {
    return MakeError(ErrorCode::kRefused, "CertificateNotAsked",
                     "the authority's certificate ends at " + FormatTime(leaf.not_after));
  }
  return leaf;
}

workflow::Done IssuedDone(const pki::CertificateInfo& leaf) {
  return {"Issued",
          "valid until " + FormatTime(leaf.not_after) + ", issued by " + Sanitize(leaf.issuer, 256),
          {}};
}

workflow::Done TakenOverDone(const pki::CertificateInfo& leaf, const std::string& from) {
  return {"CertificateAtHand",
          "run " + workflow::DisplayRunName(from) +
              " got it and did not bring it into force; valid until " + FormatTime(leaf.not_after),
          {},
          true};
}

// It is what this plan wants, and new enough not to be renewed at once.
bool Answers(const steps::AtHand& at_hand, const StepScope& scope, WallTime now) {
  const api::CertificateStatus& has = at_hand.certificate;
  return at_hand.wanted_digest == api::WantedDigestOf(scope.run) &&
         at_hand.authority == scope.plan.authority && now - has.not_before < kAtHandFor &&
         has.not_after > now &&
         workflow::WhenToRenew(scope.plan.spec, has.not_before, has.not_after).at > now;
}

bool IsOfWorkflow(const seams::SecretObject& secret, const api::Run& run) {
  auto label = secret.labels.find(std::string(seams::kManagedLabel));
  return label != secret.labels.end() && label->second == seams::kManagedValue &&
         secret.owner_uid == run.workflow_uid;
}

// The next run may bring the certificate into force, unless somebody said no to it or there is no
// next run.
bool IsForTheNextRun(const StepScope& scope, std::string_view chain_pem) {
  const api::RunStatus& status = scope.run.status;
  bool rejected = std::any_of(
      status.ledger.begin(), status.ledger.end(),
      [](const api::LedgerEntry& entry) { return entry.reason == workflow::kReasonRejected; });
  bool gone = scope.run.meta.deleting || status.reason == workflow::kReasonDeleted;
  return !chain_pem.empty() && status.certificate && !rejected && !gone;
}

std::vector<api::ServedChallenge> ChallengesIn(const workflow::StepMemo& memo) {
  std::vector<api::ServedChallenge> out;
  for (const auto& [key, value] : memo) {
    if (!key.starts_with(kChallengePrefix)) continue;
    std::string token = key.substr(kChallengePrefix.size());
    auto domain = memo.find(std::string(kChallengeDomainPrefix) + token);
    out.push_back({domain == memo.end() ? "" : domain->second, std::move(token), value});
  }
  return out;
}

}  // namespace

seams::Party RenewalStep::Party(const StepScope& scope) const {
  auto authority = scope.directory.Authority(scope.plan.authority, scope.run.meta.ns);
  return authority.ok() ? parts_.connector.PartyOf(*authority) : seams::Party();
}

Result<std::optional<RunSecret>> RenewalStep::Read(const Context& ctx, const StepScope& scope,
                                                   std::string_view run) {
  std::string name = VersionSecretName(scope.plan.spec, run);
  auto secret = parts_.secrets.Get(ctx, scope.run.meta.ns, name);
  if (!secret.ok()) {
    if (secret.error().code == ErrorCode::kNotFound) return std::optional<RunSecret>();
    return secret.error();
  }
  auto key = secret->data.find("tls.key");
  if (key == secret->data.end()) {
    return MakeError(ErrorCode::kInvalid, "SecretKeyMissing",
                     "Secret " + name + " has no tls.key; delete it");
  }
  CF_ASSIGN_OR_RETURN(auto private_key, pki::PrivateKey::FromPem(key->second.Reveal()));
  std::string chain;
  if (auto crt = secret->data.find("tls.crt"); crt != secret->data.end()) {
    chain = crt->second.Reveal();
  }
  return std::optional<RunSecret>(
      RunSecret{std::move(*secret), std::move(private_key), std::move(chain)});
}

Result<bool> RenewalStep::Load(const Context& ctx, const StepScope& scope) {
  scope.scratch.secret.reset();
  CF_ASSIGN_OR_RETURN(scope.scratch.secret, Read(ctx, scope, scope.run.meta.name));
  return scope.scratch.secret.has_value();
}

Result<seams::Issuer*> RenewalStep::Connect(const Context& ctx, const StepScope& scope) {
  if (scope.scratch.issuer) return scope.scratch.issuer.get();
  CF_ASSIGN_OR_RETURN(auto authority,
                      scope.directory.Authority(scope.plan.authority, scope.run.meta.ns));
  std::vector<seams::TargetRef> targets;
  for (const api::PlannedTarget& target : scope.plan.targets) {
    // Only those that can be resolved now; a target that cannot is the deployment's matter.
    if (auto resolved = ResolveTarget(scope, target); resolved.ok()) targets.push_back(*resolved);
  }
  CF_ASSIGN_OR_RETURN(scope.scratch.issuer,
                      parts_.connector.ConnectIssuer(ctx, authority, targets));
  return scope.scratch.issuer.get();
}

Result<workflow::Observation> RenewalStep::Observe(const Context& ctx, const StepScope& scope) {
  using workflow::Effect;
  using workflow::Needed;
  using workflow::Observation;
  CF_ASSIGN_OR_RETURN(const bool there, Load(ctx, scope));
  if (!there) return Observation(Needed{kActionBegin, Effect::kRepeatable, {}});
  const RunSecret& stored = *scope.scratch.secret;
  const workflow::StepMemo& memo = scope.entry.memo;
  if (!stored.chain_pem.empty()) {
    CF_ASSIGN_OR_RETURN(auto leaf, Judge(ctx, scope.plan.spec, stored.chain_pem, stored.key));
    scope.findings.certificate = StatusOf(leaf, scope.run.meta.name);
    if (!memo.empty() && !memo.contains(kMemoCleaned)) {
      return Observation(Needed{kActionCleanup, Effect::kRepeatable, memo});
    }
    if (!memo.contains(kMemoTidied) && !scope.directory.AtHandFor(scope.run).empty()) {
      return Observation(Needed{kActionTidy, Effect::kRepeatable, memo});
    }
    scope.findings.challenges.emplace();
    auto from = scope.scratch.secret->object.annotations.find(kFromRun);
    bool own = from == scope.scratch.secret->object.annotations.end();
    workflow::Done done = own ? IssuedDone(leaf) : TakenOverDone(leaf, from->second);
    CF_ASSIGN_OR_RETURN(auto bundle,
                        BundleOf(std::move(scope.scratch.secret->object), scope.run.meta.name));
    scope.scratch.Keep(std::make_shared<const seams::Bundle>(std::move(bundle)));
    scope.scratch.secret.reset();
    return Observation(std::move(done));
  }
  // With an order under way the next Advance looks for itself.
  bool known = !memo.empty() && scope.entry.state != api::EntryState::kIntended;
  if (known) return Observation(Needed{kActionAdvance, Effect::kRepeatable, memo});
  CF_ASSIGN_OR_RETURN(auto issuer, Connect(ctx, scope));
  seams::IssueRequest what{scope.run.meta.name, NamesOf(scope.plan.spec), stored.key};
  CF_ASSIGN_OR_RETURN(auto issuance, issuer->Observe(ctx, what, memo));
  if (auto* action = std::get_if<seams::IssueNeedsAction>(&issuance)) {
    return Observation(Needed{action->action, action->once ? Effect::kOnce : Effect::kRepeatable,
                              std::move(action->memo)});
  }
  if (auto* pending = std::get_if<seams::IssuePending>(&issuance)) {
    return Observation(Needed{kActionAdvance, Effect::kRepeatable, std::move(pending->memo)});
  }
  return Observation(Needed{kActionAdvance, Effect::kRepeatable, memo});
}

Result<void> RenewalStep::Store(const Context& ctx, const StepScope& scope,
                                seams::SecretObject secret, const seams::Issued* issued,
                                SecretBytes key_pem) {
  secret.ns = scope.run.meta.ns;
  secret.name = VersionSecretName(scope.plan.spec, scope.run.meta.name);
  secret.type = "kubernetes.io/tls";
  secret.labels[std::string(seams::kManagedLabel)] = seams::kManagedValue;
  secret.annotations["certflow.dev/workflow"] = scope.run.meta.ns + "/" + scope.run.workflow_name;
  secret.owner_api_version = api::kApiVersion;
  secret.owner_kind = "CertificateWorkflow";
  secret.owner_name = scope.run.workflow_name;
  secret.owner_uid = scope.run.workflow_uid;
  secret.data["tls.key"] = std::move(key_pem);
  secret.data["tls.crt"] = SecretBytes(issued == nullptr ? "" : issued->chain_pem);
  if (issued != nullptr && !issued->ca_pem.empty()) {
    secret.data["ca.crt"] = SecretBytes(issued->ca_pem);
  }
  auto put = parts_.secrets.Put(ctx, secret);
  if (!put.ok()) return Annotate(put.error(), "store Secret " + secret.name);
  return {};
}

// Nothing but a certificate that the record of its run and its Secret agree about is taken over;
// the copy has this run's name, as everything outside that this run makes.
Result<bool> RenewalStep::TakeOver(const Context& ctx, const StepScope& scope) {
  for (const AtHand& at_hand : scope.directory.AtHandFor(scope.run)) {
    if (!Answers(at_hand, scope, ctx.clock.Now())) continue;
    auto stored = Read(ctx, scope, at_hand.run);
    if (!stored.ok() && IsApiServerTrouble(stored.error())) return stored.error();
    if (!stored.ok() || !*stored || !IsOfWorkflow((*stored)->object, scope.run)) continue;
    auto leaf = Judge(ctx, scope.plan.spec, (*stored)->chain_pem, (*stored)->key);
    if (!leaf.ok() || leaf->fingerprint != at_hand.certificate.fingerprint) continue;
    seams::Issued issued{std::move((*stored)->chain_pem), ""};
    if (auto ca = (*stored)->object.data.find("ca.crt"); ca != (*stored)->object.data.end()) {
      issued.ca_pem = ca->second.Reveal();
    }
    seams::SecretObject copy;
    copy.annotations[kFromRun] = at_hand.run;
    CF_RETURN_IF_ERROR(Store(ctx, scope, std::move(copy), &issued, (*stored)->key.ToPem()));
    ctx.log.Info("certificate at hand is taken over", {{"from", at_hand.run}});
    return true;
  }
  return false;
}

Result<void> RenewalStep::Tidy(const Context& ctx, const StepScope& scope) {
  for (const AtHand& at_hand : scope.directory.AtHandFor(scope.run)) {
    auto secret =
        parts_.secrets.Get(ctx, scope.run.meta.ns, VersionSecretName(scope.plan.spec, at_hand.run));
    if (!secret.ok() && secret.error().code == ErrorCode::kNotFound) continue;
    if (!secret.ok()) return secret.error();
    if (!IsOfWorkflow(*secret, scope.run)) continue;
    CF_RETURN_IF_ERROR(parts_.secrets.Delete(ctx, secret->ns, secret->name, secret->uid));
  }
  return {};
}

Result<ActResult> RenewalStep::Begin(const Context& ctx, const StepScope& scope,
                                     seams::Issuer& issuer) {
  CF_ASSIGN_OR_RETURN(auto key, pki::PrivateKey::Generate(scope.plan.spec.key));
  if (!issuer.local()) {
    CF_RETURN_IF_ERROR(Store(ctx, scope, {}, nullptr, key.ToPem()));
    return ActResult{};
  }
  seams::IssueRequest what{scope.run.meta.name, NamesOf(scope.plan.spec), key};
  CF_ASSIGN_OR_RETURN(auto issuance, issuer.Advance(ctx, what, {}));
  auto* issued = std::get_if<seams::Issued>(&issuance);
  if (issued == nullptr) {
    return MakeError(ErrorCode::kInternal, "IssuerNotLocal", "a local authority did not sign");
  }
  CF_ASSIGN_OR_RETURN(auto leaf, Judge(ctx, scope.plan.spec, issued->chain_pem, key));
  SecretBytes key_pem = key.ToPem();
  CF_RETURN_IF_ERROR(Store(ctx, scope, {}, issued, key_pem.Clone()));
  scope.findings.certificate = StatusOf(leaf, scope.run.meta.name);
  scope.scratch.Keep(std::make_shared<const seams::Bundle>(
      seams::Bundle{scope.run.meta.name, std::move(issued->chain_pem), std::move(issued->ca_pem),
                    std::move(key_pem)}));
  ActResult result;
  if (scope.directory.AtHandFor(scope.run).empty()) result.done = IssuedDone(leaf);
  return result;
}

Result<ActResult> RenewalStep::Advance(const Context& ctx, const StepScope& scope,
                                       seams::Issuer& issuer, RunSecret stored,
                                       const workflow::Needed& needed) {
  seams::IssueRequest what{scope.run.meta.name, NamesOf(scope.plan.spec), stored.key};
  CF_ASSIGN_OR_RETURN(auto issuance, issuer.Advance(ctx, what, needed.memo));
  if (auto* pending = std::get_if<seams::IssuePending>(&issuance)) {
    scope.findings.challenges = ChallengesIn(pending->memo);
    ActResult result{std::move(pending->memo), true, std::nullopt, std::nullopt};
    if (pending->poll_after > Duration::zero()) {
      result.wait =
          workflow::InProgress{pending->waiting_for, pending->poll_after, std::nullopt, {}};
    }
    return result;
  }
  if (auto* action = std::get_if<seams::IssueNeedsAction>(&issuance)) {
    return ActResult{std::move(action->memo), true, std::nullopt, std::nullopt};
  }
  auto& issued = std::get<seams::Issued>(issuance);
  CF_ASSIGN_OR_RETURN(auto leaf, Judge(ctx, scope.plan.spec, issued.chain_pem, stored.key));
  SecretBytes key_pem = std::move(stored.object.data["tls.key"]);
  CF_RETURN_IF_ERROR(Store(ctx, scope, std::move(stored.object), &issued, std::move(key_pem)));
  return ActResult{needed.memo, false, std::nullopt, std::nullopt};
}

Result<void> RenewalStep::Abandon(const Context& ctx, const StepScope& scope) {
  CF_ASSIGN_OR_RETURN(const bool there, Load(ctx, scope));
  if (!there) return {};
  const RunSecret& stored = *scope.scratch.secret;
  const workflow::StepMemo& memo = scope.entry.memo;
  if (!memo.empty() && !memo.contains(kMemoCleaned)) {
    CF_ASSIGN_OR_RETURN(auto issuer, Connect(ctx, scope));
    seams::IssueRequest what{scope.run.meta.name, NamesOf(scope.plan.spec), stored.key};
    CF_RETURN_IF_ERROR(issuer->Cleanup(ctx, what, memo));
  }
  // Where the certificate is still in use somewhere, its key is kept for whoever mends that.
  if (!workflow::TouchedTargets(scope.run.status).empty()) return {};
  if (IsForTheNextRun(scope, stored.chain_pem)) return {};
  return parts_.secrets.Delete(ctx, stored.object.ns, stored.object.name, stored.object.uid);
}

Result<ActResult> RenewalStep::Act(const Context& ctx, const StepScope& scope,
                                   const workflow::Needed& needed) {
  if (needed.action == kActionTidy) {
    CF_RETURN_IF_ERROR(Tidy(ctx, scope));
    workflow::StepMemo memo = needed.memo;
    memo[kMemoCleaned] = memo[kMemoTidied] = "true";
    return ActResult{std::move(memo), false, std::nullopt, std::nullopt};
  }
  if (needed.action == kActionBegin) {
    CF_ASSIGN_OR_RETURN(bool taken_over, TakeOver(ctx, scope));
    if (taken_over) return ActResult{};
  }
  CF_ASSIGN_OR_RETURN(auto issuer, Connect(ctx, scope));
  if (needed.action == kActionBegin) return Begin(ctx, scope, *issuer);
  // What Observe read; in its turn it is used once.
  std::optional<RunSecret> stored = std::exchange(scope.scratch.secret, std::nullopt);
  if (!stored) {
    return MakeError(ErrorCode::kConflict, "SecretMissing",
                     "the run's key vanished from Secret " +
                         VersionSecretName(scope.plan.spec, scope.run.meta.name));
  }
  if (needed.action == kActionCleanup) {
    seams::IssueRequest what{scope.run.meta.name, NamesOf(scope.plan.spec), stored->key};
    CF_RETURN_IF_ERROR(issuer->Cleanup(ctx, what, needed.memo));
    return ActResult{{{kMemoCleaned, "true"}}, false, std::nullopt, std::nullopt};
  }
  return Advance(ctx, scope, *issuer, std::move(*stored), needed);
}

}  // namespace certflow::steps
