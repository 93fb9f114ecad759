#pragma once

#include <curl/curl.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "controller/net/curl_engine.h"
#include "controller/net/curl_tls.h"
#include "controller/net/http_client.h"

namespace certflow::net {

// One request on one easy handle: its options, what the callbacks saw, and what that means.
// Lives on the caller's stack; between Prepare and the end of CurlEngine::Run the engine's thread
// alone touches it.
class Transfer {
 public:
  Transfer(const HttpRequest& request, StreamSink* sink, CURL* easy);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // kInvalid for a request that cannot be put on the wire as it is.
  Result<void> Prepare(const HttpEngineOptions& options, TlsCache& tls);
  // After the engine let go of the handle.
  Result<void> Conclude(const Ending& ending) const;
  HttpResponse TakeResponse() { return std::move(response_); }

 private:
  static std::size_t OnHeader(char* data, std::size_t, std::size_t size, void* self) noexcept;
  static std::size_t OnBody(char* data, std::size_t, std::size_t size, void* self) noexcept;
  static curl_socket_t OnOpenSocket(void* self, curlsocktype, curl_sockaddr* address) noexcept;
  static int OnSocketOpened(void* self, curl_socket_t fd, curlsocktype) noexcept;
  static int OnPrerequest(void* self, char* peer_ip, char*, int, int) noexcept;

  Result<void> AddHeaders();
  Result<void> AddHeader(std::string_view name, std::string_view value);
  void AppendHeader(std::string line);
  void SetMethodAndBody();
  void SetConnection(const HttpEngineOptions& options);
  void SetProxy();
  Result<void> SetServerName();
  Result<void> CheckLiteralBehindProxy() const;
  void SetCallbacks();

  void TakeHeaderLine(std::string_view line);
  bool EndOfHeaders();
  // Whether any byte of this request may have reached the server.
  bool Left() const;
  long SentBytes() const;
  bool IsRead() const { return request_.method == "GET" || request_.method == "HEAD"; }
  std::string_view Body() const;

  Error Failure(ErrorCode code, std::string_view reason, std::string_view message) const;
  Result<void> ConcludeTakenOff(Ending::Cause cause) const;
  Result<void> ConcludeFailure(CURLcode code) const;
  std::string CurlMessage(CURLcode code) const;

  const HttpRequest& request_;
  StreamSink* const sink_;
  CURL* const easy_;
  std::shared_ptr<const PreparedTls> tls_;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_{};

  bool http2_ = false;
  HttpResponse response_;
  std::size_t header_bytes_ = 0;
  bool headers_complete_ = false;
  bool too_large_ = false;
  bool sink_ended_ = false;
  bool address_refused_ = false;
  bool resend_refused_ = false;
  bool started_ = false;  // the request was about to be written, on the connection now in use
  long sent_before_ = 0;  // what libcurl had written when that happened (a proxy's CONNECT)
};

}  // namespace certflow::net
