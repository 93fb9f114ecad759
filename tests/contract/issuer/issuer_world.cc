#include "tests/contract/issuer/issuer_world.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/pki/certificate.h"
#include "controller/pki/request.h"
#include "providers/issuers/acme/client.h"
#include "providers/issuers/acme/settings.h"
#include "providers/issuers/ca/ca_issuer.h"
#include "providers/solvers/dns_lookup.h"
#include "providers/solvers/dns_transport.h"
#include "providers/solvers/rfc2136_solver.h"

namespace certflow::contract {
namespace {

using providers::acme::AcmeAccountCache;
using providers::acme::AcmeSolver;

Clock& RealClock() {
  static const std::unique_ptr<Clock> clock = MakeSystemClock();
  return *clock;
}

class CaWorld : public IssuerWorld {
 public:
  CaWorld() : key_(pki::PrivateKey::Generate({}).value()) {
    pem_ =
        pki::MakeSelfSignedCa(key_, "contract CA", std::chrono::hours(24 * 365), RealClock().Now())
            .value();
  }
  std::unique_ptr<seams::Issuer> Connect() override {
    return providers::MakeCaIssuer(R"({"secretName":"ca"})", pem_, "", key_.ToPem()).value();
  }
  std::string Name(const std::string& label) const override { return label + ".example.test"; }

 private:
  pki::PrivateKey key_;
  std::string pem_;
};

}  // namespace

Context RealContext(Duration limit) {
  return Context{RealClock(), RealClock().Steady() + limit, {}, {}};
}

std::unique_ptr<IssuerWorld> MakeCaWorld() { return std::make_unique<CaWorld>(); }
std::unique_ptr<IssuerWorld> MakeAcmeWorld() { return std::make_unique<AcmeWorld>(); }

test::Peer& AcmeWorld::Bind() {
  static test::Peer bind("bind", {"--zone", "localhost"});
  return bind;
}

test::Peer& AcmeWorld::Pebble() {
  static test::Peer pebble("pebble", {"--dns", Bind()["dns"], "--nonce-reject", "30"});
  return pebble;
}

AcmeWorld::AcmeWorld()
    : http_(net::MakeCurlHttpClient("test", {})),
      account_key_(pki::PrivateKey::Generate({}).value()) {}

std::string AcmeWorld::Name(const std::string& label) const { return label + ".localhost"; }

std::string AcmeWorld::Settings() const {
  return nlohmann::json{{"server", Pebble()["directory"]},
                        {"email", "admin@example.com"},
                        {"caBundle", test::ReadFile(Pebble()["ca"])}}
      .dump();
}

AcmeSolver AcmeWorld::DnsSolver(const std::string& nameserver) const {
  const nlohmann::json settings = {{"nameserver", nameserver.empty() ? Bind()["dns"] : nameserver},
                                   {"tsigKeyName", Bind()["key_name"]}};
  return {{},
          providers::solvers::MakeRfc2136Solver(settings.dump(), SecretBytes(Bind()["key_secret"]))
              .value()};
}

std::unique_ptr<seams::Issuer> AcmeWorld::ConnectWith(net::HttpClient& http,
                                                      std::vector<AcmeSolver> solvers,
                                                      std::shared_ptr<AcmeAccountCache> cache) {
  pki::PrivateKey key = pki::PrivateKey::FromPem(account_key_.ToPem().Reveal()).value();
  return providers::acme::MakeAcmeIssuer(
             {http, std::move(key), "", std::move(solvers), std::move(cache)}, Settings())
      .value();
}

std::unique_ptr<seams::Issuer> AcmeWorld::Connect() {
  return ConnectWith(*http_, {DnsSolver()}, nullptr);
}

std::vector<std::string> AcmeWorld::Orders() {
  using providers::acme::AccountUse;
  using providers::acme::AcmeClient;
  using providers::acme::LinkTarget;
  using providers::acme::OrderPage;
  using providers::acme::ParseAccount;
  using providers::acme::ParseOrderPage;
  using providers::acme::ParseSettings;
  using providers::acme::ServerSettings;
  const Context ctx = RealContext();
  AcmeAccountCache cache;
  const ServerSettings settings = ParseSettings(Settings()).value();
  AcmeClient client(*http_, cache, account_key_, settings, AccountUse::kFind);
  const std::string account = client.AccountUrl(ctx).value();
  std::string url = ParseAccount(client.Read(ctx, account).value().body).value().orders;
  std::vector<std::string> orders;
  while (!url.empty()) {
    const net::HttpResponse page = client.Read(ctx, url).value();
    const OrderPage list = ParseOrderPage(page.body).value();
    orders.insert(orders.end(), list.orders.begin(), list.orders.end());
    url = LinkTarget(page, "next");
  }
  return orders;
}

std::string AcmeWorld::DnsValues(const std::string& domain) const {
  using providers::solvers::DnsMessage;
  using providers::solvers::DnsRecord;
  using providers::solvers::ExchangeWith;
  using providers::solvers::JoinTxt;
  using providers::solvers::MakeQuery;
  using providers::solvers::ParseMessage;
  using providers::solvers::RecordType;
  const net::HostPort server = net::ParseHostPort(Bind()["dns"]).value();
  const std::string query = MakeQuery(7, "_acme-challenge." + domain, RecordType::kTxt, false);
  const std::string reply = ExchangeWith(RealContext(), server, query).value();
  const DnsMessage message = ParseMessage(reply).value();
  std::string values;
  for (const DnsRecord& record : message.answers) {
    values += JoinTxt(record.data).value_or("?") + " ";
  }
  return values;
}

void CuttingHttpClient::Cut(int request, bool after) {
  requests_ = 0;
  cut_ = request;
  after_ = after;
  struck_ = false;
}

int CuttingHttpClient::CountOf(std::string_view end) const {
  MutexLock lock(mutex_);
  return static_cast<int>(std::count_if(urls_.begin(), urls_.end(),
                                        [&](const auto& url) { return url.ends_with(end); }));
}

Result<net::HttpResponse> CuttingHttpClient::Do(const Context& ctx,
                                                const net::HttpRequest& request) {
  bool here = false;
  {
    MutexLock lock(mutex_);
    urls_.push_back(request.url);
    here = ++requests_ == cut_;
    struck_ = struck_ || here;
  }
  if (!here) return target_.Do(ctx, request);
  if (!after_) return MakeError(ErrorCode::kUnavailable, "Cut", "cut before the request");
  const Result<net::HttpResponse> lost = target_.Do(ctx, request);
  if (!lost.ok()) return lost;
  const bool write = request.method == "POST";
  return MakeError(write ? ErrorCode::kUnknownOutcome : ErrorCode::kUnavailable, "Cut",
                   "cut after the request");
}

Result<void> CuttingHttpClient::Stream(const Context& ctx, const net::HttpRequest& request,
                                       net::StreamSink& sink) {
  return target_.Stream(ctx, request, sink);
}

Outcome Drive(const Connect& connect, const seams::IssueRequest& what, seams::StepMemo memo) {
  const Context ctx = RealContext(std::chrono::seconds(30));
  Outcome outcome{std::move(memo), {}, {}, {}};
  bool observe = true;
  while (ctx.Check().ok()) {
    const auto issuer = connect();
    Result<seams::Issuance> next = observe ? issuer->Observe(ctx, what, outcome.memo)
                                           : issuer->Advance(ctx, what, outcome.memo);
    if (!next.ok()) {
      outcome.error = next.error();
      return outcome;
    }
    if (auto* issued = std::get_if<seams::Issued>(&*next)) {
      outcome.issued = std::move(*issued);
      return outcome;
    }
    if (auto* action = std::get_if<seams::IssueNeedsAction>(&*next)) {
      outcome.memo = std::move(action->memo);
      outcome.path.push_back(action->action);
    } else {
      auto& pending = std::get<seams::IssuePending>(*next);
      outcome.memo = std::move(pending.memo);
      outcome.path.push_back(pending.waiting_for);
    }
    observe = !observe;
  }
  outcome.error = ctx.Check().error();
  return outcome;
}

void ExpectGood(const seams::Issued& issued, const seams::IssueRequest& what) {
  const auto chain = pki::ReadChain(issued.chain_pem);
  ASSERT_TRUE(chain.ok()) << chain.error().message;
  EXPECT_TRUE(pki::CheckPair(issued.chain_pem, what.key).ok());
  std::vector<std::string> names = chain->front().dns_names, wanted = what.names.dns_names;
  std::sort(names.begin(), names.end());
  std::sort(wanted.begin(), wanted.end());
  EXPECT_EQ(names, wanted);
  EXPECT_FALSE(chain->front().is_ca);
  for (const auto& certificate : *chain) {
    EXPECT_NE(certificate.subject, certificate.issuer) << "a root is in the chain";
  }
}

}  // namespace certflow::contract
