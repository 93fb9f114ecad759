#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/api/run.h"
#include "controller/api/workflow.h"

namespace certflow::workflow {

inline constexpr std::string_view kDigest =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
inline constexpr std::string_view kOtherDigest =
    "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

WallTime At(std::string_view text);

// One Secret, no gates, no endpoints.
api::WorkflowSpec SmallSpec();
// The targets that PlanTargets makes: `per_wave` nginx hosts in each of `waves` waves.
api::WorkflowSpec SpecWithTargets(int waves, int per_wave);
api::Plan PlanOf(api::WorkflowSpec spec);

api::ApprovalLayer Layer(std::string name, int required, std::vector<std::string> users,
                         std::vector<std::string> groups = {});
api::ApprovalGate Gate(std::vector<api::ApprovalLayer> layers);
api::Decision Given(std::string_view gate, std::string_view user, bool approved = true,
                    std::vector<std::string> groups = {});

// Number 13 of workflow web/www, made at 02:00 of 2026-11-21.
api::Run MakeRun();

}  // namespace certflow::workflow
