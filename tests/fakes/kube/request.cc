#include "tests/fakes/kube/request.h"

#include <vector>

namespace certflow::fakes {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string Decode(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0) {
      result += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<std::string_view> Split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = text.find(at);
    if (end != 0) parts.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return parts;
}

// /api/v1/[namespaces/NS/]PLURAL[/NAME[/SUBRESOURCE]] and /apis/GROUP/VERSION/...
void ParseResource(std::string_view path, ApiRequest& request) {
  std::vector<std::string_view> parts = Split(path, '/');
  std::size_t at = 0;
  if (parts.size() > 2 && parts[0] == "api") {
    request.version = Decode(parts[1]);
    at = 2;
  } else if (parts.size() > 3 && parts[0] == "apis") {
    request.group = Decode(parts[1]);
    request.version = Decode(parts[2]);
    at = 3;
  } else {
    return;
  }
  if (parts.size() > at + 2 && parts[at] == "namespaces") {
    request.key.ns = Decode(parts[at + 1]);
    at += 2;
  }
  request.plural = Decode(parts[at]);
  if (parts.size() > at + 1) request.key.name = Decode(parts[at + 1]);
  if (parts.size() > at + 2) request.subresource = Decode(parts[at + 2]);
}

}  // namespace

std::string ApiRequest::Parameter(std::string_view name) const {
  const auto it = parameters.find(name);
  return it == parameters.end() ? "" : it->second;
}

bool ApiRequest::Is(std::string_view name) const {
  const std::string value = Parameter(name);
  return value == "1" || value == "true";
}

std::string ApiRequest::Verb() const {
  if (plural.empty()) return "other";
  if (method == "GET") return !key.name.empty() ? "get" : watch() ? "watch" : "list";
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  return method == "DELETE" ? "delete" : "other";
}

ApiRequest ParseRequest(const net::HttpRequest& http) {
  ApiRequest request;
  request.method = http.method;
  std::string_view url = http.url;
  url.remove_prefix(url.find('/', url.find("://") + 3));
  const std::size_t question = url.find('?');
  if (question != std::string_view::npos) {
    request.query = url.substr(question + 1);
    for (const std::string_view pair : Split(request.query, '&')) {
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos) continue;
      request.parameters[Decode(pair.substr(0, equals))] = Decode(pair.substr(equals + 1));
    }
    url = url.substr(0, question);
  }
  request.path = Decode(url);
  for (const net::Header& header : http.headers) {
    if (header.name == "Accept") {
      request.metadata_only = header.value.find("as=PartialObjectMetadata") != std::string::npos;
    } else if (header.name == "Content-Type") {
      request.content_type = header.value;
    }
  }
  request.body = http.secret_body.empty() ? std::string_view(http.body) : http.secret_body.Reveal();
  ParseResource(url, request);
  return request;
}

}  // namespace certflow::fakes
