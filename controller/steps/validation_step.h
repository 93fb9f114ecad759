#pragma once

#include "controller/steps/step.h"

namespace certflow::steps {

// Proves from outside what the endpoints serve: every address of each, until all are right or
// validation.timeout is over (kRefused, "ValidationFailed", with the first fault). kNew expects the
// run's certificate; an endpoint of a wave that is still to come may serve the one before.
// kPrevious, after a rollback, expects the one before the run; where there was none the endpoints
// are not asked.
class ValidationStep : public Step {
 public:
  enum class Expect { kNew, kPrevious };
  ValidationStep(const StepParts& parts, Expect expect) : parts_(parts), expect_(expect) {}
  seams::Party Party(const StepScope&) const override { return {}; }
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;
  Result<ActResult> Act(const Context& ctx, const StepScope& scope,
                        const workflow::Needed& needed) override;

 private:
  std::vector<api::Evidence> ProbeAll(const Context& ctx, const StepScope& scope,
                                      const std::string& trust_pem,
                                      const std::vector<std::string>& accepted);

  StepParts parts_;
  Expect expect_;
};

}  // namespace certflow::steps
