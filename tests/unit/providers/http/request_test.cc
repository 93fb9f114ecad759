#include "providers/http/request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/base/mutex.h"
#include "tests/fakes/clock/simulated_clock.h"
#include "tests/fakes/net/raw_http_server.h"
#include "tests/fakes/net/test_ca.h"

namespace certflow::providers::http {
namespace {

using fakes::RawReply;
using fakes::RawRequest;

class CallerTest : public testing::Test {
 protected:
  Context ctx() { return {clock_}; }
  Result<void> Call(const std::string& steps, Login login = {}, Effect effect = Effect::kChange,
                    std::shared_ptr<const net::TlsOptions> tls = nullptr,
                    const fakes::RawHttpServer* other = nullptr) {
    const fakes::RawHttpServer& server = other == nullptr ? server_ : *other;
    auto step = ParseStep(steps, "step");
    if (!step.ok()) return std::move(step).error();
    Caller caller(*http_, {server.url(""), Duration(5000), std::move(tls)}, std::move(login));
    result_ = {};
    return caller.Run(ctx(), *step, effect, values_, result_);
  }
  RawRequest last() const { return server_.requests().back(); }
  void Answer(RawReply reply) {
    MutexLock lock(mutex_);
    reply_ = std::move(reply);
  }

  fakes::SimulatedClock clock_;
  std::unique_ptr<net::HttpClient> http_ = net::MakeCurlHttpClient("caller-test", {});
  Mutex mutex_;
  RawReply reply_ CF_GUARDED_BY(mutex_) = RawReply::Ok(R"({"id": "7", "state": "done"})");
  fakes::RawHttpServer server_{[this](const RawRequest& request) {
    if (request.target == "/token") {
      return RawReply::Ok(R"({"access_token": "t0k3n", "token_type": "bearer"})");
    }
    MutexLock lock(mutex_);
    return reply_;
  }};
  Values values_;
  StepResult result_;
};

TEST_F(CallerTest, BodiesGoOutAsTheirKindAsks) {
  values_.fields = {{"id", "a&b\""}, {"pem", "-----B\nQQ==\n"}};
  ASSERT_TRUE(
      Call(R"([{"method": "PUT", "path": "/x/{{ .id }}", "json": "{\"i\": \"{{ .id }}\"}"}])")
          .ok());
  EXPECT_EQ(last().target, "/x/a%26b%22");
  EXPECT_EQ(last().body, "{\"i\": \"a&b\\\"\"}");
  EXPECT_EQ(last().header("Content-Type"), "application/json");
  ASSERT_TRUE(Call(R"([{"method": "POST", "path": "/", "form": "a=1&b={{ .id }}"}])").ok());
  EXPECT_EQ(last().body, "a=1&b=a%26b%22");
  EXPECT_EQ(last().header("Content-Type"), "application/x-www-form-urlencoded");
  ASSERT_TRUE(Call(R"([{"method": "POST", "path": "/", "xml": "<a>{{ .id }}</a>",
                        "headers": {"content-type": "text/xml"}}])")
                  .ok());
  EXPECT_EQ(last().body, "<a>a&amp;b&quot;</a>");
  EXPECT_EQ(last().header("Content-Type"), "text/xml");
  ASSERT_TRUE(Call(R"([{"method": "POST", "path": "/", "multipart": [
      {"name": "kind", "value": "certificate"},
      {"name": "file", "fileName": "c.pem", "contentType": "application/x-pem-file",
       "value": "{{ .pem }}"}]}])")
                  .ok());
  const std::string type = last().header("Content-Type");
  const std::string boundary = type.substr(type.find("boundary=") + 9);
  EXPECT_EQ(last().body,
            "--" + boundary +
                "\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\ncertificate\r\n--" +
                boundary +
                "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c.pem\"\r\n"
                "Content-Type: application/x-pem-file\r\n\r\n-----B\nQQ==\n\r\n--" +
                boundary + "--\r\n");
}

TEST_F(CallerTest, CapturesAreUsedByLaterRequests) {
  ASSERT_TRUE(Call(R"([{"path": "/a", "capture": {"job": "/id", "none": "/nothing"}},
                       {"path": "/skipped", "onlyIf": "none"},
                       {"path": "/jobs/{{ .captured.job }}"}])")
                  .ok());
  EXPECT_EQ(last().target, "/jobs/7");
  EXPECT_EQ(server_.requests().size(), 2u);
}

TEST_F(CallerTest, AbsentIsNoError) {
  Answer(RawReply::Status(404, "<html>gone</html>"));
  ASSERT_TRUE(
      Call(R"([{"path": "/a", "expect": {"absent": [404]}, "capture": {"id": "/id"}}])").ok());
  EXPECT_EQ(values_.fields["captured.id"], "");
}

TEST_F(CallerTest, UnexpectedAnswersAreTriedAgainAndTold) {
  const auto done = Call(R"([{"path": "/a", "expect": {"equals": {"/state": "idle"}}}])");
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().reason, "HttpAnswerUnexpected");
  EXPECT_EQ(done.error().retry, Retry::kBackoff);
  EXPECT_NE(done.error().message.find("not \"idle\" but \"done\""), std::string::npos);
}

TEST_F(CallerTest, WhatIsUnknownOfALookIsOnlyUnavailable) {
  for (const RawReply& lost : {RawReply::Close(), RawReply::Ok("{}").CutAt(10)}) {
    Answer(lost);
    const std::string step = R"([{"method": "POST", "path": "/a", "json": "{}"}])";
    EXPECT_EQ(Call(step, {}, Effect::kRead).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(Call(step, {}, Effect::kChange).error().code, ErrorCode::kUnknownOutcome);
  }
}

TEST_F(CallerTest, BasicBearerAndOwnHeader) {
  const std::string step = R"([{"path": "/a"}])";
  Login basic;
  basic.basic = BasicLogin{"me", SecretBytes("p w")};
  ASSERT_TRUE(Call(step, std::move(basic)).ok());
  EXPECT_EQ(last().header("Authorization"), "Basic " + Base64Encode("me:p w"));
  Login bearer;
  bearer.token.emplace();
  bearer.token->token = SecretBytes("abc");
  ASSERT_TRUE(Call(step, std::move(bearer)).ok());
  EXPECT_EQ(last().header("Authorization"), "Bearer abc");
  Login header;
  header.token.emplace();
  header.token->header = "X-Api-Key";
  header.token->scheme = "";
  header.token->token = SecretBytes("abc");
  ASSERT_TRUE(Call(step, std::move(header)).ok());
  EXPECT_EQ(last().header("X-Api-Key"), "abc");
  EXPECT_EQ(last().header("Authorization"), "");
}

TEST_F(CallerTest, OAuth2AsksOnceAndSendsTheSecretWhereItIsTold) {
  for (const bool in_body : {false, true}) {
    Login login;
    login.oauth2.emplace();
    login.oauth2->token_url = server_.url("/token");
    login.oauth2->client_id = "a:b";
    login.oauth2->client_secret = SecretBytes("s&c");
    login.oauth2->scopes = {"one", "two"};
    login.oauth2->audience = "https://api";
    login.oauth2->secret_in_body = in_body;
    const std::size_t before = server_.requests().size();
    ASSERT_TRUE(Call(R"([{"path": "/a"}, {"path": "/b"}])", std::move(login)).ok());
    const auto requests = server_.requests();
    ASSERT_EQ(requests.size(), before + 3);
    const RawRequest& token = requests[before];
    EXPECT_EQ(token.header("Authorization"), in_body ? "" : "Basic " + Base64Encode("a%3Ab:s%26c"));
    EXPECT_EQ(token.body, std::string("grant_type=client_credentials&scope=one%20two"
                                      "&audience=https%3A%2F%2Fapi") +
                              (in_body ? "&client_id=a%3Ab&client_secret=s%26c" : ""));
    EXPECT_EQ(last().header("Authorization"), "Bearer t0k3n");
  }
}

TEST_F(CallerTest, AnErrorNeverShowsTheCredential) {
  Login bearer;
  bearer.token.emplace();
  bearer.token->token = SecretBytes("abc-secret");
  Answer(RawReply::Status(400, "you sent Authorization: Bearer abc-secret"));
  const auto done = Call(R"([{"path": "/a"}])", std::move(bearer));
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message.find("abc-secret"), std::string::npos) << done.error().message;
}

TEST_F(CallerTest, AClientCertificateIsShown) {
  const fakes::TestCa ca;
  const fakes::PemPair server = ca.Issue({"127.0.0.1"}), client = ca.Issue({"certflow.test"});
  const fakes::RawTls raw{server.cert, server.key, ca.pem()};
  fakes::RawHttpServer secure([](const RawRequest&) { return RawReply::Ok("{}"); }, &raw);
  auto tls = std::make_shared<net::TlsOptions>();
  tls->ca_pem = ca.pem();
  EXPECT_FALSE(Call(R"([{"path": "/a"}])", {}, Effect::kRead, tls, &secure).ok());
  auto mutual = std::make_shared<net::TlsOptions>();
  mutual->ca_pem = ca.pem();
  mutual->client_cert_pem = client.cert;
  mutual->client_key_pem = SecretBytes(client.key);
  const auto done = Call(R"([{"path": "/a"}])", {}, Effect::kRead, mutual, &secure);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(secure.requests().back().client_common_name, "certflow.test");
}

TEST(UrlTest, OnlyHttpsOrThisMachine) {
  for (const char* good : {"https://api.example.com", "https://10.0.0.7:8443/api", "https://[::1]/",
                           "http://127.0.0.1:80", "http://localhost:8080/x", "http://[::1]:9"}) {
    EXPECT_TRUE(CheckUrl("baseURL", good).ok()) << good;
  }
  for (const char* bad : {"http://api.example.com", "http://127.evil.example.com", "ftp://a",
                          "https://me:pw@api.example.com", "https://a/x?y", "https://a/#f", "",
                          "https://", "http://localhost.example.com"}) {
    EXPECT_FALSE(CheckUrl("baseURL", bad).ok()) << bad;
  }
  EXPECT_EQ(HostOf("https://api.example.com/v1"), "api.example.com:443");
}

TEST(StepTest, TooManyRequestsAreRefused) {
  std::string list = "[";
  for (int i = 0; i < 9; ++i) list += std::string(i ? "," : "") + R"({"path": "/"})";
  const auto step = ParseStep(list + "]", "steps.stage");
  ASSERT_FALSE(step.ok());
  EXPECT_NE(step.error().message.find("steps.stage"), std::string::npos);
}

}  // namespace
}  // namespace certflow::providers::http
