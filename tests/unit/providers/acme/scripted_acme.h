#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/net/http_client.h"
#include "controller/pki/key.h"
#include "providers/issuers/acme/acme_issuer.h"
#include "tests/fakes/clock/simulated_clock.h"

namespace certflow::providers::acme {

// An ACME server that answers what the test says: a list of answers a URL, of which the last is
// repeated. Directory, nonces and account work by themselves.
class ScriptedAcme : public net::HttpClient {
 public:
  struct Seen {
    std::string url;
    std::string payload;  // decoded
    std::string header;   // the protected header, decoded
    std::string nonce;
    bool with_account = false;
  };

  ScriptedAcme();
  // Appends an answer; `headers` are lower case.
  void Answer(const std::string& url, int status, std::string body,
              std::vector<net::Header> headers = {});
  void AnswerProblem(const std::string& url, int status, const std::string& type,
                     std::vector<net::Header> headers = {});
  void Fail(const std::string& url, Error error);
  // Answers of the URL so far are forgotten.
  void Forget(const std::string& url) { script_.erase(url); }

  // Signed requests to a URL, newest last.
  std::vector<Seen> PostsTo(const std::string& url) const;

  Result<net::HttpResponse> Do(const Context& ctx, const net::HttpRequest& request) override;
  Result<void> Stream(const Context&, const net::HttpRequest&, net::StreamSink&) override;

 private:
  struct Entry {
    net::HttpResponse response;
    std::optional<Error> error;
  };
  void Record(const net::HttpRequest& request);
  std::map<std::string, std::deque<Entry>> script_;
  std::vector<Seen> posts_;
  int nonces_ = 0;
};

inline const std::string kBase = "https://ca.test";
inline const std::string kNewOrder = kBase + "/new-order";
inline const std::string kNewAccount = kBase + "/new-account";
inline const std::string kAccount = kBase + "/account/1";
inline const std::string kOrderUrl = kBase + "/order/1";
inline const std::string kAuthz = kBase + "/authz/1";
inline const std::string kChallengeUrl = kBase + "/challenge/1";
inline const std::string kFinalize = kBase + "/finalize/1";
inline const std::string kCertificate = kBase + "/certificate/1";

// Bodies for the one name "a.example".
std::string OrderBody(const std::string& status, const std::string& more = "");
std::string AuthzBody(const std::string& status, const std::string& challenge_status,
                      const std::string& challenge_more = "");

class FakeSolver : public seams::ChallengeSolver {
 public:
  explicit FakeSolver(seams::ChallengeType type) : type_(type) {}
  seams::ChallengeType type() const override { return type_; }
  Result<void> Present(const Context&, const seams::Challenge& challenge) override {
    present[challenge.domain + "/" + challenge.token] = challenge.key_authorization;
    return {};
  }
  Result<bool> Visible(const Context&, const seams::Challenge&) override {
    if (visible_error) return *visible_error;
    return visible;
  }
  Result<void> Cleanup(const Context&, const seams::Challenge& challenge) override {
    present.erase(challenge.domain + "/" + challenge.token);
    return {};
  }
  std::map<std::string, std::string> present;
  bool visible = true;
  std::optional<Error> visible_error;

 private:
  seams::ChallengeType type_;
};

// An issuer before the scripted server, with one request for "a.example".
struct AcmeFixture {
  AcmeFixture();
  std::unique_ptr<seams::Issuer> Connect();
  Result<seams::Issuance> Observe(const seams::StepMemo& memo);
  Result<seams::Issuance> Advance(const seams::StepMemo& memo);
  // The memo of a run whose order is made.
  seams::StepMemo Ordered() const;
  Context ctx() { return Context{clock}; }

  fakes::SimulatedClock clock;
  ScriptedAcme server;
  std::shared_ptr<FakeSolver> solver = std::make_shared<FakeSolver>(seams::ChallengeType::kDns01);
  std::vector<AcmeSolver> solvers;
  pki::PrivateKey account_key;
  pki::PrivateKey key;
  pki::RequestNames names{"", {"a.example"}};
};

}  // namespace certflow::providers::acme
