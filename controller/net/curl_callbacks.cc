#include <sys/socket.h>

#include "controller/base/ascii.h"
#include "controller/net/address.h"
#include "controller/net/curl_transfer.h"
#include "controller/net/socket_address.h"
#include "controller/net/tcp_connect.h"

namespace certflow::net {
namespace {

constexpr std::size_t kMaxHeaderBytes = 256u << 10;
// One TLS record: SSL_write reports nothing while only a part of its records has left.
constexpr std::size_t kTlsRecord = 16u << 10;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// "HTTP/1.1 200 OK"; 0 when it is not that.
int StatusOf(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.size() < space + 4) return 0;
  int status = 0;
  for (char c : line.substr(space + 1, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + (c - '0');
  }
  return status;
}

}  // namespace

std::size_t Transfer::OnHeader(char* data, std::size_t, std::size_t size, void* self) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  transfer.header_bytes_ += size;
  if (transfer.header_bytes_ > kMaxHeaderBytes) {
    transfer.too_large_ = true;
    return 0;
  }
  if (transfer.headers_complete_) return size;  // trailers
  const std::string_view line(data, size);
  if (!Trim(line).empty()) {
    transfer.TakeHeaderLine(line);
    return size;
  }
  return transfer.EndOfHeaders() ? size : 0;
}

void Transfer::TakeHeaderLine(std::string_view line) {
  if (line.starts_with("HTTP/")) {
    response_.status = StatusOf(line);
    response_.headers.clear();
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || line[0] == ' ' || line[0] == '\t') return;
  response_.headers.push_back(
      {LowerCase(Trim(line.substr(0, colon))), std::string(Trim(line.substr(colon + 1)))});
}

// False when the sink wants no more.
bool Transfer::EndOfHeaders() {
  if (response_.status < 200) return true;  // "100 Continue" and its like; the answer follows
  headers_complete_ = true;
  if (sink_ == nullptr || sink_->OnResponse(response_.status, response_.headers)) return true;
  sink_ended_ = true;
  return false;
}

std::size_t Transfer::OnBody(char* data, std::size_t, std::size_t size, void* self) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.sink_ != nullptr) {
    if (transfer.sink_->OnData({data, size})) return size;
    transfer.sink_ended_ = true;
    return 0;
  }
  std::string& body = transfer.response_.body;
  if (size > transfer.request_.max_response_bytes - body.size()) {
    transfer.too_large_ = true;
    return 0;
  }
  body.append(data, size);
  return size;
}

curl_socket_t Transfer::OnOpenSocket(void* self, curlsocktype, curl_sockaddr* address) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.request_.addresses == AddressPolicy::kUserGiven &&
      IsRefusedAddress(NumericAddress(&address->addr))) {
    transfer.address_refused_ = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int Transfer::OnSocketOpened(void*, curl_socket_t fd, curlsocktype) noexcept {
  EnableKeepalive(fd);
  return CURL_SOCKOPT_OK;
}

// Called right before the request is written, each time it is. libcurl quietly writes it again on a
// fresh connection when a reused one dies without an answer; the server may have acted on the
// first.
int Transfer::OnPrerequest(void* self, char* peer_ip, char*, int, int) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  // A reused connection may have been opened for a request with another policy.
  if (transfer.request_.addresses == AddressPolicy::kUserGiven && IsRefusedAddress(peer_ip)) {
    transfer.address_refused_ = true;
    return CURL_PREREQFUNC_ABORT;
  }
  if (!transfer.IsRead() && transfer.Left()) {
    transfer.resend_refused_ = true;
    return CURL_PREREQFUNC_ABORT;
  }
  transfer.started_ = true;
  transfer.sent_before_ = transfer.SentBytes();
  return CURL_PREREQFUNC_OK;
}

long Transfer::SentBytes() const {
  long bytes = 0;
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &bytes);
  return bytes;
}

bool Transfer::Left() const {
  if (!started_) return false;
  if (SentBytes() > sent_before_) return true;
  // Zero is exact for what fits into one record of HTTP/1.1, and a guess for the rest.
  std::size_t size = request_.url.size() + Body().size() + request_.authorization.size();
  for (const Header& header : request_.headers) size += header.name.size() + header.value.size();
  return size + 1024 > kTlsRecord || http2_;
}

}  // namespace certflow::net
