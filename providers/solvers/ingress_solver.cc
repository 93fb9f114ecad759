#include "providers/solvers/ingress_solver.h"

#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "providers/solvers/http01_solver.h"

namespace certflow::providers::solvers {

namespace {

const kube::Resource& IngressResource() {
  static const kube::Resource resource = {"networking.k8s.io", "v1", "ingresses", "Ingress", true};
  return resource;
}

// Made of the challenge, so that making it twice is a conflict and not a second one.
std::string IngressName(const seams::Challenge& challenge) {
  return "certflow-acme-" + Sha256Hex(challenge.domain + "/" + challenge.token).substr(0, 16);
}

class IngressSolver : public seams::ChallengeSolver {
 public:
  IngressSolver(net::HttpClient& http, kube::Client& client, IngressSolverOptions options)
      : client_(client),
        options_(std::move(options)),
        responder_(MakeResponderSolver(http, options_.port)) {}

  seams::ChallengeType type() const override { return seams::ChallengeType::kHttp01; }

  Result<void> Present(const Context& ctx, const seams::Challenge& challenge) override {
    auto made = client_.Create(ctx, IngressResource(), options_.ns, Body(challenge));
    if (made.ok() || made.error().code == ErrorCode::kAlreadyExists) return {};
    return Annotate(made.error(), "make the Ingress for " + challenge.domain);
  }

  Result<bool> Visible(const Context& ctx, const seams::Challenge& challenge) override {
    return responder_->Visible(ctx, challenge);
  }

  Result<void> Cleanup(const Context& ctx, const seams::Challenge& challenge) override {
    kube::ObjectKey key{options_.ns, IngressName(challenge)};
    auto found = client_.Get(ctx, IngressResource(), key, true);
    if (!found.ok()) {
      if (found.error().code == ErrorCode::kNotFound) return {};
      return found.error();
    }
    auto deleted = client_.Delete(ctx, IngressResource(), key, {found->uid(), "", {}});
    if (!deleted.ok() && deleted.error().code != ErrorCode::kNotFound) return deleted.error();
    return {};
  }

 private:
  std::string Body(const seams::Challenge& challenge) const {
    nlohmann::json path = {
        {"path", "/.well-known/acme-challenge/" + challenge.token},
        {"pathType", "Exact"},
        {"backend",
         {{"service",
           {{"name", options_.service}, {"port", {{"number", options_.service_port}}}}}}}};
    nlohmann::json ingress = {
        {"apiVersion", "networking.k8s.io/v1"},
        {"kind", "Ingress"},
        {"metadata",
         {{"name", IngressName(challenge)},
          {"namespace", options_.ns},
          {"labels", {{"app.kubernetes.io/managed-by", "certflow"}}}}},
        {"spec", {{"rules", {{{"host", challenge.domain}, {"http", {{"paths", {path}}}}}}}}}};
    return ingress.dump();
  }

  kube::Client& client_;
  const IngressSolverOptions options_;
  const std::unique_ptr<seams::ChallengeSolver> responder_;
};

}  // namespace

std::unique_ptr<seams::ChallengeSolver> MakeIngressSolver(net::HttpClient& http,
                                                          kube::Client& client,
                                                          IngressSolverOptions options) {
  return std::make_unique<IngressSolver>(http, client, std::move(options));
}

}  // namespace certflow::providers::solvers
