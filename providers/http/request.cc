#include "providers/http/request.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/base/ascii.h"
#include "controller/net/address.h"
#include "controller/net/retry_after.h"
#include "providers/fields/fields.h"

namespace certflow::providers::http {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxRequests = 8;
constexpr std::string_view kBoundary = "certflow-part-b1f0a5f4c2d94c0e8b5f";

std::string TextOf(const json& from, const char* field, const std::string& fallback = "") {
  const auto found = from.find(field);
  return found != from.end() && found->is_string() ? found->get<std::string>() : fallback;
}

// By reference: a temporary would be gone before a loop over its items ends.
const json& ObjectOf(const json& from, const char* field) {
  static const json kNone = json::object();
  const auto found = from.find(field);
  return found != from.end() && found->is_object() ? *found : kNone;
}

Result<Template> TemplateAt(std::string_view text, Place place, const std::string& where) {
  auto parsed = Template::Parse(text, place);
  if (!parsed.ok()) return Annotate(std::move(parsed).error(), where);
  return parsed;
}

Result<Pointer> PointerAt(const json& text, const std::string& where) {
  if (!text.is_string()) return InvalidField(where, "must be a JSON pointer");
  auto parsed = Pointer::Parse(text.get_ref<const std::string&>());
  if (!parsed.ok()) return Annotate(std::move(parsed).error(), where);
  return parsed;
}

std::vector<int> StatusesOf(const json& from, const char* field) {
  std::vector<int> out;
  const auto found = from.find(field);
  if (found == from.end() || !found->is_array()) return out;
  for (const json& status : *found) {
    if (status.is_number_integer()) out.push_back(status.get<int>());
  }
  return out;
}

Result<void> ReadBody(const json& from, const std::string& where, RequestSpec& spec) {
  struct Kind {
    const char* field;
    Place place;
    const char* content_type;
  };
  constexpr Kind kKinds[] = {
      {"json", Place::kJson, "application/json"},
      {"form", Place::kForm, "application/x-www-form-urlencoded"},
      {"xml", Place::kXml, "application/xml"},
      {"text", Place::kPlain, "text/plain"},
  };
  for (const Kind& kind : kKinds) {
    if (!from.contains(kind.field)) continue;
    if (!spec.content_type.empty()) return InvalidField(where, "has two bodies: keep one");
    spec.content_type = kind.content_type;
    CF_ASSIGN_OR_RETURN(spec.body,
                        TemplateAt(TextOf(from, kind.field), kind.place, where + "." + kind.field));
  }
  const auto parts = from.find("multipart");
  if (parts == from.end() || !parts->is_array()) return {};
  if (!spec.content_type.empty()) return InvalidField(where, "has two bodies: keep one");
  spec.content_type = "multipart/form-data; boundary=" + std::string(kBoundary);
  for (const json& item : *parts) {
    RequestSpec::Part part;
    part.name = TextOf(item, "name");
    part.file_name = TextOf(item, "fileName");
    part.content_type = TextOf(item, "contentType");
    CF_ASSIGN_OR_RETURN(part.value, TemplateAt(TextOf(item, "value"), Place::kPlain,
                                               where + ".multipart " + part.name));
    spec.parts.push_back(std::move(part));
  }
  return {};
}

Result<void> ReadExpectations(const json& from, const std::string& where, RequestSpec& spec) {
  const json& expect = ObjectOf(from, "expect");
  spec.statuses = StatusesOf(expect, "status");
  spec.absent = StatusesOf(expect, "absent");
  for (const auto& [pointer, value] : ObjectOf(expect, "equals").items()) {
    CF_ASSIGN_OR_RETURN(Pointer parsed, PointerAt(pointer, where + ".expect.equals"));
    spec.equals.emplace_back(std::move(parsed), value.is_string() ? value.get<std::string>() : "");
  }
  const std::string in_capture = where + ".capture.";
  for (const auto& [name, pointer] : ObjectOf(from, "capture").items()) {
    CF_ASSIGN_OR_RETURN(Pointer parsed, PointerAt(pointer, in_capture + name));
    spec.captures.emplace_back(name, std::move(parsed));
  }
  return {};
}

Result<RequestSpec> ReadRequest(const json& from, const std::string& where) {
  RequestSpec spec;
  if (!from.is_object()) return InvalidField(where, "must be an object");
  spec.method = TextOf(from, "method", "GET");
  spec.base_url = TextOf(from, "baseURL");
  if (!spec.base_url.empty()) CF_RETURN_IF_ERROR(CheckUrl(where + ".baseURL", spec.base_url));
  spec.service = TextOf(from, "service");
  spec.only_if = TextOf(from, "onlyIf");
  const std::string path = TextOf(from, "path");
  if (!path.starts_with('/')) return InvalidField(where + ".path", "must begin with \"/\"");
  CF_ASSIGN_OR_RETURN(spec.path, TemplateAt(path, Place::kUrl, where + ".path"));
  CF_RETURN_IF_ERROR(ReadBody(from, where, spec));
  const std::string in_headers = where + ".headers.";
  for (const auto& [name, value] : ObjectOf(from, "headers").items()) {
    CF_ASSIGN_OR_RETURN(Template parsed,
                        TemplateAt(value.is_string() ? value.get<std::string>() : "",
                                   Place::kHeader, in_headers + name));
    spec.headers.emplace_back(name, std::move(parsed));
  }
  CF_RETURN_IF_ERROR(ReadExpectations(from, where, spec));
  return spec;
}

Result<SecretBytes> RenderParts(const std::vector<RequestSpec::Part>& parts, const Values& values) {
  std::vector<SecretBytes> rendered;
  std::size_t size = 256;
  for (const RequestSpec::Part& part : parts) {
    CF_ASSIGN_OR_RETURN(SecretBytes value, part.value.Render(values));
    if (value.Reveal().find(kBoundary) != std::string_view::npos) {
      return MakeError(ErrorCode::kInvalid, "TemplateInvalid",
                       "a part holds the text that ends parts");
    }
    size +=
        value.size() + part.name.size() + part.file_name.size() + part.content_type.size() + 256;
    rendered.push_back(std::move(value));
  }
  std::string out;
  out.reserve(size);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    out.append("--").append(kBoundary).append("\r\nContent-Disposition: form-data; name=\"");
    out.append(parts[i].name).append("\"");
    if (!parts[i].file_name.empty()) {
      out.append("; filename=\"").append(parts[i].file_name).append("\"");
    }
    if (!parts[i].content_type.empty()) {
      out.append("\r\nContent-Type: ").append(parts[i].content_type);
    }
    out.append("\r\n\r\n").append(rendered[i].Reveal()).append("\r\n");
  }
  out.append("--").append(kBoundary).append("--\r\n");
  return SecretBytes::Take(std::move(out));
}

bool Among(const std::vector<int>& list, int status) {
  return std::find(list.begin(), list.end(), status) != list.end();
}

bool IsRead(const RequestSpec& spec, Effect effect) {
  return effect == Effect::kRead || spec.method == "GET" || spec.method == "HEAD";
}

// A private key as PEM, or as base64 of that. Devices have been seen to answer with one.
bool HoldsKey(std::string_view text) {
  return text.find("PRIVATE KEY") != std::string_view::npos ||
         text.find("LS0tLS1CRUdJTiBQUklWQVRF") != std::string_view::npos ||
         text.find("LS0tLS1CRUdJTiBFQyBQUklW") != std::string_view::npos ||
         text.find("LS0tLS1CRUdJTiBSU0EgUFJJ") != std::string_view::npos;
}

// A value from outside that goes into later requests and, for a few, into the ledger: short, one
// line, and no key.
Result<std::string> Captured(const std::string& name, std::string value) {
  const bool certificate = name == "pem" || name == "der";
  const auto bad = [&](std::string_view why) {
    return MakeError(ErrorCode::kRefused, "CaptureRefused",
                     "the answer's value for \"" + name + "\" " + std::string(why));
  };
  if (HoldsKey(value)) {
    WipeString(value);
    return bad("holds a private key");
  }
  if (value.size() > (certificate ? kMaxCapturedCertificateBytes : kMaxCapturedBytes)) {
    return bad("is too long");
  }
  const bool control = std::any_of(value.begin(), value.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (control && !certificate) return bad("is more than one line");
  return value;
}

}  // namespace

bool RequestSpec::sends_key() const {
  return body.Names(kKeyField) || std::any_of(parts.begin(), parts.end(), [](const Part& part) {
           return part.value.Names(kKeyField);
         });
}

std::vector<std::string> RequestSpec::names() const {
  std::vector<std::string> out = path.names();
  const auto add = [&](const Template& from) {
    for (std::string& name : from.names()) out.push_back(std::move(name));
  };
  add(body);
  for (const auto& header : headers) add(header.second);
  for (const Part& part : parts) add(part.value);
  return out;
}

Result<Step> ParseStep(std::string_view text, std::string_view where) {
  const json list = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array() || list.size() > kMaxRequests) {
    return InvalidField(where, "must be a list of at most 8 requests");
  }
  Step step;
  for (const json& item : list) {
    CF_ASSIGN_OR_RETURN(RequestSpec spec, ReadRequest(item, std::string(where) + "[" +
                                                                std::to_string(step.size()) + "]"));
    step.push_back(std::move(spec));
  }
  return step;
}

std::string HostOf(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  const bool tls = url.starts_with("https");
  std::string_view rest = url.substr(scheme + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  if (rest.find('@') != std::string_view::npos) return {};
  const auto parsed = net::ParseHostPort(rest, tls ? 443 : 80);
  return parsed.ok() ? net::FormatHostPort(*parsed) : std::string();
}

Result<void> CheckUrl(std::string_view field, std::string_view url) {
  const std::string host = HostOf(url);
  if (host.empty() || url.find_first_of("?# \t\r\n{}") != std::string_view::npos) {
    return InvalidField(
        field, "must be a URL without user, query and fragment, such as https://api.example.com");
  }
  if (url.starts_with("https://")) return {};
  const auto parsed = net::ParseHostPort(host);
  const bool local =
      parsed.ok() && (parsed->host == "localhost" || parsed->host == "::1" ||
                      (net::IsIpAddress(parsed->host) && parsed->host.starts_with("127.")));
  if (url.starts_with("http://") && local) return {};
  return InvalidField(field, "must be https: a key or a credential is sent there");
}

Result<ServerSettings> ParseServer(std::string_view text) {
  const json from = json::parse(text, nullptr, /*allow_exceptions=*/false);
  ServerSettings server;
  if (!from.is_object()) return InvalidField("http", "must be an object");
  server.base_url = TextOf(from, "baseURL");
  CF_RETURN_IF_ERROR(CheckUrl("baseURL", server.base_url));
  if (const std::string timeout = TextOf(from, "timeout"); !timeout.empty()) {
    auto parsed = ParseDuration(timeout);
    if (!parsed.ok()) return InvalidField("timeout", parsed.error().message);
    server.timeout = *parsed;
  }
  return server;
}

Caller::Caller(net::HttpClient& http, ServerSettings server, Login login)
    : http_(http),
      server_(std::move(server)),
      authenticator_(http, std::move(login), server_.tls) {}

Result<void> Caller::Run(const Context& ctx, const Step& step, Effect effect, Values& values,
                         StepResult& result) {
  for (const RequestSpec& spec : step) {
    if (!spec.only_if.empty() && values.fields["captured." + spec.only_if].empty()) {
      for (const auto& capture : spec.captures) values.fields["captured." + capture.first] = "";
      continue;
    }
    CF_ASSIGN_OR_RETURN(std::optional<Answer> answer, Send(ctx, spec, effect, values));
    result.changed = result.changed || !IsRead(spec, effect);
    for (const auto& [name, pointer] : spec.captures) {
      auto text = answer ? answer->Text(pointer) : std::nullopt;
      CF_ASSIGN_OR_RETURN(values.fields["captured." + name],
                          Captured(name, std::move(text).value_or("")));
    }
    if (answer) result.last = std::move(answer);
  }
  return {};
}

Result<net::HttpRequest> Caller::Build(const RequestSpec& spec, const Values& values) const {
  net::HttpRequest request;
  request.method = spec.method;
  request.addresses = net::AddressPolicy::kUserGiven;
  request.tls = server_.tls;
  request.max_response_bytes = kMaxAnswerBytes;
  CF_ASSIGN_OR_RETURN(const SecretBytes path, spec.path.Render(values));
  request.url = spec.base_url.empty() ? server_.base_url : spec.base_url;
  if (request.url.ends_with('/')) request.url.pop_back();
  request.url += path.Reveal();
  bool typed = spec.content_type.empty();
  for (const auto& [name, value] : spec.headers) {
    CF_ASSIGN_OR_RETURN(const SecretBytes rendered, value.Render(values));
    request.headers.push_back({name, std::string(rendered.Reveal())});
    typed = typed || EqualIgnoringCase(name, "content-type");
  }
  if (!typed) request.headers.push_back({"Content-Type", spec.content_type});
  if (!spec.parts.empty()) {
    CF_ASSIGN_OR_RETURN(request.secret_body, RenderParts(spec.parts, values));
  } else if (!spec.content_type.empty()) {
    CF_ASSIGN_OR_RETURN(request.secret_body, spec.body.Render(values));
  }
  return request;
}

Result<std::optional<Answer>> Caller::Send(const Context& ctx, const RequestSpec& spec,
                                           Effect effect, const Values& values) {
  CF_ASSIGN_OR_RETURN(net::HttpRequest request, Build(spec, values));
  const Context limited = ctx.WithTimeout(server_.timeout);
  CF_RETURN_IF_ERROR(authenticator_.Apply(limited, spec.service, request));
  auto response = http_.Do(limited, request);
  if (!response.ok()) {
    Error error = std::move(response).error();
    if (error.code == ErrorCode::kUnknownOutcome && IsRead(spec, effect)) {
      error.code = ErrorCode::kUnavailable;
    }
    return error;
  }
  auto judged = Judge(ctx, spec, effect, *response);
  // A server that echoes what it was sent has put the key here.
  WipeString(response->body);
  return judged;
}

Error Caller::StatusError(const Context& ctx, const RequestSpec& spec, Effect effect,
                          const net::HttpResponse& response) {
  const int status = response.status;
  std::string message = spec.method + " to " +
                        HostOf(spec.base_url.empty() ? server_.base_url : spec.base_url) +
                        ": answered " + std::to_string(status);
  constexpr std::size_t kMaxExcerpt = 200;
  if (!spec.sends_key() && !response.body.empty() && !HoldsKey(response.body) &&
      !authenticator_.Shows(response.body)) {
    message += ": " + Sanitize(response.body, kMaxExcerpt);
  }
  if (status == 401) {
    authenticator_.Forget();
    return MakeError(ErrorCode::kUnauthorized, "HttpUnauthorized", message);
  }
  if (status == 403) return MakeError(ErrorCode::kForbidden, "HttpForbidden", message);
  if (status == 404) return MakeError(ErrorCode::kNotFound, "HttpNotFound", message);
  if (status == 409 || status == 423) {
    return MakeError(ErrorCode::kConflict, "HttpConflict", message);
  }
  const auto wait = net::RetryAfter(response, ctx.clock.Now());
  if (status == 429) {
    return wait ? MakeErrorAfter(ErrorCode::kRateLimited, "HttpRateLimited", message, *wait)
                : MakeError(ErrorCode::kRateLimited, "HttpRateLimited", message);
  }
  if (status == 503 || status == 408 || status == 425 || (status >= 500 && IsRead(spec, effect))) {
    return wait ? MakeErrorAfter(ErrorCode::kUnavailable, "HttpUnavailable", message, *wait)
                : MakeError(ErrorCode::kUnavailable, "HttpUnavailable", message);
  }
  // The server, or a gateway before it, broke off: the change may have been made.
  if (status >= 500) return MakeError(ErrorCode::kUnknownOutcome, "HttpOutcomeUnknown", message);
  if (status >= 300 && status < 400) {
    return MakeError(ErrorCode::kRefused, "HttpRedirect",
                     message + "; redirects are not followed: write the final baseURL and path");
  }
  return MakeError(ErrorCode::kRefused, "HttpRefused", message);
}

Result<std::optional<Answer>> Caller::Judge(const Context& ctx, const RequestSpec& spec,
                                            Effect effect, const net::HttpResponse& response) {
  if (Among(spec.absent, response.status)) return std::optional<Answer>();
  const bool good = spec.statuses.empty() ? response.status >= 200 && response.status < 300
                                          : Among(spec.statuses, response.status);
  if (!good) return StatusError(ctx, spec, effect, response);
  // What nobody looks into may be anything.
  const bool looked_into =
      effect == Effect::kRead || !spec.equals.empty() || !spec.captures.empty();
  if (!looked_into) return std::optional<Answer>();
  CF_ASSIGN_OR_RETURN(Answer answer, Answer::Parse(response.body));
  for (const auto& [pointer, wanted] : spec.equals) {
    const std::string found = answer.Text(pointer).value_or("");
    if (found == wanted) continue;
    std::string message =
        spec.method + ": the answer's " + pointer.text() + " is not \"" + wanted + "\"";
    if (!spec.sends_key() && !HoldsKey(found) && !authenticator_.Shows(found)) {
      message += " but \"" + Sanitize(found, 100) + "\"";
    }
    Error error = MakeError(ErrorCode::kRefused, "HttpAnswerUnexpected", message);
    error.retry = Retry::kBackoff;  // a state that may pass
    return error;
  }
  return std::optional<Answer>(std::move(answer));
}

}  // namespace certflow::providers::http
