#include "tests/unit/providers/acme/scripted_acme.h"

#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "providers/issuers/acme/memo.h"

namespace certflow::providers::acme {
namespace {

using nlohmann::json;

std::string Decode(const json& node, const char* name) {
  const auto decoded = Base64UrlDecode(node.value(name, ""));
  return decoded.ok() ? std::string(decoded->Reveal()) : "not base64url";
}

}  // namespace

ScriptedAcme::ScriptedAcme() {
  Answer(
      kBase + "/dir", 200,
      json{{"newNonce", kBase + "/new-nonce"}, {"newAccount", kNewAccount}, {"newOrder", kNewOrder}}
          .dump());
  Answer(kBase + "/new-nonce", 200, "");
  Answer(kNewAccount, 201, R"({"status":"valid"})", {{"location", kAccount}});
  Answer(kAccount, 200, R"({"status":"valid"})");
}

void ScriptedAcme::Answer(const std::string& url, int status, std::string body,
                          std::vector<net::Header> headers) {
  script_[url].push_back({{status, std::move(headers), std::move(body)}, {}});
}

void ScriptedAcme::AnswerProblem(const std::string& url, int status, const std::string& type,
                                 std::vector<net::Header> headers) {
  Answer(
      url, status,
      json{{"type", "urn:ietf:params:acme:error:" + type}, {"detail", "because of " + type}}.dump(),
      std::move(headers));
}

void ScriptedAcme::Fail(const std::string& url, Error error) {
  script_[url].push_back({{}, std::move(error)});
}

std::vector<ScriptedAcme::Seen> ScriptedAcme::PostsTo(const std::string& url) const {
  std::vector<Seen> out;
  for (const Seen& seen : posts_) {
    if (seen.url == url) out.push_back(seen);
  }
  return out;
}

void ScriptedAcme::Record(const net::HttpRequest& request) {
  const json body = json::parse(request.body);
  const std::string header = Decode(body, "protected");
  const json fields = json::parse(header);
  posts_.push_back({request.url, Decode(body, "payload"), header, fields.value("nonce", ""),
                    fields.contains("kid")});
}

Result<net::HttpResponse> ScriptedAcme::Do(const Context& ctx, const net::HttpRequest& request) {
  CF_RETURN_IF_ERROR(ctx.Check());
  if (request.method == "POST") Record(request);
  auto& answers = script_[request.url];
  if (answers.empty()) return net::HttpResponse{404, {}, R"({"detail":"no such thing"})"};
  Entry entry = answers.front();
  if (answers.size() > 1) answers.pop_front();
  if (entry.error) return *entry.error;
  if (entry.response.header("replay-nonce").empty()) {
    entry.response.headers.push_back({"replay-nonce", "nonce-" + std::to_string(++nonces_)});
  }
  return entry.response;
}

Result<void> ScriptedAcme::Stream(const Context&, const net::HttpRequest&, net::StreamSink&) {
  return MakeError(ErrorCode::kInternal, "NotScripted", "ACME streams nothing");
}

std::string OrderBody(const std::string& status, const std::string& more) {
  json body = {{"status", status},
               {"expires", "2026-01-08T00:00:00Z"},
               {"identifiers", json::array({{{"type", "dns"}, {"value", "a.example"}}})},
               {"authorizations", json::array({kAuthz})},
               {"finalize", kFinalize}};
  if (status == "valid") body["certificate"] = kCertificate;
  if (!more.empty()) body.update(json::parse(more));
  return body.dump();
}

std::string AuthzBody(const std::string& status, const std::string& challenge_status,
                      const std::string& challenge_more) {
  json challenge = {{"type", "dns-01"},
                    {"url", kChallengeUrl},
                    {"token", "-token_1"},
                    {"status", challenge_status}};
  if (!challenge_more.empty()) challenge.update(json::parse(challenge_more));
  const json other = {{"type", "unknown-99"}, {"status", "pending"}};
  return json{{"status", status},
              {"identifier", {{"type", "dns"}, {"value", "a.example"}}},
              {"wildcard", false},
              {"challenges", json::array({other, challenge})}}
      .dump();
}

AcmeFixture::AcmeFixture()
    : solvers{{{}, solver}},
      account_key(pki::PrivateKey::Generate({}).value()),
      key(pki::PrivateKey::Generate({}).value()) {}

std::unique_ptr<seams::Issuer> AcmeFixture::Connect() {
  pki::PrivateKey account = pki::PrivateKey::FromPem(account_key.ToPem().Reveal()).value();
  return MakeAcmeIssuer({server, std::move(account), "", solvers, nullptr},
                        R"({"server":"https://ca.test/dir","email":"a@example.com"})")
      .value();
}

Result<seams::Issuance> AcmeFixture::Observe(const seams::StepMemo& memo) {
  return Connect()->Observe(ctx(), {"st-1", names, key}, memo);
}

Result<seams::Issuance> AcmeFixture::Advance(const seams::StepMemo& memo) {
  return Connect()->Advance(ctx(), {"st-1", names, key}, memo);
}

seams::StepMemo AcmeFixture::Ordered() const {
  seams::StepMemo memo = {
      {"intent", "order"}, {"intentAt", FormatTime(clock.Now())}, {"orders", "1"}};
  memo["order"] = kOrderUrl;
  memo["since"] = FormatTime(clock.Now());
  return memo;
}

}  // namespace certflow::providers::acme
