#include "providers/http/sigv4.h"

#include <algorithm>
#include <utility>

#include "controller/base/ascii.h"
#include "controller/base/base64.h"

namespace certflow::providers::http {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";

struct UrlParts {
  std::string host, path, query;
};

UrlParts Split(std::string_view url) {
  UrlParts parts;
  const std::size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  const std::size_t end = std::min(url.find_first_of("/?"), url.size());
  parts.host = url.substr(0, end);
  url.remove_prefix(end);
  const std::size_t question = std::min(url.find('?'), url.size());
  parts.path = url.substr(0, question);
  if (question < url.size()) parts.query = url.substr(question + 1);
  return parts;
}

// As it is on the wire, encoded once more; empty segments fall away.
std::string CanonicalPath(std::string_view path) {
  std::string out = "/";
  bool slash = true;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '/') {
      out += net::UrlEncode(path.substr(i, 1));
    } else if (!slash) {
      out += '/';
    }
    slash = path[i] == '/';
  }
  return out;
}

// What is on the wire is encoded already, and by the same rule; it is sorted by byte.
std::string CanonicalQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(item.size() + 1, query.size()));
    if (item.empty()) continue;
    const std::size_t equals = std::min(item.find('='), item.size());
    pairs.emplace_back(item.substr(0, equals),
                       equals < item.size() ? item.substr(equals + 1) : std::string_view());
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

// Without white space at the ends, and with one blank for many inside.
std::string CanonicalValue(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool blank = c == ' ' || c == '\t';
    if (blank && (out.empty() || out.back() == ' ')) continue;
    out += blank ? ' ' : c;
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// "20150830T123600Z", from "2015-08-30T12:36:00Z".
std::string AmzDate(WallTime now) {
  std::string text = FormatTime(now);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

Result<SecretBytes> SigningKey(const SecretBytes& secret, std::string_view date,
                               std::string_view region, std::string_view service) {
  SecretBytes key = SecretBytes::Take("AWS4" + std::string(secret.Reveal()));
  for (const std::string_view part : {date, region, service, kTerminator}) {
    CF_ASSIGN_OR_RETURN(std::string next, Hmac("SHA256", key.Reveal(), part));
    key = SecretBytes::Take(std::move(next));
  }
  return key;
}

}  // namespace

Result<void> SignV4(const SigV4Keys& keys, std::string_view region, std::string_view service,
                    WallTime now, net::HttpRequest& request) {
  const UrlParts url = Split(request.url);
  const std::string stamp = AmzDate(now);
  const std::string date = stamp.substr(0, 8);
  request.headers.push_back({"X-Amz-Date", stamp});
  if (!keys.session_token.empty()) {
    request.headers.push_back({"X-Amz-Security-Token", std::string(keys.session_token.Reveal())});
  }
  std::vector<std::pair<std::string, std::string>> headers = {{"host", LowerCase(url.host)}};
  for (const net::Header& header : request.headers) {
    headers.emplace_back(LowerCase(header.name), CanonicalValue(header.value));
  }
  std::sort(headers.begin(), headers.end());
  std::string lines, names;
  for (const auto& [name, value] : headers) {
    lines.append(name).append(":").append(value).append("\n");
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string_view body =
      request.secret_body.empty() ? std::string_view(request.body) : request.secret_body.Reveal();
  const std::string canonical = request.method + "\n" + CanonicalPath(url.path) + "\n" +
                                CanonicalQuery(url.query) + "\n" + lines + "\n" + names + "\n" +
                                Sha256Hex(body);
  const std::string scope = date + "/" + std::string(region) + "/" + std::string(service) + "/" +
                            std::string(kTerminator);
  const std::string to_sign =
      std::string(kAlgorithm) + "\n" + stamp + "\n" + scope + "\n" + Sha256Hex(canonical);
  CF_ASSIGN_OR_RETURN(const SecretBytes key,
                      SigningKey(keys.secret_access_key, date, region, service));
  CF_ASSIGN_OR_RETURN(const std::string signature, Hmac("SHA256", key.Reveal(), to_sign));
  request.authorization_scheme = kAlgorithm;
  request.authorization =
      SecretBytes::Take("Credential=" + std::string(keys.access_key_id.Reveal()) + "/" + scope +
                        ", SignedHeaders=" + names + ", Signature=" + HexEncode(signature));
  return {};
}

}  // namespace certflow::providers::http
