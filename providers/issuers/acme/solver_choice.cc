#include "providers/issuers/acme/solver_choice.h"

namespace certflow::providers::acme {
namespace {

// Minus one where the solver is not for this domain.
int Specificity(const AcmeSolver& entry, std::string_view domain) {
  if (entry.dns_zones.empty()) return 0;
  int best = -1;
  for (const std::string& zone : entry.dns_zones) {
    const bool covers = domain == zone || (domain.size() > zone.size() && domain.ends_with(zone) &&
                                           domain[domain.size() - zone.size() - 1] == '.');
    if (covers) best = std::max(best, static_cast<int>(zone.size()));
  }
  return best;
}

const ChallengeState* OfferedChallenge(const Authorization& authorization,
                                       seams::ChallengeType type) {
  if (authorization.wildcard && type != seams::ChallengeType::kDns01) return nullptr;
  for (const ChallengeState& challenge : authorization.challenges) {
    if (challenge.type == ChallengeTypeName(type)) return &challenge;
  }
  return nullptr;
}

}  // namespace

std::string_view ChallengeTypeName(seams::ChallengeType type) {
  switch (type) {
    case seams::ChallengeType::kHttp01:
      return "http-01";
    case seams::ChallengeType::kDns01:
      return "dns-01";
  }
  return "";
}

Result<SolverChoice> ChooseSolver(const std::vector<AcmeSolver>& solvers,
                                  const Authorization& authorization) {
  SolverChoice choice;
  int best = -1;
  for (const AcmeSolver& entry : solvers) {
    const int rank = Specificity(entry, authorization.domain);
    if (rank <= best) continue;
    const ChallengeState* challenge = OfferedChallenge(authorization, entry.solver->type());
    if (challenge == nullptr) continue;
    best = rank;
    choice = {entry.solver.get(), challenge};
  }
  if (choice.solver != nullptr) return choice;
  return MakeError(ErrorCode::kInvalid, "AcmeNoSolver",
                   "no solver fits " + std::string(authorization.wildcard ? "*." : "") +
                       Sanitize(authorization.domain) +
                       (authorization.wildcard ? ", which needs dns-01" : ""));
}

seams::ChallengeSolver* SolverFor(const std::vector<AcmeSolver>& solvers, seams::ChallengeType type,
                                  std::string_view domain) {
  seams::ChallengeSolver* solver = nullptr;
  int best = -1;
  for (const AcmeSolver& entry : solvers) {
    const int rank = Specificity(entry, domain);
    if (entry.solver->type() != type || rank <= best) continue;
    best = rank;
    solver = entry.solver.get();
  }
  return solver;
}

}  // namespace certflow::providers::acme
