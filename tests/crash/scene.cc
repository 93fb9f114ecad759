#include "tests/crash/scene.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/crash/site.h"

namespace certflow::crash {
namespace {

using fakes::World;
using nlohmann::json;

void CheckEnd(const World& world, std::vector<std::string>& wrong) {
  const auto runs = world.Runs(kWorkflow);
  if (runs.size() != 1) wrong.push_back(std::to_string(runs.size()) + " runs");
  for (const json& run : runs) {
    const json status = StatusOf(run);
    if (status.value("state", "") != "Succeeded") {
      wrong.push_back("run " + status.value("state", "") + ": " + status.value("message", "") +
                      ", waits for " + status.value("waitingFor", ""));
    }
  }
  const std::string live = world.SecretFingerprint(std::string(kWorkflow) + "-tls");
  const json status = StatusOf(world.Get("certificateworkflows", kWorkflow));
  const std::string told =
      status.value("certificate", json::object()).value("fingerprint", "nothing");
  if (live != told) wrong.push_back("the Secret holds " + live + ", status tells " + told);
}

class SecretScene : public Scene {
 public:
  SecretScene() {
    world_.AddInternalCa("company");
    world_.Start();
    Prepare(world_, "an authority",
            [&] { return IsReady(world_, "certificateauthorities", "company"); });
    world_.Kill();
  }
  void Play() override {
    world_.Create(fakes::WorkflowObject(kWorkflow, kDnsName, "company"));
    world_.Start();
  }
  bool Finished() override { return world_.RunIs(kWorkflow, "Succeeded") && IsFolded(world_); }
  std::vector<std::string> WrongNow() override {
    const std::string live = world_.SecretFingerprint("site-tls");
    std::vector<std::string> wrong = world_.LeakedKeys();
    if (!live.empty() && live.size() != 64) wrong.push_back("live Secret: " + live);
    return wrong;
  }
  std::vector<std::string> WrongAtTheEnd() override {
    std::vector<std::string> wrong = WrongNow();
    CheckEnd(world_, wrong);
    return wrong;
  }
};

json OnHost(const fakes::FakeHost& host) {
  return {{"waves",
           json::array({{{"name", "first"},
                         {"targets", json::array({{{"targetRef", {{"name", host.name()}}},
                                                   {"nginx", json::parse(host.binding())}}})}}})}};
}

class AtHandScene : public Scene {
 public:
  AtHandScene() : host_(world_.AddHost("edge", kDnsName)) {
    world_.AddInternalCa("company");
    world_.Start();
    Prepare(world_, "authority and host", [&] {
      return IsReady(world_, "certificateauthorities", "company") &&
             IsReady(world_, "deploymenttargets", "edge");
    });
    host_.BreakConfiguration(true);
    json workflow = fakes::WorkflowObject(kWorkflow, kDnsName, "company");
    workflow["spec"]["deployment"] = OnHost(host_);
    world_.Create(workflow);
    Prepare(world_, "a run that failed", [&] {
      return world_.RunIs(kWorkflow, "RolledBack") &&
             StatusOf(world_.Get("certificateworkflows", kWorkflow)).value("runs", 0) == 1;
    });
    world_.Kill();
    host_.BreakConfiguration(false);
    at_hand_ = StatusOf(world_.Runs(kWorkflow).at(0))["certificate"]["fingerprint"];
  }
  void Play() override {
    world_.Annotate("certificateworkflows", kWorkflow, "certflow.dev/renew", "mended by dora");
    world_.Start();
  }
  bool Finished() override { return world_.RunIs(kWorkflow, "Succeeded") && IsFolded(world_); }
  std::vector<std::string> WrongNow() override {
    std::vector<std::string> wrong = world_.LeakedKeys();
    if (!host_.Live().fits) wrong.push_back("the host's files do not fit");
    if (!host_.Loaded().fits) wrong.push_back("nginx serves a pair that does not fit");
    return wrong;
  }
  std::vector<std::string> WrongAtTheEnd() override {
    std::vector<std::string> wrong = WrongNow();
    if (world_.Runs(kWorkflow).size() != 2) wrong.push_back("not two runs");
    for (const std::string& live : {world_.SecretFingerprint("site-tls"), host_.Live().fingerprint,
                                    host_.Loaded().fingerprint}) {
      if (live != at_hand_) wrong.push_back("live is " + live + ", at hand was " + at_hand_);
    }
    int versions = 0;
    for (const auto& key : world_.api.Keys("secrets"))
      versions += key.name.starts_with("site-tls.");
    if (versions != 1) wrong.push_back(std::to_string(versions) + " Secrets of versions");
    const json status = StatusOf(world_.Get("certificateworkflows", kWorkflow));
    if (status.value("issuances", json::array()).size() != 1) wrong.push_back("not one issuance");
    return wrong;
  }

 private:
  fakes::FakeHost& host_;
  std::string at_hand_;
};

class FullScene : public Scene {
 public:
  FullScene() : host_(world_.AddHost("edge", kDnsName)) {
    world_.Install(true);
    world_.AddAcme("acme");
    world_.AddMailChannel("mail");
    world_.Start();
    Prepare(world_, "authority, host and channel", [&] {
      return IsReady(world_, "certificateauthorities", "acme") &&
             IsReady(world_, "deploymenttargets", "edge") &&
             IsReady(world_, "notificationchannels", "mail");
    });
    world_.Kill();
  }

  void Play() override {
    json workflow = fakes::WorkflowObject(kWorkflow, kDnsName, "acme");
    workflow["spec"].update(json{
        {"approval",
         {{"deployment",
           {{"layers", json::array({{{"name", "board"},
                                     {"approvers", {{"users", json::array({"dora"})}}}}})}}}}},
        {"deployment", OnHost(host_)},
        {"validation",
         {{"endpoints", json::array({host_.endpoint()})},
          {"serverName", kDnsName},
          {"trust", "Authority"}}},
        {"notifications", json::array({{{"channelRef", {{"name", "mail"}}},
                                        {"events", json::array({"ApprovalRequested", "Completed"})},
                                        {"to", json::array({"team@example.test"})}}})}});
    world_.Create(workflow);
    world_.Start();
  }

  bool Finished() override {
    Approve();
    return world_.RunIs(kWorkflow, "Succeeded") && IsFolded(world_) && OwesNoMail();
  }

  std::vector<std::string> WrongNow() override {
    std::vector<std::string> wrong = world_.LeakedKeys();
    const std::string secret = world_.SecretFingerprint("site-tls");
    if (!secret.empty() && secret.size() != 64) wrong.push_back("live Secret: " + secret);
    const auto files = host_.Live();
    const auto loaded = host_.Loaded();
    if (!loaded.fits) wrong.push_back("nginx serves a pair that does not fit");
    if (!files.fits) wrong.push_back("the host's files do not fit");
    return wrong;
  }

  std::vector<std::string> WrongAtTheEnd() override {
    std::vector<std::string> wrong = WrongNow();
    CheckEnd(world_, wrong);
    const std::string secret = world_.SecretFingerprint("site-tls");
    if (host_.Live().fingerprint != secret) wrong.push_back("host and Secret differ");
    if (host_.Loaded().fingerprint != secret) wrong.push_back("nginx serves another certificate");
    if (world_.acme.orders() != 1) {
      wrong.push_back(std::to_string(world_.acme.orders()) + " orders");
    }
    if (world_.acme.finalized() != 1) {
      wrong.push_back(std::to_string(world_.acme.finalized()) + " certificates");
    }
    if (world_.acme.accounts() != 1) wrong.push_back("more than one account");
    for (const char* event : {"ApprovalRequested", "Completed"}) {
      if (world_.mail.Count(event) == 0) wrong.push_back(std::string("no mail of ") + event);
    }
    CheckApproval(wrong);
    return wrong;
  }

 private:
  json NewestStatus() const {
    const auto runs = world_.Runs(kWorkflow);
    return runs.empty() ? json::object() : StatusOf(runs.back());
  }

  // Dora decides once, when she is asked.
  void Approve() {
    if (approved_) return;
    const auto runs = world_.Runs(kWorkflow);
    if (runs.empty() || !StatusOf(runs.back()).value("waitingFor", "").starts_with("approval")) {
      return;
    }
    approved_ = true;
    world_.Annotate("workflowruns", runs.back()["metadata"]["name"], "certflow.dev/approve",
                    "deployment by dora");
  }

  bool OwesNoMail() const {
    const json outbox = NewestStatus().value("outbox", json::array());
    return std::all_of(outbox.begin(), outbox.end(),
                       [](const json& entry) { return entry.value("state", "") == "Sent"; });
  }

  void CheckApproval(std::vector<std::string>& wrong) const {
    const json status = NewestStatus();
    if (status.value("approvals", json::array()).size() != 1) {
      wrong.push_back("approvals on record: " + status.value("approvals", json::array()).dump());
    }
    if (!status.value("refusals", json::array()).empty()) {
      wrong.push_back("refusals: " + status["refusals"].dump());
    }
  }

  fakes::FakeHost& host_;
  bool approved_ = false;
};

}  // namespace

std::unique_ptr<Scene> MakeSecretScene() { return std::make_unique<SecretScene>(); }
std::unique_ptr<Scene> MakeAtHandScene() { return std::make_unique<AtHandScene>(); }
std::unique_ptr<Scene> MakeFullScene() { return std::make_unique<FullScene>(); }

}  // namespace certflow::crash
