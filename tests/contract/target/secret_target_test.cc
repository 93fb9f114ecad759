#include "providers/targets/kubernetes/secret_target.h"
#include "controller/pki/certificate.h"
#include "tests/contract/target/target_contract.h"
#include "tests/fakes/secrets/memory_secret_store.h"

namespace certflow::contract {
namespace {

using providers::kubernetes::MakeSecretTarget;

class SecretWorld : public TargetWorld {
 public:
  explicit SecretWorld(std::string ns) : ns_(std::move(ns)) {
    store_.before = [this](int request) { return Strike(request, false); };
    store_.after = [this](int request) { return Strike(request, true); };
  }

  std::unique_ptr<seams::Target> Connect() override {
    return MakeSecretTarget(store_, {.ns = ns_, .default_secret_name = "unused"});
  }
  seams::Binding Binding(const std::string& workflow) const override {
    return {"0/cluster", "prod", workflow, "uid", "{\"secretName\":\"" + workflow + "-tls\"}"};
  }
  void PutForeign(const seams::Binding& at, const Pair& pair) override {
    const seams::SecretObject* there = store_.Peek(ns_, Name(at));
    seams::SecretObject secret =
        there == nullptr ? seams::SecretObject() : fakes::CloneSecret(*there);
    secret.ns = ns_;
    secret.name = Name(at);
    secret.type = "kubernetes.io/tls";
    secret.labels[std::string(seams::kAllowLabel)] = "true";
    secret.data["tls.crt"] = SecretBytes(pair.chain);
    secret.data["tls.key"] = SecretBytes(pair.key);
    store_.Place(std::move(secret));
  }
  void Empty(const seams::Binding& at) override {
    store_.Remove(ns_, Name(at));
    for (const char* version : {"st-1", "st-2"}) store_.Remove(ns_, Name(at) + "." + version);
  }
  std::optional<Pair> Live(const seams::Binding& at) override {
    const seams::SecretObject* there = store_.Peek(ns_, Name(at));
    if (there == nullptr) return std::nullopt;
    Pair pair{std::string(there->data.at("tls.crt").Reveal()),
              std::string(there->data.at("tls.key").Reveal()), ""};
    const auto chain = pki::ReadChain(pair.chain);
    if (chain.ok()) pair.fingerprint = chain->front().fingerprint;
    return pair;
  }
  void Arm(Cut cut) override {
    cut_ = cut;
    store_.ResetCounters();
  }
  int interactions() const override { return store_.total_requests; }

 private:
  static std::string Name(const seams::Binding& at) { return at.workflow_name + "-tls"; }
  Result<void> Strike(int request, bool after) {
    if (request != cut_.interaction || after != cut_.after) return {};
    return MakeError(after ? ErrorCode::kUnknownOutcome : ErrorCode::kUnavailable, "Cut", "cut");
  }

  std::string ns_;
  fakes::MemorySecretStore store_;
  Cut cut_;
};

std::unique_ptr<TargetWorld> OwnNamespace() { return std::make_unique<SecretWorld>("prod"); }
std::unique_ptr<TargetWorld> OtherNamespace() { return std::make_unique<SecretWorld>("edge"); }

INSTANTIATE_TEST_SUITE_P(SecretInTheWorkflowsNamespace, TargetContract,
                         testing::Values(&OwnNamespace));
INSTANTIATE_TEST_SUITE_P(SecretInAnotherNamespace, TargetContract,
                         testing::Values(&OtherNamespace));

}  // namespace
}  // namespace certflow::contract
