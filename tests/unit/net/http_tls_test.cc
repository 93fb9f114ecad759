#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "tests/unit/net/http_fixture.h"

namespace certflow::net {
namespace {

using fakes::PemPair;
using fakes::RawHttpServer;
using fakes::RawReply;
using fakes::RawRequest;
using fakes::RawTls;
using fakes::TestCa;

RawReply Fine(const RawRequest&) { return RawReply::Ok("fine"); }

class HttpTlsTest : public HttpTest {
 protected:
  static RawTls ServerTls(const PemPair& pair) { return RawTls{pair.cert, pair.key, {}}; }
  std::shared_ptr<TlsOptions> Trusting(const TestCa& ca) {
    auto tls = std::make_shared<TlsOptions>();
    tls->ca_pem = ca.pem();
    return tls;
  }
  Result<HttpResponse> Get(const std::string& url, std::shared_ptr<const TlsOptions> tls) {
    HttpRequest request = Request("GET", url);
    request.tls = std::move(tls);
    return http_->Do(Ctx(), request);
  }

  TestCa ca_;
};

TEST_F(HttpTlsTest, GivenCaIsTrustedAndNothingElse) {
  const RawTls tls = ServerTls(ca_.Issue({"127.0.0.1"}));
  RawHttpServer server(Fine, &tls);
  EXPECT_TRUE(Get(server.url(), Trusting(ca_)).ok());
  EXPECT_EQ(CodeOf(Get(server.url(), Trusting(TestCa("other")))), ErrorCode::kUntrusted);
  EXPECT_EQ(CodeOf(Get(server.url(), nullptr)), ErrorCode::kUntrusted);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(HttpTlsTest, WrongNameIsUntrustedForReadsAndWrites) {
  const RawTls tls = ServerTls(ca_.Issue({"www.example.com"}));
  RawHttpServer server(Fine, &tls);
  HttpRequest request = Request("POST", server.url());
  request.tls = Trusting(ca_);
  EXPECT_EQ(CodeOf(http_->Do(Ctx(), request)), ErrorCode::kUntrusted);
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpTlsTest, ServerNameReplacesTheNameThatIsVerified) {
  const RawTls tls = ServerTls(ca_.Issue({"api.internal"}));
  RawHttpServer server(Fine, &tls);
  auto options = Trusting(ca_);
  options->server_name = "api.internal";
  const auto response = Get(server.url("/p?q"), options);
  ASSERT_TRUE(response.ok()) << response.error().message;
  const RawRequest seen = server.requests().at(0);
  EXPECT_EQ(seen.server_name, "api.internal");
  EXPECT_EQ(seen.header("Host"), "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(seen.target, "/p?q");
  options = Trusting(ca_);
  options->server_name = "other.internal";
  EXPECT_EQ(CodeOf(Get(server.url(), options)), ErrorCode::kUntrusted);
}

TEST_F(HttpTlsTest, SkippingVerificationIsPossible) {
  const RawTls tls = ServerTls(ca_.Issue({"www.example.com"}));
  RawHttpServer server(Fine, &tls);
  auto options = std::make_shared<TlsOptions>();
  options->insecure_skip_verify = true;
  EXPECT_TRUE(Get(server.url(), options).ok());
}

// Base64 of SHA-256 over the public key, as libcurl and browsers have it.
std::string PinOf(const PemPair& pair) {
  const std::string hex = pki::ReadChain(pair.cert)->front().public_key_fingerprint;
  std::string raw;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    raw += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return Base64Encode(raw);
}

TEST_F(HttpTlsTest, APinnedKeyIsTheServersIdentityAndNothingElseIs) {
  const PemPair own = ca_.Issue({"localhost.localdomain"});
  const RawTls tls = ServerTls(own);
  RawHttpServer server(Fine, &tls);
  auto options = std::make_shared<TlsOptions>();
  options->public_key_pins = {PinOf(ca_.Issue({"next.example"})), PinOf(own)};
  EXPECT_TRUE(Get(server.url(), options).ok()) << "whatever name and root";
  options = std::make_shared<TlsOptions>();
  options->public_key_pins = {PinOf(ca_.Issue({"127.0.0.1"}))};
  EXPECT_EQ(CodeOf(Get(server.url(), options)), ErrorCode::kUntrusted);
  HttpRequest request = Request("POST", server.url());
  request.body = "secret";
  request.tls = options;
  EXPECT_EQ(CodeOf(http_->Do(Ctx(), request)), ErrorCode::kUntrusted);
  EXPECT_EQ(server.requests().size(), 1u) << "nothing is sent to another key";
}

TEST_F(HttpTlsTest, ConnectionsAreNotSharedBetweenTlsOptionsObjects) {
  RawTls tls = ServerTls(ca_.Issue({"127.0.0.1"}));
  RawHttpServer server(Fine, &tls);
  const auto first = Trusting(ca_);
  const auto second = Trusting(ca_);  // equal, byte by byte
  for (const auto& options : {first, second, first, second}) {
    ASSERT_TRUE(Get(server.url(), options).ok());
  }
  EXPECT_EQ(server.connections(), 2);
  const auto requests = server.requests();
  EXPECT_EQ(requests[0].connection, requests[2].connection);
  EXPECT_EQ(requests[1].connection, requests[3].connection);
}

TEST_F(HttpTlsTest, ClientCertificateIsThatOfTheRequest) {
  TestCa client_ca("client CA");
  RawTls tls = ServerTls(ca_.Issue({"127.0.0.1"}));
  tls.client_ca_pem = client_ca.pem();
  RawHttpServer server(Fine, &tls);
  for (const char* name : {"alice", "bob", "alice"}) {
    const PemPair pair = client_ca.Issue({name});
    auto options = Trusting(ca_);
    options->client_cert_pem = pair.cert;
    options->client_key_pem = SecretBytes(pair.key);
    const auto response = Get(server.url(), options);
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(server.requests().back().client_common_name, name);
  }
  EXPECT_FALSE(Get(server.url(), Trusting(ca_)).ok());
}

TEST_F(HttpTlsTest, UnusableMaterialIsOurMistake) {
  const RawTls tls = ServerTls(ca_.Issue({"127.0.0.1"}));
  RawHttpServer server(Fine, &tls);
  auto options = std::make_shared<TlsOptions>();
  options->ca_pem = "no PEM";
  EXPECT_EQ(CodeOf(Get(server.url(), options)), ErrorCode::kInvalid);
  options = Trusting(ca_);
  options->client_cert_pem = "no PEM";
  options->client_key_pem = SecretBytes("no PEM");
  EXPECT_EQ(CodeOf(Get(server.url(), options)), ErrorCode::kInvalid);
}

TEST_F(HttpTlsTest, WriteOnADyingReusedTlsConnectionIsNotSentTwice) {
  const RawTls tls = ServerTls(ca_.Issue({"127.0.0.1"}));
  RawHttpServer server(
      [](const RawRequest& request) {
        return request.on_connection == 0 ? RawReply::Ok("") : RawReply::Close();
      },
      &tls);
  const auto options = Trusting(ca_);
  for (const std::size_t size : {10u, 200'000u}) {
    const std::size_t before = server.requests().size();
    ASSERT_TRUE(Get(server.url(), options).ok());
    HttpRequest request = Request("POST", server.url(), std::string(size, 'x'));
    request.tls = options;
    EXPECT_EQ(CodeOf(http_->Do(Ctx(), request)), ErrorCode::kUnknownOutcome);
    EXPECT_EQ(server.requests().size(), before + 2);
  }
}

TEST_F(HttpTlsTest, PlainServerBehindHttpsIsUnavailable) {
  RawHttpServer server([](const RawRequest&) { return RawReply::Ok(""); });
  const std::string url = "https://127.0.0.1:" + std::to_string(server.port()) + "/";
  // The server waits for the end of a request that is a TLS greeting to us.
  const auto response = [&] {
    HttpRequest request = Request("POST", url);
    return http_->Do(Ctx(Duration(200)), request);
  }();
  ASSERT_FALSE(response.ok());
  EXPECT_NE(response.error().code, ErrorCode::kUnknownOutcome) << "the request did not leave";
}

}  // namespace
}  // namespace certflow::net
