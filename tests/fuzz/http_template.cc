#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "controller/base/clock.h"
#include "providers/http/request.h"

namespace certflow::providers::http {
namespace {

void Require(bool holds) {
  if (!holds) __builtin_trap();
}

void CheckMessage(const Error& error) {
  Require(error.message.size() < 4096 && error.message.find_first_of("\r\n") == error.message.npos);
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

bool IsUtf8(const std::string& text) {
  const std::string shown =
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
  return nlohmann::json::parse(shown) == text;
}

// Where a value stands decides what it may become.
void CheckTemplate(std::string_view text, const std::string& value, Place place) {
  const auto parsed = Template::Parse(text, place);
  if (!parsed.ok()) return CheckMessage(parsed.error());
  Values values;
  for (const std::string& name : parsed->names()) values.fields[name] = value;
  const SecretBytes key("-----BEGIN KEY-----\n");
  values.key = &key;
  const auto rendered = parsed->Render(values);
  if (!rendered.ok()) return CheckMessage(rendered.error());
  const std::string_view out = rendered->Reveal();
  if (place == Place::kUrl || place == Place::kHeader) {
    const bool said = text.find("BEGIN KEY") != text.npos || value.find("BEGIN KEY") != value.npos;
    Require(IsPrintable(out) && (said || out.find("BEGIN KEY") == out.npos));
  }
  if (place == Place::kUrl) Require(out.find(' ') == out.npos);
  if (place == Place::kJson && IsUtf8(value)) Require(nlohmann::json::accept(out));
}

void CheckPointer(std::string_view pointer, std::string_view body) {
  const auto parsed = Pointer::Parse(pointer);
  const auto answer = Answer::Parse(body);
  if (!parsed.ok()) CheckMessage(parsed.error());
  if (!answer.ok()) CheckMessage(answer.error());
  if (!parsed.ok() || !answer.ok()) return;
  (void)answer->Text(*parsed);
  for (const Answer& item : answer->List(*parsed)) (void)item.Text(*parsed);
}

// Answers every request with the same.
class Canned : public net::HttpClient {
 public:
  explicit Canned(net::HttpResponse response) : response_(std::move(response)) {}
  Result<net::HttpResponse> Do(const Context&, const net::HttpRequest& request) override {
    Require(IsPrintable(request.url));
    for (const auto& header : request.headers) Require(IsPrintable(header.value));
    return response_;
  }
  Result<void> Stream(const Context&, const net::HttpRequest&, net::StreamSink&) override {
    return MakeError(ErrorCode::kRefused, "NoStream", "nothing is streamed");
  }

 private:
  const net::HttpResponse response_;
};

// A step as it stands in a spec, or one that captures and compares; with an answer from anybody.
void CheckStep(std::string_view text, const std::string& body) {
  auto step = ParseStep(text, "steps.list");
  if (!step.ok()) {
    CheckMessage(step.error());
    step = ParseStep(R"([{"path": "/c", "capture": {"id": "/id", "pem": "/pem"},
                          "expect": {"equals": {"/state": "ok"}}},
                         {"method": "PUT", "path": "/c/{{ .captured.id }}", "onlyIf": "id",
                          "headers": {"X-Id": "{{ .captured.id }}"},
                          "json": "{\"id\": \"{{ .captured.id }}\"}"}])",
                     "steps.list");
  }
  static const std::unique_ptr<Clock> clock = MakeSystemClock();
  for (const int status : {200, 404, 503}) {
    net::HttpResponse response;
    response.status = status;
    response.body = body;
    Canned http(std::move(response));
    Caller caller(http, {"https://api.example.com", Duration(1'000), nullptr}, {});
    Values values;
    StepResult result;
    const auto done = caller.Run(Context{*clock}, *step, Effect::kChange, values, result);
    if (!done.ok()) CheckMessage(done.error());
    for (const auto& [name, value] : values.fields) {
      Require(value.size() <= kMaxCapturedCertificateBytes);
    }
  }
}

}  // namespace

// What users write (the first paragraph: a template, a pointer, a list of requests) and what
// servers answer to it (the rest).
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t gap = text.find("\n\n");
  const std::string_view head = text.substr(0, gap);
  const std::string body(gap == text.npos ? text : text.substr(gap + 2));
  for (const Place place :
       {Place::kUrl, Place::kHeader, Place::kJson, Place::kForm, Place::kXml, Place::kPlain}) {
    CheckTemplate(head, body, place);
  }
  CheckPointer(head, body);
  CheckStep(head, body);
  (void)HostOf(head);
  const auto server = ParseServer(head);
  if (!server.ok()) CheckMessage(server.error());
  return 0;
}

}  // namespace certflow::providers::http
