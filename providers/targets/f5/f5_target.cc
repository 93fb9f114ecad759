#include "providers/targets/f5/f5_target.h"

#include <algorithm>
#include <set>
#include <span>

#include "providers/targets/f5/changes.h"
#include "providers/targets/f5/devices.h"
#include "providers/targets/f5/objects.h"
#include "providers/targets/f5/readiness.h"
#include "providers/targets/f5/view.h"

namespace certflow::providers::f5 {
namespace {

using seams::Binding;

std::string KeyOf(const Binding& at) { return OwnerOf(at) + "\n" + at.settings; }

class F5Target : public seams::Target {
 public:
  explicit F5Target(Connection connection) : access_(std::move(connection)) {}

  Result<seams::TargetState> Observe(const Context& ctx, const Binding& at) override;
  Result<void> Stage(const Context& ctx, const Binding& at, const seams::Bundle& bundle) override;
  Result<void> Activate(const Context& ctx, const Binding& at,
                        const seams::StagedRef& which) override;
  Result<void> Deactivate(const Context& ctx, const Binding& at,
                          const seams::WayBack& way_back) override;
  Result<void> Prune(const Context& ctx, const Binding& at, const seams::KeepList& keep) override;
  Result<void> Discard(const Context& ctx, const Binding& at, const std::string& version) override;

 private:
  Result<const View*> Look(const Context& ctx, const Binding& at);
  Result<View> Read(const Context& ctx, const Binding& at);
  Result<void> FollowFailover(const Context& ctx, const Binding& at);
  Result<void> RequireActive(const Context& ctx);
  Result<void> RequireOwnChanges(const Context& ctx);
  Result<void> Remove(const Context& ctx, std::span<const Owned> keys);
  Result<bool> LookAtSwitched(const Context& ctx, const Binding& at);
  Result<void> NoteSettling(const Context& ctx, seams::TargetState& state);
  Result<Installed> Installation(const Context& ctx, const std::string& owner,
                                 const std::string& version);
  Result<void> Switch(const Context& ctx, const Binding& at, const ChangeSet& set,
                      const FileObject* cert);
  Result<void> ReadBack(const Context& ctx, const ChangeSet& set, const std::string& answer,
                        View& view);

  Access access_;
  // The binding as it was read or written last. A reconcile looks, stages, looks and switches
  // within seconds, and asks once.
  std::optional<View> view_;
  std::string view_of_;                      // which binding
  bool just_known_ = false;                  // by our own action: the next Observe need not ask
  std::map<std::string, Installed> staged_;  // by version
};

Result<View> F5Target::Read(const Context& ctx, const Binding& at) {
  CF_ASSIGN_OR_RETURN(const auto places, ParsePlaces(at.settings, access_.settings().partition));
  const bool known = access_.pair().active().has_value();
  auto view = ReadView(ctx, access_, places);
  // The unit that was active does not answer: the other one may have taken over.
  if (!view.ok() && known && !access_.pair().active()) return ReadView(ctx, access_, places);
  return view;
}

Result<const View*> F5Target::Look(const Context& ctx, const Binding& at) {
  if (!view_ || view_of_ != at.settings) {
    CF_ASSIGN_OR_RETURN(view_, Read(ctx, at));
    view_of_ = at.settings;
  }
  return &*view_;
}

// Right before a write; what was read from a unit that is not active any more is forgotten.
Result<void> F5Target::RequireActive(const Context& ctx) {
  auto active = access_.RequireActive(ctx);
  if (!active.ok()) {
    view_.reset();
    just_known_ = false;
  }
  return active;
}

// Nobody else's changes wait for a sync. Those of a process before this one are told by the keys
// that only one unit has; a peer that does not answer tells nothing.
Result<void> F5Target::RequireOwnChanges(const Context& ctx) {
  auto in_sync = access_.RequireInSync(ctx);
  if (in_sync.ok() || in_sync.error().reason != "UnsyncedChanges") return in_sync;
  const auto ours = UnitsDiffer(ctx, access_);
  return ours.ok() && *ours ? Result<void>() : in_sync;
}

// What is not in sync may have been read from a unit that is not active any more.
Result<void> F5Target::FollowFailover(const Context& ctx, const Binding& at) {
  auto active = RequireActive(ctx);
  if (active.ok() || active.error().reason != "FailedOver") return active;
  CF_RETURN_IF_ERROR(Look(ctx, at));
  CF_RETURN_IF_ERROR(access_.SyncState(ctx, true));
  return {};
}

// After a switch the group has to become equal. What nobody works on is asked for again
// (`running`).
Result<void> F5Target::NoteSettling(const Context& ctx, seams::TargetState& state) {
  CF_ASSIGN_OR_RETURN(const std::string status, access_.SyncState(ctx, false));
  if (status == kInSync || !access_.settings().sync) return {};
  CF_ASSIGN_OR_RETURN(const Pair::Group group, access_.Group(ctx));
  const bool waits = status == "Changes Pending" || status == "Awaiting Initial Sync" ||
                     status == "Not All Devices Synced";
  if (waits && !group.auto_sync && access_.pair().MayAskToSync(ctx.clock.Steady())) {
    state.running = false;
  }
  state.settling =
      "config-sync to " + Sanitize(LeafOf(group.path), 128) + ": " + Sanitize(status, 64);
  state.idle_for = access_.pair().idle_for(ctx.clock.Steady());
  return {};
}

// What was switched a moment ago and waits for the sync is as it was read back; all that wait on
// the pair share one question about it. Once in sync, the profiles are read again. False: nothing
// is known, or the sync is to be asked for again, and everything has to be looked at.
Result<bool> F5Target::LookAtSwitched(const Context& ctx, const Binding& at) {
  const auto as_read = access_.pair().waiting(KeyOf(at), ctx.clock.Steady());
  if (!as_read || !access_.settings().sync) return false;
  const auto status = access_.SharedSyncState(ctx);
  // Another unit may have taken over, and does not have what this one was given.
  if (!status.ok() || !access_.pair().waiting(KeyOf(at), ctx.clock.Steady())) return false;
  CF_ASSIGN_OR_RETURN(const Pair::Group group, access_.Group(ctx));
  const bool ask = !group.auto_sync && access_.pair().MayAskToSync(ctx.clock.Steady());
  if (*status != kInSync && ask) return false;
  View view = *as_read;
  if (*status == kInSync) {
    access_.pair().ForgetWaiting(KeyOf(at));
    for (Slot& slot : view.slots) {
      auto read = slot.exists ? ReadSlot(ctx, access_, slot, view) : Result<void>();
      if (!read.ok() && read.error().reason == "ProfileMissing") return false;
      CF_RETURN_IF_ERROR(std::move(read));
    }
  }
  view_ = std::move(view);
  view_of_ = at.settings;
  return true;
}

Result<seams::TargetState> F5Target::Observe(const Context& ctx, const Binding& at) {
  const bool by_us = std::exchange(just_known_, false) && view_of_ == at.settings;
  bool switched = false;
  if (!by_us) {
    view_.reset();
    CF_ASSIGN_OR_RETURN(switched, LookAtSwitched(ctx, at));
  }
  if (!by_us && !switched) {
    CF_RETURN_IF_ERROR(Look(ctx, at));
    CF_RETURN_IF_ERROR(access_.SyncState(ctx, true));
  }
  CF_ASSIGN_OR_RETURN(const std::string status, access_.SyncState(ctx, false));
  // Where we wrote, the unit was asked right before.
  if (status != kInSync && !by_us && !switched) CF_RETURN_IF_ERROR(FollowFailover(ctx, at));
  CF_ASSIGN_OR_RETURN(const View* view, Look(ctx, at));
  seams::TargetState state = StateOf(*view, OwnerOf(at), access_.Address());
  state.way_back = WayBackOf(*view);
  for (const auto& [version, installed] : staged_) {
    if (version != state.active) state.staged.push_back(version);
  }
  CF_RETURN_IF_ERROR(NoteSettling(ctx, state));
  // Good enough to wait by, not to act by.
  if (switched && status != kInSync) view_.reset();
  return state;
}

Result<void> F5Target::Stage(const Context& ctx, const Binding& at, const seams::Bundle& bundle) {
  const std::string owner = OwnerOf(at);
  CF_ASSIGN_OR_RETURN(const Parts parts, TakeApart(bundle, access_.settings().partition, owner));
  CF_ASSIGN_OR_RETURN(const View* view, Look(ctx, at));
  CF_RETURN_IF_ERROR(CheckSwitch(*view, parts.objects, owner));
  CF_RETURN_IF_ERROR(RequireActive(ctx));
  auto in_sync = RequireOwnChanges(ctx);
  if (!in_sync.ok()) {
    if (in_sync.error().reason != "UnsyncedChanges") return in_sync;
    // A part of this version that is there already explains it.
    CF_ASSIGN_OR_RETURN(const bool begun, HasKey(ctx, access_, parts.objects));
    if (!begun) return in_sync;
  }
  CF_ASSIGN_OR_RETURN(FileObject cert, PutObjects(ctx, access_, parts));
  staged_[bundle.version] = {parts.objects, std::move(cert)};
  just_known_ = true;
  return {};
}

Result<Installed> F5Target::Installation(const Context& ctx, const std::string& owner,
                                         const std::string& version) {
  const auto known = staged_.find(version);
  if (known != staged_.end()) return known->second;
  return FindVersion(ctx, access_, owner, version);
}

Result<void> F5Target::ReadBack(const Context& ctx, const ChangeSet& set, const std::string& answer,
                                View& view) {
  view.slots = set.wanted;
  std::set<std::string> read;
  for (Slot& slot : view.slots) {
    if (!slot.exists || !read.insert(ProfileUrl(slot)).second) continue;
    const auto changed = std::find_if(
        set.changes.begin(), set.changes.end(),
        [&slot](const Change& change) { return change.what == "profile " + slot.profile; });
    if (changed == set.changes.end()) continue;
    const std::vector<ChainEntry> wanted = slot.entries;
    if (answer.empty()) {
      CF_RETURN_IF_ERROR(ReadSlot(ctx, access_, slot, view));
    } else {
      CF_RETURN_IF_ERROR(TakeProfile(answer, slot));
      CF_RETURN_IF_ERROR(ReadCerts(ctx, access_, slot, view));
    }
    if (!std::is_permutation(wanted.begin(), wanted.end(), slot.entries.begin(),
                             slot.entries.end())) {
      return MakeError(ErrorCode::kUnknownOutcome, "NotAsWritten",
                       "profile " + slot.profile +
                           " does not hold what was written: somebody else changed it, or the "
                           "device did not take it");
    }
  }
  return {};
}

Result<void> F5Target::Switch(const Context& ctx, const Binding& at, const ChangeSet& set,
                              const FileObject* cert) {
  View view = std::move(*view_);
  view_.reset();
  just_known_ = false;
  access_.pair().ForgetWaiting(KeyOf(at));
  if (cert != nullptr) view.certs[cert->path] = *cert;
  CF_ASSIGN_OR_RETURN(const std::string answer, Apply(ctx, access_, set.changes));
  auto read = ReadBack(ctx, set, answer, view);
  if (!read.ok()) {
    Error error = std::move(read).error();
    error.code = ErrorCode::kUnknownOutcome;
    error.retry = Retry::kBackoff;
    return error;
  }
  // Finishing what an earlier call began: it may have come into sync since.
  if (set.changes.empty()) CF_RETURN_IF_ERROR(access_.SyncState(ctx, true));
  CF_RETURN_IF_ERROR(access_.SaveAndSync(ctx, !set.changes.empty()));
  access_.pair().NoteWaiting(KeyOf(at), std::make_shared<const View>(view), ctx.clock.Steady());
  view_ = std::move(view);
  just_known_ = true;
  return {};
}

Result<void> F5Target::Activate(const Context& ctx, const Binding& at,
                                const seams::StagedRef& which) {
  CF_RETURN_IF_ERROR(CheckVersion(which.version));
  const std::string owner = OwnerOf(at);
  CF_ASSIGN_OR_RETURN(const View* view, Look(ctx, at));
  CF_RETURN_IF_ERROR(RequireActive(ctx));
  if (which.reverting && !which.way_back.empty()) {
    CF_ASSIGN_OR_RETURN(const ChangeSet set, PlanReturn(*view, which.way_back, owner));
    return Switch(ctx, at, set, nullptr);
  }
  CF_ASSIGN_OR_RETURN(const Installed installed, Installation(ctx, owner, which.version));
  CF_ASSIGN_OR_RETURN(const ChangeSet set, PlanSwitch(*view, installed.objects, owner));
  return Switch(ctx, at, set, &installed.cert);
}

Result<void> F5Target::Deactivate(const Context& ctx, const Binding& at,
                                  const seams::WayBack& way_back) {
  CF_ASSIGN_OR_RETURN(const View* view, Look(ctx, at));
  CF_RETURN_IF_ERROR(RequireActive(ctx));
  CF_ASSIGN_OR_RETURN(const ChangeSet set, PlanReturn(*view, way_back, OwnerOf(at)));
  return Switch(ctx, at, set, nullptr);
}

// The device itself refuses to remove what is in use, wherever it is used.
Result<void> F5Target::Prune(const Context& ctx, const Binding& at, const seams::KeepList& keep) {
  const std::string owner = OwnerOf(at);
  CF_ASSIGN_OR_RETURN(auto keys, ListOwned(ctx, access_, FileKind::kKey, owner));
  std::sort(keys.begin(), keys.end(),
            [](const Owned& a, const Owned& b) { return a.file.created > b.file.created; });
  CF_ASSIGN_OR_RETURN(const View* view, Look(ctx, at));
  const std::string active = StateOf(*view, owner, "").active;
  std::erase_if(keys, [&](const Owned& owned) {
    const auto& kept = keep.versions;
    const std::string& version = owned.origin.version;
    return version == active || std::find(kept.begin(), kept.end(), version) != kept.end();
  });
  const auto spared = static_cast<std::size_t>(access_.settings().keep);
  if (keys.size() <= spared) return {};
  return Remove(ctx, std::span(keys).subspan(spared));
}

Result<void> F5Target::Remove(const Context& ctx, std::span<const Owned> keys) {
  CF_RETURN_IF_ERROR(RequireActive(ctx));
  CF_RETURN_IF_ERROR(access_.SyncState(ctx, true));
  CF_RETURN_IF_ERROR(RequireOwnChanges(ctx));
  bool removed = false;
  for (const Owned& owned : keys) {
    CF_ASSIGN_OR_RETURN(const bool gone, DeleteVersion(ctx, access_, owned.file.path));
    removed |= gone;
    staged_.erase(owned.origin.version);
  }
  return removed ? access_.SaveAndSync(ctx, true) : Result<void>();
}

// A pair that is synced by hand would wait with these objects in its way: the next deployment could
// not tell them from what somebody else has changed.
Result<void> F5Target::Discard(const Context& ctx, const Binding& at, const std::string& version) {
  CF_RETURN_IF_ERROR(CheckVersion(version));
  CF_ASSIGN_OR_RETURN(auto keys, ListOwned(ctx, access_, FileKind::kKey, OwnerOf(at)));
  std::erase_if(keys, [&version](const Owned& key) { return key.origin.version != version; });
  return keys.empty() ? Result<void>() : Remove(ctx, keys);
}

}  // namespace

F5Targets::F5Targets(net::HttpClient& http) : devices_(std::make_unique<Devices>(http)) {}
F5Targets::~F5Targets() = default;

Result<std::unique_ptr<seams::Target>> F5Targets::Connect(const seams::ProviderRef& target,
                                                          Login login) {
  CF_ASSIGN_OR_RETURN(Connection connection,
                      devices_->Connect(target, login.user, std::move(login.password)));
  return std::unique_ptr<seams::Target>(new F5Target(std::move(connection)));
}

Result<seams::Readiness> F5Targets::CheckReady(const Context& ctx, const seams::ProviderRef& target,
                                               Login login) {
  CF_ASSIGN_OR_RETURN(Connection connection,
                      devices_->Connect(target, login.user, std::move(login.password)));
  Access access(std::move(connection));
  CF_ASSIGN_OR_RETURN(std::string message, CheckDevice(ctx, access));
  seams::Readiness out;
  out.message = std::move(message);
  return out;
}

seams::Party F5Targets::PartyOf(const seams::ProviderRef& target) {
  return {"f5/" + PairName(target.settings)};
}

}  // namespace certflow::providers::f5
