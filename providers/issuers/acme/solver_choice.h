#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/seams/challenge_solver.h"
#include "providers/issuers/acme/messages.h"

namespace certflow::providers::acme {

// A ready solver and the zones it is for; no zones means every name.
struct AcmeSolver {
  std::vector<std::string> dns_zones;
  std::shared_ptr<seams::ChallengeSolver> solver;
};

std::string_view ChallengeTypeName(seams::ChallengeType type);

struct SolverChoice {
  seams::ChallengeSolver* solver = nullptr;
  const ChallengeState* challenge = nullptr;
};

// The solver with the longest zone that covers the domain, of those whose challenge the CA offers;
// the first listed of equals. Wildcards need dns-01 (RFC 8555 section 7.1.3). kInvalid
// ("AcmeNoSolver") when none fits.
Result<SolverChoice> ChooseSolver(const std::vector<AcmeSolver>& solvers,
                                  const Authorization& authorization);
// The solver of a proof that was published before, or null.
seams::ChallengeSolver* SolverFor(const std::vector<AcmeSolver>& solvers, seams::ChallengeType type,
                                  std::string_view domain);

}  // namespace certflow::providers::acme
