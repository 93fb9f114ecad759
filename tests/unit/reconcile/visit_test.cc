// Runs that share a device are there one after the other: looking, staging, switching and reading
// back are one visit.

#include <atomic>

#include "tests/unit/reconcile/reconcile_fixture.h"

namespace certflow {
namespace {

class VisitTest : public ReconcileTest {
 protected:
  VisitTest() : device_(world.AddBigIp("pair", "www.example.test")) {}
  void Create(const std::string& name, const std::string& profile) {
    json workflow = fakes::WorkflowObject(name, "www.example.test", "company");
    json use = {{"targetRef", {{"name", "pair"}}}, {"f5", device_.binding(profile)}};
    workflow["spec"]["deployment"] = {
        {"waves", json::array({{{"name", "pair"}, {"targets", json::array({use})}}})}};
    world.Create(workflow);
  }
  // Whose changes of the device these are, one word a change: "site", "site", "shop" ... A chain
  // that both have is nobody's.
  std::vector<std::string> Visitors() const {
    std::vector<std::string> out;
    for (const std::string& one : world.life.done()) {
      for (const char* name : {"site", "shop"}) {
        const auto runs = world.Runs(name);
        if (runs.empty()) continue;
        const std::string run = runs.back()["metadata"]["name"];
        const bool upload = one.find("/uploads/") != std::string::npos;
        const bool profile =
            one.find(std::string("/client-ssl/~Common~") + name) != std::string::npos;
        if (profile || (upload && one.find(run) != std::string::npos)) out.emplace_back(name);
      }
    }
    return out;
  }

  bool WaitsForPlace(const std::string& name) const {
    const auto runs = world.Runs(name);
    return !runs.empty() &&
           runs.back().value(json::json_pointer("/status/waitingFor"), "").starts_with("a place");
  }

  fakes::FakeBigIp& device_;
};

// The first run is held up between staging and its switch, until the second one is at the device.
TEST_F(VisitTest, NobodyComesInBetween) {
  std::atomic<bool> held{false}, go{false};
  world.process.Forget([&](const net::HttpRequest& request) {
    const bool intent = request.body.find(R"("state":"Intended")") != std::string::npos;
    if (intent && !held.exchange(true)) go.wait(false);
    return false;
  });
  StartWithCa();
  ASSERT_TRUE(world.Until([&] { return TargetIsReady("pair"); }));
  Create("site", "site");
  ASSERT_TRUE(world.Until([&] { return held.load(); }));
  Create("shop", "shop");
  EXPECT_TRUE(world.Until([&] { return WaitsForPlace("shop") || Visitors().back() == "shop"; }));
  go = true;
  go.notify_all();
  EXPECT_TRUE(world.Until([&] {
    return world.RunIs("site", "Succeeded") && world.RunIs("shop", "Succeeded");
  })) << testing::PrintToString(world.activity->log());
  const std::vector<std::string> wanted = {"site", "site", "site", "shop", "shop", "shop"};
  EXPECT_EQ(Visitors(), wanted);  // key, certificate, profile
  world.Kill();                   // before what it calls
}

}  // namespace
}  // namespace certflow
