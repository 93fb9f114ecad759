#pragma once

#include <string>

#include "controller/steps/step.h"

namespace certflow::steps {

// A planned target, connected, and where on it the certificate goes.
struct ConnectedTarget {
  seams::Target* target = nullptr;  // the scratch's
  seams::Binding binding;
};

// The target, connected once a reconcile; the scratch's.
Result<seams::Target*> ConnectOnce(const Context& ctx, const StepScope& scope,
                                   seams::Connector& connector, const seams::TargetRef& target);
// The target of the entry, connected once a reconcile. kInvalid "TargetNotInPlan",
// "TargetTypeMismatch"; beyond that the errors of Directory and Connector.
Result<ConnectedTarget> ConnectTargetOf(const Context& ctx, const StepScope& scope,
                                        seams::Connector& connector, const api::LedgerEntry& entry);
// Whom the entry's target talks to; nobody where it cannot be found.
seams::Party PartyOfTarget(const StepScope& scope, const seams::Connector& connector);

// What a target said about going back, as memo entries and as it was. kRefused, "WayBackTooLarge":
// nothing is switched that could not be taken back.
Result<void> NoteWayBack(workflow::StepMemo& memo, const seams::WayBack& way_back);
seams::WayBack WayBackOf(const workflow::StepMemo& memo);

// Whether what follows a switch to `version` is over too. Done: it is. InProgress: the target works
// on; its memo is `memo`, with since when where that was not known. Needed("") : Activate has to be
// called (again). kRefused, "NotSettled", kSettleLimit after the switch, and after the
// last change that we made there.
inline constexpr Duration kSettleLimit{15 * 60'000};
Result<workflow::Observation> JudgeSwitch(const Context& ctx, const seams::Target& target,
                                          const seams::TargetState& state,
                                          const workflow::StepMemo& memo, std::string_view version);
// Notes that Activate returned success; whether it has.
void NoteActivated(workflow::StepMemo& memo, WallTime now);
bool IsActivated(const workflow::StepMemo& memo);

// Puts what stands at every place of the target into the findings.
void RecordPlacements(const Context& ctx, const StepScope& scope, const seams::TargetState& state,
                      std::string_view what, const std::string& previous);
// "edge-1 /etc/tls/site.pem, edge-2 ...": the placements, for the ledger.
std::string DescribePlacements(const seams::TargetState& state);

}  // namespace certflow::steps
