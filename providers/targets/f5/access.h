#pragma once

#include <optional>
#include <string>

#include "controller/base/context.h"
#include "providers/targets/f5/answers.h"
#include "providers/targets/f5/devices.h"

namespace certflow::providers::f5 {

// A pair as one reconcile uses it: requests go to the unit that is active. Not thread-safe.
class Access {
 public:
  explicit Access(Connection connection) : to_(std::move(connection)) {}

  const DeviceSettings& settings() const { return to_.settings; }
  Pair& pair() const { return *to_.pair; }

  // To the unit that was active when somebody looked last; looks where nobody has. A unit that does
  // not answer is forgotten as the active one, so that the next look asks both.
  Result<std::string> Do(const Context& ctx, const Call& call);
  // To one unit, active or not.
  Result<std::string> DoOn(const Context& ctx, std::size_t unit, const Call& call);
  // The management address that requests go to, for people.
  std::string Address() const;

  // The unit's own word on its state, and whether it is the active one.
  Result<DeviceItem> Self(const Context& ctx, std::size_t unit);
  // Asks the units until one says that it is active. kUnavailable, "NoActiveUnit".
  Result<void> FindActive(const Context& ctx);
  // Right before a write. kConflict, "FailedOver", when another unit has taken over: what was read
  // is to be read again there.
  Result<void> RequireActive(const Context& ctx);

  // The group whose units are kept equal; an empty path where there is none. kInvalid,
  // "DeviceGroupMissing", "DeviceGroupAmbiguous".
  Result<Pair::Group> Group(const Context& ctx);
  // Its status; "In Sync" where there is no group. Read once, unless `fresh`.
  Result<std::string> SyncState(const Context& ctx, bool fresh);
  // As anybody of us read it a moment ago; who asks makes sure that the unit is still active.
  // kConflict, "FailedOver".
  Result<std::string> SharedSyncState(const Context& ctx);
  // Nobody else's changes wait for a sync. kUnavailable, "UnsyncedChanges".
  Result<void> RequireInSync(const Context& ctx);
  // Writes the running configuration down, and passes it on where the group does not do that by
  // itself; what was not `changed` only where the status read last is not in sync.
  Result<void> SaveAndSync(const Context& ctx, bool changed);

 private:
  Connection to_;
  std::string sync_;  // as read last
};

}  // namespace certflow::providers::f5
