#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"

namespace certflow::net {

// Trust and identity towards one server. Two requests share a connection only when they share the
// same TlsOptions object, so rotating a credential is making a new one.
struct TlsOptions {
  std::string ca_pem;           // empty: the system's roots
  std::string client_cert_pem;  // with client_key: mutual TLS
  SecretBytes client_key_pem;
  std::string server_name;            // SNI and verification name, when not the URL's host
  bool insecure_skip_verify = false;  // turning it on is logged by whoever decides so
  // Base64 of SHA-256 over a public key (SubjectPublicKeyInfo). Where there are any, the server's
  // key must be one of them, and that alone is its identity: names, dates and roots do not count.
  std::vector<std::string> public_key_pins;
};

// Which addresses a request may go to. Link-local (169.254.0.0/16, fe80::/10), the metadata
// addresses and the unspecified address are refused for what users name (kRefused,
// "AddressRefused"); the check is made on the address that is connected to, after resolving, and
// again on redirects (which are not followed anyway).
enum class AddressPolicy { kPlatform, kUserGiven };

struct Header {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<Header> headers;
  // Sent as "Authorization: <scheme> <secret>" when set, or in another header of that form; kept
  // apart so that it is never logged.
  std::string authorization_header = "Authorization";
  std::string authorization_scheme;
  SecretBytes authorization;
  SecretBytes secret_body;  // used instead of `body` when not empty
  std::string body;
  std::shared_ptr<const TlsOptions> tls;
  std::string proxy;  // empty: none; "env": the environment's
  AddressPolicy addresses = AddressPolicy::kPlatform;
  std::size_t max_response_bytes = 4u << 20;  // more is kRefused, "ResponseTooLarge"
};

struct HttpResponse {
  int status = 0;
  std::vector<Header> headers;  // names in lower case, of the final response only
  std::string body;

  // First value of a header (lower-case name), empty when absent.
  std::string_view header(std::string_view name) const;
};

// Receives a streamed body. Called on the engine's thread: copy and return.
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  // Once, before any data. False ends the transfer.
  virtual bool OnResponse(int status, const std::vector<Header>& headers) = 0;
  // False ends the transfer.
  virtual bool OnData(std::string_view data) = 0;
};

// One HTTP engine: connections, TLS, cancellation. Thread-safe; calls block the caller until the
// answer, the context's deadline or its stop, which takes effect within 50 ms.
//
// An HTTP status, whatever it is, is success at this level. Errors: kUnavailable (no connection,
// TLS trouble; the request did not leave), kUntrusted (the server's certificate), kTimeout,
// kUnknownOutcome (a method other than GET or HEAD left and no complete answer came), kCancelled,
// kRefused. No redirect is followed. A request is never sent twice: a reused connection that is
// found dead before a byte of the answer is retried only for GET and HEAD.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  virtual Result<HttpResponse> Do(const Context& ctx, const HttpRequest& request) = 0;
  // Like Do, with the body handed to `sink` as it arrives and no size limit; ends without error at
  // a clean end of the body or when the sink says so. A body that breaks off is kUnavailable. Uses
  // a connection of its own, with TCP keepalive (30 s idle, 10 s apart, 3 tries).
  virtual Result<void> Stream(const Context& ctx, const HttpRequest& request, StreamSink& sink) = 0;
};

struct HttpEngineOptions {
  std::string user_agent = "certflow";
  int max_connections_per_host = 8;
  Duration connect_timeout{10'000};
  bool http2 = false;
};

// libcurl's multi interface on one thread of its own, named `name`.
std::unique_ptr<HttpClient> MakeCurlHttpClient(std::string_view name, HttpEngineOptions options);

// Percent-encodes everything but RFC 3986's unreserved characters.
std::string UrlEncode(std::string_view text);

}  // namespace certflow::net
