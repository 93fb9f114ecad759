#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "controller/net/http_client.h"

namespace certflow::kube {

// Answers requests from a list and remembers them.
class ScriptedHttp : public net::HttpClient {
 public:
  struct Seen {
    std::string method, url, body, token;
    std::vector<net::Header> headers;
  };
  struct Streamed {
    int status = 200;
    std::vector<std::string> chunks;
    Result<void> end;
  };

  void Answer(int status, std::string body, std::vector<net::Header> headers = {}) {
    answers_.push_back(net::HttpResponse{status, std::move(headers), std::move(body)});
  }
  void Fail(Error error) { answers_.push_back(std::move(error)); }
  void Stream(Streamed stream) { streams_.push_back(std::move(stream)); }

  Result<net::HttpResponse> Do(const Context&, const net::HttpRequest& request) override {
    Remember(request);
    if (answers_.empty()) return MakeError(ErrorCode::kInternal, "Script", "no answer left");
    auto answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }

  Result<void> Stream(const Context& ctx, const net::HttpRequest& request,
                      net::StreamSink& sink) override {
    Remember(request);
    if (streams_.empty()) return MakeError(ErrorCode::kInternal, "Script", "no stream left");
    Streamed stream = std::move(streams_.front());
    streams_.pop_front();
    if (stream.status != 0 && !sink.OnResponse(stream.status, {})) return {};
    for (const std::string& chunk : stream.chunks) {
      if (ctx.stopped() || !sink.OnData(chunk)) return {};
    }
    return stream.end;
  }

  std::vector<Seen> seen;

 private:
  void Remember(const net::HttpRequest& request) {
    seen.push_back({request.method, request.url,
                    request.body + std::string(request.secret_body.Reveal()),
                    std::string(request.authorization.Reveal()), request.headers});
  }
  std::deque<Result<net::HttpResponse>> answers_;
  std::deque<Streamed> streams_;
};

}  // namespace certflow::kube
