#include <algorithm>
#include <latch>
#include <thread>

#include "providers/issuers/acme/memo.h"
#include "providers/solvers/http01_solver.h"
#include "tests/contract/issuer/issuer_world.h"
#include "tests/fakes/net/raw_http_server.h"

// What only ACME has, against the real server.
namespace certflow::contract {
namespace {

using pki::PrivateKey;
using providers::acme::AcmeAccountCache;

class PebbleTest : public testing::Test {
 protected:
  seams::IssueRequest Request(std::vector<std::string> names) {
    return {"st-1", {"", std::move(names)}, key_};
  }
  AcmeWorld world_;
  PrivateKey key_ = PrivateKey::Generate({}).value();
};

// R-6: wildcard and apex need two values at one name; 30 % of the nonces are refused meanwhile.
TEST_F(PebbleTest, WildcardAndApexByDnsLeaveNothingBehind) {
  const std::string domain = world_.Name("wild");
  const auto what = Request({domain, "*." + domain});
  const Outcome outcome = Drive([&] { return world_.Connect(); }, what);
  ASSERT_TRUE(outcome.issued) << outcome.error->message;
  ExpectGood(*outcome.issued, what);
  const std::string values = world_.DnsValues(domain);
  EXPECT_EQ(std::count(values.begin(), values.end(), ' '), 2) << values;
  ASSERT_TRUE(world_.Connect()->Cleanup(RealContext(), what, outcome.memo).ok());
  EXPECT_EQ(world_.DnsValues(domain), "");
}

TEST_F(PebbleTest, MoreNamesThanABatchAreProvedInTurn) {
  std::vector<std::string> names;
  for (int i = 0; i < 30; ++i) names.push_back(world_.Name("many" + std::to_string(i)));
  const auto what = Request(names);
  const Outcome outcome = Drive([&] { return world_.Connect(); }, what);
  ASSERT_TRUE(outcome.issued) << outcome.error->message;
  EXPECT_LE(outcome.memo.size(), seams::kMaxMemoEntries);
  ASSERT_TRUE(world_.Connect()->Cleanup(RealContext(), what, outcome.memo).ok());
  for (const std::string& name : names) EXPECT_EQ(world_.DnsValues(name), "") << name;
}

TEST_F(PebbleTest, AChallengeDelegatedByCnameIsProvedAtItsTarget) {
  const auto what = Request({world_.Name("cname")});
  const Outcome outcome = Drive([&] { return world_.Connect(); }, what);
  ASSERT_TRUE(outcome.issued) << outcome.error->message;
  ExpectGood(*outcome.issued, what);
}

class MapFiles : public seams::ChallengeFiles {
 public:
  Result<void> Put(const Context&, std::string_view token, std::string_view content) override {
    MutexLock lock(mutex_);
    files_["/.well-known/acme-challenge/" + std::string(token)] = content;
    return {};
  }
  Result<void> Remove(const Context&, std::string_view token) override {
    MutexLock lock(mutex_);
    files_.erase("/.well-known/acme-challenge/" + std::string(token));
    return {};
  }
  fakes::RawReply Serve(const fakes::RawRequest& request) {
    MutexLock lock(mutex_);
    const auto it = files_.find(request.target);
    return it == files_.end() ? fakes::RawReply::Status(404) : fakes::RawReply::Ok(it->second);
  }
  std::size_t size() {
    MutexLock lock(mutex_);
    return files_.size();
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::string> files_ CF_GUARDED_BY(mutex_);
};

// A server on the port that Pebble looks at, which is another one than the program's own Pebble
// has.
struct HttpWorld {
  explicit HttpWorld(AcmeWorld& world)
      : server([this](const fakes::RawRequest& request) { return files->Serve(request); }),
        pebble("pebble",
               {"--dns", AcmeWorld::Bind()["dns"], "--http-port", std::to_string(server.port())}),
        http(world.http()) {}

  std::unique_ptr<seams::Issuer> Connect(std::shared_ptr<seams::ChallengeSolver> solver) {
    const std::string settings = R"({"server":")" + pebble["directory"] + R"(","caBundle":")" +
                                 Escaped(test::ReadFile(pebble["ca"])) + "\"}";
    return providers::acme::MakeAcmeIssuer({http,
                                            PrivateKey::FromPem(account.ToPem().Reveal()).value(),
                                            "",
                                            {{{}, std::move(solver)}},
                                            nullptr},
                                           settings)
        .value();
  }
  static std::string Escaped(const std::string& pem) {
    std::string out;
    for (const char c : pem) out += c == '\n' ? std::string("\\n") : std::string(1, c);
    return out;
  }

  std::shared_ptr<MapFiles> files = std::make_shared<MapFiles>();
  fakes::RawHttpServer server;
  test::Peer pebble;
  net::HttpClient& http;
  PrivateKey account = PrivateKey::Generate({}).value();
};

// R-6: through the web server that is the target.
TEST_F(PebbleTest, Http01ByFilesOfTheTarget) {
  HttpWorld http(world_);
  const auto what = Request({world_.Name("www"), world_.Name("web")});
  const Connect connect = [&] {
    return http.Connect(
        providers::solvers::MakeHostFileSolver(http.http, http.files, http.server.port()));
  };
  const Outcome outcome = Drive(connect, what);
  ASSERT_TRUE(outcome.issued) << outcome.error->message;
  ExpectGood(*outcome.issued, what);
  EXPECT_EQ(http.files->size(), 2u);
  ASSERT_TRUE(connect()->Cleanup(RealContext(), what, outcome.memo).ok());
  EXPECT_EQ(http.files->size(), 0u);
}

// R-6: through the cluster, which serves what the memo holds.
TEST_F(PebbleTest, Http01ByTheMemo) {
  HttpWorld http(world_);
  const auto what = Request({world_.Name("cluster")});
  const Connect connect = [&] {
    return http.Connect(providers::solvers::MakeResponderSolver(http.http, http.server.port()));
  };
  seams::StepMemo memo;
  std::optional<seams::Issued> issued;
  bool observe = true;
  const Context ctx = RealContext();
  while (!issued && ctx.Check().ok()) {
    auto next = observe ? connect()->Observe(ctx, what, memo) : connect()->Advance(ctx, what, memo);
    ASSERT_TRUE(next.ok()) << next.error().message;
    if (auto* pending = std::get_if<seams::IssuePending>(&*next)) memo = pending->memo;
    if (auto* action = std::get_if<seams::IssueNeedsAction>(&*next)) memo = action->memo;
    if (auto* done = std::get_if<seams::Issued>(&*next)) issued = *done;
    for (const auto& [key, value] : memo) {
      if (!key.starts_with("http01/")) continue;
      ASSERT_TRUE(http.files->Put(ctx, key.substr(7), value).ok());
    }
    observe = !observe;
  }
  ASSERT_TRUE(issued);
  ExpectGood(*issued, what);
}

// A failed validation names domain, challenge and what the CA says, and is not tried again.
TEST_F(PebbleTest, AFailedValidationSaysWhatFailed) {
  HttpWorld http(world_);
  class Blind : public seams::ChallengeSolver {
   public:
    seams::ChallengeType type() const override { return seams::ChallengeType::kHttp01; }
    Result<void> Present(const Context&, const seams::Challenge&) override { return {}; }
    Result<bool> Visible(const Context&, const seams::Challenge&) override { return true; }
    Result<void> Cleanup(const Context&, const seams::Challenge&) override { return {}; }
  };
  const auto what = Request({world_.Name("failing")});
  const Outcome outcome = Drive([&] { return http.Connect(std::make_shared<Blind>()); }, what);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->reason, "AcmeChallengeFailed");
  EXPECT_EQ(outcome.error->retry, Retry::kNever);
  const std::string& message = outcome.error->message;
  EXPECT_NE(message.find("failing.localhost"), std::string::npos) << message;
  EXPECT_NE(message.find("http-01"), std::string::npos) << message;
  EXPECT_NE(message.find("404"), std::string::npos) << message;
}

// At every request the process dies, before it left or after it was answered, and starts again with
// the memo that was recorded: one order is made, and the certificate is for the stored key.
TEST_F(PebbleTest, OneOrderWhateverRequestTheProcessDiesAt) {
  for (const bool after : {false, true}) {
    bool struck = true;
    for (int n = 1; struck; ++n) {
      SCOPED_TRACE((after ? "after request " : "before request ") + std::to_string(n));
      ASSERT_LT(n, 100);
      AcmeWorld world;
      CuttingHttpClient http(world.http());
      http.Cut(n, after);
      const auto what = Request({world.Name("cut")});
      const Connect connect = [&] { return world.ConnectWith(http, {world.DnsSolver()}, nullptr); };
      Outcome outcome = Drive(connect, what);
      if (outcome.error) outcome = Drive(connect, what, outcome.memo);
      struck = http.struck();
      ASSERT_TRUE(outcome.issued) << outcome.error->message;
      ExpectGood(*outcome.issued, what);
      EXPECT_EQ(world.Orders().size(), 1u);
      EXPECT_TRUE(connect()->Cleanup(RealContext(), what, outcome.memo).ok());
      EXPECT_EQ(world.DnsValues(what.names.dns_names.front()), "");
    }
  }
}

// An order of another run for the same names, which has its own key, is left alone.
TEST_F(PebbleTest, TheSearchDoesNotTakeAnotherRunsCertificate) {
  const auto what = Request({world_.Name("again")});
  ASSERT_TRUE(Drive([&] { return world_.Connect(); }, what).issued);
  const PrivateKey other = PrivateKey::Generate({}).value();
  const seams::IssueRequest next{"st-2", what.names, other};
  // As if newOrder had not left: the intent is recorded, and Observe looks for the order.
  const auto decided = world_.Connect()->Observe(RealContext(), next, {});
  const seams::StepMemo memo = std::get<seams::IssueNeedsAction>(*decided).memo;
  const Outcome outcome = Drive([&] { return world_.Connect(); }, next, memo);
  ASSERT_TRUE(outcome.issued) << outcome.error->message;
  ExpectGood(*outcome.issued, next);
  EXPECT_EQ(world_.Orders().size(), 2u);
}

TEST_F(PebbleTest, AnAccountThatTheServerDoesNotKnowIsMadeAgain) {
  auto cache = std::make_shared<AcmeAccountCache>();
  const std::string& directory = AcmeWorld::Pebble()["directory"];
  cache->SeedAccountUrl(directory.substr(0, directory.rfind('/')) + "/my-account/nobody");
  const auto what = Request({world_.Name("repair")});
  const Outcome outcome =
      Drive([&] { return world_.ConnectWith(world_.http(), {world_.DnsSolver()}, cache); }, what);
  ASSERT_TRUE(outcome.issued) << outcome.error->message;
}

// R-6: many orders at once share directory, account and nonces.
TEST_F(PebbleTest, ManyOrdersAtOnceAskForTheDirectoryOnce) {
  constexpr int kRuns = 16;
  CuttingHttpClient http(world_.http());
  auto cache = std::make_shared<AcmeAccountCache>();
  const providers::acme::AcmeSolver solver = world_.DnsSolver();
  std::latch start(kRuns);
  std::vector<int> good(kRuns);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kRuns; ++i) {
      threads.emplace_back([&, i] {
        const PrivateKey key = PrivateKey::Generate({}).value();
        const seams::IssueRequest what{"st", {"", {world_.Name("run" + std::to_string(i))}}, key};
        start.arrive_and_wait();
        const Outcome outcome =
            Drive([&] { return world_.ConnectWith(http, {solver}, cache); }, what);
        good[i] = outcome.issued.has_value();
      });
    }
  }
  EXPECT_EQ(std::count(good.begin(), good.end(), 1), kRuns);
  EXPECT_EQ(http.CountOf("/dir"), 1);
  EXPECT_EQ(world_.Orders().size(), static_cast<std::size_t>(kRuns));
}

}  // namespace
}  // namespace certflow::contract
