#include "controller/net/curl_url.h"

#include <curl/curl.h>

#include <memory>

namespace certflow::net {
namespace {

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlDeleter>;

Url Parse(const std::string& text) {
  Url url(curl_url());
  if (url && curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) url.reset();
  return url;
}

std::string Part(const Url& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

std::string WithPort(const Url& url) {
  const std::string port = Part(url, CURLUPART_PORT);
  return Part(url, CURLUPART_HOST) + (port.empty() ? "" : ":" + port);
}

std::string WithoutBrackets(std::string host) {
  if (host.size() > 2 && host.front() == '[') return host.substr(1, host.size() - 2);
  return host;
}

}  // namespace

Authority AuthorityOf(const std::string& text) {
  const Url url = Parse(text);
  if (!url) return {"(not a URL)", ""};
  return {Part(url, CURLUPART_SCHEME) + "://" + WithPort(url),
          WithoutBrackets(Part(url, CURLUPART_HOST))};
}

Result<RenamedUrl> RenameHost(const std::string& text, const std::string& host) {
  const Url url = Parse(text);
  if (!url) return MakeError(ErrorCode::kInvalid, "InvalidUrl", "not a URL");
  RenamedUrl renamed;
  renamed.original_authority = WithPort(url);
  // Empty host and port of the entry mean "whatever is asked for".
  renamed.connect_to =
      "::" + Part(url, CURLUPART_HOST) + ":" + Part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const bool ipv6 = host.find(':') != std::string::npos;
  const std::string name = ipv6 ? "[" + host + "]" : host;
  if (curl_url_set(url.get(), CURLUPART_HOST, name.c_str(), 0) != CURLUE_OK) {
    return MakeError(ErrorCode::kInvalid, "InvalidServerName",
                     "\"" + Sanitize(host, 253) + "\" cannot be a TLS server name");
  }
  renamed.url = Part(url, CURLUPART_URL);
  return renamed;
}

}  // namespace certflow::net
