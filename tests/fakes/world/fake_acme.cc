#include "tests/fakes/world/fake_acme.h"

#include <algorithm>
#include <list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "controller/base/base64.h"
#include "controller/base/mutex.h"
#include "tests/fakes/world/csr_signer.h"

namespace certflow::fakes {
namespace {

using nlohmann::json;

const std::string kBase = "https://acme.test";
constexpr std::chrono::hours kOrderLife{24 * 7};

json Decoded(const json& node, const char* name) {
  const auto bytes = Base64UrlDecode(node.value(name, ""));
  return json::parse(bytes.ok() ? std::string(bytes->Reveal()) : "", nullptr, false);
}

net::HttpResponse ProblemAnswer(int status, const std::string& type, const std::string& detail) {
  json body{{"type", "urn:ietf:params:acme:error:" + type}, {"detail", detail}, {"status", status}};
  return {status, {{"content-type", "application/problem+json"}}, body.dump()};
}

struct Proof {
  std::string domain, token;
  std::string status = "pending";
};
struct Order {
  std::size_t account = 0;
  std::vector<std::string> names;
  std::vector<Proof> proofs;  // one a name
  std::string status = "pending";
  std::string chain;
  WallTime expires;
};
struct Account {
  std::string url, thumbprint;
};

}  // namespace

struct FakeAcme::Impl {
  Impl(Clock& its_clock, Look its_look)
      : clock(its_clock), look(std::move(its_look)), signer(clock.Now()) {}

  net::HttpResponse Answer(const net::HttpRequest& request) CF_REQUIRES(mutex);
  net::HttpResponse Signed(const std::string& path, const json& header, const json& payload)
      CF_REQUIRES(mutex);
  net::HttpResponse NewAccount(const json& header, const json& payload) CF_REQUIRES(mutex);
  net::HttpResponse NewOrder(std::size_t account, const json& payload) CF_REQUIRES(mutex);
  net::HttpResponse OrderAnswer(std::size_t index, int status) const CF_REQUIRES(mutex);
  net::HttpResponse Authorization(std::size_t index, std::size_t which) const CF_REQUIRES(mutex);
  net::HttpResponse Validate(std::size_t index, std::size_t which) CF_REQUIRES(mutex);
  net::HttpResponse Finalize(std::size_t index, const json& payload) CF_REQUIRES(mutex);
  std::optional<net::HttpResponse> Scripted(const std::string& path) CF_REQUIRES(mutex);
  std::string NewNonce() CF_REQUIRES(mutex) {
    std::string nonce = "nonce" + std::to_string(++nonces_made);
    nonces.insert(nonce);
    return nonce;
  }

  Clock& clock;
  const Look look;
  const CsrSigner signer;
  mutable Mutex mutex;
  std::chrono::seconds lifetime CF_GUARDED_BY(mutex){90 * 24 * 3600};
  std::vector<Account> accounts CF_GUARDED_BY(mutex);
  std::vector<Order> orders CF_GUARDED_BY(mutex);
  std::set<std::string> nonces CF_GUARDED_BY(mutex);
  int nonces_made CF_GUARDED_BY(mutex) = 0;
  int requests CF_GUARDED_BY(mutex) = 0;
  int finalized CF_GUARDED_BY(mutex) = 0;
  std::list<FakeAcme::Problem> script CF_GUARDED_BY(mutex);
};

namespace {

// "/order/3/1" gives {3, 1}; minus one where there is no number.
std::pair<int, int> NumbersOf(const std::string& path) {
  int first = -1, second = -1;
  const std::size_t slash = path.find('/', 1);
  if (slash != std::string::npos) std::sscanf(path.c_str() + slash, "/%d/%d", &first, &second);
  return {first, second};
}

std::string Numbered(const char* what, std::size_t a, std::size_t b) {
  return kBase + "/" + what + "/" + std::to_string(a) + "/" + std::to_string(b);
}

}  // namespace

net::HttpResponse FakeAcme::Impl::NewAccount(const json& header, const json& payload) {
  const std::string thumbprint = Base64UrlEncode(Sha256(header.value("jwk", json()).dump()));
  for (const Account& account : accounts) {
    if (account.thumbprint == thumbprint) {
      return {200, {{"location", account.url}}, R"({"status":"valid"})"};
    }
  }
  if (payload.value("onlyReturnExisting", false)) {
    return ProblemAnswer(400, "accountDoesNotExist", "no account has this key");
  }
  accounts.push_back({kBase + "/account/" + std::to_string(accounts.size()), thumbprint});
  return {201, {{"location", accounts.back().url}}, R"({"status":"valid"})"};
}

net::HttpResponse FakeAcme::Impl::NewOrder(std::size_t account, const json& payload) {
  Order order;
  order.account = account;
  order.expires = clock.Now() + kOrderLife;
  for (const json& identifier : payload.at("identifiers")) {
    order.names.push_back(identifier.at("value"));
    order.proofs.push_back({order.names.back(), "token-" + std::to_string(orders.size()) + "-" +
                                                    std::to_string(order.proofs.size())});
  }
  orders.push_back(std::move(order));
  return OrderAnswer(orders.size() - 1, 201);
}

net::HttpResponse FakeAcme::Impl::OrderAnswer(std::size_t index, int status) const {
  const Order& order = orders[index];
  const std::string number = std::to_string(index);
  json body{{"status", order.status},
            {"expires", FormatTime(order.expires)},
            {"finalize", kBase + "/finalize/" + number},
            {"identifiers", json::array()},
            {"authorizations", json::array()}};
  for (std::size_t i = 0; i < order.names.size(); ++i) {
    body["identifiers"].push_back({{"type", "dns"}, {"value", order.names[i]}});
    body["authorizations"].push_back(Numbered("authz", index, i));
  }
  if (order.status == "valid") body["certificate"] = kBase + "/certificate/" + number;
  return {status, {{"location", kBase + "/order/" + number}}, body.dump()};
}

net::HttpResponse FakeAcme::Impl::Authorization(std::size_t index, std::size_t which) const {
  const Proof& proof = orders[index].proofs.at(which);
  json challenge{{"type", "http-01"},
                 {"url", Numbered("challenge", index, which)},
                 {"token", proof.token},
                 {"status", proof.status}};
  json body{{"status", proof.status},
            {"identifier", {{"type", "dns"}, {"value", proof.domain}}},
            {"challenges", json::array({challenge})}};
  return {200, {}, body.dump()};
}

net::HttpResponse FakeAcme::Impl::Validate(std::size_t index, std::size_t which) {
  Order& order = orders[index];
  Proof& proof = order.proofs.at(which);
  const std::string expected = proof.token + "." + accounts[order.account].thumbprint;
  if (proof.status == "pending") {
    proof.status = look(proof.domain, proof.token) == expected ? "valid" : "invalid";
  }
  const bool all = std::all_of(order.proofs.begin(), order.proofs.end(),
                               [](const Proof& one) { return one.status == "valid"; });
  if (all && order.status == "pending") order.status = "ready";
  if (proof.status == "invalid") order.status = "invalid";
  json body{{"type", "http-01"},
            {"url", Numbered("challenge", index, which)},
            {"token", proof.token},
            {"status", proof.status}};
  return {200, {}, body.dump()};
}

net::HttpResponse FakeAcme::Impl::Finalize(std::size_t index, const json& payload) {
  Order& order = orders[index];
  if (order.status != "ready") return ProblemAnswer(403, "orderNotReady", "is " + order.status);
  const auto csr = Base64UrlDecode(payload.value("csr", ""));
  if (csr.ok()) order.chain = signer.Sign(csr->Reveal(), order.names, clock.Now(), lifetime);
  if (order.chain.empty())
    return ProblemAnswer(400, "badCSR", "the request does not fit the order");
  order.status = "valid";
  ++finalized;
  return OrderAnswer(index, 200);
}

net::HttpResponse FakeAcme::Impl::Signed(const std::string& path, const json& header,
                                         const json& payload) {
  if (path == "/new-account") return NewAccount(header, payload);
  const auto account = std::find_if(accounts.begin(), accounts.end(), [&](const Account& one) {
    return one.url == header.value("kid", "");
  });
  if (account == accounts.end())
    return ProblemAnswer(400, "accountDoesNotExist", "unknown account");
  const auto number = static_cast<std::size_t>(account - accounts.begin());
  if (path == "/new-order") return NewOrder(number, payload);
  if (path.starts_with("/account/")) {
    json body{{"status", "valid"}, {"orders", kBase + "/orders/" + std::to_string(number)}};
    return {200, {}, body.dump()};
  }
  if (path.starts_with("/orders/")) {
    json list = json::array();
    for (std::size_t i = 0; i < orders.size(); ++i) {
      if (orders[i].account == number) list.push_back(kBase + "/order/" + std::to_string(i));
    }
    return {200, {}, json{{"orders", list}}.dump()};
  }
  const auto [first, second] = NumbersOf(path);
  if (first < 0 || static_cast<std::size_t>(first) >= orders.size()) {
    return ProblemAnswer(404, "malformed", "not found");
  }
  const auto index = static_cast<std::size_t>(first);
  if (path.starts_with("/order/")) return OrderAnswer(index, 200);
  if (path.starts_with("/finalize/")) return Finalize(index, payload);
  if (path.starts_with("/certificate/")) {
    return {200, {{"content-type", "application/pem-certificate-chain"}}, orders[index].chain};
  }
  if (second < 0) return ProblemAnswer(404, "malformed", "not found");
  if (path.starts_with("/authz/")) return Authorization(index, static_cast<std::size_t>(second));
  return Validate(index, static_cast<std::size_t>(second));
}

std::optional<net::HttpResponse> FakeAcme::Impl::Scripted(const std::string& path) {
  for (auto it = script.begin(); it != script.end(); ++it) {
    if (!path.starts_with(it->path)) continue;
    net::HttpResponse response = ProblemAnswer(it->status, it->type, "as the test wants it");
    if (it->retry_after > 0) {
      response.headers.push_back({"retry-after", std::to_string(it->retry_after)});
    }
    if (--it->times == 0) script.erase(it);
    return response;
  }
  return std::nullopt;
}

net::HttpResponse FakeAcme::Impl::Answer(const net::HttpRequest& request) {
  const std::string path = request.url.substr(kBase.size());
  ++requests;
  if (path == "/directory") {
    json body{{"newNonce", kBase + "/new-nonce"},
              {"newAccount", kBase + "/new-account"},
              {"newOrder", kBase + "/new-order"}};
    return {200, {}, body.dump()};
  }
  if (path == "/new-nonce") return {200, {}, ""};
  const json body = json::parse(request.body, nullptr, false);
  const json header = Decoded(body, "protected");
  if (!header.is_object()) return ProblemAnswer(400, "malformed", "not a JWS");
  if (nonces.erase(header.value("nonce", "")) == 0)
    return ProblemAnswer(400, "badNonce", "unknown");
  if (header.value("url", "") != request.url)
    return ProblemAnswer(400, "unauthorized", "wrong url");
  if (auto scripted = Scripted(path)) return *scripted;
  return Signed(path, header, Decoded(body, "payload"));
}

FakeAcme::FakeAcme(Clock& clock, Look look)
    : impl_(std::make_unique<Impl>(clock, std::move(look))) {}
FakeAcme::~FakeAcme() = default;

std::string FakeAcme::root_pem() const { return impl_->signer.root_pem(); }

void FakeAcme::SetLifetime(std::chrono::seconds lifetime) {
  MutexLock lock(impl_->mutex);
  impl_->lifetime = lifetime;
}

void FakeAcme::AnswerWith(Problem problem) {
  MutexLock lock(impl_->mutex);
  impl_->script.push_back(std::move(problem));
}

int FakeAcme::accounts() const {
  MutexLock lock(impl_->mutex);
  return static_cast<int>(impl_->accounts.size());
}
int FakeAcme::orders() const {
  MutexLock lock(impl_->mutex);
  return static_cast<int>(impl_->orders.size());
}
int FakeAcme::finalized() const {
  MutexLock lock(impl_->mutex);
  return impl_->finalized;
}
int FakeAcme::requests() const {
  MutexLock lock(impl_->mutex);
  return impl_->requests;
}

Result<net::HttpResponse> FakeAcme::Do(const Context&, const net::HttpRequest& request) {
  MutexLock lock(impl_->mutex);
  net::HttpResponse response = impl_->Answer(request);
  response.headers.push_back({"replay-nonce", impl_->NewNonce()});
  return response;
}

Result<void> FakeAcme::Stream(const Context&, const net::HttpRequest&, net::StreamSink&) {
  return MakeError(ErrorCode::kInternal, "NoStreams", "ACME streams nothing");
}

}  // namespace certflow::fakes
