#pragma once

#include <cstdint>
#include <memory>

#include "controller/net/http_client.h"
#include "controller/seams/challenge_files.h"
#include "controller/seams/challenge_solver.h"

namespace certflow::providers::solvers {

// http-01 (RFC 8555 section 8.3). Visible asks http://<domain>:<port>/.well-known/acme-challenge/
// <token> as the CA does: redirects are followed, certificates behind them not looked at. The
// references outlive the solver; thread-safe.
inline constexpr std::uint16_t kHttpPort = 80;

// "Cluster": every replica of ours serves what the run's status holds, so Present and Cleanup have
// nothing to do; the issuer's memo is the publication.
std::unique_ptr<seams::ChallengeSolver> MakeResponderSolver(net::HttpClient& http,
                                                            std::uint16_t port = kHttpPort);

// "Target": files at the web server that the certificate is for.
std::unique_ptr<seams::ChallengeSolver> MakeHostFileSolver(
    net::HttpClient& http, std::shared_ptr<seams::ChallengeFiles> files,
    std::uint16_t port = kHttpPort);

}  // namespace certflow::providers::solvers
