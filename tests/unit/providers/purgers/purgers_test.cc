// R-55: caches are told to forget, by the registry as the controller uses it, over real sockets.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "providers/registry.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/kube/memory_api_server.h"
#include "tests/fakes/net/test_ca.h"
#include "tests/fakes/secrets/memory_secret_store.h"
#include "tests/simulators/cdn/cdn.h"

namespace certflow::providers {
namespace {

using nlohmann::json;
using test::Cdn;

class PurgersTest : public testing::Test {
 protected:
  PurgersTest() {
    seams::SecretObject secret;
    secret.ns = "web";
    secret.name = "cdn";
    secret.labels[std::string(seams::kAllowLabel)] = "true";
    secret.data["token"] = SecretBytes(std::string(Cdn::kToken) + "\n");
    secret.data["old"] = SecretBytes("an-old-token");
    EXPECT_TRUE(store_.Put(ctx(), secret).ok());
    for (const char* url : {kA, kApp, kOther}) {
      cdn_.Cache(url, {"host:" + std::string(url).substr(8, std::string(url).find('/', 8) - 8)});
    }
  }

  Context ctx() { return {clock_}; }
  static seams::ProviderRef Channel(const char* type, const json& settings) {
    seams::ProviderRef channel;
    channel.type = type;
    channel.ns = "web";
    channel.name = "cache";
    channel.settings = settings.dump();
    return channel;
  }
  json CloudflareSettings() const {
    return {{"zoneID", Cdn::kZone},
            {"baseURL", cdn_.cloudflare_url()},
            {"tokenSecretRef", {{"name", "cdn"}, {"key", "token"}}}};
  }
  json FastlySettings() const {
    return {{"serviceID", Cdn::kService},
            {"baseURL", cdn_.url()},
            {"tokenSecretRef", {{"name", "cdn"}, {"key", "token"}}}};
  }
  json HttpSettings() const {
    return {{"baseURL", cdn_.url()},
            {"authentication",
             {{"header",
               {{"name", "Fastly-Key"}, {"valueSecretRef", {{"name", "cdn"}, {"key", "token"}}}}}}},
            {"steps",
             {{"host",
               {{{"method", "POST"},
                 {"path", "/service/SU1Z0isxPaozGVKXdv0eY/purge"},
                 {"json", R"({"surrogate_keys": ["host:{{ .host }}"], "id": "{{ .id }}"})"}}}}}}};
  }
  Result<void> Purge(const seams::ProviderRef& channel, std::vector<std::string> hosts,
                     std::vector<std::string> urls) {
    auto purger = registry_->ConnectPurger(ctx(), channel);
    if (!purger.ok()) return std::move(purger).error();
    return (*purger)->Purge(ctx(), {"st-1.Purge.0", std::move(hosts), std::move(urls)});
  }
  std::string States() const {
    std::string out;
    for (const char* url : {kA, kApp, kOther}) {
      const Cdn::State state = cdn_.StateOf(url);
      out += state == Cdn::State::kFresh   ? "fresh "
             : state == Cdn::State::kStale ? "stale "
                                           : "gone ";
    }
    return out;
  }

  static constexpr const char* kA = "https://www.example.com/";
  static constexpr const char* kApp = "https://www.example.com/app.js?v=1";
  static constexpr const char* kOther = "https://other.example.com/";

  fakes::SimulatedClock clock_;
  Cdn cdn_;
  std::unique_ptr<net::HttpClient> http_ = net::MakeCurlHttpClient("purge-test", {});
  // Of no use to a cache; the registry is made of them all the same.
  std::unique_ptr<net::ShellConnector> shells_ = net::MakeSshConnector();
  std::unique_ptr<net::MailClient> mail_ = net::MakeCurlMailClient();
  fakes::MemoryApiServer api_{clock_};
  std::unique_ptr<kube::Client> kube_ = api_.NewClient();
  fakes::MemorySecretStore store_;
  std::unique_ptr<seams::Connector> registry_ =
      MakeRegistry({*http_, *shells_, *mail_, *kube_, store_, "certflow"});
};

TEST_F(PurgersTest, CloudflareForgetsHostsUrlsAndEverything) {
  const auto channel = Channel("cloudflare", CloudflareSettings());
  ASSERT_TRUE(Purge(channel, {}, {kApp}).ok());
  EXPECT_EQ(States(), "fresh gone fresh ");
  ASSERT_TRUE(Purge(channel, {"www.example.com"}, {}).ok());
  EXPECT_EQ(States(), "gone gone fresh ");
  ASSERT_TRUE(Purge(channel, {}, {}).ok());
  EXPECT_EQ(States(), "gone gone gone ");
}

TEST_F(PurgersTest, CloudflareTakesLongListsInBatches) {
  std::vector<std::string> urls(95, "https://www.example.com/x");
  urls.back() = kOther;
  const auto done = Purge(Channel("cloudflare", CloudflareSettings()), {}, urls);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(States(), "fresh fresh gone ");
  EXPECT_EQ(cdn_.requests(), 4);
}

TEST_F(PurgersTest, FastlyForgetsByUrlByKeyAndEverything) {
  json settings = FastlySettings();
  ASSERT_TRUE(Purge(Channel("fastly", settings), {}, {kApp}).ok());
  EXPECT_EQ(States(), "fresh gone fresh ");
  settings["soft"] = true;
  settings["hostSurrogateKeyPrefix"] = "host:";
  ASSERT_TRUE(Purge(Channel("fastly", settings), {"other.example.com"}, {kA}).ok());
  EXPECT_EQ(States(), "stale gone stale ");
  ASSERT_TRUE(Purge(Channel("fastly", settings), {}, {}).ok()) << "everything is never soft";
  EXPECT_EQ(States(), "gone gone gone ");
}

TEST_F(PurgersTest, FastlyRefusesWhatItCannotDoBeforeAnythingIsSent) {
  const auto channel = Channel("fastly", FastlySettings());
  const auto hosts = Purge(channel, {"www.example.com"}, {kApp});
  ASSERT_FALSE(hosts.ok());
  EXPECT_EQ(hosts.error().reason, "PurgeNotPossible");
  EXPECT_NE(hosts.error().message.find("hostSurrogateKeyPrefix"), std::string::npos);
  EXPECT_EQ(cdn_.requests(), 0);
  for (const char* url :
       {"https://www.example.com/../service", "https:///x", "https://a/b c", "https://a/b#c"}) {
    EXPECT_EQ(Purge(channel, {}, {url}).error().reason, "PurgeNotPossible") << url;
  }
  EXPECT_EQ(cdn_.requests(), 0);
}

TEST_F(PurgersTest, AnyOtherCacheIsToldByItsOwnRequests) {
  const auto channel = Channel("httpPurge", HttpSettings());
  ASSERT_TRUE(Purge(channel, {"www.example.com"}, {}).ok());
  EXPECT_EQ(States(), "gone gone fresh ");
  const auto urls = Purge(channel, {}, {kA});
  ASSERT_FALSE(urls.ok());
  EXPECT_EQ(urls.error().reason, "PurgeNotPossible");
  EXPECT_EQ(Purge(channel, {}, {}).error().reason, "PurgeNotPossible");
}

TEST_F(PurgersTest, WhatMendsItselfIsTriedAgainAndWhatDoesNotIsNot) {
  struct Case {
    int status;
    ErrorCode code;
    Retry retry;
    const char* reason;
  };
  const Case cases[] = {
      {429, ErrorCode::kRateLimited, Retry::kAfter, "HttpRateLimited"},
      {500, ErrorCode::kUnknownOutcome, Retry::kBackoff, "HttpOutcomeUnknown"},
      {503, ErrorCode::kUnavailable, Retry::kBackoff, "HttpUnavailable"},
      {401, ErrorCode::kUnauthorized, Retry::kNever, "HttpUnauthorized"},
      {403, ErrorCode::kForbidden, Retry::kNever, "HttpForbidden"},
      {404, ErrorCode::kNotFound, Retry::kNever, "HttpNotFound"},
      {302, ErrorCode::kRefused, Retry::kNever, "HttpRedirect"},
      {-1, ErrorCode::kUnknownOutcome, Retry::kBackoff, "AnswerLost"},
      {-2, ErrorCode::kUnknownOutcome, Retry::kBackoff, "AnswerLost"},
  };
  for (const auto& channel :
       {Channel("cloudflare", CloudflareSettings()), Channel("fastly", FastlySettings())}) {
    for (const Case& row : cases) {
      cdn_.Script({row.status});
      const auto done = Purge(channel, {}, {kApp});
      ASSERT_FALSE(done.ok()) << channel.type << " " << row.status;
      EXPECT_EQ(done.error().code, row.code) << channel.type << " " << row.status;
      EXPECT_EQ(done.error().retry, row.retry) << channel.type << " " << row.status;
      EXPECT_EQ(done.error().reason, row.reason);
      EXPECT_EQ(done.error().message.find(Cdn::kToken), std::string::npos);
      if (row.status == 429) {
        EXPECT_EQ(done.error().retry_after, std::chrono::seconds(17));
      }
      ASSERT_TRUE(Purge(channel, {}, {kApp}).ok()) << "done again, it is done";
    }
  }
}

TEST_F(PurgersTest, ReadinessAsksAboutTheToken) {
  const auto cloudflare = Channel("cloudflare", CloudflareSettings());
  auto ready = registry_->CheckChannelReady(ctx(), cloudflare);
  ASSERT_TRUE(ready.ok()) << ready.error().message;
  EXPECT_EQ(ready->message, "the token is active");
  cdn_.SetTokenStatus("expired");
  ready = registry_->CheckChannelReady(ctx(), cloudflare);
  ASSERT_FALSE(ready.ok());
  EXPECT_EQ(ready.error().reason, "TokenRefused");
  EXPECT_NE(ready.error().message.find("expired"), std::string::npos);

  ready = registry_->CheckChannelReady(ctx(), Channel("fastly", FastlySettings()));
  ASSERT_TRUE(ready.ok()) << ready.error().message;
  EXPECT_EQ(ready->message, "the token is valid, scope purge_select");
  for (json settings : {CloudflareSettings(), FastlySettings()}) {
    settings["tokenSecretRef"]["key"] = "old";
    const auto old = registry_->CheckChannelReady(
        ctx(), Channel(settings.contains("zoneID") ? "cloudflare" : "fastly", settings));
    ASSERT_FALSE(old.ok());
    EXPECT_EQ(old.error().reason, "TokenRefused");
    EXPECT_EQ(old.error().message.find("an-old-token"), std::string::npos);
    settings["tokenSecretRef"]["key"] = "none";
    const auto none = registry_->CheckChannelReady(
        ctx(), Channel(settings.contains("zoneID") ? "cloudflare" : "fastly", settings));
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error().reason, "SecretKeyMissing");
  }
  ready = registry_->CheckChannelReady(ctx(), Channel("httpPurge", HttpSettings()));
  ASSERT_TRUE(ready.ok());
  json broken = HttpSettings();
  broken["steps"]["host"][0]["path"] = "/{{ .url }}";
  ready = registry_->CheckChannelReady(ctx(), Channel("httpPurge", broken));
  ASSERT_FALSE(ready.ok());
  EXPECT_NE(ready.error().message.find("no field {{ .url }}"), std::string::npos);
}

TEST_F(PurgersTest, ACacheTellsNobodyAndAMailServerPurgesNothing) {
  const auto told = registry_->ConnectNotifier(ctx(), Channel("fastly", FastlySettings()));
  ASSERT_FALSE(told.ok());
  EXPECT_EQ(told.error().reason, "NotANotifier");
  const auto purged = registry_->ConnectPurger(ctx(), Channel("smtp", {{"host", "mail"}}));
  ASSERT_FALSE(purged.ok());
  EXPECT_EQ(purged.error().reason, "NotAPurger");
}

TEST_F(PurgersTest, PartiesAreTheHostsThatAreTalkedTo) {
  json settings = CloudflareSettings();
  settings.erase("baseURL");
  EXPECT_EQ(registry_->PartyOf(Channel("cloudflare", settings)).name,
            "purge/api.cloudflare.com:443");
  settings = FastlySettings();
  settings["baseURL"] = "https://api.example.com:8443/fastly";
  EXPECT_EQ(registry_->PartyOf(Channel("fastly", settings)).name, "purge/api.example.com:8443");
}

TEST_F(PurgersTest, TheServersCertificateIsVerified) {
  const fakes::TestCa ca;
  const fakes::PemPair pair = ca.Issue({"127.0.0.1"});
  const fakes::RawTls tls{pair.cert, pair.key, ""};
  Cdn secure(&tls);
  json settings = FastlySettings();
  settings["baseURL"] = secure.url();
  EXPECT_EQ(Purge(Channel("fastly", settings), {}, {}).error().code, ErrorCode::kUntrusted);
  EXPECT_EQ(secure.requests(), 0);
  settings["caBundle"] = ca.pem();
  const auto done = Purge(Channel("fastly", settings), {}, {});
  EXPECT_TRUE(done.ok()) << done.error().message;
  settings["baseURL"] = "http://cdn.example.com";
  EXPECT_EQ(Purge(Channel("fastly", settings), {}, {}).error().reason, "InvalidSettings");
  settings["baseURL"] = "https://169.254.169.254/";
  EXPECT_EQ(Purge(Channel("fastly", settings), {}, {}).error().reason, "AddressRefused");
}

}  // namespace
}  // namespace certflow::providers
