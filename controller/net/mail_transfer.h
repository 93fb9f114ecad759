#pragma once

#include <curl/curl.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/mutex.h"
#include "controller/net/curl_tls.h"
#include "controller/net/mail_client.h"

namespace certflow::net {

// One message on one easy handle.
class MailTransfer {
 public:
  MailTransfer(const MailServer& server, const Envelope& envelope, std::string_view message,
               CURL* easy, TlsCache& tls);
  ~MailTransfer();
  MailTransfer(const MailTransfer&) = delete;
  MailTransfer& operator=(const MailTransfer&) = delete;

  // `milliseconds` left for all of it; 0 for no limit.
  void Prepare(long milliseconds);
  Result<void> Conclude(CURLcode code) const;
  // Taken off by `why` (kTimeout or kCancelled) before it ended.
  Error ConcludeTakenOff(const Error& why) const;
  // Ends every wait of libcurl for an answer, which it takes for the end of the connection: it
  // waits inside its own calls for the answers to the message and to QUIT. From any thread.
  void StopReading() CF_EXCLUDES(mutex_);

 private:
  static std::size_t OnRead(char* to, std::size_t size, std::size_t count, void* self) noexcept;
  static curl_socket_t OnOpenSocket(void* self, curlsocktype, curl_sockaddr* address) noexcept;
  static int OnCloseSocket(void* self, curl_socket_t fd) noexcept;
  void SetServer();
  void SetLogin();
  // The name in the URL, which is the one that TLS verifies; CONNECT_TO leads to the host.
  std::string UrlHost() const;
  Error Failure(ErrorCode code, std::string_view reason, std::string_view message) const;

  const MailServer& server_;
  const Envelope& envelope_;
  std::string_view unread_;
  CURL* const easy_;
  std::shared_ptr<const PreparedTls> tls_;
  curl_slist* recipients_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_{};
  Mutex mutex_;
  std::vector<int> sockets_
      CF_GUARDED_BY(mutex_);   // open now, more than one while libcurl tries several addresses
  bool message_left_ = false;  // to its last byte: the server may have taken it
  bool address_refused_ = false;
};

}  // namespace certflow::net
