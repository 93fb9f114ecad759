#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/net/http_client.h"
#include "providers/http/answer.h"
#include "providers/http/credentials.h"
#include "providers/http/template.h"

namespace certflow::providers::http {

inline constexpr std::size_t kMaxCapturedBytes = 512;
// Captured certificates ("pem", "der") may be as long as a chain.
inline constexpr std::size_t kMaxCapturedCertificateBytes = 64u << 10;

// One request of a step, as the spec writes it.
struct RequestSpec {
  struct Part {
    std::string name, file_name, content_type;
    Template value;
  };
  std::string method = "GET";
  std::string base_url;  // empty: the server's own
  std::string service;   // for SigV4; empty: the login's own
  Template path;
  std::vector<std::pair<std::string, Template>> headers;
  std::string content_type;  // of the body; empty: there is none
  Template body;
  std::vector<Part> parts;    // multipart/form-data, instead of body
  std::string only_if;        // a captured name: not sent while that is empty
  std::vector<int> statuses;  // empty: 200 to 299
  std::vector<int> absent;    // what is asked for is not there: captures nothing, and is no error
  std::vector<std::pair<Pointer, std::string>> equals;
  std::vector<std::pair<std::string, Pointer>> captures;

  bool sends_key() const;
  // Every field that a template of it names.
  std::vector<std::string> names() const;
};
using Step = std::vector<RequestSpec>;

// Decodes a list of requests (JSON text of an array); kInvalid, "InvalidSettings" or
// "TemplateInvalid" or "PointerInvalid", beginning with where: "steps.stage[0].path".
Result<Step> ParseStep(std::string_view json, std::string_view where);

struct ServerSettings {
  std::string base_url;
  Duration timeout{30'000};
  std::shared_ptr<const net::TlsOptions> tls;
};
// baseURL and timeout of spec.http; https, or http to this machine.
Result<ServerSettings> ParseServer(std::string_view json);
// "https" anywhere, "http" to a loopback address; kInvalid, "InvalidSettings".
Result<void> CheckUrl(std::string_view field, std::string_view url);
// "api.example.com:443" of a URL; empty for what is none.
std::string HostOf(std::string_view url);

// Whether a step only looks. What is unknown of a look is simply not known yet.
enum class Effect { kRead, kChange };

struct StepResult {
  std::optional<Answer> last;  // of the last request that was sent and found something
  bool changed = false;        // at least one request was accepted
};

// Sends requests to one server. Errors have reasons that begin with "Http", and a retry class made
// from the status; redirects are refused. Neither the key nor a credential gets into an error: what
// answers to a request with the key is not told at all. Not thread-safe.
class Caller {
 public:
  Caller(net::HttpClient& http, ServerSettings server, Login login);

  // One after the other; `values` gains what is captured, as "captured.NAME". On an error
  // `result.changed` says whether an earlier request had been accepted.
  Result<void> Run(const Context& ctx, const Step& step, Effect effect, Values& values,
                   StepResult& result);

 private:
  Result<std::optional<Answer>> Send(const Context& ctx, const RequestSpec& spec, Effect effect,
                                     const Values& values);
  Result<net::HttpRequest> Build(const RequestSpec& spec, const Values& values) const;
  Result<std::optional<Answer>> Judge(const Context& ctx, const RequestSpec& spec, Effect effect,
                                      const net::HttpResponse& response);
  Error StatusError(const Context& ctx, const RequestSpec& spec, Effect effect,
                    const net::HttpResponse& response);

  net::HttpClient& http_;
  ServerSettings server_;
  Authenticator authenticator_;
};

}  // namespace certflow::providers::http
