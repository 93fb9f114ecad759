#include "controller/net/curl_transfer.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "controller/base/ascii.h"
#include "controller/net/address.h"
#include "controller/net/curl_url.h"

namespace certflow::net {
namespace {

// Servers drop idle connections after a minute or more (kube-apiserver after 90 s); a connection
// that is about to be dropped is better not used.
constexpr long kMaxIdleSeconds = 45;
constexpr long kReceiveBuffer = 64L * 1024;

bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool EndsLine(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

bool Names(const std::vector<Header>& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [name](const Header& header) { return EqualIgnoringCase(header.name, name); });
}

// The list holds the Authorization line, so it is wiped before it is freed.
void WipeList(curl_slist* list) {
  for (curl_slist* node = list; node != nullptr; node = node->next) {
    OPENSSL_cleanse(node->data, std::strlen(node->data));
  }
  curl_slist_free_all(list);
}

}  // namespace

Transfer::Transfer(const HttpRequest& request, StreamSink* sink, CURL* easy)
    : request_(request), sink_(sink), easy_(easy) {}

Transfer::~Transfer() {
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, nullptr);
  curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, nullptr);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, nullptr);
  WipeList(headers_);
  curl_slist_free_all(connect_to_);
}

Result<void> Transfer::Prepare(const HttpEngineOptions& options, TlsCache& tls) {
  if (!IsToken(request_.method) || EndsLine(request_.url) || request_.url.empty()) {
    return MakeError(ErrorCode::kInvalid, "InvalidRequest", "not a valid method or URL");
  }
  curl_easy_setopt(easy_, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, options.user_agent.c_str());
  SetMethodAndBody();
  SetConnection(options);
  SetProxy();
  tls_ = tls.Prepare(request_.tls);
  ApplyTls(easy_, tls_.get());
  CF_RETURN_IF_ERROR(CheckLiteralBehindProxy());
  CF_RETURN_IF_ERROR(SetServerName());
  CF_RETURN_IF_ERROR(AddHeaders());
  SetCallbacks();
  return {};
}

std::string_view Transfer::Body() const {
  return request_.secret_body.empty() ? std::string_view(request_.body)
                                      : request_.secret_body.Reveal();
}

void Transfer::SetMethodAndBody() {
  const std::string_view body = Body();
  const std::string& method = request_.method;
  if (method == "HEAD") {
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
    return;
  }
  const bool sends = !body.empty() || method == "POST" || method == "PUT" || method == "PATCH";
  if (sends) {
    curl_easy_setopt(easy_, CURLOPT_POST, 1L);
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    // Not copied: the caller waits until the transfer ended.
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
  }
  if (method != (sends ? "POST" : "GET")) {
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, method.c_str());
  }
}

void Transfer::SetConnection(const HttpEngineOptions& options) {
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt(easy_, CURLOPT_MAXAGE_CONN, kMaxIdleSeconds);
  curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, kReceiveBuffer);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options.connect_timeout.count()));
  // A cancelled transfer must not wait for a resolver thread that hangs.
  curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);
  http2_ = options.http2 && sink_ == nullptr;
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION,
                   http2_ ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
  if (http2_) curl_easy_setopt(easy_, CURLOPT_PIPEWAIT, 1L);
  if (sink_ != nullptr) {
    curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
  }
}

void Transfer::SetProxy() {
  // Unset, libcurl asks the environment; empty means none, whatever the environment says.
  if (request_.proxy == "env") return;
  curl_easy_setopt(easy_, CURLOPT_PROXY, request_.proxy.c_str());
  curl_easy_setopt(easy_, CURLOPT_NOPROXY, "");
}

// The proxy connects where we cannot look; what can be seen in the URL is looked at.
Result<void> Transfer::CheckLiteralBehindProxy() const {
  if (request_.addresses != AddressPolicy::kUserGiven || request_.proxy.empty()) return {};
  const Authority authority = AuthorityOf(request_.url);
  if (!IsIpAddress(authority.host) || !IsRefusedAddress(authority.host)) return {};
  return Failure(ErrorCode::kRefused, "AddressRefused", "this address may not be used");
}

// libcurl takes the name to verify from the URL, so the URL gets the name and CONNECT_TO the place.
Result<void> Transfer::SetServerName() {
  if (!request_.tls || request_.tls->server_name.empty()) return {};
  CF_ASSIGN_OR_RETURN(const RenamedUrl renamed,
                      RenameHost(request_.url, request_.tls->server_name));
  curl_easy_setopt(easy_, CURLOPT_URL, renamed.url.c_str());
  connect_to_ = curl_slist_append(nullptr, renamed.connect_to.c_str());
  if (connect_to_ == nullptr) throw std::bad_alloc();
  curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
  if (!Names(request_.headers, "Host")) AppendHeader("Host: " + renamed.original_authority);
  return {};
}

Result<void> Transfer::AddHeaders() {
  for (const Header& header : request_.headers) {
    CF_RETURN_IF_ERROR(AddHeader(header.name, header.value));
  }
  if (!request_.authorization.empty()) {
    const std::string_view secret = request_.authorization.Reveal();
    if (EndsLine(secret) || EndsLine(request_.authorization_scheme) ||
        !IsToken(request_.authorization_header)) {
      return MakeError(ErrorCode::kInvalid, "InvalidHeader", "the credential holds a line break");
    }
    std::string line;
    line.reserve(32 + request_.authorization_header.size() + request_.authorization_scheme.size() +
                 secret.size());
    line += request_.authorization_header + ": ";
    if (!request_.authorization_scheme.empty()) line += request_.authorization_scheme + " ";
    line += secret;
    AppendHeader(std::move(line));
  }
  AppendHeader("Expect:");
  // libcurl calls every body a form when nobody says what it is.
  if (!Names(request_.headers, "Content-Type")) AppendHeader("Content-Type:");
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  return {};
}

Result<void> Transfer::AddHeader(std::string_view name, std::string_view value) {
  if (!IsToken(name) || EndsLine(value)) {
    return MakeError(ErrorCode::kInvalid, "InvalidHeader",
                     "header \"" + Sanitize(name, 64) + "\" cannot be sent");
  }
  // "Name:" would take the header out; libcurl's way to send it empty is a semicolon.
  std::string line(name);
  if (value.empty()) {
    line += ';';
  } else {
    line.append(": ").append(value);
  }
  AppendHeader(std::move(line));
  return {};
}

void Transfer::AppendHeader(std::string line) {
  curl_slist* longer = curl_slist_append(headers_, line.c_str());
  WipeString(line);
  if (longer == nullptr) throw std::bad_alloc();
  headers_ = longer;
}

void Transfer::SetCallbacks() {
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_.data());
  curl_easy_setopt(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETFUNCTION, &Transfer::OnOpenSocket);
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy_, CURLOPT_SOCKOPTFUNCTION, &Transfer::OnSocketOpened);
  curl_easy_setopt(easy_, CURLOPT_SOCKOPTDATA, this);
  curl_easy_setopt(easy_, CURLOPT_PREREQFUNCTION, &Transfer::OnPrerequest);
  curl_easy_setopt(easy_, CURLOPT_PREREQDATA, this);
}

}  // namespace certflow::net
