#include "providers/targets/f5/readiness.h"

#include "providers/targets/f5/names.h"
#include "providers/targets/f5/objects.h"

namespace certflow::providers::f5 {
namespace {

constexpr std::string_view kProbe = "certflow-probe.txt";

// Only an administrator may, whatever the other roles are allowed in the GUI; better known now than
// in the night of a deployment.
Result<void> TryUpload(const Context& ctx, Access& access) {
  const std::string name(kProbe);
  CF_RETURN_IF_ERROR(Upload(ctx, access, "test upload", name, "1"));
  CF_RETURN_IF_ERROR(access.Do(ctx, RemovalOfUpload("removal of the test upload", name)));
  return {};
}

// The peer is needed only after a failover; that it does not answer is worth a word.
std::string PeerWord(const Context& ctx, Access& access, std::size_t active) {
  for (std::size_t unit = 0; unit < access.pair().size(); ++unit) {
    if (unit == active) continue;
    const auto self = access.Self(ctx, unit);
    if (!self.ok()) return "; the peer cannot be used: " + Sanitize(self.error().message, 300);
  }
  return "";
}

}  // namespace

Result<std::string> CheckDevice(const Context& ctx, Access& access) {
  CF_RETURN_IF_ERROR(access.FindActive(ctx));
  const std::size_t active = access.pair().active().value_or(0);
  CF_ASSIGN_OR_RETURN(const DeviceItem self, access.Self(ctx, active));
  CF_ASSIGN_OR_RETURN(const Pair::Group group, access.Group(ctx));
  CF_ASSIGN_OR_RETURN(const std::string sync, access.SyncState(ctx, true));
  CF_RETURN_IF_ERROR(TryUpload(ctx, access));
  std::string message = "BIG-IP " + Sanitize(self.version, 64) + ", active unit " +
                        Sanitize(self.name, 128) + " (" + access.Address() + ")";
  if (group.path.empty()) {
    message += ", in no device group";
  } else {
    message += ", device group " + Sanitize(LeafOf(group.path), 128) + ": " + Sanitize(sync, 64);
  }
  return message + PeerWord(ctx, access, active);
}

}  // namespace certflow::providers::f5
