#include "tests/unit/net/http_fixture.h"

namespace certflow::net {
namespace {

using fakes::RawHttpServer;
using fakes::RawReply;
using fakes::RawRequest;

RawReply Echo(const RawRequest& request) {
  return RawReply::Ok(request.method + " " + request.body, "X-Served: yes\r\nx-served: twice\r\n");
}

TEST_F(HttpTest, EveryMethodArrivesAsItWasAsked) {
  RawHttpServer server(Echo);
  for (const char* method : {"GET", "DELETE", "OPTIONS"}) {
    const auto response = http_->Do(Ctx(), Request(method, server.url("/x?y=1")));
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->body, std::string(method) + " ");
  }
  for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "GET"}) {
    const auto response = http_->Do(Ctx(), Request(method, server.url(), "payload"));
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->body, std::string(method) + " payload");
  }
  const auto requests = server.requests();
  EXPECT_EQ(requests[0].target, "/x?y=1");
  for (const auto& request : requests) {
    EXPECT_EQ(request.header("Expect"), "");
    EXPECT_EQ(request.header("Content-Type"), "");
    EXPECT_EQ(request.header("User-Agent"), "certflow");
  }
  EXPECT_EQ(server.connections(), 1) << "one connection is reused";
}

TEST_F(HttpTest, EmptyBodyOfAWriteSaysItsLength) {
  RawHttpServer server(Echo);
  for (const char* method : {"POST", "PUT", "PATCH"}) {
    ASSERT_TRUE(http_->Do(Ctx(), Request(method, server.url())).ok());
    EXPECT_EQ(server.requests().back().header("Content-Length"), "0");
  }
}

TEST_F(HttpTest, HeadHasHeadersAndNoBody) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply = RawReply::Ok("12345");
    reply.bytes.resize(reply.bytes.size() - 5);
    return reply;
  });
  const auto response = http_->Do(Ctx(), Request("HEAD", server.url()));
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->header("content-length"), "5");
  EXPECT_EQ(response->body, "");
}

TEST_F(HttpTest, HeadersAreLowerCaseAndTheFirstWins) {
  RawHttpServer server(Echo);
  const auto response = http_->Do(Ctx(), Request("GET", server.url()));
  EXPECT_EQ(response->header("x-served"), "yes");
  EXPECT_EQ(response->header("absent"), "");
}

TEST_F(HttpTest, CredentialAndOwnHeadersAreSent) {
  RawHttpServer server(Echo);
  HttpRequest request = Request("POST", server.url());
  request.headers = {{"X-Empty", ""}, {"Content-Type", "application/json"}};
  request.authorization_scheme = "Bearer";
  request.authorization = SecretBytes("t0ken");
  request.secret_body = SecretBytes("secret body");
  request.body = "not this one";
  ASSERT_TRUE(http_->Do(Ctx(), request).ok());
  const RawRequest seen = server.requests().at(0);
  EXPECT_EQ(seen.header("Authorization"), "Bearer t0ken");
  EXPECT_EQ(seen.header("Content-Type"), "application/json");
  EXPECT_NE(seen.head.find("X-Empty:"), std::string::npos);
  EXPECT_EQ(seen.body, "secret body");
  // The next request on the same handle must not inherit it.
  ASSERT_TRUE(http_->Do(Ctx(), Request("GET", server.url())).ok());
  EXPECT_EQ(server.requests().at(1).header("Authorization"), "");
}

TEST_F(HttpTest, AnyStatusIsAnAnswer) {
  for (int status : {204, 301, 404, 409, 500}) {
    RawHttpServer server([status](const RawRequest&) {
      RawReply reply = RawReply::Status(status);
      reply.bytes.insert(reply.bytes.find("\r\n") + 2, "Location: http://127.0.0.1:1/\r\n");
      return reply;
    });
    const auto response = http_->Do(Ctx(), Request("GET", server.url()));
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->status, status);
    EXPECT_EQ(server.requests().size(), 1u) << "redirects are not followed";
  }
}

TEST_F(HttpTest, InterimAnswersAreSkipped) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply = RawReply::Ok("final");
    reply.bytes = "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n" + reply.bytes;
    return reply;
  });
  const auto response = http_->Do(Ctx(), Request("GET", server.url()));
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->header("x-early"), "");
}

TEST_F(HttpTest, ChunkedBodyWithTrailer) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply;
    reply.bytes =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n";
    reply.piece = 7;
    return reply;
  });
  const auto response = http_->Do(Ctx(), Request("GET", server.url()));
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->body, "abcde");
  EXPECT_EQ(response->header("x-trailer"), "");
}

TEST_F(HttpTest, BodyWithoutLengthEndsWithTheConnection) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply;
    reply.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it";
    reply.close = true;
    return reply;
  });
  EXPECT_EQ(http_->Do(Ctx(), Request("GET", server.url()))->body, "all of it");
}

TEST_F(HttpTest, BodyAtTheLimitIsTakenAndOneByteMoreRefused) {
  RawHttpServer server([](const RawRequest&) { return RawReply::Ok(std::string(1000, 'x')); });
  HttpRequest request = Request("GET", server.url());
  request.max_response_bytes = 1000;
  EXPECT_EQ(http_->Do(Ctx(), request)->body.size(), 1000u);
  request.max_response_bytes = 999;
  const auto refused = http_->Do(Ctx(), request);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(CodeOf(refused), ErrorCode::kRefused);
  EXPECT_EQ(refused.error().reason, "ResponseTooLarge");
}

TEST_F(HttpTest, EndlessHeadersAreRefused) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply;
    reply.bytes = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 400; ++i) reply.bytes += "X: " + std::string(1000, 'x') + "\r\n";
    reply.hang = true;
    return reply;
  });
  EXPECT_FALSE(http_->Do(Ctx(), Request("GET", server.url())).ok());
}

TEST_F(HttpTest, RequestsThatCannotBeWrittenAreInvalid) {
  RawHttpServer server(Echo);
  std::vector<HttpRequest> bad;
  bad.push_back(Request("GE T", server.url()));
  bad.push_back(Request("GET", ""));
  bad.push_back(Request("GET", "ftp://127.0.0.1/"));
  bad.push_back(Request("GET", "file:///etc/passwd"));
  bad.push_back(Request("GET", "http://user:pass@127.0.0.1/"));
  bad.push_back(Request("GET", "http://127.0.0.1/\r\nX: y"));
  bad.push_back(Request("GET", server.url()));
  bad.back().headers = {{"X", "a\r\nInjected: 1"}};
  bad.push_back(Request("GET", server.url()));
  bad.back().headers = {{"X:Y", "a"}};
  bad.push_back(Request("GET", server.url()));
  bad.back().authorization = SecretBytes("a\nb");
  for (const HttpRequest& request : bad) {
    const auto response = http_->Do(Ctx(), request);
    ASSERT_FALSE(response.ok()) << request.url;
    EXPECT_EQ(CodeOf(response), ErrorCode::kInvalid) << response.error().message;
  }
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpTest, MessagesHoldNeitherPathNorCredential) {
  HttpRequest request = Request("POST", "http://127.0.0.1:1/hooks/s3cret?key=s3cret");
  request.authorization = SecretBytes("s3cret");
  const auto response = http_->Do(Ctx(), request);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(CodeOf(response), ErrorCode::kUnavailable);
  EXPECT_EQ(response.error().message.find("s3cret"), std::string::npos);
  EXPECT_NE(response.error().message.find("127.0.0.1:1"), std::string::npos);
}

TEST_F(HttpTest, UserGivenAddressesAreCheckedWhereTheyLead) {
  RawHttpServer server(Echo);
  const std::string port = ":" + std::to_string(server.port()) + "/";
  for (const char* host : {"169.254.169.254", "0.0.0.0", "[::ffff:169.254.169.254]", "[fe80::1]",
                           "2852039166", "0xa9fea9fe", "[fd00:ec2::254]"}) {
    HttpRequest request = Request("GET", std::string("http://") + host + port);
    request.addresses = AddressPolicy::kUserGiven;
    const auto response = http_->Do(Ctx(), request);
    ASSERT_FALSE(response.ok()) << host;
    EXPECT_EQ(response.error().reason, "AddressRefused") << host << response.error().message;
    EXPECT_EQ(CodeOf(response), ErrorCode::kRefused);
  }
  HttpRequest request = Request("GET", server.url());
  request.addresses = AddressPolicy::kUserGiven;
  EXPECT_TRUE(http_->Do(Ctx(), request).ok());
}

TEST_F(HttpTest, ProxyIsUsedOnlyWhenNamed) {
  RawHttpServer proxy([](const RawRequest& r) { return RawReply::Ok("proxied " + r.target); });
  HttpRequest request = Request("GET", "http://nowhere.invalid/path");
  request.proxy = "http://127.0.0.1:" + std::to_string(proxy.port());
  EXPECT_EQ(http_->Do(Ctx(), request)->body, "proxied http://nowhere.invalid/path");
  request.url = "http://169.254.169.254/";
  request.addresses = AddressPolicy::kUserGiven;
  EXPECT_EQ(ReasonOf(http_->Do(Ctx(), request)), "AddressRefused");
  EXPECT_EQ(proxy.requests().size(), 1u);
}

TEST(UrlEncodeTest, KeepsOnlyUnreservedCharacters) {
  EXPECT_EQ(UrlEncode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(UrlEncode("a b/c?\xC4\xB0"), "a%20b%2Fc%3F%C4%B0");
}

}  // namespace
}  // namespace certflow::net
