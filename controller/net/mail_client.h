#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"
#include "controller/net/http_client.h"

namespace certflow::net {

enum class MailTls { kStartTls, kImplicit, kNone };

struct MailServer {
  std::string host;
  std::uint16_t port = 587;
  MailTls security = MailTls::kStartTls;  // kStartTls never falls back to plain text
  std::shared_ptr<const TlsOptions> tls;
  std::string user;  // empty: no AUTH; AUTH is refused over kNone
  SecretBytes password;
};

struct Envelope {
  std::string from;             // bare addresses (RFC 5321 Mailbox)
  std::vector<std::string> to;  // every recipient, BCC included
};

// Submits one message (RFC 5322 text with CRLF). Errors: kUnavailable (nothing was accepted; 4xx,
// no connection), kRefused (5xx), kUnauthorized, kUntrusted, kUnknownOutcome (lost after DATA).
class MailClient {
 public:
  virtual ~MailClient() = default;
  virtual Result<void> Send(const Context& ctx, const MailServer& server, const Envelope& envelope,
                            const std::string& message) = 0;
};

// libcurl, one connection a message, on the caller's thread; cancellable like HttpClient.
std::unique_ptr<MailClient> MakeCurlMailClient();

}  // namespace certflow::net
