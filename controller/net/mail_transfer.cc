#include "controller/net/mail_transfer.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "controller/net/address.h"
#include "controller/net/socket_address.h"
#include "controller/net/tcp_connect.h"

namespace certflow::net {
namespace {

constexpr long kConnectMilliseconds = 15'000;

curl_slist* Append(curl_slist* list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list, text.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  return longer;
}

std::string Bracketed(const std::string& host) {
  return host.find(':') != std::string::npos ? "[" + host + "]" : host;
}

// RFC 4954, section 6, and RFC 3207: it is about who we are.
bool IsAboutLogin(long reply) {
  return reply == 530 || reply == 534 || reply == 535 || reply == 538;
}

}  // namespace

MailTransfer::MailTransfer(const MailServer& server, const Envelope& envelope,
                           std::string_view message, CURL* easy, TlsCache& tls)
    : server_(server),
      envelope_(envelope),
      unread_(message),
      easy_(easy),
      tls_(tls.Prepare(server.tls)) {}

MailTransfer::~MailTransfer() {
  curl_slist_free_all(recipients_);
  curl_slist_free_all(connect_to_);
}

std::string MailTransfer::UrlHost() const {
  const bool renamed = server_.tls && !server_.tls->server_name.empty();
  return renamed ? server_.tls->server_name : server_.host;
}

void MailTransfer::Prepare(long milliseconds) {
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, milliseconds);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_.data());
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETFUNCTION, &MailTransfer::OnOpenSocket);
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy_, CURLOPT_CLOSESOCKETFUNCTION, &MailTransfer::OnCloseSocket);
  curl_easy_setopt(easy_, CURLOPT_CLOSESOCKETDATA, this);
  SetServer();
  SetLogin();
  ApplyTls(easy_, tls_.get());
  for (const std::string& to : envelope_.to) recipients_ = Append(recipients_, to);
  curl_easy_setopt(easy_, CURLOPT_MAIL_FROM, envelope_.from.c_str());
  curl_easy_setopt(easy_, CURLOPT_MAIL_RCPT, recipients_);
  curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(unread_.size()));
  curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &MailTransfer::OnRead);
  curl_easy_setopt(easy_, CURLOPT_READDATA, this);
}

void MailTransfer::SetServer() {
  const bool implicit = server_.security == MailTls::kImplicit;
  const std::string port = std::to_string(server_.port);
  const std::string url =
      std::string(implicit ? "smtps" : "smtp") + "://" + Bracketed(UrlHost()) + ":" + port;
  curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
  if (UrlHost() != server_.host) {
    connect_to_ = Append(nullptr, "::" + Bracketed(server_.host) + ":" + port);
    curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
  }
  if (server_.security == MailTls::kStartTls) {
    curl_easy_setopt(easy_, CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
  }
}

void MailTransfer::SetLogin() {
  if (server_.user.empty()) return;
  curl_easy_setopt(easy_, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN");
  // In the command itself (RFC 4954), which saves a round trip.
  curl_easy_setopt(easy_, CURLOPT_SASL_IR, 1L);
  curl_easy_setopt(easy_, CURLOPT_USERNAME, server_.user.c_str());
  std::string password(server_.password.Reveal());
  curl_easy_setopt(easy_, CURLOPT_PASSWORD, password.c_str());
  WipeString(password);
}

std::size_t MailTransfer::OnRead(char* to, std::size_t size, std::size_t count,
                                 void* self) noexcept {
  auto& transfer = *static_cast<MailTransfer*>(self);
  const std::size_t taken = std::min(size * count, transfer.unread_.size());
  std::memcpy(to, transfer.unread_.data(), taken);
  transfer.unread_.remove_prefix(taken);
  if (transfer.unread_.empty()) transfer.message_left_ = true;
  return taken;
}

curl_socket_t MailTransfer::OnOpenSocket(void* self, curlsocktype,
                                         curl_sockaddr* address) noexcept {
  auto& transfer = *static_cast<MailTransfer*>(self);
  if (IsRefusedAddress(NumericAddress(&address->addr))) {
    transfer.address_refused_ = true;
    return CURL_SOCKET_BAD;
  }
  const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  EnableKeepalive(fd);
  MutexLock lock(transfer.mutex_);
  transfer.sockets_.push_back(fd);
  return fd;
}

int MailTransfer::OnCloseSocket(void* self, curl_socket_t fd) noexcept {
  auto& transfer = *static_cast<MailTransfer*>(self);
  MutexLock lock(transfer.mutex_);
  std::erase(transfer.sockets_, fd);
  return ::close(fd);
}

void MailTransfer::StopReading() {
  MutexLock lock(mutex_);
  for (const int fd : sockets_) ::shutdown(fd, SHUT_RD);
}

Error MailTransfer::Failure(ErrorCode code, std::string_view reason,
                            std::string_view message) const {
  return MakeError(
      code, reason,
      "mail by " + FormatHostPort({server_.host, server_.port}) + ": " + std::string(message));
}

Error MailTransfer::ConcludeTakenOff(const Error& why) const {
  if (!message_left_) return Failure(why.code, why.reason, why.message);
  return Failure(ErrorCode::kUnknownOutcome, "AnswerTimeout",
                 "the message left and the server did not confirm it: " + why.message);
}

Result<void> MailTransfer::Conclude(CURLcode code) const {
  if (code == CURLE_OK) return {};
  const std::string said = error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
  long reply = 0;  // the last one of the server
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &reply);
  if (address_refused_) {
    return Failure(ErrorCode::kRefused, "AddressRefused", "this address may not be used");
  }
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR) {
    return Failure(ErrorCode::kUntrusted, "ServerNotTrusted", said);
  }
  if (code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM) {
    return Failure(ErrorCode::kInvalid, "InvalidTlsMaterial", said);
  }
  if (reply >= 400 && reply < 500) {
    return Failure(ErrorCode::kUnavailable, "MailDeferred", said);
  }
  if (IsAboutLogin(reply) || code == CURLE_LOGIN_DENIED) {
    return Failure(ErrorCode::kUnauthorized, "LoginRefused", said);
  }
  if (reply >= 500) return Failure(ErrorCode::kRefused, "MailRefused", said);
  if (message_left_) {
    return Failure(ErrorCode::kUnknownOutcome, "AnswerLost",
                   "the message left and the server did not confirm it: " + said);
  }
  if (code == CURLE_USE_SSL_FAILED) {
    return Failure(ErrorCode::kUnavailable, "StartTlsNotOffered",
                   "the server offers no STARTTLS, and nothing is sent in plain text");
  }
  return Failure(ErrorCode::kUnavailable, "MailServerUnavailable", said);
}

}  // namespace certflow::net
