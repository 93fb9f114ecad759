#include "controller/kube/watch.h"

#include <pthread.h>

#include <thread>

#include "controller/base/mutex.h"
#include "controller/kube/answer.h"
#include "controller/kube/watch_stream.h"

namespace certflow::kube {
namespace {

// What may wait for a slow sink. A streamed list arrives faster than it is decoded.
constexpr std::size_t kMaxBuffered = 64u << 20;
constexpr std::size_t kMaxErrorBody = 64u << 10;

// Between the engine's thread, which writes, and the caller's, which reads.
class Buffer : public net::StreamSink {
 public:
  bool OnResponse(int status, const std::vector<net::Header>& headers) override {
    MutexLock lock(mutex_);
    status_ = status;
    headers_ = headers;
    return !closed_;
  }

  bool OnData(std::string_view data) override {
    MutexLock lock(mutex_);
    const bool failed = status_ < 200 || status_ > 299;
    if (buffered_.size() + data.size() > (failed ? kMaxErrorBody : kMaxBuffered)) overflow_ = true;
    if (closed_ || overflow_) return false;
    buffered_.append(data);
    changed_.notify_one();
    return true;
  }

  void End(Result<void> result) {
    MutexLock lock(mutex_);
    ended_ = true;
    result_ = std::move(result);
    changed_.notify_one();
  }

  // The next bytes of a good answer in `chunk`, which was the one before; false at the end.
  bool Next(std::string& chunk) {
    chunk.clear();
    MutexLock lock(mutex_);
    while (!ended_ && (buffered_.empty() || status_ > 299)) changed_.wait(mutex_);
    if (status_ < 200 || status_ > 299) return false;
    chunk.swap(buffered_);
    return !chunk.empty();
  }

  // The reader wants no more.
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
  }

  int status() {
    MutexLock lock(mutex_);
    return status_;
  }

  // After the end.
  Result<void> Outcome() {
    MutexLock lock(mutex_);
    if (status_ != 0 && (status_ < 200 || status_ > 299)) {
      return AnswerError(false, status_, headers_, buffered_);
    }
    if (overflow_) {
      return MakeError(ErrorCode::kUnavailable, "WatchTooSlow", "watch events were not taken away");
    }
    return result_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int status_ CF_GUARDED_BY(mutex_) = 0;
  std::vector<net::Header> headers_ CF_GUARDED_BY(mutex_);
  std::string buffered_ CF_GUARDED_BY(mutex_);
  bool closed_ CF_GUARDED_BY(mutex_) = false;
  bool overflow_ CF_GUARDED_BY(mutex_) = false;
  bool ended_ CF_GUARDED_BY(mutex_) = false;
  Result<void> result_ CF_GUARDED_BY(mutex_);
};

// Hands events over until the stream ends, breaks, or the caller is stopped.
Result<void> Deliver(const Context& ctx, Buffer& buffer, WatchSink& sink) {
  LineSplitter lines;
  const auto line = [&](std::string_view text) -> Result<void> {
    CF_RETURN_IF_ERROR(ctx.Check());
    auto event = DecodeWatchLine(text);
    if (!event.ok()) return std::move(event).error();
    sink.OnEvent(std::move(event).value());
    return {};
  };
  for (std::string chunk; buffer.Next(chunk);) CF_RETURN_IF_ERROR(lines.Feed(chunk, line));
  CF_RETURN_IF_ERROR(buffer.Outcome());
  if (lines.InLine()) {
    return MakeError(ErrorCode::kUnavailable, "BrokenStream", "a watch ended inside an event");
  }
  return {};
}

}  // namespace

WatchEnd RunWatch(net::HttpClient& http, const Context& ctx, const net::HttpRequest& request,
                  WatchSink& sink) {
  Buffer buffer;
  std::stop_source cut;
  const std::stop_callback forward(ctx.stop, [&cut] { cut.request_stop(); });
  const Context transfer = ctx.WithStop(cut.get_token());
  std::thread thread([&] {
    pthread_setname_np(pthread_self(), "watch");
    buffer.End(http.Stream(transfer, request, buffer));
  });
  Result<void> delivered = Deliver(ctx, buffer, sink);
  buffer.Close();
  cut.request_stop();
  thread.join();
  return {buffer.status(), std::move(delivered)};
}

}  // namespace certflow::kube
