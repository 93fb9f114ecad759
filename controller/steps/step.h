#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/api/run.h"
#include "controller/base/context.h"
#include "controller/base/mutex.h"
#include "controller/base/result.h"
#include "controller/pki/key.h"
#include "controller/runtime/gate.h"
#include "controller/seams/connector.h"
#include "controller/seams/secret_store.h"
#include "controller/workflow/observation.h"

namespace certflow::steps {

// A certificate that an earlier run got and did not bring into force: it is live nowhere, and its
// Secret may be there still.
struct AtHand {
  std::string run;
  std::string wanted_digest;  // of the certificate that the run's plan wanted
  api::Reference authority;
  api::CertificateStatus certificate;
};

// Finds what a plan refers to, with the permission of the referred object (allowedNamespaces).
// Errors: kNotFound and kForbidden with the remedy; both may change, so they back off.
class Directory {
 public:
  virtual ~Directory() = default;
  virtual Result<seams::ProviderRef> Authority(const api::Reference& what,
                                               std::string_view from_ns) const = 0;
  virtual Result<seams::ProviderRef> Target(const api::Reference& what,
                                            std::string_view from_ns) const = 0;
  virtual Result<seams::ProviderRef> Channel(const api::Reference& what,
                                             std::string_view from_ns) const = 0;
  // Whether the authority's Ready condition holds, with its message when not.
  virtual Result<void> AuthorityReady(const api::Reference& what) const = 0;
  // What the target's Ready condition tells: its warning, if any, or why it is not ready;
  // Retry::kNever where somebody has to act first. A target that was not looked at yet is fine.
  virtual Result<std::string> TargetReady(const api::Reference& what) const = 0;
  // What earlier runs of the same workflow got, newest first.
  virtual std::vector<AtHand> AtHandFor(const api::Run& run) const = 0;
};

// What a step found out about the run as a whole; merged into its status with the entry.
struct Findings {
  std::vector<api::CheckRecord> checks;
  std::vector<api::Evidence> evidence;
  std::vector<api::DeploymentRecord> deployments;  // replace those with the same id
  std::optional<api::CertificateStatus> certificate;
  std::optional<std::vector<api::ServedChallenge>> challenges;
};

// The Secret in which a run keeps its key, and its certificate once there is one.
struct RunSecret {
  seams::SecretObject object;
  pki::PrivateKey key;
  std::string chain_pem;
};

// What steps of one reconcile share, so that nothing is fetched twice; gone with the reconcile, and
// every key with it. Steps of several targets may use it at the same time, each its own slot.
class Scratch {
 public:
  // Of the renewal alone, which nothing runs beside: the connected authority of the plan, and the
  // run's Secret as it was observed last.
  std::shared_ptr<seams::Issuer> issuer;
  std::optional<RunSecret> secret;

  // The connected target with that planned id, or the place for it.
  std::unique_ptr<seams::Target>& TargetSlot(const std::string& id) CF_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return targets_[id];
  }
  std::shared_ptr<const seams::Bundle> bundle() const CF_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return bundle_;
  }
  void Keep(std::shared_ptr<const seams::Bundle> bundle) CF_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    bundle_ = std::move(bundle);
  }

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::unique_ptr<seams::Target>> targets_ CF_GUARDED_BY(mutex_);
  std::shared_ptr<const seams::Bundle> bundle_ CF_GUARDED_BY(mutex_);  // of this run
};

struct StepScope {
  const api::Run& run;
  const api::Plan& plan;
  const api::LedgerEntry& entry;
  const Directory& directory;
  Findings& findings;
  Scratch& scratch;
};

struct ActResult {
  workflow::StepMemo memo;  // the entry's new memo
  // The memo has to be on record before anything else is done.
  bool record = false;
  // The other side works on: look again later.
  std::optional<workflow::InProgress> wait;
  // The answer to the action showed the end state already. Neither: observe again at once.
  std::optional<workflow::Done> done;
};

// One kind of step. Observe reads the world and changes nothing; Act takes the one action that
// Observe found needed, with the intent in the ledger where the effect asks for it. Going back is a
// step of its own kind (rollback_step.h), under the same contract.
class Step {
 public:
  virtual ~Step() = default;
  // Whom the step talks to, and must not crowd.
  virtual seams::Party Party(const StepScope& scope) const = 0;
  // Whether Observe may hang at somebody outside: then a run says first where it is.
  virtual bool MayHang(const StepScope& scope) const {
    const seams::Party party = Party(scope);
    return party.may_hang && !party.name.empty();
  }
  // Whether a look will most likely find something to do: then it waits for a place to do it in, so
  // that nobody looks in vain at a party where others act.
  virtual bool ActsNext(const StepScope&) const { return false; }
  virtual Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) = 0;
  // A step that never answers Needed has no Act.
  virtual Result<ActResult> Act(const Context& ctx, const StepScope& scope,
                                const workflow::Needed& needed);
  // The run ends without success: takes away what the step left outside and nobody needs any more
  // (DNS records, a key that went nowhere). Once, best effort; changes nothing live.
  virtual Result<void> Abandon(const Context&, const StepScope&) { return {}; }
};

struct StepParts {
  seams::Connector& connector;
  seams::SecretStore& secrets;
  runtime::GateKeeper& gates;  // for a step that looks at several parties at once
};

// The step for a ledger entry's word ("Renewal"); never null for the words of workflow/ledger.h.
class StepSet {
 public:
  explicit StepSet(const StepParts& parts);
  ~StepSet();
  Step* Find(std::string_view word) const;

 private:
  std::vector<std::pair<std::string_view, std::unique_ptr<Step>>> steps_;
};

// What such a Secret holds once there is a certificate; kInvalid, "SecretKeyMissing", before.
Result<seams::Bundle> BundleOf(seams::SecretObject secret, std::string_view version);
// Where a run's key and certificate are kept: a Secret beside the workflow's own.
std::string VersionSecretName(const api::WorkflowSpec& spec, std::string_view run);
// The binding of a planned target, and with it the provider.
Result<seams::TargetRef> ResolveTarget(const StepScope& scope, const api::PlannedTarget& target);

}  // namespace certflow::steps
