#pragma once

#include "controller/steps/step.h"

namespace certflow::steps {

// What is looked at, and what may be served there: certificates that have to be good, and such that
// are only known to have stood there before. Where nothing is known to have been good, all but what
// is gone.
struct Expected {
  std::vector<std::string> endpoints;
  std::vector<std::string> good, before;  // fingerprints
  std::string gone;
  std::string trust_pem;
};

// Proves from outside what the endpoints serve: every address of each, until all are right or
// validation.timeout is over (kRefused, "ValidationFailed", with the first fault). kNew expects the
// run's certificate at the endpoints of this wave and those before it, and in the end at all; where
// no wave names endpoints of its own, one that serves the certificate before is taken to belong to
// a wave that is still to come. kPrevious, after a rollback, expects what stood there before; where
// that is not known the endpoints are not asked.
class ValidationStep : public Step {
 public:
  enum class Expect { kNew, kPrevious };
  ValidationStep(const StepParts& parts, Expect expect) : parts_(parts), expect_(expect) {}
  seams::Party Party(const StepScope&) const override { return {}; }
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;

 private:
  Expected ExpectedOf(const StepScope& scope) const;
  std::vector<api::Evidence> ProbeAll(const Context& ctx, const StepScope& scope,
                                      const Expected& expected);

  StepParts parts_;
  Expect expect_;
};

}  // namespace certflow::steps
