#pragma once

#include "controller/steps/step.h"

namespace certflow::steps {

// Gets a certificate for a new key. Its end state is the Secret "<secretName>.<run>" with a key and
// a chain that fit each other and the plan. The key is stored there before the authority is asked
// (a restart finds it); an authority that signs locally is asked first and both are stored at once.
//
// A certificate that an earlier run got and could not bring into force is not asked for again while
// it answers the plan: it is copied under this run's name, and the entry is skipped with the
// reason. What earlier runs left is removed then.
class RenewalStep : public Step {
 public:
  explicit RenewalStep(const StepParts& parts) : parts_(parts) {}
  seams::Party Party(const StepScope& scope) const override;
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;
  Result<ActResult> Act(const Context& ctx, const StepScope& scope,
                        const workflow::Needed& needed) override;
  Result<void> Abandon(const Context& ctx, const StepScope& scope) override;

 private:
  // The run's Secret; nothing when there is none.
  Result<std::optional<RunSecret>> Read(const Context& ctx, const StepScope& scope,
                                        std::string_view run);
  // This run's, into the scratch; false when there is none.
  Result<bool> Load(const Context& ctx, const StepScope& scope);
  Result<seams::Issuer*> Connect(const Context& ctx, const StepScope& scope);
  Result<bool> TakeOver(const Context& ctx, const StepScope& scope);
  Result<void> Tidy(const Context& ctx, const StepScope& scope);
  Result<ActResult> Begin(const Context& ctx, const StepScope& scope, seams::Issuer& issuer);
  Result<ActResult> Advance(const Context& ctx, const StepScope& scope, seams::Issuer& issuer,
                            RunSecret stored, const workflow::Needed& needed);
  Result<void> Store(const Context& ctx, const StepScope& scope, seams::SecretObject secret,
                     const seams::Issued* issued, SecretBytes key_pem);

  StepParts parts_;
};

}  // namespace certflow::steps
