#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "controller/net/http_client.h"

namespace certflow::fakes {

// An ACME server (RFC 8555) behind the HttpClient: accounts with lists of orders, nonces, http-01
// that is really looked at, and certificates that are really signed. Signatures of requests are not
// verified. It outlives the processes that talk to it. Thread-safe.
class FakeAcme : public net::HttpClient {
 public:
  // What the web answers for a token of a domain, as the CA would see it.
  using Look = std::function<std::string(const std::string& domain, const std::string& token)>;
  FakeAcme(Clock& clock, Look look);
  ~FakeAcme() override;

  static constexpr const char* kDirectory = "https://acme.test/directory";
  std::string root_pem() const;
  void SetLifetime(std::chrono::seconds lifetime);

  // The next `times` requests whose path begins so are answered with this problem.
  struct Problem {
    std::string path;
    int status = 400;
    std::string type;  // "rateLimited"
    int retry_after = 0;
    int times = 1;
  };
  void AnswerWith(Problem problem);

  int accounts() const;
  int orders() const;
  int finalized() const;  // orders that made a certificate
  int requests() const;

  Result<net::HttpResponse> Do(const Context& ctx, const net::HttpRequest& request) override;
  Result<void> Stream(const Context& ctx, const net::HttpRequest& request,
                      net::StreamSink& sink) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::fakes
