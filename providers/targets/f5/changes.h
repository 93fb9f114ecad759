#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "providers/targets/f5/access.h"
#include "providers/targets/f5/view.h"

namespace certflow::providers::f5 {

// One write to a profile or virtual server.
struct Change {
  std::string what;
  std::string method;
  std::string path;
  std::string body = {};
};

// What has to be written, and what the slots hold afterwards.
struct ChangeSet {
  std::vector<Change> changes;
  std::vector<Slot> wanted;  // as many as the view has
};

// Forwards: the version into every slot, other certificates of the profiles kept. Errors:
// kForbidden "ProfileOwnedByOther"; kRefused "PassphraseProtected"; kInvalid "PartitionMismatch".
Result<void> CheckSwitch(const View& view, const VersionObjects& objects, std::string_view owner);
Result<ChangeSet> PlanSwitch(const View& view, const VersionObjects& objects,
                             std::string_view owner);
// Backwards: what `way_back` recorded of each slot; a slot that was made for us goes. kRefused,
// "NothingToGoBackTo", where a slot holds ours and nothing is recorded.
Result<ChangeSet> PlanReturn(const View& view, const seams::WayBack& way_back,
                             std::string_view owner);

// All or nothing: one change is one request, more are one transaction. kUnknownOutcome where no
// answer came: the world is to be read before anything else. Returns the answer to a single change,
// which is the object as it stands then; empty after a transaction.
Result<std::string> Apply(const Context& ctx, Access& access, const std::vector<Change>& changes);

}  // namespace certflow::providers::f5
