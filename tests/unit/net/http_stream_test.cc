#include <functional>
#include <thread>

#include "tests/unit/net/http_fixture.h"

namespace certflow::net {
namespace {

using fakes::RawHttpServer;
using fakes::RawReply;
using fakes::RawRequest;

class CollectingSink final : public StreamSink {
 public:
  bool OnResponse(int status, const std::vector<Header>& headers) override {
    EXPECT_TRUE(data_.empty());
    status_ = status;
    header_count_ = headers.size();
    return accept_;
  }
  bool OnData(std::string_view data) override {
    data_ += data;
    if (on_data_) on_data_();
    return data_.size() < stop_at_;
  }

  int status_ = 0;
  std::size_t header_count_ = 0;
  std::string data_;
  bool accept_ = true;
  std::size_t stop_at_ = static_cast<std::size_t>(-1);
  std::function<void()> on_data_;
};

RawReply Chunks(std::string_view end) {
  RawReply reply;
  reply.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n";
  reply.bytes += end;
  return reply;
}

TEST_F(HttpTest, StreamEndsWithoutErrorAtItsCleanEnd) {
  RawHttpServer server([](const RawRequest&) { return Chunks("0\r\n\r\n"); });
  CollectingSink sink;
  EXPECT_TRUE(http_->Stream(Ctx(), Request("GET", server.url()), sink).ok());
  EXPECT_EQ(sink.status_, 200);
  EXPECT_EQ(sink.header_count_, 1u);
  EXPECT_EQ(sink.data_, "abcdef");
}

TEST_F(HttpTest, StreamThatBreaksOffIsUnavailable) {
  RawHttpServer server([](const RawRequest&) { return Chunks("").AndClose(); });
  CollectingSink sink;
  const auto ended = http_->Stream(Ctx(), Request("GET", server.url()), sink);
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(CodeOf(ended), ErrorCode::kUnavailable);
  EXPECT_EQ(sink.data_, "abcdef");
}

TEST_F(HttpTest, SinkEndsTheStreamWhenItHasEnough) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply = Chunks("");
    reply.hang = true;
    return reply;
  });
  CollectingSink by_data;
  by_data.stop_at_ = 3;
  EXPECT_TRUE(http_->Stream(Ctx(), Request("GET", server.url()), by_data).ok());
  CollectingSink by_status;
  by_status.accept_ = false;
  EXPECT_TRUE(http_->Stream(Ctx(), Request("GET", server.url()), by_status).ok());
  EXPECT_EQ(by_status.data_, "");
  EXPECT_TRUE(server.WaitForOpenConnections(0));
}

TEST_F(HttpTest, StreamCarriesErrorStatusAndBody) {
  RawHttpServer server([](const RawRequest&) { return RawReply::Status(410, "gone"); });
  CollectingSink sink;
  EXPECT_TRUE(http_->Stream(Ctx(), Request("GET", server.url()), sink).ok());
  EXPECT_EQ(sink.status_, 410);
  EXPECT_EQ(sink.data_, "gone");
}

TEST_F(HttpTest, StopEndsAStreamThatIsSilent) {
  RawHttpServer server([](const RawRequest&) {
    RawReply reply = Chunks("");
    reply.hang = true;
    return reply;
  });
  std::stop_source stop;
  SteadyTime stopped;
  CollectingSink sink;
  std::jthread stopper([&] {
    server.WaitForRequests(1);
    stopped = std::chrono::steady_clock::now();
    stop.request_stop();
  });
  const auto ended =
      http_->Stream(Ctx().WithStop(stop.get_token()), Request("GET", server.url()), sink);
  const auto late = std::chrono::steady_clock::now();
  stopper.join();
  EXPECT_EQ(CodeOf(ended), ErrorCode::kCancelled);
  EXPECT_LT(late - stopped, std::chrono::milliseconds(500));
}

TEST_F(HttpTest, StreamsNeverUseUpTheConnectionsOfShortCalls) {
  http_ = MakeCurlHttpClient("http-test", {.max_connections_per_host = 1});
  RawHttpServer server([](const RawRequest& request) {
    if (request.target == "/short") return RawReply::Ok("short");
    RawReply reply = Chunks("");
    reply.hang = true;
    return reply;
  });
  std::stop_source stop;
  std::vector<std::jthread> streams;
  for (int i = 0; i < 4; ++i) {
    streams.emplace_back([&] {
      CollectingSink sink;
      (void)http_->Stream(Ctx().WithStop(stop.get_token()), Request("GET", server.url()), sink);
    });
  }
  EXPECT_TRUE(server.WaitForRequests(4));
  EXPECT_EQ(http_->Do(Ctx(), Request("GET", server.url("/short")))->body, "short");
  EXPECT_EQ(server.connections(), 5);
  stop.request_stop();
}

TEST_F(HttpTest, StreamHasNoSizeLimit) {
  const std::string big(6u << 20, 'x');
  RawHttpServer server([&](const RawRequest&) { return RawReply::Ok(big); });
  CollectingSink sink;
  ASSERT_TRUE(http_->Stream(Ctx(), Request("GET", server.url()), sink).ok());
  EXPECT_EQ(sink.data_.size(), big.size());
}

}  // namespace
}  // namespace certflow::net
