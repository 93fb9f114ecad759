#include <atomic>
#include <nlohmann/json.hpp>

#include "tests/crash/scene.h"
#include "tests/crash/site.h"

namespace certflow::crash {
namespace {

using nlohmann::json;

class WavesScene : public Scene {
 public:
  explicit WavesScene(bool fails)
      : fails_(fails),
        first_(world_.AddBigIp("first", kDnsName)),
        left_(world_.AddBigIp("left", kDnsName)),
        right_(world_.AddBigIp("right", kDnsName)),
        endpoints_of_second_{left_.endpoint(), right_.endpoint()} {
    world_.AddInternalCa("company");
    AddCache();
    json forgotten = json::array();
    if (fails_) {
      // It has the old certificate too, and is still looked at when nobody brings it the new one.
      const fakes::FakeBigIp& device = world_.AddBigIp("forgotten", kDnsName);
      endpoints_of_second_.push_back(device.endpoint());
      forgotten.push_back(Use(device));
    }
    world_.Start();
    Prepare(world_, "authority, devices and cache", [&] {
      return IsReady(world_, "certificateauthorities", "company") &&
             IsReady(world_, "deploymenttargets", "first") &&
             IsReady(world_, "deploymenttargets", "left") &&
             IsReady(world_, "deploymenttargets", "right") &&
             IsReady(world_, "notificationchannels", "cache");
    });
    json workflow = Workflow();
    json& targets = workflow["spec"]["deployment"]["waves"][1]["targets"];
    targets.insert(targets.end(), forgotten.begin(), forgotten.end());
    world_.Create(workflow);
    Prepare(world_, "a first run",
            [&] { return world_.RunIs(kWorkflow, "Succeeded") && IsFolded(world_); });
    world_.Kill();
    old_ = world_.SecretFingerprint("site-tls");
    for (const fakes::FakeBigIp* device : devices()) before_.push_back(device->profile());
    purges_ = 0;
    first_.before_change = [this] { NoteChangeOfFirstWave(); };
    left_.before_change = right_.before_change = [this] { NoteChangeOfSecondWave(); };
  }
  ~WavesScene() override { world_.Kill(); }

  void Play() override {
    world_.Patch("certificateworkflows", kWorkflow, {{"spec", Workflow()["spec"]}});
    world_.Annotate("certificateworkflows", kWorkflow, "certflow.dev/renew", "again by dora");
    world_.Start();
  }

  bool Finished() override {
    const json status = StatusOf(world_.Get("certificateworkflows", kWorkflow));
    return status.value("runs", 0) == 2 &&
           (fails_ ? world_.RunIs(kWorkflow, "RolledBack")
                   : world_.RunIs(kWorkflow, "Succeeded") && IsFolded(world_));
  }

  std::vector<std::string> WrongNow() override {
    std::vector<std::string> wrong = world_.LeakedKeys();
    const std::string fresh = Fresh();
    const std::string secret = world_.SecretFingerprint("site-tls");
    if (secret != old_ && secret != fresh) wrong.push_back("live Secret: " + secret);
    for (const fakes::FakeBigIp* device : devices()) {
      const auto live = device->Live();
      if (!live.fits) wrong.push_back(device->name() + " holds a pair that does not fit");
      if (live.fingerprint != old_ && live.fingerprint != fresh) {
        wrong.push_back(device->name() + " holds " + live.fingerprint);
      }
      // To the new one, and back where the run fails: nothing more.
      const std::size_t switches = device->history().size() - 2;
      if (switches > (fails_ ? 2 : 1)) {
        wrong.push_back(device->name() + " was switched " + std::to_string(switches) + " times");
      }
    }
    if (without_lease_ > 0) wrong.push_back("a device was changed by who has not the Lease");
    if (too_early_ > 0) wrong.push_back("the second wave began before the first was proved");
    if (out_of_turn_ > 0) wrong.push_back("the first wave went back before the second");
    if (purged_early_ > 0) wrong.push_back("the cache was purged before the deployment");
    return wrong;
  }

  std::vector<std::string> WrongAtTheEnd() override {
    std::vector<std::string> wrong = WrongNow();
    const auto runs = world_.Runs(kWorkflow);
    if (runs.size() != 2) wrong.push_back(std::to_string(runs.size()) + " runs");
    const std::string wanted = fails_ ? old_ : Fresh();
    if (world_.SecretFingerprint("site-tls") != wanted) wrong.push_back("the Secret is not right");
    const json status = StatusOf(world_.Get("certificateworkflows", kWorkflow));
    if (status.value("certificate", json::object()).value("fingerprint", "") != wanted) {
      wrong.push_back("the workflow's status tells another certificate");
    }
    for (std::size_t i = 0; i < devices().size(); ++i) CheckDevice(i, wanted, wrong);
    if (purges_ == 0) wrong.push_back("the cache was never purged");
    if (StateOfPurge() != "Done") wrong.push_back("the purge on record: " + StateOfPurge());
    return wrong;
  }

 private:
  std::vector<const fakes::FakeBigIp*> devices() const { return {&first_, &left_, &right_}; }

  static json Use(const fakes::FakeBigIp& device) {
    return {{"targetRef", {{"name", device.name()}}}, {"f5", device.binding()}};
  }

  json Workflow() const {
    json workflow = fakes::WorkflowObject(kWorkflow, kDnsName, "company");
    const json first = {{"name", "first"},
                        {"endpoints", {first_.endpoint()}},
                        {"targets", json::array({Use(first_)})}};
    const json second = {{"name", "second"},
                         {"parallelism", 2},
                         {"endpoints", endpoints_of_second_},
                         {"targets", json::array({Use(left_), Use(right_)})}};
    workflow["spec"].update(json{
        {"deployment", {{"waves", json::array({first, second})}}},
        {"validation", {{"serverName", kDnsName}, {"trust", "Authority"}, {"timeout", "30s"}}},
        {"purge", json::array({{{"channelRef", {{"name", "cache"}}}, {"hosts", {kDnsName}}}})}});
    return workflow;
  }

  void AddCache() {
    world_.AddServer("cache", "https://cache.test",
                     [this](const net::HttpRequest&) -> Result<net::HttpResponse> {
                       ++purges_;
                       for (const fakes::FakeBigIp* device : devices()) {
                         purged_early_ += device->Live().fingerprint == old_;
                       }
                       return net::HttpResponse{200, {}, ""};
                     });
    world_.Create(fakes::Object(
        "NotificationChannel", "cache",
        {{"httpPurge",
          {{"baseURL", "https://cache.test"},
           {"steps",
            {{"host", json::array({{{"method", "BAN"},
                                    {"path", "/"},
                                    {"headers", {{"X-Ban-Host", "{{ .host }}"}}}}})}}}}}}));
  }

  void NoteChange() {
    const bool may = !world_.config.leader_elect || world_.LeaseHolder() == world_.identity();
    if (!may) ++without_lease_;
  }

  // A failed run takes the first wave back when the second one is as it was.
  void NoteChangeOfFirstWave() {
    NoteChange();
    const bool switched = first_.history().size() == 3;
    if (!fails_ || !switched) return;
    for (const fakes::FakeBigIp* device : {&left_, &right_}) {
      out_of_turn_ += device->Live().fingerprint != old_;
    }
  }

  // Once the first wave has the new certificate and somebody has been served it.
  void NoteChangeOfSecondWave() {
    NoteChange();
    const bool proved = first_.history().back() != old_ && first_.served() > 0;
    const bool back = first_.history().size() > 3;
    if (!proved && !back) ++too_early_;
  }

  // The certificate of the second run, where it has one. Its version is stored before the run's
  // status tells of it.
  std::string Fresh() const {
    const auto runs = world_.Runs(kWorkflow);
    if (runs.size() < 2) return "";
    const std::string name = runs.back()["metadata"]["name"];
    return world_.SecretFingerprint("site-tls." + name);
  }

  std::string StateOfPurge() const {
    const auto runs = world_.Runs(kWorkflow);
    if (runs.empty()) return "no run";
    for (const json& entry : StatusOf(runs.back()).value("ledger", json::array())) {
      if (entry.value("step", "") == "Purge") return entry.value("state", "");
    }
    return "none";
  }

  void CheckDevice(std::size_t i, const std::string& wanted, std::vector<std::string>& wrong) {
    const fakes::FakeBigIp& device = *devices()[i];
    if (device.Live().fingerprint != wanted) wrong.push_back(device.name() + " is not right");
    if (fails_ && device.profile() != before_[i]) {
      wrong.push_back(device.name() + " is not as before: " + device.profile());
    }
    for (const std::string& file : device.uploads()) {
      // Of a look at the login's rights that was cut off: the next one, a year later here, puts it
      // there once more and takes it away.
      if (file == "certflow-probe.txt") continue;
      wrong.push_back(device.name() + " still has the upload " + file);
    }
    int keys = 0;
    for (const std::string& object : device.objects()) keys += object.starts_with("ssl-key/");
    if (keys > 3) wrong.push_back(device.name() + " has " + std::to_string(keys) + " keys");
  }

  const bool fails_;
  fakes::FakeBigIp& first_;
  fakes::FakeBigIp& left_;
  fakes::FakeBigIp& right_;
  std::vector<std::string> endpoints_of_second_;
  std::string old_;
  std::vector<std::string> before_;
  std::atomic<int> purges_{0}, purged_early_{0}, too_early_{0}, without_lease_{0}, out_of_turn_{0};
};

}  // namespace

std::unique_ptr<Scene> MakeWavesScene() { return std::make_unique<WavesScene>(false); }
std::unique_ptr<Scene> MakeTakenBackScene() { return std::make_unique<WavesScene>(true); }

}  // namespace certflow::crash
