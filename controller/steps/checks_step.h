#pragma once

#include "controller/steps/step.h"

namespace certflow::steps {

// The checks of one phase as they are made, and the first one that failed.
class CheckBook {
 public:
  CheckBook(std::string its_phase, std::vector<api::CheckRecord>& into)
      : phase_(std::move(its_phase)), records_(into) {}
  const std::string& phase() const { return phase_; }
  const std::optional<Error>& failed() const { return failed_; }

  void Passed(std::string_view name, std::string_view value);
  void Warning(std::string_view name, std::string_view value, std::string_view message);
  void Failed(std::string_view name, std::string_view value, const Error& error);

 private:
  void Add(std::string_view name, std::string_view value, std::string_view verdict,
           std::string_view message);

  const std::string phase_;
  std::vector<api::CheckRecord>& records_;
  std::optional<Error> failed_;
};

// Policy checks before anything is changed, each recorded with the value seen and the verdict. Runs
// at the start, again before the renewal when somebody was asked, and before the deployment. Until
// the renewal every target that can be looked at is, within its gate. A failed check is an error
// that names it; what may mend itself (an authority that is not ready) backs off.
class ChecksStep : public Step {
 public:
  explicit ChecksStep(const StepParts& parts) : parts_(parts) {}
  seams::Party Party(const StepScope&) const override { return {}; }
  bool MayHang(const StepScope& scope) const override;
  Result<workflow::Observation> Observe(const Context& ctx, const StepScope& scope) override;

 private:
  // How long to wait for a place at the target, where there is none.
  Result<std::optional<Duration>> LookAt(const Context& ctx, const StepScope& scope,
                                         const api::PlannedTarget& planned,
                                         const seams::TargetRef& target, CheckBook& book);
  Result<std::optional<workflow::InProgress>> CheckTargets(const Context& ctx,
                                                           const StepScope& scope, CheckBook& book);

  StepParts parts_;
};

}  // namespace certflow::steps
