#include "providers/solvers/http01_solver.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace certflow::providers::solvers {
namespace {

constexpr int kMaxRedirects = 5;
constexpr std::size_t kMaxAnswer = 64u << 10;
constexpr Duration kLimit = std::chrono::seconds(10);

std::string_view TrimEnd(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Absolute and absolute-path references; web servers send no others for this path.
std::optional<std::string> RedirectTarget(const std::string& from, std::string_view location) {
  const bool printable =
      std::all_of(location.begin(), location.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!printable || location.size() > 2048) return std::nullopt;
  if (location.starts_with("http://") || location.starts_with("https://")) {
    return std::string(location);
  }
  if (!location.starts_with('/') || location.starts_with("//")) return std::nullopt;
  return from.substr(0, from.find('/', from.find("://") + 3)) + std::string(location);
}

// What the CA would see; it ignores certificates behind redirects, because there may be none yet.
class Looker {
 public:
  Looker(net::HttpClient& http, std::uint16_t port) : http_(http), port_(port) {
    auto tls = std::make_shared<net::TlsOptions>();
    tls->insecure_skip_verify = true;
    tls_ = std::move(tls);
  }

  Result<bool> Look(const Context& ctx, const seams::Challenge& challenge) {
    std::string url = "http://" + challenge.domain +
                      (port_ == kHttpPort ? "" : ":" + std::to_string(port_)) +
                      "/.well-known/acme-challenge/" + challenge.token;
    for (int hops = 0; hops <= kMaxRedirects; ++hops) {
      net::HttpRequest request;
      request.url = url;
      request.tls = tls_;
      request.addresses = net::AddressPolicy::kUserGiven;
      request.max_response_bytes = kMaxAnswer;
      CF_ASSIGN_OR_RETURN(const net::HttpResponse response,
                          http_.Do(ctx.WithTimeout(kLimit), request));
      if (!IsRedirect(response.status)) {
        return response.status == 200 && TrimEnd(response.body) == challenge.key_authorization;
      }
      const auto next = RedirectTarget(url, response.header("location"));
      if (!next) return false;
      url = *next;
    }
    return false;
  }

 private:
  net::HttpClient& http_;
  const std::uint16_t port_;
  std::shared_ptr<const net::TlsOptions> tls_;
};

class ResponderSolver final : public seams::ChallengeSolver {
 public:
  ResponderSolver(net::HttpClient& http, std::uint16_t port) : looker_(http, port) {}

  seams::ChallengeType type() const override { return seams::ChallengeType::kHttp01; }
  Result<void> Present(const Context&, const seams::Challenge&) override { return {}; }
  Result<bool> Visible(const Context& ctx, const seams::Challenge& challenge) override {
    return looker_.Look(ctx, challenge);
  }
  Result<void> Cleanup(const Context&, const seams::Challenge&) override { return {}; }

 private:
  Looker looker_;
};

class HostFileSolver final : public seams::ChallengeSolver {
 public:
  HostFileSolver(net::HttpClient& http, std::shared_ptr<seams::ChallengeFiles> files,
                 std::uint16_t port)
      : looker_(http, port), files_(std::move(files)) {}

  seams::ChallengeType type() const override { return seams::ChallengeType::kHttp01; }
  Result<void> Present(const Context& ctx, const seams::Challenge& challenge) override {
    return files_->Put(ctx, challenge.token, challenge.key_authorization);
  }
  Result<bool> Visible(const Context& ctx, const seams::Challenge& challenge) override {
    return looker_.Look(ctx, challenge);
  }
  Result<void> Cleanup(const Context& ctx, const seams::Challenge& challenge) override {
    return files_->Remove(ctx, challenge.token);
  }

 private:
  Looker looker_;
  std::shared_ptr<seams::ChallengeFiles> files_;
};

}  // namespace

std::unique_ptr<seams::ChallengeSolver> MakeResponderSolver(net::HttpClient& http,
                                                            std::uint16_t port) {
  return std::make_unique<ResponderSolver>(http, port);
}

std::unique_ptr<seams::ChallengeSolver> MakeHostFileSolver(
    net::HttpClient& http, std::shared_ptr<seams::ChallengeFiles> files, std::uint16_t port) {
  return std::make_unique<HostFileSolver>(http, std::move(files), port);
}

}  // namespace certflow::providers::solvers
