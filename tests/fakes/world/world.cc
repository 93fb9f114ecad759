#include "tests/fakes/world/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/api/meta.h"
#include "controller/api/run.h"
#include "controller/app/shipped_policy.h"
#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "controller/pki/request.h"
#include "tests/fakes/world/threads.h"

namespace certflow::fakes {
namespace {

using nlohmann::json;

// So long nothing may show before rest is looked for, which costs more.
constexpr std::chrono::milliseconds kQuiet{1};
constexpr std::chrono::milliseconds kLookEvery{10};
constexpr std::chrono::seconds kRealLimit{300};

const kube::Resource& Secrets() {
  static const kube::Resource resource{"", "v1", "secrets", "Secret", true};
  return resource;
}
const kube::Resource kPolicies{"admissionregistration.k8s.io", "v1", "validatingadmissionpolicies",
                               "ValidatingAdmissionPolicy", false};
const kube::Resource kBindings{"admissionregistration.k8s.io", "v1",
                               "validatingadmissionpolicybindings",
                               "ValidatingAdmissionPolicyBinding", false};
const kube::Resource kNamespaces{"", "v1", "namespaces", "Namespace", false};

const std::vector<kube::Resource>& Known() {
  static const std::vector<kube::Resource> known = {api::WorkflowResource(),
                                                    api::RunResource(),
                                                    api::AuthorityResource(),
                                                    api::TargetResource(),
                                                    api::ChannelResource(),
                                                    Secrets(),
                                                    kPolicies,
                                                    kBindings,
                                                    kNamespaces};
  return known;
}

const kube::Resource& ResourceOf(std::string_view plural_or_kind) {
  for (const kube::Resource& resource : Known()) {
    if (resource.plural == plural_or_kind || resource.kind == plural_or_kind) return resource;
  }
  std::fprintf(stderr, "world: no resource %s\n", std::string(plural_or_kind).c_str());
  std::abort();
}

json ParseOrNull(const std::string& text) { return text.empty() ? json() : json::parse(text); }

}  // namespace

// Everything outgoing: the ACME server, and the web as it looks at http-01.
class World::Web : public net::HttpClient {
 public:
  explicit Web(World& world) : world_(world) {}
  Result<net::HttpResponse> Do(const Context& ctx, const net::HttpRequest& request) override {
    constexpr std::string_view kAcme = "https://acme.test";
    if (request.url.starts_with(kAcme)) {
      const std::string what = "acme " + request.method + " " + request.url.substr(kAcme.size());
      return world_.life.Pass(what, [&] { return world_.acme.Do(ctx, request); });
    }
    for (const Server& server : world_.servers_) {
      if (request.url.starts_with(server.origin)) return Ask(server, request);
    }
    if (world_.life.dead()) return Lifeline::Gone();
    constexpr std::string_view kWellKnown = "/.well-known/acme-challenge/";
    const std::size_t at = request.url.find(kWellKnown);
    if (!request.url.starts_with("http://") || at == std::string::npos) {
      return MakeError(ErrorCode::kUnavailable, "ConnectionFailed", "no such server");
    }
    const std::string answer =
        world_.Answer(request.url.substr(7, at - 7), request.url.substr(at + kWellKnown.size()));
    if (answer.empty()) return net::HttpResponse{404, {}, "not found"};
    return net::HttpResponse{200, {}, answer};
  }
  Result<void> Stream(const Context&, const net::HttpRequest&, net::StreamSink&) override {
    return MakeError(ErrorCode::kInternal, "NoStreams", "nothing is streamed");
  }

 private:
  Result<net::HttpResponse> Ask(const Server& server, const net::HttpRequest& request) {
    if (request.method != "GET") {
      const std::string path = request.url.substr(request.url.find('/', server.origin.size()));
      return world_.life.Pass(server.name + " " + request.method + " " + path,
                              [&] { return server.answer(request); });
    }
    if (world_.life.dead()) return Lifeline::Gone();
    auto answer = server.answer(request);
    if (world_.life.dead()) return Lifeline::Gone();
    return answer;
  }
  World& world_;
};

World::World()
    : acme(clock, [this](const std::string& domain, const std::string& token) {
        return Answer(domain, token);
      }) {
  config.leader_elect = false;
  config.max_workers = 16;
  // Regular looks are for the tests that want them; in days of simulated time they are many.
  config.check_interval = std::chrono::hours(24 * 365);
  people.Share(notes_);
  process.Share(notes_);
  web_ = std::make_unique<Web>(*this);
  people_client_ = kube::MakeClient(people, MemoryApiServer::Config(), NoMetrics());
  ServeOurKinds();
  for (const char* name : {kNamespace, "other", "certflow-system"}) {
    Create({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}});
  }
}

World::~World() { Kill(); }

void World::ServeOurKinds() {
  for (const kube::Resource* resource :
       {&api::WorkflowResource(), &api::RunResource(), &api::AuthorityResource(),
        &api::TargetResource(), &api::ChannelResource()}) {
    api.Serve({*resource});
  }
  api.Serve({kPolicies});
  api.Serve({kBindings});
  api.Serve({{"networking.k8s.io", "v1", "ingresses", "Ingress", true}});
}

void World::Start() {
  Kill();
  life.Arm(std::exchange(next_cut_, {}));
  process_client_ = kube::MakeClient(process, MemoryApiServer::Config(), *activity);
  app::ShippedPolicy policy = app::LoadShippedPolicy();
  identity_ = "replica-" + std::to_string(++starts_);
  lease_lost_ = false;
  program_ = std::make_unique<app::Program>(
      config, app::Parts{clock, *activity, Logger(activity), *process_client_, *web_, shells, mail,
                         identity_, std::move(policy.policy_json), std::move(policy.binding_json),
                         [this] { lease_lost_ = true; }});
  program_->Start();
}

void World::Kill() {
  if (!program_) return;
  life.Arm({1, false});
  // Whatever it tries first from here on is what it dies at.
  (void)life.Begin("SIGKILL");
  program_.reset();
  process_client_.reset();
  activity->Reset();
}

void World::Stop(Cut at_release) {
  if (!program_) return;
  life.Arm(at_release);
  program_->Stop(Duration{0});
  Kill();
}

void World::Elect() {
  config.leader_elect = true;
  process.CountLeases(true);
}

std::string World::LeaseHolder() const {
  const json lease = Get("leases", "certflow", config.own_namespace);
  return lease.is_null() ? "" : lease["spec"].value("holderIdentity", "");
}

// A worker that is busy and sleeps waits for a process or a connection, if not for a hanging mail.
bool World::Rests() const {
  const std::uint64_t changes = activity->changes();
  return !activity->Busy(mail.hanging()) && OtherThreadsSleep() && activity->changes() == changes;
}

bool World::Until(const std::function<bool()>& done, std::chrono::seconds limit) {
  const SteadyTime end = clock.Steady() + limit;
  const auto real_end = std::chrono::steady_clock::now() + kRealLimit;
  auto looked = std::chrono::steady_clock::time_point();
  while (std::chrono::steady_clock::now() < real_end) {
    // Looking costs more than most of what the program does.
    if (std::chrono::steady_clock::now() - looked > kLookEvery) {
      if (done()) return true;
      looked = std::chrono::steady_clock::now();
    }
    if (activity->AwaitChange(activity->changes(), kQuiet) || !Rests()) continue;
    // As the kubelet does with a process that has ended.
    if (lease_lost_) {
      Start();
      continue;
    }
    if (done()) return true;
    const SteadyTime now = clock.Steady();
    if (now >= end) return false;
    const SteadyTime to = std::min(clock.earliest().value_or(end), end);
    clock.Advance(std::chrono::ceil<Duration>(std::max(to - now, SteadyTime::duration(1))));
  }
  std::fprintf(stderr, "world: the program does not come to rest\n");
  return done();
}

void World::Pass(std::chrono::seconds time) {
  Until([] { return false; }, time);
}

void World::Must(const Result<void>& done, const std::string& what) const {
  if (done.ok()) return;
  std::fprintf(stderr, "world: %s: %s\n", what.c_str(), done.error().message.c_str());
  std::abort();
}

void World::Create(const json& object) {
  const kube::Resource& resource = ResourceOf(object.at("kind").get<std::string>());
  const std::string ns = object.at("metadata").value("namespace", "");
  auto made = people_client_->Create({clock}, resource, ns, object.dump());
  Must(made.ok() ? Result<void>() : Result<void>(made.error()), "create " + object.dump());
}

void World::Patch(std::string_view plural, const std::string& name, const json& patch) {
  const kube::Resource& resource = ResourceOf(plural);
  auto done = people_client_->MergePatch(
      {clock}, resource, {resource.namespaced ? kNamespace : "", name}, "", patch.dump());
  Must(done.ok() ? Result<void>() : Result<void>(done.error()), "patch " + name);
}

void World::Annotate(std::string_view plural, const std::string& name, const std::string& key,
                     const std::string& value) {
  Patch(plural, name, {{"metadata", {{"annotations", {{key, value}}}}}});
}

void World::Delete(std::string_view plural, const std::string& name) {
  const kube::Resource& resource = ResourceOf(plural);
  const std::string ns = resource.namespaced ? kNamespace : "";
  const json object = Get(plural, name, ns);
  Must(people_client_->Delete({clock}, resource, {ns, name},
                              {object.at("metadata").at("uid").get<std::string>(), "", {}}),
       "delete " + name);
  CollectGarbage();
}

void World::CollectGarbage() {
  std::vector<std::string> alive;
  for (const kube::ObjectKey& key : api.Keys("certificateworkflows")) {
    alive.push_back(Get("certificateworkflows", key.name, key.ns)["metadata"]["uid"]);
  }
  for (const char* plural : {"workflowruns", "secrets"}) {
    for (const kube::ObjectKey& key : api.Keys(plural)) {
      const json metadata = Get(plural, key.name, key.ns)["metadata"];
      const json owners = metadata.value("ownerReferences", json::array());
      if (owners.empty()) continue;
      const std::string owner = owners[0].at("uid");
      if (std::find(alive.begin(), alive.end(), owner) != alive.end()) continue;
      auto done = people_client_->Delete({clock}, ResourceOf(plural), key,
                                         {metadata.at("uid").get<std::string>(), "", {}});
      if (!done.ok() && done.error().code != ErrorCode::kNotFound) Must(done, "collect garbage");
    }
  }
}

json World::Get(std::string_view plural, const std::string& name, const std::string& ns) const {
  return ParseOrNull(api.Peek(plural, {ns, name}));
}

std::vector<json> World::Runs(const std::string& workflow) const {
  std::vector<json> runs;
  for (const kube::ObjectKey& key : api.Keys("workflowruns")) {
    json run = Get("workflowruns", key.name, key.ns);
    if (!run.is_null() && run["spec"]["workflowRef"].value("name", "") == workflow) {
      runs.push_back(std::move(run));
    }
  }
  std::sort(runs.begin(), runs.end(), [](const json& a, const json& b) {
    return a["spec"].value("number", 0) < b["spec"].value("number", 0);
  });
  return runs;
}

std::vector<json> World::Events() const {
  std::vector<json> events;
  for (const kube::ObjectKey& key : api.Keys("events")) {
    json event = Get("events", key.name, key.ns);
    if (!event.is_null()) events.push_back(std::move(event));
  }
  return events;
}

bool World::RunIs(const std::string& workflow, std::string_view state) const {
  const auto runs = Runs(workflow);
  return !runs.empty() && runs.back().value("status", json::object()).value("state", "") == state;
}

std::string World::SecretFingerprint(const std::string& name) const {
  const json secret = Get("secrets", name);
  if (secret.is_null()) return "";
  const json data = secret.value("data", json::object());
  const auto chain = Base64Decode(data.value("tls.crt", ""));
  const auto key_pem = Base64Decode(data.value("tls.key", ""));
  if (!chain.ok() || !key_pem.ok() || chain->empty()) return "broken";
  const auto key = pki::PrivateKey::FromPem(key_pem->Reveal());
  if (!key.ok() || !pki::CheckPair(chain->Reveal(), *key).ok()) return "mismatch";
  return pki::ReadChain(chain->Reveal())->front().fingerprint;
}

std::vector<std::string> World::LeakedKeys() const {
  constexpr std::string_view kSign = "PRIVATE KEY";
  std::vector<std::string> found;
  for (const char* plural : {"workflowruns", "certificateworkflows", "certificateauthorities",
                             "deploymenttargets", "notificationchannels", "events", "ingresses"}) {
    for (const kube::ObjectKey& key : api.Keys(plural)) {
      if (api.Peek(plural, key).find(kSign) != std::string::npos) {
        found.push_back(std::string(plural) + " " + key.ToString());
      }
    }
  }
  for (const std::string& line : activity->log()) {
    if (line.find(kSign) != std::string::npos) found.push_back("log: " + line.substr(0, 60));
  }
  for (const FakeMail::Message& message : mail.messages()) {
    if (message.text.find(kSign) != std::string::npos) found.push_back("mail");
  }
  return found;
}

std::map<std::string, std::size_t> World::Writes() const {
  std::map<std::string, std::size_t> writes;
  for (const auto& [what, count] : api.Counts()) {
    const bool read = what.starts_with("get ") || what.starts_with("list ") ||
                      what.starts_with("watch ") || what.starts_with("other ");
    if (read || what.ends_with(" events") || what.ends_with(" leases")) continue;
    writes[what] = count;
  }
  return writes;
}

std::size_t World::TotalWrites() const {
  std::size_t total = 0;
  for (const auto& [what, count] : Writes()) total += count;
  return total;
}

std::string World::Answer(const std::string& domain, const std::string& token) const {
  for (const auto& [name, host] : hosts_) {
    if (std::string answer = host->Challenge(token); !answer.empty()) return answer;
  }
  (void)domain;
  return program_ ? program_->ChallengeAnswer(token) : "";
}

void World::Secret(const std::string& name, const json& string_data, bool allowed) {
  json labels = allowed ? json{{"certflow.dev/allow", "true"}} : json::object();
  Create({{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"metadata", {{"name", name}, {"namespace", kNamespace}, {"labels", labels}}},
          {"stringData", string_data}});
}

void World::AddInternalCa(const std::string& name, const std::string& duration) {
  auto key = pki::PrivateKey::Generate({pki::KeyAlgorithm::kEcdsa, 256});
  auto ca = pki::MakeSelfSignedCa(*key, "company CA", std::chrono::hours(24 * 3650), clock.Now());
  Secret(name + "-pair", {{"tls.crt", *ca}, {"tls.key", std::string(key->ToPem().Reveal())}});
  Create(Object("CertificateAuthority", name,
                {{"ca", {{"secretName", name + "-pair"}, {"duration", duration}}}}));
}

void World::AddAcme(const std::string& name) {
  Create(Object("CertificateAuthority", name,
                {{"trustBundle", acme.root_pem()},
                 {"acme",
                  {{"server", FakeAcme::kDirectory},
                   {"email", "pki@example.test"},
                   {"accountKeySecretRef", {{"name", name + "-account"}}},
                   {"solvers", json::array({{{"http01", {{"via", "Target"}}}}})}}}}));
}

FakeHost& World::AddHost(const std::string& name, const std::string& dns_name) {
  auto& host = hosts_[name];
  host = std::make_unique<FakeHost>(name, dns_name, clock.Now());
  shells.Add(*host);
  if (Get("secrets", "host-ssh").is_null()) Secret("host-ssh", {{"id", "the key to the hosts"}});
  Create(Object("DeploymentTarget", name, {{"nginx", json::parse(host->settings())}}));
  return *host;
}

FakeBigIp& World::AddBigIp(const std::string& name, const std::string& dns_name) {
  devices_.push_back(std::make_unique<FakeBigIp>(name, dns_name, clock.Now()));
  FakeBigIp& device = *devices_.back();
  AddServer(name, "https://" + device.host(),
            [&device](const net::HttpRequest& request) { return device.Do(request); });
  if (Get("secrets", "f5-login").is_null()) Secret("f5-login", {{"password", "the admin's"}});
  Create(Object("DeploymentTarget", name, {{"f5", device.settings()}}));
  return device;
}

void World::AddServer(const std::string& name, const std::string& origin, Answering answer) {
  servers_.push_back({name, origin, std::move(answer)});
}

void World::AddMailChannel(const std::string& name) {
  Create(Object("NotificationChannel", name,
                {{"smtp",
                  {{"host", "mail.test"},
                   {"port", 587},
                   {"tls", "StartTLS"},
                   {"from", "certflow@example.test"}}}}));
}

void World::Install(bool policy) {
  if (!policy) {
    for (const char* plural :
         {"validatingadmissionpolicies", "validatingadmissionpolicybindings"}) {
      for (const kube::ObjectKey& key : api.Keys(plural)) Delete(plural, key.name);
    }
    return;
  }
  app::ShippedPolicy shipped = app::LoadShippedPolicy();
  Create(json::parse(shipped.policy_json));
  Create(json::parse(shipped.binding_json));
  clock.Advance(std::chrono::seconds(10));  // it takes effect a moment later
}

json Object(const std::string& kind, const std::string& name, json spec) {
  return {{"apiVersion", "certflow.dev/v1alpha1"},
          {"kind", kind},
          {"metadata", {{"name", name}, {"namespace", World::kNamespace}}},
          {"spec", std::move(spec)}};
}

json WorkflowObject(const std::string& name, const std::string& dns_name,
                    const std::string& authority) {
  return Object("CertificateWorkflow", name,
                {{"certificate",
                  {{"commonName", dns_name},
                   {"dnsNames", json::array({dns_name})},
                   {"secretName", name + "-tls"}}},
                 {"authorities", json::array({{{"name", authority}}})}});
}

}  // namespace certflow::fakes
