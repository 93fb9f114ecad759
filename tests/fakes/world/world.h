#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "controller/app/program.h"
#include "controller/kube/client.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/kube/memory_api_server.h"
#include "tests/fakes/world/activity.h"
#include "tests/fakes/world/fake_acme.h"
#include "tests/fakes/world/fake_bigip.h"
#include "tests/fakes/world/fake_host.h"
#include "tests/fakes/world/fake_mail.h"
#include "tests/fakes/world/front_door.h"
#include "tests/fakes/world/lifeline.h"

namespace certflow::fakes {

// The real program in one process with everything outside of it: an API server in memory, an ACME
// server, hosts with nginx, a mail server. The program can be killed and started again, the outside
// stays. Time is simulated and moves only inside of Until and Pass. Of one thread, and the only one
// of its process that plays at the time.
class World {
 public:
  static constexpr const char* kNamespace = "web";
  World();
  ~World();

  void Start();
  // The process that Start makes next dies there.
  void CutNextLife(Cut cut) { next_cut_ = cut; }
  void Kill();  // nothing it still tries has an effect
  // SIGTERM: what is under way ends, the Lease is given back. Dies at that, where `at_release`
  // says.
  void Stop(Cut at_release = {});
  // From the next Start on the process has to win the Lease first; its writes are interactions.
  void Elect();
  // Who holds the Lease; empty for nobody.
  std::string LeaseHolder() const;
  const std::string& identity() const { return identity_; }  // of the last process
  bool running() const { return program_ != nullptr; }
  app::Program& program() { return *program_; }

  // Lets time pass, whenever every thread sleeps, until `done`; false when so much simulated time
  // is over, or the test would hang.
  bool Until(const std::function<bool()>& done,
             std::chrono::seconds limit = std::chrono::seconds(3600));
  // Lets that much simulated time pass.
  void Pass(std::chrono::seconds time);

  // As people do it. A wrong request ends the test.
  void Create(const nlohmann::json& object);
  void Patch(std::string_view plural, const std::string& name, const nlohmann::json& patch);
  void Annotate(std::string_view plural, const std::string& name, const std::string& key,
                const std::string& value);
  // With what the garbage collector takes away afterwards.
  void Delete(std::string_view plural, const std::string& name);
  void CollectGarbage();

  // What is stored; null when there is none.
  nlohmann::json Get(std::string_view plural, const std::string& name,
                     const std::string& ns = kNamespace) const;
  // Of a workflow, oldest first.
  std::vector<nlohmann::json> Runs(const std::string& workflow) const;
  std::vector<nlohmann::json> Events() const;
  // Has the newest run of the workflow reached the state?
  bool RunIs(const std::string& workflow, std::string_view state) const;
  // Leaf fingerprint in a TLS Secret, empty when there is none; the test fails for a wrong pair.
  std::string SecretFingerprint(const std::string& name) const;
  // Places outside of Secrets where a private key shows; empty is right.
  std::vector<std::string> LeakedKeys() const;
  // Writes by kind since ResetCounts, Events and Leases left out: "create workflowruns".
  std::map<std::string, std::size_t> Writes() const;
  std::size_t TotalWrites() const;

  // Objects that most tests need.
  void AddInternalCa(const std::string& name, const std::string& duration = "90d");
  void AddAcme(const std::string& name);
  FakeHost& AddHost(const std::string& name, const std::string& dns_name);
  FakeBigIp& AddBigIp(const std::string& name, const std::string& dns_name);
  // Something on the web: requests to URLs that begin so. What changes something is an interaction,
  // named by `name`.
  using Answering = std::function<Result<net::HttpResponse>(const net::HttpRequest&)>;
  void AddServer(const std::string& name, const std::string& origin, Answering answer);
  void AddMailChannel(const std::string& name);
  void Install(bool policy);  // the admission policy and its binding
  void Secret(const std::string& name, const nlohmann::json& string_data, bool allowed = true);

  app::Config config;
  SimulatedClock clock;
  Lifeline life;
  std::shared_ptr<Activity> activity = std::make_shared<Activity>();
  MemoryApiServer api{clock};
  FakeMail mail{life};
  FakeShells shells{life};
  FakeAcme acme;
  FrontDoor people{api, *activity, clock, nullptr};
  FrontDoor process{api, *activity, clock, &life};

 private:
  class Web;
  struct Server {
    std::string name, origin;
    Answering answer;
  };
  void ServeOurKinds();
  bool Rests() const;
  void Must(const Result<void>& done, const std::string& what) const;
  std::string Answer(const std::string& domain, const std::string& token) const;

  FrontDoor::Notes notes_;
  std::map<std::string, std::unique_ptr<FakeHost>> hosts_;
  std::vector<std::unique_ptr<FakeBigIp>> devices_;
  std::vector<Server> servers_;
  std::unique_ptr<Web> web_;
  std::unique_ptr<kube::Client> people_client_;
  std::unique_ptr<kube::Client> process_client_;
  std::unique_ptr<app::Program> program_;
  Cut next_cut_;
  int starts_ = 0;
  std::string identity_;
  std::atomic<bool> lease_lost_{false};
};

// Objects as YAML would have them, in World::kNamespace.
nlohmann::json Object(const std::string& kind, const std::string& name, nlohmann::json spec);
// A workflow for `dns_name` with its Secret "<name>-tls", issued by `authority`.
nlohmann::json WorkflowObject(const std::string& name, const std::string& dns_name,
                              const std::string& authority);

}  // namespace certflow::fakes
