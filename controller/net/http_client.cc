#include "controller/net/http_client.h"

#include "controller/base/mutex.h"
#include "controller/net/curl_engine.h"
#include "controller/net/curl_transfer.h"

namespace certflow::net {
namespace {

// The context's clock may be a simulated one; the engine waits on the machine's.
SteadyTime MachineDeadline(const Context& ctx) {
  if (ctx.deadline == SteadyTime::max()) return ctx.deadline;
  return std::chrono::steady_clock::now() + (ctx.deadline - ctx.clock.Steady());
}

class CurlHttpClient final : public HttpClient {
 public:
  CurlHttpClient(std::string_view name, HttpEngineOptions options)
      : options_(std::move(options)), engine_(name, options_) {}

  // Callers that are inside are let go first, and seen out.
  ~CurlHttpClient() override {
    engine_.Close();
    MutexLock lock(mutex_);
    while (inside_ > 0) left_.wait(mutex_);
  }

  Result<HttpResponse> Do(const Context& ctx, const HttpRequest& request) override {
    HttpResponse response;
    CF_RETURN_IF_ERROR(Perform(ctx, request, nullptr, &response));
    return response;
  }

  Result<void> Stream(const Context& ctx, const HttpRequest& request, StreamSink& sink) override {
    return Perform(ctx, request, &sink, nullptr);
  }

 private:
  // Counts a caller for as long as it uses this object.
  class Visit {
   public:
    explicit Visit(CurlHttpClient& client) : client_(client) {
      MutexLock lock(client_.mutex_);
      ++client_.inside_;
    }
    ~Visit() {
      MutexLock lock(client_.mutex_);
      if (--client_.inside_ == 0) client_.left_.notify_all();
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    CurlHttpClient& client_;
  };

  Result<void> Perform(const Context& ctx, const HttpRequest& request, StreamSink* sink,
                       HttpResponse* response) {
    CF_RETURN_IF_ERROR(ctx.Check());
    const Visit visit(*this);
    EasyHandle easy = engine_.TakeHandle();
    Result<void> result;
    {
      Transfer transfer(request, sink, easy.get());
      result = transfer.Prepare(options_, tls_);
      if (result.ok()) {
        const auto lane = sink == nullptr ? CurlEngine::Lane::kShort : CurlEngine::Lane::kStream;
        result = transfer.Conclude(engine_.Run(easy.get(), lane, MachineDeadline(ctx), ctx.stop));
      }
      if (result.ok() && response != nullptr) *response = transfer.TakeResponse();
    }
    engine_.GiveBack(std::move(easy));
    return result;
  }

  const HttpEngineOptions options_;
  TlsCache tls_;
  CurlEngine engine_;
  Mutex mutex_;
  CondVar left_;
  int inside_ CF_GUARDED_BY(mutex_) = 0;
};

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  for (const Header& header : headers) {
    if (header.name == name) return header.value;
  }
  return {};
}

std::unique_ptr<HttpClient> MakeCurlHttpClient(std::string_view name, HttpEngineOptions options) {
  return std::make_unique<CurlHttpClient>(name, std::move(options));
}

std::string UrlEncode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kHex[byte >> 4];
    encoded += kHex[byte & 15];
  }
  return encoded;
}

}  // namespace certflow::net
