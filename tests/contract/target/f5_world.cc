#include "tests/contract/target/f5_world.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "controller/base/base64.h"
#include "controller/net/address.h"
#include "controller/pki/certificate.h"
#include "providers/validators/tls/handshake.h"

namespace certflow::contract {
namespace {

using nlohmann::json;
using providers::f5::F5Targets;

test::Peer& SharedPair() {
  static test::Peer peer("f5");
  return peer;
}

std::string NameOf(const seams::Binding& at) {
  return at.workflow_name == "other" ? "other" : "site";
}
std::string DestinationOf(const std::string& name) {
  return name == "other" ? "/Common/10.10.10.22:443" : "/Common/10.10.10.21:443";
}

// A target with what it lives of: the memory of one process.
class Process : public seams::Target {
 public:
  Process(std::unique_ptr<F5Targets> targets, std::unique_ptr<seams::Target> target)
      : targets_(std::move(targets)), target_(std::move(target)) {}
  bool remembers_previous() const override { return target_->remembers_previous(); }
  Result<seams::TargetState> Observe(const Context& ctx, const seams::Binding& at) override {
    return target_->Observe(ctx, at);
  }
  Result<void> Stage(const Context& ctx, const seams::Binding& at,
                     const seams::Bundle& bundle) override {
    return target_->Stage(ctx, at, bundle);
  }
  Result<void> Activate(const Context& ctx, const seams::Binding& at,
                        const seams::StagedRef& which) override {
    return target_->Activate(ctx, at, which);
  }
  Result<void> Deactivate(const Context& ctx, const seams::Binding& at,
                          const seams::WayBack& way_back) override {
    return target_->Deactivate(ctx, at, way_back);
  }
  Result<void> Prune(const Context& ctx, const seams::Binding& at,
                     const seams::KeepList& keep) override {
    return target_->Prune(ctx, at, keep);
  }
  Result<void> Discard(const Context& ctx, const seams::Binding& at,
                       const std::string& version) override {
    return target_->Discard(ctx, at, version);
  }

 private:
  std::unique_ptr<F5Targets> targets_;
  std::unique_ptr<seams::Target> target_;
};

}  // namespace

void CutHttp::Arm(Cut cut, bool dies) {
  cut_ = cut;
  dies_ = dies;
  count_ = 0;
}

Result<net::HttpResponse> CutHttp::Do(const Context& ctx, const net::HttpRequest& request) {
  const std::size_t path = request.url.find("/mgmt");
  seen.push_back(request.method + " " + request.url.substr(path, request.url.find('?') - path));
  const int now = ++count_;
  const bool dead = dies_ && cut_.interaction != 0 && now > cut_.interaction;
  if (dead || (now == cut_.interaction && !cut_.after)) {
    return MakeError(ErrorCode::kUnavailable, "Cut", "cut");
  }
  auto answer = inner_.Do(ctx, request);
  if (now != cut_.interaction) return answer;
  if (request.method == "GET") return MakeError(ErrorCode::kUnavailable, "Cut", "cut");
  return MakeError(ErrorCode::kUnknownOutcome, "Cut", "cut");
}

Result<void> CutHttp::Stream(const Context& ctx, const net::HttpRequest& request,
                             net::StreamSink& sink) {
  return inner_.Stream(ctx, request, sink);
}

// The machine's clocks, and what a test lets pass beside.
class F5World::AheadClock : public Clock {
 public:
  WallTime Now() const override { return inner_->Now() + ahead_; }
  SteadyTime Steady() const override { return inner_->Steady() + ahead_; }
  bool WaitUntil(SteadyTime until, std::stop_token stop) override {
    return inner_->WaitUntil(until - ahead_, std::move(stop));
  }
  void Advance(Duration by) { ahead_ += by; }

 private:
  const std::unique_ptr<Clock> inner_ = MakeSystemClock();
  Duration ahead_{};
};

F5World::F5World(bool dies, bool auto_sync)
    : peer_(SharedPair()),
      dies_(dies),
      clock_(std::make_unique<AheadClock>()),
      curl_(net::MakeCurlHttpClient("f5-test", {})),
      http_(*curl_) {
  Ask("DELETE", "/faults");
  Ask("POST", "/failover", {{"unit", "a"}});
  Ask("POST", "/sync", {{"autoSync", auto_sync}, {"polls", 1}, {"ignore", 0}});
}

Context F5World::ctx() const { return Context{*clock_}; }
void F5World::Advance(Duration by) { clock_->Advance(by); }

F5World::~F5World() {
  for (const char* name : {"site", "other"}) Empty(Binding(name));
}

json F5World::Ask(const std::string& method, const std::string& path, const json& body) const {
  net::HttpRequest request;
  request.method = method;
  request.url = "http://" + peer_["control"] + path;
  if (!body.is_null()) request.body = body.dump();
  auto answer = curl_->Do(ctx(), request);
  if (!answer.ok()) throw std::runtime_error(answer.error().message);
  if (answer->status != 200) throw std::runtime_error(path + ": " + answer->body);
  return json::parse(answer->body, nullptr, false);
}

json F5World::Rest(const std::string& unit, const std::string& method, const std::string& path,
                   const json& body) const {
  auto tls = std::make_shared<net::TlsOptions>();
  tls->ca_pem = test::ReadFile(peer_["ca"]);
  net::HttpRequest request;
  request.method = method;
  request.url = "https://" + peer_[unit] + path;
  request.tls = std::move(tls);
  request.authorization_scheme = "Basic";
  request.authorization = SecretBytes(Base64Encode("admin:" + peer_["password"]));
  request.headers.push_back({"Content-Type", "application/json"});
  if (!body.is_null()) request.body = body.dump();
  auto answer = curl_->Do(ctx(), request);
  if (!answer.ok()) throw std::runtime_error(answer.error().message);
  if (answer->status != 200) throw std::runtime_error(path + ": " + answer->body);
  return json::parse(answer->body, nullptr, false);
}

std::string F5World::Active() const {
  return Ask("GET", "/state")["units"]["a"]["state"] == "active" ? "a" : "b";
}

void F5World::Sync() const {
  const std::string active = Active();
  Rest(active, "POST", "/mgmt/tm/cm",
       {{"command", "run"},
        {"utilCmdArgs", "config-sync force-full-load-push to-group " + peer_["group"]}});
  for (int round = 0; round < 10; ++round) {
    Rest(active, "GET", "/mgmt/tm/cm/sync-status");
    const json units = Ask("GET", "/state")["units"];
    if (units["a"]["syncStatus"] == "In Sync" && units["b"]["syncStatus"] == "In Sync") return;
  }
  throw std::runtime_error("the simulated pair does not come into sync");
}

seams::ProviderRef F5World::Provider(const json& changes) const {
  json settings = {{"hosts", {peer_["a"], peer_["b"]}},
                   {"username", "admin"},
                   {"tls", {{"caBundle", test::ReadFile(peer_["ca"])}}},
                   {"keep", 0}};
  if (!changes.is_null()) settings.merge_patch(changes);
  return {"f5", "prod", "pair", "uid-pair", settings.dump(), "", ""};
}

F5Targets::Login F5World::login(const std::string&) const {
  return {SecretBytes(), SecretBytes(peer_["password"])};
}

std::unique_ptr<seams::Target> F5World::ConnectBy(F5Targets& targets, const json& changes) {
  return std::move(*targets.Connect(Provider(changes), login()));
}

std::unique_ptr<seams::Target> F5World::Connect() {
  auto targets = std::make_unique<F5Targets>(http_);
  auto target = ConnectBy(*targets);
  return std::make_unique<Process>(std::move(targets), std::move(target));
}

seams::Binding F5World::Binding(const std::string& workflow) const {
  const json settings = {
      {"virtualServers", {{{"name", "vs_" + workflow}, {"createProfile", json::object()}}}}};
  return {"0/pair", "prod", workflow, "uid", settings.dump()};
}

void F5World::PutObjects(json objects) const {
  Ask("POST", "/objects", {{"objects", std::move(objects)}});
}

json F5World::VirtualServer(const std::string& name, const std::string& profile) const {
  json profiles = {{{"name", "/Common/tcp"}, {"context", "all"}}};
  if (!profile.empty()) profiles.push_back({{"name", profile}, {"context", "clientside"}});
  return {{"kind", "virtual"},
          {"name", "vs_" + name},
          {"partition", "Common"},
          {"destination", DestinationOf(name)},
          {"profiles", profiles}};
}

// As an administrator would: new objects, and a profile of his own that names them.
void F5World::PutForeign(const seams::Binding& at, const Pair& pair) {
  const std::string name = NameOf(at);
  const std::string file = "/Common/foreign_" + name + "_" + pair.fingerprint.substr(0, 8);
  const json entry = {{"name", "own"}, {"cert", file + ".crt"}, {"key", file + ".key"}};
  json cert = {{"kind", "ssl-cert"}, {"partition", "Common"}, {"content", pair.chain}};
  cert["name"] = file.substr(8) + ".crt";
  json key = {{"kind", "ssl-key"}, {"partition", "Common"}, {"content", pair.key}};
  key["name"] = file.substr(8) + ".key";
  const json profile = {{"kind", "client-ssl"},
                        {"name", name + "_clientssl"},
                        {"partition", "Common"},
                        {"defaultsFrom", "/Common/clientssl"},
                        {"certKeyChain", {entry}}};
  PutObjects({cert, key, profile, VirtualServer(name, "/Common/" + name + "_clientssl")});
}

// Both units as they were: everything that anybody made for this virtual server is gone.
void F5World::Empty(const seams::Binding& at) {
  const std::string name = NameOf(at);
  PutObjects(json::array({VirtualServer(name, "")}));
  const json unit = Ask("GET", "/state")["units"];
  for (const char* which : {"a", "b"}) {
    json gone = json::array();
    const json& objects = unit[which]["objects"];
    for (const char* kind : {"client-ssl", "ssl-cert", "ssl-key"}) {
      for (const std::string path : objects[kind]) {
        const bool ours =
            kind == std::string("client-ssl")
                ? path.find("_" + name + "_clientssl") != path.npos ||
                      path == "/Common/" + name + "_clientssl"
                : path.find("_ST-") != path.npos || path.find("foreign_" + name) != path.npos;
        if (!ours) continue;
        gone.push_back({{"kind", kind}, {"name", path.substr(8)}, {"delete", true}});
      }
    }
    for (const json& object : gone) {
      try {
        Ask("POST", "/objects", {{"unit", which}, {"objects", json::array({object})}});
      } catch (const std::runtime_error&) {
        continue;  // of the other virtual server's, in use
      }
    }
  }
  Sync();
}

std::string F5World::AddressOf(const std::string& virtual_server) const {
  return Ask("GET", "/state")["virtualServers"].at(virtual_server).get<std::string>();
}

std::string F5World::Served(const std::string& virtual_server, const std::string& server_name,
                            const std::string& algorithm) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> tls(SSL_CTX_new(TLS_client_method()),
                                                              &SSL_CTX_free);
  SSL_CTX_set1_sigalgs_list(tls.get(), algorithm.c_str());
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new_ssl_connect(tls.get()),
                                                          &BIO_free_all);
  SSL* ssl = nullptr;
  BIO_get_ssl(bio.get(), &ssl);
  if (!server_name.empty()) SSL_set_tlsext_host_name(ssl, server_name.c_str());
  BIO_set_conn_hostname(bio.get(), AddressOf(virtual_server).c_str());
  if (BIO_do_connect(bio.get()) != 1 || BIO_do_handshake(bio.get()) != 1) return {};
  const std::unique_ptr<X509, decltype(&X509_free)> leaf(SSL_get1_peer_certificate(ssl),
                                                         &X509_free);
  unsigned char* der = nullptr;
  const int size = i2d_X509(leaf.get(), &der);
  const std::string bytes(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return Sha256Hex(bytes);
}

std::string F5World::Served(const std::string& virtual_server, const std::string& server_name) {
  const auto where = net::ParseHostPort(AddressOf(virtual_server));
  // A virtual server without TLS says nothing, however long one waits.
  std::string id = virtual_server;
  std::replace(id.begin(), id.end(), '/', '~');
  const json on =
      Rest(Active(), "GET", "/mgmt/tm/ltm/virtual/" + id + "?expandSubcollections=true");
  const bool secure = on.dump().find("/profile/client-ssl/") != std::string::npos;
  const Context brief = ctx().WithTimeout(std::chrono::milliseconds(secure ? 20'000 : 200));
  auto socket = providers::Socket::Connect(brief, where->host, where->port);
  if (!socket.ok()) return {};
  auto served = providers::ReadServedChain(brief, *socket, server_name);
  return served.ok() ? pki::ReadDer(served->chain_der.front())->fingerprint : std::string();
}

std::optional<Pair> F5World::Live(const seams::Binding& at) {
  const std::string fingerprint = Served("/Common/vs_" + NameOf(at));
  return fingerprint.empty() ? std::nullopt : PairOf(fingerprint);
}

}  // namespace certflow::contract
