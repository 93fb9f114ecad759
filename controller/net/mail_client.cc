#include "controller/net/mail_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <new>

#include "controller/net/address.h"
#include "controller/net/curl_engine.h"
#include "controller/net/mail_transfer.h"
#include "controller/net/sigpipe_guard.h"

namespace certflow::net {
namespace {

constexpr std::size_t kMaxMailbox = 320;  // RFC 5321: 64 + "@" + 255
constexpr std::size_t kMaxRecipients = 100;

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// Nothing that could end the address or the command line that carries it.
bool IsMailbox(std::string_view text) {
  const bool clean = std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7F && c != '<' && c != '>' && c != ',';
  });
  const std::size_t at = text.rfind('@');
  return clean && text.size() <= kMaxMailbox && at != std::string_view::npos && at > 0 &&
         at + 1 < text.size();
}

Error Invalid(std::string_view reason, std::string_view message) {
  return MakeError(ErrorCode::kInvalid, reason, message);
}

Result<void> Check(const MailServer& server, const Envelope& envelope) {
  CF_RETURN_IF_ERROR(ParseHostPort(FormatHostPort({server.host, server.port})));
  if (!server.user.empty() && server.security == MailTls::kNone) {
    return Invalid("LoginWithoutTls", "a password is never sent to a mail server without TLS");
  }
  if (!IsMailbox(envelope.from)) {
    return Invalid("InvalidMailAddress",
                   "\"" + Sanitize(envelope.from, 100) + "\" is no mail address");
  }
  if (envelope.to.empty() || envelope.to.size() > kMaxRecipients) {
    return Invalid("InvalidRecipients", "a mail needs 1 to 100 recipients");
  }
  for (const std::string& to : envelope.to) {
    if (!IsMailbox(to)) {
      return Invalid("InvalidMailAddress", "\"" + Sanitize(to, 100) + "\" is no mail address");
    }
  }
  return {};
}

// At least one, so that a limit never reads as none.
int MillisecondsLeft(const Context& ctx) {
  constexpr std::int64_t kLongest = 600'000;
  if (ctx.deadline == SteadyTime::max()) return kLongest;
  const auto left = std::chrono::ceil<Duration>(ctx.deadline - ctx.clock.Steady()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 1, kLongest));
}

// A multi handle for one message: the only way to end libcurl's waiting from outside.
class CancellableTransfer {
 public:
  CancellableTransfer(CURL* easy, MailTransfer& transfer)
      : multi_(curl_multi_init()), easy_(easy), transfer_(transfer) {
    if (!multi_ || curl_multi_add_handle(multi_.get(), easy_) != CURLM_OK) throw std::bad_alloc();
  }
  ~CancellableTransfer() {
    transfer_.StopReading();
    curl_multi_remove_handle(multi_.get(), easy_);
  }
  CancellableTransfer(const CancellableTransfer&) = delete;
  CancellableTransfer& operator=(const CancellableTransfer&) = delete;

  // The code it ended with, or why it was left.
  Result<CURLcode> Run(const Context& ctx) {
    const std::stop_callback wake(ctx.stop, [this] {
      transfer_.StopReading();
      curl_multi_wakeup(multi_.get());
    });
    for (;;) {
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      if (running == 0) return Finished(ctx);
      CF_RETURN_IF_ERROR(ctx.Check());
      curl_multi_poll(multi_.get(), nullptr, 0, MillisecondsLeft(ctx), nullptr);
    }
  }

 private:
  Result<CURLcode> Finished(const Context& ctx) {
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi_.get(), &left);
    const CURLcode code = message == nullptr ? CURLE_FAILED_INIT : message->data.result;
    // What fails after the stop or the deadline fails because of it.
    if (code != CURLE_OK) CF_RETURN_IF_ERROR(ctx.Check());
    return code;
  }

  const std::unique_ptr<CURLM, MultiDeleter> multi_;
  CURL* const easy_;
  MailTransfer& transfer_;
};

class CurlMailClient final : public MailClient {
 public:
  CurlMailClient() { InitCurl(); }

  Result<void> Send(const Context& ctx, const MailServer& server, const Envelope& envelope,
                    const std::string& message) override {
    CF_RETURN_IF_ERROR(ctx.Check());
    CF_RETURN_IF_ERROR(Check(server, envelope));
    const SigpipeGuard guard;
    const EasyHandle easy(curl_easy_init());
    if (!easy) throw std::bad_alloc();
    MailTransfer transfer(server, envelope, message, easy.get(), tls_);
    transfer.Prepare(ctx.deadline == SteadyTime::max() ? 0 : MillisecondsLeft(ctx));
    const auto code = CancellableTransfer(easy.get(), transfer).Run(ctx);
    if (!code.ok()) return transfer.ConcludeTakenOff(code.error());
    return transfer.Conclude(*code);
  }

 private:
  TlsCache tls_;
};

}  // namespace

std::unique_ptr<MailClient> MakeCurlMailClient() { return std::make_unique<CurlMailClient>(); }

}  // namespace certflow::net
