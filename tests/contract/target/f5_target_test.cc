#include <algorithm>
#include <functional>
#include <map>

#include "controller/base/clock.h"
#include "controller/pki/certificate.h"
#include "controller/pki/request.h"
#include "tests/contract/target/f5_world.h"
#include "tests/contract/target/target_contract.h"
#include "tests/fakes/tls/test_certificate.h"

// F5 BIG-IP against a simulated pair, with what it really serves.
namespace certflow::contract {
namespace {

using nlohmann::json;
using providers::f5::F5Targets;

std::unique_ptr<TargetWorld> Cuts() { return std::make_unique<F5World>(); }
std::unique_ptr<TargetWorld> Dies() { return std::make_unique<F5World>(true); }
std::unique_ptr<TargetWorld> AutoSync() { return std::make_unique<F5World>(false, true); }

INSTANTIATE_TEST_SUITE_P(F5, TargetContract, testing::Values(&Cuts));
INSTANTIATE_TEST_SUITE_P(F5Crashing, TargetContract, testing::Values(&Dies));
INSTANTIATE_TEST_SUITE_P(F5AutoSync, TargetContract, testing::Values(&AutoSync));

Pair MakeRsaPair(const std::string& name) {
  const auto key = pki::PrivateKey::Generate({pki::KeyAlgorithm::kRsa, 2048});
  const auto chain =
      pki::MakeSelfSignedCa(*key, name, std::chrono::hours(240), MakeSystemClock()->Now());
  return {*chain, std::string(key->ToPem().Reveal()), pki::ReadChain(*chain)->front().fingerprint};
}

class F5TargetTest : public testing::Test {
 protected:
  F5TargetTest() : at_(world_.Binding("site")), targets_(world_.http()) {
    world_.Empty(at_);
    world_.PutForeign(at_, original_);
    world_.http().seen.clear();
  }

  Context ctx() const { return world_.ctx(); }
  std::unique_ptr<seams::Target> Connect(const json& changes = {}) {
    return world_.ConnectBy(targets_, changes);
  }
  seams::Binding At(const json& settings) const {
    seams::Binding at = at_;
    at.settings = settings.dump();
    return at;
  }
  // As the controller does it, in one reconcile; what follows is looked at until it is through.
  Result<void> Deploy(seams::Target& target, const seams::Binding& at, const Pair& pair,
                      const std::string& version) {
    CF_ASSIGN_OR_RETURN(before_, target.Observe(ctx(), at));
    CF_RETURN_IF_ERROR(target.Stage(ctx(), at, pair.AsBundle(version)));
    CF_RETURN_IF_ERROR(target.Observe(ctx(), at));
    return target.Activate(ctx(), at, {version});
  }
  bool Settles(seams::Target& target, const seams::Binding& at, const std::string& version) {
    return Settles(target, at, seams::StagedRef{version});
  }
  bool Settles(seams::Target& target, const seams::Binding& at, const seams::StagedRef& which) {
    for (int round = 0; round < 20; ++round, world_.Advance(std::chrono::seconds(3))) {
      const auto state = target.Observe(ctx(), at);
      if (!state.ok()) return false;
      if (state->active != which.version) return false;
      if (!state->running) (void)target.Activate(ctx(), at, which).ok();
      if (state->running && state->settling.empty()) return true;
    }
    return false;
  }
  json Unit(const std::string& name) { return world_.Ask("GET", "/state")["units"][name]; }
  void Fault(json rule) { world_.Ask("POST", "/faults", rule); }
  std::string original_version() const { return "original-" + original_.fingerprint.substr(0, 8); }

  F5World world_;
  seams::Binding at_;
  const Pair original_ = MakePair("original.test");
  const Pair first_ = MakePair("first.test");
  const Pair second_ = MakePair("second.test");
  F5Targets targets_;
  seams::TargetState before_;
};

// the number that docs/targets.md states.
TEST_F(F5TargetTest, ADeploymentTakesTwelveRequestsBesidesUploads) {
  auto target = Connect();
  ASSERT_TRUE(target->Observe(ctx(), at_).ok()) << "login, active unit and group are shared";
  world_.http().seen.clear();
  target = Connect();
  const auto done = Deploy(*target, at_, first_, "st-1");
  ASSERT_TRUE(done.ok()) << done.error().message;
  const std::vector<std::string> seen = world_.http().seen;
  const auto state = target->Observe(ctx(), at_);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->active, "st-1");
  EXPECT_LE(world_.http().seen.size(), seen.size() + 2) << "a look that waits for the sync";
  std::vector<std::string> counted;
  for (const std::string& line : seen) {
    const bool upload =
        line.find("file-transfer/uploads") != line.npos || line.find("util/unix-rm") != line.npos;
    if (!upload) counted.push_back(line);
  }
  EXPECT_LE(counted.size(), 12u) << testing::PrintToString(counted);
  EXPECT_EQ(world_.Served("/Common/vs_site"), first_.fingerprint);
}

//
TEST_F(F5TargetTest, ObjectsCarryNameQuarterAndRunAndUploadsAreGone) {
  auto target = Connect();
  ASSERT_TRUE(Deploy(*target, at_, first_, "st-4cb3205188").ok());
  const json unit = Unit("a");
  bool found = false;
  for (const std::string path : unit["objects"]["ssl-key"]) {
    found |= path.starts_with("/Common/first_test_20") && path.ends_with("_ST-4cb3205188.key");
  }
  EXPECT_TRUE(found) << unit["objects"]["ssl-key"];
  EXPECT_TRUE(unit["uploads"].empty()) << unit["uploads"];
  EXPECT_FALSE(unit["unsaved"].get<bool>());
  ASSERT_TRUE(Settles(*target, at_, "st-4cb3205188"));
  EXPECT_EQ(Unit("b")["syncStatus"], "In Sync");
  EXPECT_EQ(Unit("b")["objects"]["ssl-key"], unit["objects"]["ssl-key"]);
}

TEST_F(F5TargetTest, WhatWasDeployedSurvivesARestart) {
  auto target = Connect();
  ASSERT_TRUE(Deploy(*target, at_, first_, "st-1").ok());
  ASSERT_TRUE(Settles(*target, at_, "st-1"));
  world_.Ask("POST", "/restart", {{"unit", "a"}});
  world_.Ask("POST", "/failover", {{"unit", "a"}});
  EXPECT_EQ(world_.Served("/Common/vs_site"), first_.fingerprint) << "it was saved";
}

// device, IP, port, virtual server, side and profile are told for the history.
TEST_F(F5TargetTest, PlacementsTellWhereItIs) {
  const auto state = Connect()->Observe(ctx(), at_);
  ASSERT_TRUE(state.ok());
  ASSERT_EQ(state->placements.size(), 1u);
  const seams::Placement& place = state->placements[0];
  EXPECT_EQ(place.device, world_.peer()["a"]);
  EXPECT_EQ(place.address, "10.10.10.21");
  EXPECT_EQ(place.port, 443);
  EXPECT_EQ(place.virtual_host, "/Common/vs_site");
  EXPECT_EQ(place.side, "ClientSide");
  EXPECT_EQ(place.profile, "/Common/site_clientssl");
}

// a profile by its name: every virtual server that uses it, in whichever partition or folder,
// and on however many pages the device lists them.
TEST_F(F5TargetTest, EveryVirtualServerThatUsesAProfileIsTold) {
  json objects = json::array({{{"kind", "partition"}, {"name", "Web"}},
                              {{"kind", "folder"}, {"name", "app.app"}, {"partition", "Web"}}});
  const auto add = [&](const std::string& folder, const std::string& name, int number, bool uses) {
    json profiles = {{{"name", "/Common/tcp"}, {"context", "all"}}};
    if (uses) {
      profiles.push_back({{"name", "/Common/site_clientssl"}, {"context", "clientside"}});
    }
    objects.push_back({{"kind", "virtual"},
                       {"name", name},
                       {"partition", folder},
                       {"destination", "/Common/10.77." + std::to_string(number / 200) + "." +
                                           std::to_string(number % 200 + 1) + ":8443"},
                       {"profiles", profiles}});
  };
  for (int i = 0; i < 210; ++i) add("Common", "vs_bulk" + std::to_string(i), i, false);
  add("Web", "vs_web", 210, true);
  add("Web/app.app", "vs_app", 211, true);
  world_.Ask("POST", "/objects", {{"objects", objects}});
  const seams::Binding at = At({{"profiles", {{{"name", "site_clientssl"}}}}});
  auto target = Connect();
  const auto done = Deploy(*target, at, first_, "st-1");
  ASSERT_TRUE(done.ok()) << done.error().message;
  const auto& seen = world_.http().seen;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), "GET /mgmt/tm/ltm/virtual"), 3)
      << "one request for a hundred, once a deployment";
  ASSERT_TRUE(Settles(*target, at, "st-1"));
  const auto state = target->Observe(ctx(), at);
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(state->notes.empty()) << state->notes.front();
  std::map<std::string, seams::Placement> places;
  for (const seams::Placement& place : state->placements) places[place.virtual_host] = place;
  ASSERT_EQ(places.size(), 3u);
  EXPECT_EQ(places["/Web/vs_web"].address, "10.77.1.11");
  EXPECT_EQ(places["/Web/app.app/vs_app"].address, "10.77.1.12");
  EXPECT_EQ(places["/Web/app.app/vs_app"].port, 8443);
  for (const auto& [name, place] : places) {
    EXPECT_EQ(place.profile, "/Common/site_clientssl") << name;
    EXPECT_EQ(place.side, "ClientSide") << name;
    EXPECT_EQ(world_.Served(name), first_.fingerprint);
  }
  for (json& object : objects) object["delete"] = true;
  std::reverse(objects.begin(), objects.end());
  world_.Ask("POST", "/objects", {{"objects", objects}});
}

// a certificate that is put where nobody looks is worth a word, before it is asked for.
TEST_F(F5TargetTest, AProfileThatNobodyUsesIsSaid) {
  world_.Ask("POST", "/objects",
             {{"objects",
               {{{"kind", "client-ssl"},
                 {"name", "idle_site_clientssl"},
                 {"partition", "Common"},
                 {"defaultsFrom", "/Common/clientssl"}}}}});
  const auto state =
      Connect()->Observe(ctx(), At({{"profiles", {{{"name", "idle_site_clientssl"}}}}}));
  ASSERT_TRUE(state.ok()) << state.error().message;
  ASSERT_EQ(state->notes.size(), 1u);
  EXPECT_NE(state->notes[0].find("no virtual server uses profile /Common/idle_site_clientssl"),
            std::string::npos)
      << state->notes[0];
  ASSERT_EQ(state->placements.size(), 1u);
  EXPECT_EQ(state->placements[0].profile, "/Common/idle_site_clientssl");
}

// of several profiles at one listener, chosen by the name that a client asks for, one is
// changed and put back; the others serve what they did.
TEST_F(F5TargetTest, OneOfSeveralServerNamesIsChangedAndTheOthersStay) {
  std::map<std::string, Pair> others;
  json profiles = {{{"name", "/Common/tcp"}, {"context", "all"}}};
  json objects = json::array();
  for (const std::string name : {"default", "a", "b"}) {
    const Pair pair = MakePair(name + ".test");
    world_.PutForeign(at_, pair);  // the files, in a profile that takes others later
    const std::string file = "/Common/foreign_site_" + pair.fingerprint.substr(0, 8);
    const json entry = {{"name", "own"}, {"cert", file + ".crt"}, {"key", file + ".key"}};
    objects.push_back({{"kind", "client-ssl"},
                       {"name", name + "_site_clientssl"},
                       {"partition", "Common"},
                       {"defaultsFrom", "/Common/clientssl"},
                       {"serverName", name + ".test"},
                       {"sniDefault", name == "default" ? "true" : "false"},
                       {"certKeyChain", {entry}}});
    profiles.push_back(
        {{"name", "/Common/" + name + "_site_clientssl"}, {"context", "clientside"}});
    others[name] = pair;
  }
  objects.push_back({{"kind", "virtual"},
                     {"name", "vs_site"},
                     {"partition", "Common"},
                     {"destination", "/Common/10.10.10.21:443"},
                     {"profiles", profiles}});
  world_.Ask("POST", "/objects", {{"objects", objects}});
  const auto served = [&](const std::string& name) {
    return world_.Served("/Common/vs_site", name);
  };
  const auto expect_others = [&] {
    EXPECT_EQ(served("a.test"), others["a"].fingerprint);
    EXPECT_EQ(served("default.test"), others["default"].fingerprint);
    EXPECT_EQ(served("unknown.test"), others["default"].fingerprint);
    EXPECT_EQ(served(""), others["default"].fingerprint);
  };
  const auto ambiguous =
      Connect()->Observe(ctx(), At({{"virtualServers", {{{"name", "vs_site"}}}}}));
  ASSERT_FALSE(ambiguous.ok());
  EXPECT_EQ(ambiguous.error().reason, "ProfileAmbiguous");
  const seams::Binding at =
      At({{"virtualServers", {{{"name", "vs_site"}, {"serverName", "b.test"}}}}});
  auto target = Connect();
  const auto done = Deploy(*target, at, first_, "st-1");
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(served("b.test"), first_.fingerprint);
  expect_others();
  ASSERT_TRUE(Settles(*target, at, "st-1"));
  ASSERT_TRUE(target->Activate(ctx(), at, {before_.active, true, before_.way_back}).ok());
  EXPECT_EQ(served("b.test"), others["b"].fingerprint);
  expect_others();
  EXPECT_TRUE(Settles(*target, at, before_.active));
}

// everything that belongs together is switched in one transaction, or not at all.
TEST_F(F5TargetTest, TwoProfilesAreSwitchedTogetherOrNotAtAll) {
  const seams::Binding other = world_.Binding("other");
  world_.PutForeign(other, original_);
  const seams::Binding both =
      At({{"virtualServers", {{{"name", "vs_site"}}, {{"name", "vs_other"}}}}});
  auto target = Connect();
  // The second profile is refused by the device, so the first one must stay too.
  Fault({{"fault", "status"}, {"status", 400}, {"method", "PATCH"}, {"path", "/transaction/"}});
  const auto refused = Deploy(*target, both, first_, "st-1");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(world_.Served("/Common/vs_site"), original_.fingerprint);
  EXPECT_EQ(world_.Served("/Common/vs_other"), original_.fingerprint);
  world_.Ask("DELETE", "/faults");
  target = Connect();
  const auto done = Deploy(*target, both, first_, "st-1");
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(world_.Served("/Common/vs_site"), first_.fingerprint);
  EXPECT_EQ(world_.Served("/Common/vs_other"), first_.fingerprint);
  ASSERT_TRUE(Settles(*target, both, "st-1"));
  ASSERT_TRUE(target->Activate(ctx(), both, {original_version(), true, before_.way_back}).ok());
  EXPECT_EQ(world_.Served("/Common/vs_site"), original_.fingerprint);
  EXPECT_EQ(world_.Served("/Common/vs_other"), original_.fingerprint);
  EXPECT_TRUE(Settles(*target, both, original_version()));
  world_.Empty(other);
}

// the unit that has taken over is looked at anew, and gets what it does not have.
TEST_F(F5TargetTest, AFailoverBetweenStageAndActivateIsFollowed) {
  auto target = Connect();
  ASSERT_TRUE(target->Observe(ctx(), at_).ok());
  ASSERT_TRUE(target->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  world_.Ask("POST", "/failover", {{"unit", "b"}});
  const auto over = target->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(over.ok());
  EXPECT_EQ(over.error().reason, "FailedOver") << over.error().message;
  EXPECT_EQ(over.error().retry, Retry::kBackoff);
  target = Connect();
  const auto state = target->Observe(ctx(), at_);
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->active, original_version());
  EXPECT_EQ(state->placements.at(0).device, world_.peer()["b"]);
  const auto missing = target->Activate(ctx(), at_, {"st-1"});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().reason, "VersionMissing");
  ASSERT_TRUE(target->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  const auto active = target->Activate(ctx(), at_, {"st-1"});
  ASSERT_TRUE(active.ok()) << active.error().message;
  EXPECT_EQ(world_.Served("/Common/vs_site"), first_.fingerprint) << "b is active";
  EXPECT_TRUE(Settles(*target, at_, "st-1"));
}

TEST_F(F5TargetTest, AFailoverAfterTheSwitchIsFollowed) {
  auto target = Connect();
  Fault({{"fault", "failover-after"}, {"method", "PATCH"}, {"path", "client-ssl"}});
  (void)Deploy(*target, at_, first_, "st-1").ok();
  for (int round = 0; round < 6; ++round) {
    target = Connect();
    const auto state = target->Observe(ctx(), at_);
    if (!state.ok()) continue;
    if (state->active == "st-1" && state->running && state->settling.empty()) break;
    if (state->active != "st-1") {
      (void)target->Stage(ctx(), at_, first_.AsBundle("st-1")).ok();
    }
    (void)target->Activate(ctx(), at_, {"st-1"}).ok();
  }
  EXPECT_EQ(world_.Served("/Common/vs_site"), first_.fingerprint);
}

// nothing of another administrator is passed on or lost.
TEST_F(F5TargetTest, ChangesOfOthersThatWaitForASyncAreNotTouched) {
  world_.Ask("POST", "/objects",
             {{"unit", "b"},
              {"objects",
               {{{"kind", "client-ssl"},
                 {"name", "hers"},
                 {"partition", "Common"},
                 {"defaultsFrom", "/Common/clientssl"}}}}});
  auto target = Connect();
  const auto refused = Deploy(*target, at_, first_, "st-1");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().reason, "UnsyncedChanges") << refused.error().message;
  EXPECT_NE(refused.error().message.find("config-sync to-group"), std::string::npos);
  EXPECT_EQ(world_.Served("/Common/vs_site"), original_.fingerprint);
  const auto pushed =
      Deploy(*Connect({{"configSync", {{"pendingChanges", "Push"}}}}), at_, first_, "st-1");
  EXPECT_TRUE(pushed.ok()) << pushed.error().message;
  ASSERT_TRUE(Settles(*Connect(), at_, "st-1"));
  for (const char* unit : {"a", "b"}) {
    const json profiles = Unit(unit)["objects"]["client-ssl"];
    EXPECT_EQ(std::count(profiles.begin(), profiles.end(), "/Common/hers"), 0)
        << "what was pushed is what the active unit has";
  }
}

// Devices accept a config-sync at times and do nothing.
TEST_F(F5TargetTest, ASyncThatIsForgottenIsAskedForAgain) {
  auto target = Connect();
  ASSERT_TRUE(Deploy(*target, at_, first_, "st-1").ok());
  world_.Ask("POST", "/sync", {{"ignore", 1}});
  ASSERT_TRUE(Settles(*target, at_, "st-1"));
  F5Targets later(world_.http());  // the next process knows of no sync that was asked for
  auto next = world_.ConnectBy(later);
  const seams::StagedRef back{original_version(), true, before_.way_back};
  ASSERT_TRUE(next->Activate(ctx(), at_, back).ok());
  F5Targets last(world_.http());
  EXPECT_TRUE(Settles(*world_.ConnectBy(last), at_, back));
}

// One token a unit, whoever asks and however often, and none at the end.
TEST_F(F5TargetTest, ThereIsOneTokenAndItIsGivenBack) {
  {
    F5Targets targets(world_.http());
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(world_.ConnectBy(targets)->Observe(ctx(), at_).ok());
      EXPECT_EQ(Unit("a")["tokens"], 1);
    }
    Fault({{"fault", "token-expired"}, {"path", "ltm/virtual"}});
    ASSERT_TRUE(world_.ConnectBy(targets)->Observe(ctx(), at_).ok());
    EXPECT_EQ(Unit("a")["tokens"], 1);
    EXPECT_EQ(Unit("b")["tokens"], 0);
  }
  EXPECT_EQ(Unit("a")["tokens"], 0);
}

// other certificates of a profile are none of our business.
TEST_F(F5TargetTest, TheCertificateOfAnotherKeyTypeStaysInTheProfile) {
  const Pair rsa = MakeRsaPair("rsa.test");
  world_.PutForeign(at_, rsa);
  auto target = Connect();
  ASSERT_TRUE(Deploy(*target, at_, first_, "st-1").ok());
  ASSERT_TRUE(Settles(*target, at_, "st-1"));
  EXPECT_EQ(world_.Served("/Common/vs_site", "", "ecdsa_secp256r1_sha256"), first_.fingerprint);
  EXPECT_EQ(world_.Served("/Common/vs_site", "", "rsa_pss_rsae_sha256"), rsa.fingerprint);
  const auto state = Connect()->Observe(ctx(), at_);
  ASSERT_TRUE(state.ok());
  EXPECT_NE(state->way_back.begin()->second.find("foreign_site"), std::string::npos);
  EXPECT_NE(state->way_back.begin()->second.find("_ST-1.crt"), std::string::npos);
  ASSERT_TRUE(target->Activate(ctx(), at_, {before_.active, true, before_.way_back}).ok());
  EXPECT_EQ(world_.Served("/Common/vs_site"), rsa.fingerprint);
  EXPECT_TRUE(Settles(*target, at_, before_.active));
}

TEST_F(F5TargetTest, AServerSideProfileIsMadeSwitchedAndTakenAway) {
  const seams::Binding at =
      At({{"virtualServers",
           {{{"name", "vs_site"}, {"side", "ServerSide"}, {"createProfile", json::object()}}}}});
  auto target = Connect();
  const auto done = Deploy(*target, at, first_, "st-1");
  ASSERT_TRUE(done.ok()) << done.error().message;
  ASSERT_TRUE(Settles(*target, at, "st-1"));
  EXPECT_EQ(before_.active, "");
  const auto again = Deploy(*target, at, second_, "st-2");
  ASSERT_TRUE(again.ok()) << again.error().message;
  ASSERT_TRUE(Settles(*target, at, "st-2"));
  ASSERT_TRUE(target->Deactivate(ctx(), at, {}).ok());
  EXPECT_TRUE(Settles(*target, at, ""));
  EXPECT_EQ(Unit("a")["objects"]["server-ssl"], json::array({"/Common/serverssl"}));
}

// never one in use, by whomever.
TEST_F(F5TargetTest, AnOldVersionThatSomebodyUsesIsNotRemoved) {
  auto target = Connect();
  ASSERT_TRUE(Deploy(*target, at_, first_, "st-1").ok());
  ASSERT_TRUE(Settles(*target, at_, "st-1"));
  std::string old;
  const json unit = Unit("a");
  for (const std::string path : unit["objects"]["ssl-cert"]) {
    if (path.ends_with("_ST-1.crt")) old = path.substr(0, path.size() - 4);
  }
  world_.Ask(
      "POST", "/objects",
      {{"objects",
        {{{"kind", "client-ssl"},
          {"name", "borrower"},
          {"partition", "Common"},
          {"defaultsFrom", "/Common/clientssl"},
          {"certKeyChain", {{{"name", "x"}, {"cert", old + ".crt"}, {"key", old + ".key"}}}}}}}});
  ASSERT_TRUE(Deploy(*target, at_, second_, "st-2").ok());
  ASSERT_TRUE(Settles(*target, at_, "st-2"));
  const auto pruned = target->Prune(ctx(), at_, {{"st-2"}});
  ASSERT_TRUE(pruned.ok()) << pruned.error().message;
  const json certs = Unit("a")["objects"]["ssl-cert"];
  EXPECT_NE(std::find(certs.begin(), certs.end(), old + ".crt"), certs.end());
  world_.Ask("POST", "/objects",
             {{"objects", {{{"kind", "client-ssl"}, {"name", "borrower"}, {"delete", true}}}}});
  ASSERT_TRUE(target->Prune(ctx(), at_, {{"st-2"}}).ok());
  const json left = Unit("a")["objects"]["ssl-cert"];
  EXPECT_EQ(std::find(left.begin(), left.end(), old + ".crt"), left.end());
  EXPECT_TRUE(Settles(*target, at_, "st-2"));
}

// a run that ends before its switch leaves nothing on the units, and them in sync.
TEST_F(F5TargetTest, WhatWasStagedForNothingIsTakenAway) {
  auto target = Connect();
  ASSERT_TRUE(target->Observe(ctx(), at_).ok());
  const json before = Unit("a")["objects"];
  ASSERT_TRUE(target->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  EXPECT_NE(Unit("a")["objects"]["ssl-key"], before["ssl-key"]);
  EXPECT_EQ(Unit("a")["syncStatus"], "Changes Pending");
  F5Targets later(world_.http());  // whoever ends the run may know nothing of the pair
  const auto gone = world_.ConnectBy(later)->Discard(ctx(), at_, "st-1");
  ASSERT_TRUE(gone.ok()) << gone.error().message;
  ASSERT_TRUE(Settles(*world_.ConnectBy(later), at_, original_version()));
  for (const char* unit : {"a", "b"}) {
    EXPECT_EQ(Unit(unit)["objects"]["ssl-key"], before["ssl-key"]) << unit;
    EXPECT_EQ(Unit(unit)["objects"]["ssl-cert"], before["ssl-cert"]) << unit;
    EXPECT_EQ(Unit(unit)["syncStatus"], "In Sync") << unit;
    EXPECT_FALSE(Unit(unit)["unsaved"].get<bool>() && unit == std::string("a"));
  }
  EXPECT_EQ(world_.Served("/Common/vs_site"), original_.fingerprint);
}

TEST_F(F5TargetTest, WhatIsInUseIsNeverTakenAway) {
  auto target = Connect();
  ASSERT_TRUE(Deploy(*target, at_, first_, "st-1").ok());
  ASSERT_TRUE(Settles(*target, at_, "st-1"));
  const json before = Unit("a")["objects"];
  ASSERT_TRUE(target->Discard(ctx(), at_, "st-1").ok());
  EXPECT_EQ(Unit("a")["objects"], before);
  EXPECT_EQ(world_.Served("/Common/vs_site"), first_.fingerprint);
}

// where the clean-up did not get through either, the next run is not stopped by what the last
// one left, although its process knows nothing of it; nor is another workflow's.
TEST_F(F5TargetTest, WhatADeadProcessStagedDoesNotStopTheNextRun) {
  {
    F5Targets died(world_.http());
    auto target = world_.ConnectBy(died);
    ASSERT_TRUE(target->Observe(ctx(), at_).ok());
    ASSERT_TRUE(target->Stage(ctx(), at_, first_.AsBundle("st-1")).ok());
  }
  EXPECT_EQ(Unit("a")["syncStatus"], "Changes Pending");
  const seams::Binding other = world_.Binding("other");
  world_.Ask("POST", "/objects",
             {{"objects",
               {{{"kind", "virtual"},
                 {"name", "vs_other"},
                 {"partition", "Common"},
                 {"destination", "/Common/10.10.10.22:443"},
                 {"profiles", {{{"name", "/Common/tcp"}, {"context", "all"}}}}}}}});
  auto beside = Connect();
  const auto unhindered = Deploy(*beside, other, second_, "st-9");
  ASSERT_TRUE(unhindered.ok()) << unhindered.error().message;
  ASSERT_TRUE(Settles(*beside, other, "st-9"));
  {
    F5Targets died(world_.http());
    ASSERT_TRUE(world_.ConnectBy(died)->Stage(ctx(), at_, first_.AsBundle("st-2")).ok());
  }
  F5Targets next(world_.http());
  auto target = world_.ConnectBy(next);
  const auto done = Deploy(*target, at_, second_, "st-3");
  ASSERT_TRUE(done.ok()) << done.error().message;
  ASSERT_TRUE(Settles(*target, at_, "st-3"));
  ASSERT_TRUE(target->Prune(ctx(), at_, {{"st-3"}}).ok());
  ASSERT_TRUE(Settles(*target, at_, "st-3"));
  for (const char* unit : {"a", "b"}) {
    const std::string keys = Unit(unit)["objects"]["ssl-key"].dump();
    EXPECT_EQ(keys.find("_ST-1.key"), keys.npos) << unit << keys;
    EXPECT_EQ(keys.find("_ST-2.key"), keys.npos) << unit << keys;
    EXPECT_NE(keys.find("_ST-3.key"), keys.npos) << unit << keys;
    EXPECT_EQ(Unit(unit)["syncStatus"], "In Sync");
  }
  world_.Empty(other);
}

TEST_F(F5TargetTest, ReadyTellsVersionActiveUnitAndGroup) {
  const auto ready = targets_.CheckReady(ctx(), world_.Provider(), world_.login());
  ASSERT_TRUE(ready.ok()) << ready.error().message;
  EXPECT_NE(ready->message.find("BIG-IP 15.1.2, active unit bigip-1a.example.com"),
            std::string::npos)
      << ready->message;
  EXPECT_NE(ready->message.find("failover_group: In Sync"), std::string::npos) << ready->message;
  EXPECT_TRUE(Unit("a")["uploads"].empty());
}

// the right to upload is tried before it is needed; BIG-IP says 401 for it.
TEST_F(F5TargetTest, ARoleThatMayNotUploadIsNotReady) {
  for (const char* user : {"certmgr", "resadmin"}) {
    const auto ready =
        targets_.CheckReady(ctx(), world_.Provider({{"username", user}}), world_.login());
    ASSERT_FALSE(ready.ok()) << user;
    EXPECT_EQ(ready.error().reason, "RoleTooLow") << ready.error().message;
    EXPECT_NE(ready.error().message.find("administrator"), std::string::npos);
  }
}

TEST_F(F5TargetTest, AWrongPasswordIsAskedOnce) {
  F5Targets::Login wrong{SecretBytes(), SecretBytes("wrong-password")};
  const auto first = targets_.CheckReady(ctx(), world_.Provider(), std::move(wrong));
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().reason, "LoginRefused");
  const int failed = Unit("a")["failedLogins"];
  const auto second =
      targets_.CheckReady(ctx(), world_.Provider(), {SecretBytes(), SecretBytes("wrong-password")});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(Unit("a")["failedLogins"], failed) << "an account must not be locked by us";
}

struct FaultCase {
  const char* fault;
  const char* why;
};

// Every request of a deployment meets every fault once: what is live is the old or the new pair, no
// message holds a secret, and it ends with the new one.
class F5FaultTest : public F5TargetTest, public testing::WithParamInterface<FaultCase> {};

TEST_P(F5FaultTest, LeavesNoHalfStateAndNoSecret) {
  for (int skip = 0;; ++skip) {
    SCOPED_TRACE(std::string(GetParam().fault) + " at request " + std::to_string(skip));
    world_.Ask("DELETE", "/faults");
    world_.Empty(at_);
    world_.PutForeign(at_, original_);
    F5Targets targets(world_.http());
    json rule = {{"fault", GetParam().fault}, {"skip", skip}};
    if (std::string(GetParam().fault) == "cut") rule["bytes"] = 40;
    Fault(rule);
    {
      auto target = world_.ConnectBy(targets);
      const auto done = Deploy(*target, at_, first_, "st-1");
      if (!done.ok()) {
        const std::string& text = done.error().message;
        EXPECT_EQ(text.find("PRIVATE"), std::string::npos) << text;
        EXPECT_EQ(text.find(first_.key.substr(40, 30)), std::string::npos) << text;
        EXPECT_EQ(text.find(world_.peer()["password"]), std::string::npos) << text;
      }
    }
    const bool played =
        world_.Ask("GET", "/faults").dump().find("\"played\":1") != std::string::npos;
    world_.Ask("DELETE", "/faults");
    const auto live = world_.Live(at_);
    ASSERT_TRUE(live.has_value());
    ASSERT_TRUE(live->fingerprint == original_.fingerprint ||
                live->fingerprint == first_.fingerprint);
    bool through = false;
    // The first request is the login; one that was refused is left alone for a minute.
    F5Targets later(world_.http());
    for (int round = 0; round < 12 && !through; ++round, world_.Advance(std::chrono::seconds(3))) {
      auto target = world_.ConnectBy(skip == 0 ? later : targets);
      const auto state = target->Observe(ctx(), at_);
      if (!state.ok()) continue;
      if (state->active == "st-1" && state->running) {
        through = state->settling.empty();
        continue;
      }
      if (state->active != "st-1") {
        (void)target->Stage(ctx(), at_, first_.AsBundle("st-1")).ok();
      }
      (void)target->Activate(ctx(), at_, {"st-1"}).ok();
    }
    ASSERT_TRUE(through);
    ASSERT_EQ(world_.Served("/Common/vs_site"), first_.fingerprint);
    if (!played) {
      EXPECT_GT(skip, 10);
      break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Device, F5FaultTest,
    testing::Values(FaultCase{"drop-before", "connection ends, no effect"},
                    FaultCase{"drop-after", "connection ends after the effect"},
                    FaultCase{"cut", "an answer that breaks off"},
                    FaultCase{"truncated", "half of the JSON"}, FaultCase{"busy", "503 A"},
                    FaultCase{"restarting", "503 C"}, FaultCase{"not-registered", "404 B"},
                    FaultCase{"mcpd-lost", "500 A"}, FaultCase{"icrd-down", "400 B"},
                    FaultCase{"html", "502 C"}, FaultCase{"token-expired", "401 B"},
                    FaultCase{"no-token", "401 B"}, FaultCase{"role-denied", "401 B"},
                    FaultCase{"upload-echo", "the posted bytes come back"},
                    FaultCase{"timeout-applied", "400 B after the effect"},
                    FaultCase{"gateway-timeout", "504 C after the effect"},
                    FaultCase{"failover", "before the effect"},
                    FaultCase{"failover-after", "after the effect"}),
    [](const auto& played) {
      std::string name = played.param.fault;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace certflow::contract
