#include "providers/targets/f5/access.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"
#include "providers/targets/f5/names.h"

namespace certflow::providers::f5 {
namespace {

using nlohmann::json;

constexpr Duration kLongCall{120'000};
constexpr Duration kPendingPause{15'000};

bool IsGone(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout;
}

// Uploads and tokens that authorise changes are there from 12.1 on.
Result<void> CheckVersionOf(const DeviceItem& device) {
  int major = 0, minor = 0;
  const char* end = device.version.data() + device.version.size();
  const auto first = std::from_chars(device.version.data(), end, major);
  if (first.ec == std::errc() && first.ptr != end) std::from_chars(first.ptr + 1, end, minor);
  if (major > 12 || (major == 12 && minor >= 1)) return {};
  return MakeError(ErrorCode::kRefused, "VersionUnsupported",
                   Sanitize(device.name, 200) + " runs BIG-IP " + Sanitize(device.version, 64) +
                       ": certflow needs 12.1 or later");
}

Result<Pair::Group> ChooseGroup(const std::vector<DeviceGroup>& groups, const std::string& wanted) {
  Pair::Group found;
  std::string names;
  for (const DeviceGroup& group : groups) {
    if (!group.fails_over) continue;
    names += (names.empty() ? "" : ", ") + group.path;
    if (!wanted.empty() && LeafOf(group.path) != LeafOf(wanted)) continue;
    if (!found.path.empty()) {
      return MakeError(ErrorCode::kInvalid, "DeviceGroupAmbiguous",
                       "the device is in several groups that fail over (" + Sanitize(names, 300) +
                           "): name one in deviceGroup");
    }
    found = {group.path, group.auto_sync};
  }
  if (!wanted.empty() && found.path.empty()) {
    return MakeError(ErrorCode::kInvalid, "DeviceGroupMissing",
                     "deviceGroup: the device is in no group " + wanted + " of type sync-failover" +
                         (names.empty() ? "" : "; there is " + Sanitize(names, 300)));
  }
  return found;
}

}  // namespace

std::string Access::Address() const {
  const auto& hosts = to_.settings.hosts;
  return net::FormatHostPort(hosts[to_.pair->active().value_or(0)]);
}

Result<std::string> Access::DoOn(const Context& ctx, std::size_t unit, const Call& call) {
  return to_.pair->unit(unit).Do(ctx, to_.who, call);
}

Result<std::string> Access::Do(const Context& ctx, const Call& call) {
  if (!to_.pair->active()) CF_RETURN_IF_ERROR(FindActive(ctx));
  auto answer = DoOn(ctx, to_.pair->active().value_or(0), call);
  if (!answer.ok() && IsGone(answer.error()) && to_.pair->size() > 1) {
    to_.pair->SetActive(std::nullopt);
  }
  return answer;
}

Result<DeviceItem> Access::Self(const Context& ctx, std::size_t unit) {
  const Call call{"devices", "/mgmt/tm/cm/device?$select=name,failoverState,selfDevice,version"};
  CF_ASSIGN_OR_RETURN(const std::string body, DoOn(ctx, unit, call));
  const auto devices = ParseDevices(body);
  if (!devices) return Unreadable("devices");
  const auto self = std::find_if(devices->begin(), devices->end(),
                                 [](const DeviceItem& device) { return device.self; });
  if (self == devices->end()) return Unreadable("devices");
  CF_RETURN_IF_ERROR(CheckVersionOf(*self));
  return *self;
}

Result<void> Access::FindActive(const Context& ctx) {
  std::optional<Error> unreachable;
  std::string seen;
  for (std::size_t unit = 0; unit < to_.pair->size(); ++unit) {
    auto self = Self(ctx, unit);
    if (self.ok() && self->state == "active") {
      to_.pair->SetActive(unit);
      return {};
    }
    if (!self.ok() && !IsGone(self.error())) return std::move(self).error();
    if (!self.ok()) {
      unreachable = self.error();
    } else {
      seen += (seen.empty() ? "" : ", ") + self->name + " is " + self->state;
    }
  }
  if (unreachable && seen.empty()) return *unreachable;
  std::string text = Sanitize(seen, 300);
  if (unreachable) text += "; the other unit does not answer: " + unreachable->message;
  if (to_.pair->size() == 1) text += "; name the active unit's management address in hosts too";
  return MakeError(ErrorCode::kUnavailable, "NoActiveUnit", "no unit that is active: " + text);
}

Result<void> Access::RequireActive(const Context& ctx) {
  if (!to_.pair->active()) return FindActive(ctx);
  const std::size_t unit = *to_.pair->active();
  CF_ASSIGN_OR_RETURN(const DeviceItem self, Self(ctx, unit));
  if (self.state == "active") return {};
  to_.pair->SetActive(std::nullopt);
  return MakeError(ErrorCode::kConflict, "FailedOver",
                   Sanitize(self.name, 200) + " is " + Sanitize(self.state, 64) +
                       " now: going on with the unit that has taken over");
}

Result<Pair::Group> Access::Group(const Context& ctx) {
  if (auto known = to_.pair->group(ctx.clock.Steady())) return *known;
  const Call call{"device groups", "/mgmt/tm/cm/device-group?$select=name,fullPath,type,autoSync"};
  CF_ASSIGN_OR_RETURN(const std::string body, Do(ctx, call));
  const auto groups = ParseDeviceGroups(body);
  if (!groups) return Unreadable("device groups");
  CF_ASSIGN_OR_RETURN(Pair::Group group, ChooseGroup(*groups, to_.settings.device_group));
  to_.pair->SetGroup(group, ctx.clock.Steady());
  return group;
}

Result<std::string> Access::SyncState(const Context& ctx, bool fresh) {
  CF_ASSIGN_OR_RETURN(const Pair::Group group, Group(ctx));
  if (group.path.empty()) return std::string(kInSync);
  if (!fresh && !sync_.empty()) return sync_;
  const std::uint64_t changes = to_.pair->changes();
  CF_ASSIGN_OR_RETURN(const std::string body, Do(ctx, {"sync status", "/mgmt/tm/cm/sync-status"}));
  const auto sync = ParseSyncStatus(body);
  if (!sync) return Unreadable("sync status");
  sync_ = StatusOfGroup(*sync, group.path);
  if (sync_ == "Standalone") sync_ = kInSync;
  to_.pair->NoteStatus(sync_, changes, ctx.clock.Steady());
  return sync_;
}

Result<std::string> Access::SharedSyncState(const Context& ctx) {
  if (auto known = to_.pair->status(ctx.clock.Steady()); known && to_.pair->active()) {
    return sync_ = *std::move(known);
  }
  CF_RETURN_IF_ERROR(RequireActive(ctx));
  return SyncState(ctx, true);
}

Result<void> Access::RequireInSync(const Context& ctx) {
  CF_ASSIGN_OR_RETURN(const std::string status, SyncState(ctx, false));
  if (status == kInSync || to_.pair->changed_by_us() || to_.settings.push_pending) return {};
  CF_ASSIGN_OR_RETURN(const Pair::Group group, Group(ctx));
  const std::string name(LeafOf(group.path));
  return MakeErrorAfter(
      ErrorCode::kUnavailable, "UnsyncedChanges",
      "device group " + Sanitize(name, 128) + " is not in sync (" + Sanitize(status, 64) +
          "): somebody's changes wait on one of the units and would be passed on or lost; look at "
          "them and run \"tmsh run cm config-sync to-group " +
          Sanitize(name, 128) + "\" on the unit that has them",
      kPendingPause);
}

Result<void> Access::SaveAndSync(const Context& ctx, bool changed) {
  Call save{"save", "/mgmt/tm/sys/config", "POST", R"({"command":"save"})"};
  save.limit = kLongCall;
  const bool equal = !changed && sync_ == kInSync;
  sync_.clear();
  CF_RETURN_IF_ERROR(Do(ctx, save));
  if (equal) return {};
  CF_ASSIGN_OR_RETURN(const Pair::Group group, Group(ctx));
  if (group.path.empty() || group.auto_sync || !to_.settings.sync) return {};
  const json body = {{"command", "run"},
                     {"utilCmdArgs", "config-sync to-group " + std::string(LeafOf(group.path))}};
  Call sync{"config-sync", "/mgmt/tm/cm", "POST", kube::Dump(body)};
  sync.limit = kLongCall;
  CF_RETURN_IF_ERROR(Do(ctx, sync));
  to_.pair->NoteSync(ctx.clock.Steady());
  return {};
}

}  // namespace certflow::providers::f5
