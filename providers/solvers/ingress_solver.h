#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "controller/kube/client.h"
#include "controller/net/http_client.h"
#include "controller/seams/challenge_solver.h"

namespace certflow::providers::solvers {

struct IngressSolverOptions {
  std::string ns;       // our own: an Ingress reaches Services of its namespace only
  std::string service;  // in front of every replica of ours
  std::uint16_t service_port = 8089;
  std::uint16_t port = 80;  // where the CA looks
};

// http-01 "through the cluster": one Ingress a token, for exactly the token's path at the domain,
// that leads to our own Service; the cluster's default ingress class takes it. What is answered
// there comes from the run's status. The references outlive the solver; thread-safe.
std::unique_ptr<seams::ChallengeSolver> MakeIngressSolver(net::HttpClient& http,
                                                          kube::Client& client,
                                                          IngressSolverOptions options);

}  // namespace certflow::providers::solvers
