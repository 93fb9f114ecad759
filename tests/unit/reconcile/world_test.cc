#include "controller/reconcile/world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace certflow::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kChoosesByLabel =
    R"({"certificate":{"dnsNames":["a.test"],"secretName":"a"},"authorities":[{"name":"first"}],)"
    R"("deployment":{"waves":[{"name":"w","targets":[{"targetSelector":{"matchLabels":{"t":"w"}},)"
    R"("nginx":{"certificateFile":"/c","keyFile":"/k"}}]}]}})";

std::shared_ptr<const api::Workflow> Workflow(const std::string& name, std::int64_t version,
                                              bool has_certificate, bool stalled) {
  auto workflow = std::make_shared<api::Workflow>();
  workflow->meta.name = name;
  workflow->meta.ns = "web";
  workflow->meta.uid = "uid-" + name;
  workflow->meta.resource_version = std::to_string(version);
  workflow->spec_json =
      R"({"certificate":{"dnsNames":["a.test"],"secretName":"a"},"authorities":[{"name":"first"},)"
      R"({"name":"shared","namespace":"pki"}],"deployment":{"waves":[{"name":"w","targets":)"
      R"([{"targetRef":{"name":"edge"},"nginx":{"certificateFile":"/c","keyFile":"/k"}}]}]}})";
  if (has_certificate) workflow->status.certificate.emplace();
  if (stalled) {
    api::SetCondition(workflow->status.conditions, api::kStalled, api::ConditionStatus::kTrue, "X",
                      "", 1, {});
  }
  return workflow;
}

std::vector<std::string> Waiting(const World& world, const std::string& awaited) {
  std::vector<std::string> names;
  for (const auto& workflow : world.workflows.ByIndex(kWaitingFor, awaited)) {
    names.push_back(workflow->meta.name);
  }
  return names;
}

TEST(WorldTest, FindsWhoWaitsForAnAuthorityOrATarget) {
  World world;
  world.workflows.Upsert({"web", "new"}, Workflow("new", 1, false, false));
  world.workflows.Upsert({"web", "good"}, Workflow("good", 2, true, false));
  world.workflows.Upsert({"web", "stuck"}, Workflow("stuck", 3, true, true));
  for (const std::string& awaited :
       {AwaitedAuthority("web", "first"), AwaitedAuthority("pki", "shared"),
        AwaitedTarget("web", "edge")}) {
    EXPECT_THAT(Waiting(world, awaited), ElementsAre("new", "stuck")) << awaited;
  }
  EXPECT_THAT(Waiting(world, AwaitedAuthority("web", "shared")), IsEmpty());
  EXPECT_THAT(Waiting(world, AwaitedTarget("web", "first")), IsEmpty());
  world.workflows.Upsert({"web", "new"}, Workflow("new", 4, true, false));
  EXPECT_THAT(Waiting(world, AwaitedTarget("web", "edge")), ElementsAre("stuck"));
}

TEST(WorldTest, WhoChoosesTargetsByLabelWaitsForAnyOfThem) {
  World world;
  auto workflow = std::make_shared<api::Workflow>(*Workflow("new", 1, false, false));
  workflow->spec_json = kChoosesByLabel;
  world.workflows.Upsert({"web", "new"}, workflow);
  EXPECT_THAT(Waiting(world, kAnyTarget), ElementsAre("new"));
}

}  // namespace
}  // namespace certflow::reconcile
