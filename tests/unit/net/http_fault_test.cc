#include <atomic>
#include <thread>

#include "tests/unit/net/http_fixture.h"

namespace certflow::net {
namespace {

using fakes::RawHttpServer;
using fakes::RawReply;
using fakes::RawRequest;

using std::chrono::milliseconds;

TEST_F(HttpTest, NothingListeningIsUnavailableForReadsAndWrites) {
  std::string url;
  {
    RawHttpServer server([](const RawRequest&) { return RawReply::Ok(""); });
    url = server.url();
  }
  for (const char* method : {"GET", "POST"}) {
    EXPECT_EQ(CodeOf(http_->Do(Ctx(), Request(method, url))), ErrorCode::kUnavailable);
  }
}

TEST_F(HttpTest, AnswerCutAtAnyByteIsNeverTakenForWhole) {
  const RawReply whole = RawReply::Ok("body");
  std::atomic<std::size_t> cut = 0;
  RawHttpServer server([&](const RawRequest&) { return whole.CutAt(cut); });
  for (cut = 0; cut < whole.bytes.size(); ++cut) {
    const auto read = http_->Do(Ctx(), Request("GET", server.url()));
    ASSERT_FALSE(read.ok()) << "cut at " << cut;
    EXPECT_EQ(CodeOf(read), ErrorCode::kUnavailable) << "cut at " << cut;
    const auto write = http_->Do(Ctx(), Request("POST", server.url(), "x"));
    ASSERT_FALSE(write.ok()) << "cut at " << cut;
    EXPECT_EQ(CodeOf(write), ErrorCode::kUnknownOutcome) << "cut at " << cut;
  }
  EXPECT_EQ(server.requests().size(), 2 * whole.bytes.size()) << "nothing was sent again";
}

TEST_F(HttpTest, ChunkedAnswerCutIsNotWhole) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply;
    reply.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    return reply.AndClose();
  });
  EXPECT_EQ(CodeOf(http_->Do(Ctx(), Request("GET", server.url()))), ErrorCode::kUnavailable);
  EXPECT_EQ(CodeOf(http_->Do(Ctx(), Request("PUT", server.url()))), ErrorCode::kUnknownOutcome);
}

TEST_F(HttpTest, ResetAfterTheRequestIsAnUnknownOutcome) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply;
    reply.reset = true;
    return reply;
  });
  EXPECT_EQ(CodeOf(http_->Do(Ctx(), Request("DELETE", server.url()))), ErrorCode::kUnknownOutcome);
}

// The first request of a connection is answered; the second is read and the connection dies. That
// is the case in which libcurl sends a request again by itself.
RawReply AnswerOnceAConnection(const RawRequest& request) {
  return request.on_connection == 0 ? RawReply::Ok("first") : RawReply::Close();
}

TEST_F(HttpTest, WriteOnADyingReusedConnectionIsNotSentTwice) {
  for (const char* method : {"POST", "DELETE", "PATCH"}) {
    RawHttpServer server(AnswerOnceAConnection);
    ASSERT_TRUE(http_->Do(Ctx(), Request("GET", server.url())).ok());
    const auto write = http_->Do(Ctx(), Request(method, server.url()));
    ASSERT_FALSE(write.ok());
    EXPECT_EQ(CodeOf(write), ErrorCode::kUnknownOutcome) << method << write.error().message;
    EXPECT_EQ(server.requests().size(), 2u) << method;
  }
}

TEST_F(HttpTest, BigWriteOnADyingReusedConnectionIsNotSentTwice) {
  RawHttpServer server(AnswerOnceAConnection);
  ASSERT_TRUE(http_->Do(Ctx(), Request("GET", server.url())).ok());
  const auto write = http_->Do(Ctx(), Request("POST", server.url(), std::string(500'000, 'x')));
  EXPECT_EQ(CodeOf(write), ErrorCode::kUnknownOutcome);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(HttpTest, ReadOnADyingReusedConnectionIsRepeatedOnAFreshOne) {
  RawHttpServer server(AnswerOnceAConnection);
  ASSERT_TRUE(http_->Do(Ctx(), Request("GET", server.url())).ok());
  const auto read = http_->Do(Ctx(), Request("GET", server.url()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(server.requests().size(), 3u);
}

TEST_F(HttpTest, WriteAfterTheServerClosedAnIdleConnectionSucceedsOnce) {
  RawHttpServer server([](const RawRequest& request) {
    RawReply reply = RawReply::Ok("");
    reply.close = request.connection == 0;
    return reply;
  });
  ASSERT_TRUE(http_->Do(Ctx(), Request("GET", server.url())).ok());
  ASSERT_TRUE(server.WaitForOpenConnections(0));
  const auto write = http_->Do(Ctx(), Request("POST", server.url(), "once"));
  ASSERT_TRUE(write.ok()) << write.error().message;
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(HttpTest, DeadlineOfAReadIsATimeoutAndOfAWriteUnknown) {
  RawHttpServer server([](const RawRequest&) { return RawReply::Hang(); });
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(CodeOf(http_->Do(Ctx(Duration(60)), Request("GET", server.url()))),
            ErrorCode::kTimeout);
  EXPECT_EQ(CodeOf(http_->Do(Ctx(Duration(60)), Request("POST", server.url()))),
            ErrorCode::kUnknownOutcome);
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(5000));
  EXPECT_TRUE(server.WaitForOpenConnections(0)) << "cancelled connections are closed";
}

TEST_F(HttpTest, SlowBytesDoNotMoveTheDeadline) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply = RawReply::Ok(std::string(10'000, 'x'));
    reply.piece = 1;
    reply.pause = milliseconds(5);
    return reply;
  });
  EXPECT_EQ(CodeOf(http_->Do(Ctx(Duration(150)), Request("GET", server.url()))),
            ErrorCode::kTimeout);
}

TEST_F(HttpTest, DeadlineInThePastStartsNothing) {
  RawHttpServer server([](const RawRequest&) { return RawReply::Ok(""); });
  EXPECT_EQ(CodeOf(http_->Do(Ctx(Duration(-1)), Request("POST", server.url()))),
            ErrorCode::kTimeout);
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(HttpTest, StopTakesEffectAtOnce) {
  RawHttpServer server([](const RawRequest&) { return RawReply::Hang(); });
  for (const auto& [method, code] :
       {std::pair("GET", ErrorCode::kCancelled), std::pair("POST", ErrorCode::kUnknownOutcome)}) {
    std::stop_source stop;
    const std::size_t seen = server.requests().size();
    SteadyTime stopped;
    std::jthread stopper([&] {
      server.WaitForRequests(seen + 1);
      stopped = std::chrono::steady_clock::now();
      stop.request_stop();
    });
    const auto response =
        http_->Do(Ctx().WithStop(stop.get_token()), Request(method, server.url()));
    const auto late = std::chrono::steady_clock::now();
    stopper.join();
    EXPECT_EQ(CodeOf(response), code);
    EXPECT_LT(late - stopped, milliseconds(500));
  }
}

TEST_F(HttpTest, StopWhileWaitingForAConnectionIsCancelled) {
  http_ = MakeCurlHttpClient("http-test", {.max_connections_per_host = 1});
  RawHttpServer server([](const RawRequest&) { return RawReply::Hang(); });
  std::stop_source stop;
  std::jthread holder(
      [&] { (void)http_->Do(Ctx().WithStop(stop.get_token()), Request("GET", server.url())); });
  ASSERT_TRUE(server.WaitForRequests(1));
  // The one connection is taken, so this write never leaves.
  EXPECT_EQ(CodeOf(http_->Do(Ctx(Duration(60)), Request("POST", server.url()))),
            ErrorCode::kTimeout);
  EXPECT_EQ(server.requests().size(), 1u);
  stop.request_stop();
}

TEST_F(HttpTest, WaitingForAConnectionIsNotAConnectTimeout) {
  http_ = MakeCurlHttpClient("http-test",
                             {.max_connections_per_host = 1, .connect_timeout = Duration(100)});
  RawHttpServer server([](const RawRequest&) {
    RawReply reply = RawReply::Ok("ab");
    reply.piece = 1;
    reply.pause = milliseconds(2);
    return reply;
  });
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 5; ++i) {
      callers.emplace_back([&] { good += http_->Do(Ctx(), Request("GET", server.url())).ok(); });
    }
  }
  EXPECT_EQ(good, 5);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpTest, AThousandCallersShareTheConnectionsOfAHost) {
  RawHttpServer server([](const RawRequest& r) { return RawReply::Ok(r.target); });
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 1000; ++i) {
      callers.emplace_back([&, i] {
        const std::string path = "/" + std::to_string(i);
        const auto response = http_->Do(Ctx(Duration(60'000)), Request("PUT", server.url(path)));
        good += response.ok() && response->body == path;
      });
    }
  }
  EXPECT_EQ(good, 1000);
  EXPECT_LE(server.connections(), 8);
}

TEST_F(HttpTest, EngineThatEndsLetsItsCallersGo) {
  RawHttpServer server([](const RawRequest&) { return RawReply::Hang(); });
  HttpClient& http = *http_;
  std::jthread closer([&] {
    server.WaitForRequests(1);
    http_.reset();
  });
  EXPECT_EQ(CodeOf(http.Do(Ctx(), Request("GET", server.url()))), ErrorCode::kCancelled);
}

}  // namespace
}  // namespace certflow::net
