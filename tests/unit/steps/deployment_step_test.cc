#include "controller/steps/deployment_step.h"

#include <gtest/gtest.h>

#include "controller/steps/checks_step.h"
#include "controller/workflow/ledger.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/secrets/memory_secret_store.h"
#include "tests/unit/steps/device_target.h"

namespace certflow::steps {
namespace {

Error Unused() { return MakeError(ErrorCode::kRefused, "Unused", "not part of this test"); }

class DeviceConnector : public seams::Connector {
 public:
  explicit DeviceConnector(Device& device) : device_(device) {}
  Result<std::shared_ptr<seams::Issuer>> ConnectIssuer(
      const Context&, const seams::ProviderRef&, const std::vector<seams::TargetRef>&) override {
    return Unused();
  }
  Result<std::unique_ptr<seams::Target>> ConnectTarget(const Context&,
                                                       const seams::TargetRef&) override {
    return std::unique_ptr<seams::Target>(new DeviceTarget(device_));
  }
  Result<std::unique_ptr<seams::Notifier>> ConnectNotifier(const Context&,
                                                           const seams::ProviderRef&) override {
    return Unused();
  }
  Result<std::unique_ptr<seams::Purger>> ConnectPurger(const Context&,
                                                       const seams::ProviderRef&) override {
    return Unused();
  }
  seams::Validator& validator() override { std::abort(); }
  Result<std::string> TrustRoots(const Context&, const seams::ProviderRef&) override {
    return Unused();
  }
  Result<seams::Readiness> EnsureAuthorityReady(const Context&,
                                                const seams::ProviderRef&) override {
    return Unused();
  }
  Result<seams::Readiness> CheckTargetReady(const Context&, const seams::ProviderRef&) override {
    return Unused();
  }
  Result<seams::Readiness> CheckChannelReady(const Context&, const seams::ProviderRef&) override {
    return Unused();
  }
  seams::Party PartyOf(const seams::ProviderRef&) const override { return {"device"}; }

 private:
  Device& device_;
};

class Everything : public Directory {
 public:
  Result<seams::ProviderRef> Authority(const api::Reference& what,
                                       std::string_view) const override {
    return seams::ProviderRef{"ca", what.ns, what.name, "uid", "{}", "", ""};
  }
  Result<seams::ProviderRef> Target(const api::Reference& what, std::string_view) const override {
    return seams::ProviderRef{"f5", what.ns, what.name, "uid", "{}", "", ""};
  }
  Result<seams::ProviderRef> Channel(const api::Reference&, std::string_view) const override {
    return Unused();
  }
  Result<void> AuthorityReady(const api::Reference&) const override { return {}; }
  Result<std::string> TargetReady(const api::Reference&) const override { return std::string(); }
  std::vector<AtHand> AtHandFor(const api::Run&) const override { return {}; }
};

class DeploymentStepTest : public testing::Test {
 protected:
  DeploymentStepTest() {
    run_.meta.ns = "web";
    run_.meta.name = "st-2";
    plan_.authority = {"ca", "web"};
    plan_.targets.push_back({"0/0-pair", 0, 0, {"pair", "web"}, "f5", "{}", {}});
    entry_.id = "deploy/0/0-pair";
    entry_.step = workflow::kStepDeployment;
    entry_.target = "0/0-pair";
  }
  Context ctx() { return Context{clock_}; }
  StepParts parts() { return {connector_, secrets_, gates_}; }
  StepScope scope() { return {run_, plan_, entry_, directory_, findings_, scratch_}; }

  fakes::SimulatedClock clock_;
  Device device_{{"st-1", "st-2"}, "st-1", {}};
  DeviceConnector connector_{device_};
  fakes::MemorySecretStore secrets_;
  runtime::GateKeeper gates_{clock_, NoMetrics()};
  Everything directory_;
  api::Run run_;
  api::Plan plan_;
  api::LedgerEntry entry_;
  Findings findings_;
  Scratch scratch_;
};

TEST_F(DeploymentStepTest, WhatARunStagedAndGaveUpIsTakenAway) {
  for (const auto state : {api::EntryState::kFailed, api::EntryState::kReverted}) {
    device_.staged = {"st-1", "st-2"};
    entry_.state = state;
    const auto done = DeploymentStep(parts()).Abandon(ctx(), scope());
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(device_.staged, std::set<std::string>{"st-1"});
  }
}

TEST_F(DeploymentStepTest, WhatIsInPlaceIsLeftWhenTheRunEnds) {
  entry_.state = api::EntryState::kDone;
  ASSERT_TRUE(DeploymentStep(parts()).Abandon(ctx(), scope()).ok());
  EXPECT_TRUE(device_.staged.contains("st-2"));
}

// A device that somebody works on is not crowded; the next run finds what is left.
TEST_F(DeploymentStepTest, ADeviceThatIsBusyIsNotWaitedFor) {
  entry_.state = api::EntryState::kFailed;
  runtime::GateKeeper::Denied denied;
  const auto pass = gates_.Enter("device", runtime::GateKeeper::Access::kAct, &denied);
  ASSERT_TRUE(pass.has_value());
  const auto done = DeploymentStep(parts()).Abandon(ctx(), scope());
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().reason, "PartyLeftAlone");
  EXPECT_TRUE(device_.staged.contains("st-2"));
}

// What a target notes is a warning of the checks, and stops nothing.
TEST_F(DeploymentStepTest, NotesOfATargetAreWarningsOfTheChecks) {
  device_.notes = {"no virtual server uses profile /Common/www", "another one"};
  entry_ = {};
  entry_.id = "checks";
  entry_.step = workflow::kStepChecks;
  const auto seen = ChecksStep(parts()).Observe(ctx(), scope());
  ASSERT_TRUE(seen.ok()) << seen.error().message;
  EXPECT_TRUE(std::holds_alternative<workflow::Done>(*seen));
  bool found = false;
  for (const api::CheckRecord& check : findings_.checks) {
    if (check.name != "Target") continue;
    found = true;
    EXPECT_EQ(check.verdict, "Warning");
    EXPECT_EQ(check.message, "no virtual server uses profile /Common/www; another one");
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace certflow::steps
