#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "controller/api/run.h"

namespace certflow::workflow {

// A decision as people write it, in the form that the admission policy asks for:
//   on a run:       GATE by USER[ in G1,G2][ for sha256:DIGEST][ because TEXT]
//   on a workflow:  RUN GATE by USER...
struct WrittenDecision {
  std::string run;  // canonical name; empty on a run
  std::string gate;
  std::string user;
  std::vector<std::string> groups;
  std::string digest;
  std::string reason;
};
inline constexpr std::size_t kMaxDecisionBytes = 512;  // as in the admission policy

// kInvalid, "DecisionMalformed", with the expected form.
Result<WrittenDecision> ParseDecision(std::string_view text, bool on_workflow);

inline constexpr std::string_view kGateRenewal = "renewal";
inline constexpr std::string_view kGateDeployment = "deployment";
inline constexpr std::string_view kGateRollback = "rollback";

// Where a gate stands with the decisions that were accepted for it. Each user counts once, for the
// first layer in order that admits them and still needs somebody; a layer opens when the one before
// it is complete. A user who is in the list twice counts by the first entry.
struct GateState {
  bool approved = false;
  std::string rejected_by;  // empty: nobody
  std::string open_layer;   // when neither
  int still_needed = 0;     // in the open layer
};
GateState EvaluateGate(const api::ApprovalGate& gate, std::string_view name,
                       const std::vector<api::Decision>& decisions);

// The first layer, from the open one on, that a user with these groups counts for; else one that is
// complete already; or nothing.
const api::ApprovalLayer* AdmittingLayer(const api::ApprovalGate& gate, std::string_view user,
                                         const std::vector<std::string>& groups,
                                         std::string_view open_layer = "");

struct DecisionContext {
  const api::Run& run;
  const api::Plan& plan;
  std::string_view open_gate;  // the gate that waits now; empty: none
  std::optional<WallTime> opened_at;
  bool on_workflow = false;
};

// Accepts a decision whose identity was proved, or says why not. `source` is the annotation text.
using DecisionVerdict = std::variant<api::Decision, api::Refusal>;
DecisionVerdict JudgeDecision(const DecisionContext& context, bool approve, std::string_view source,
                              WallTime written_at);

// The gate of that name in the plan; `rollback` uses the deployment's layers, or admits whoever may
// approve.
std::optional<api::ApprovalGate> GateOf(const api::WorkflowSpec& spec, std::string_view name);

// Who may decide now, and the command to do it, for mails.
std::string ApproversText(const api::ApprovalGate& gate, std::string_view open_layer);
std::string ApproveCommand(const api::Run& run, std::string_view gate, bool approve);

}  // namespace certflow::workflow
