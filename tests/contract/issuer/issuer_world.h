#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/mutex.h"
#include "controller/net/http_client.h"
#include "controller/pki/key.h"
#include "controller/seams/issuer.h"
#include "providers/issuers/acme/acme_issuer.h"
#include "tests/peers/peer.h"

namespace certflow::contract {

// An authority. Connect gives what a new process would have: nothing of an earlier one's memory.
class IssuerWorld {
 public:
  virtual ~IssuerWorld() = default;
  virtual std::unique_ptr<seams::Issuer> Connect() = 0;
  // A name that it can certify, with this first label.
  virtual std::string Name(const std::string& label) const = 0;
};
std::unique_ptr<IssuerWorld> MakeCaWorld();
std::unique_ptr<IssuerWorld> MakeAcmeWorld();

// The outside as `target` sees it, with one fault at the n-th request: before it left, or after it
// was answered.
class CuttingHttpClient : public net::HttpClient {
 public:
  explicit CuttingHttpClient(net::HttpClient& target) : target_(target) {}
  void Cut(int request, bool after);
  int requests() const { return requests_; }
  bool struck() const { return struck_; }
  // How often a URL that ends like this was asked for.
  int CountOf(std::string_view end) const;

  Result<net::HttpResponse> Do(const Context& ctx, const net::HttpRequest& request) override;
  Result<void> Stream(const Context& ctx, const net::HttpRequest& request,
                      net::StreamSink& sink) override;

 private:
  net::HttpClient& target_;
  mutable Mutex mutex_;
  std::vector<std::string> urls_ CF_GUARDED_BY(mutex_);
  int requests_ = 0;
  int cut_ = 0;
  bool after_ = false;
  bool struck_ = false;
};

// Pebble, refusing 30 % of all good nonces, and BIND, both shared by the whole program.
class AcmeWorld : public IssuerWorld {
 public:
  AcmeWorld();
  std::unique_ptr<seams::Issuer> Connect() override;
  std::string Name(const std::string& label) const override;

  std::unique_ptr<seams::Issuer> ConnectWith(
      net::HttpClient& http, std::vector<providers::acme::AcmeSolver> solvers,
      std::shared_ptr<providers::acme::AcmeAccountCache> cache);
  providers::acme::AcmeSolver DnsSolver(const std::string& nameserver = "") const;
  // The orders that the account has made.
  std::vector<std::string> Orders();
  // The TXT values that BIND has for the domain's proof.
  std::string DnsValues(const std::string& domain) const;
  std::string Settings() const;

  static test::Peer& Bind();
  static test::Peer& Pebble();
  net::HttpClient& http() { return *http_; }

 private:
  std::unique_ptr<net::HttpClient> http_;
  pki::PrivateKey account_key_;
};

Context RealContext(Duration limit = std::chrono::seconds(60));

// What a run does with an issuer: every answer's memo is recorded before the next call. `connect`
// is called for every call, so nothing but the memo lasts.
struct Outcome {
  seams::StepMemo memo;
  std::optional<seams::Issued> issued;
  std::optional<Error> error;
  std::vector<std::string> path;  // what was waited for, and actions
};
using Connect = std::function<std::unique_ptr<seams::Issuer>()>;
Outcome Drive(const Connect& connect, const seams::IssueRequest& what, seams::StepMemo memo = {});

// The certificate is for the key and exactly the names, leaf first.
void ExpectGood(const seams::Issued& issued, const seams::IssueRequest& what);

}  // namespace certflow::contract
