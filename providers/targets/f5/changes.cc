#include "providers/targets/f5/changes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/kube/document_json.h"

namespace certflow::providers::f5 {
namespace {

using nlohmann::json;

constexpr Duration kCommitLimit{120'000};
constexpr std::string_view kNone = "none";

json EntryJson(const ChainEntry& entry, bool with_name) {
  json out = {{"cert", entry.cert}, {"key", entry.key}};
  if (with_name) out["name"] = entry.name;
  out["chain"] = entry.chain.empty() ? std::string(kNone) : entry.chain;
  return out;
}

// A client-side profile takes the whole array, a server-side one three scalars.
json EntriesJson(const Slot& slot, const std::vector<ChainEntry>& entries) {
  if (slot.side == Side::kServer) {
    if (entries.empty()) return {{"cert", kNone}, {"key", kNone}, {"chain", kNone}};
    return EntryJson(entries.front(), false);
  }
  json array = json::array();
  for (const ChainEntry& entry : entries) array.push_back(EntryJson(entry, true));
  return {{"certKeyChain", std::move(array)}};
}

bool SameEntries(const std::vector<ChainEntry>& a, const std::vector<ChainEntry>& b) {
  return a.size() == b.size() && std::is_permutation(a.begin(), a.end(), b.begin());
}

// The one that the version replaces: our own, else the one of the same key type.
const ChainEntry* ReplacedBy(const View& view, const Slot& slot, const VersionObjects& objects,
                             std::string_view owner) {
  if (const ChainEntry* own = view.Own(slot, owner)) return own;
  if (slot.side == Side::kServer) return slot.entries.empty() ? nullptr : &slot.entries.front();
  for (const ChainEntry& entry : slot.entries) {
    if (view.IsRsa(entry) == objects.rsa) return &entry;
  }
  return nullptr;
}

std::vector<ChainEntry> EntriesWith(const View& view, const Slot& slot,
                                    const VersionObjects& objects, std::string_view owner) {
  const ChainEntry* replaced = ReplacedBy(view, slot, objects, owner);
  ChainEntry ours{"certflow_" + std::string(owner), objects.cert, objects.key, objects.chain,
                  false};
  if (slot.side == Side::kServer) ours.name.clear();
  std::vector<ChainEntry> out;
  for (const ChainEntry& entry : slot.entries) {
    if (&entry == replaced) {
      ours.name = entry.name;
      out.push_back(ours);
    } else {
      out.push_back(entry);
    }
  }
  if (replaced == nullptr) out.push_back(ours);
  return out;
}

// What others have changed in the profile since stays: ours goes out, and what is recorded and not
// there under its name comes in.
std::vector<ChainEntry> EntriesBefore(const View& view, const Slot& slot, const Record& record,
                                      std::string_view owner) {
  if (slot.side == Side::kServer) return record.entries;
  const ChainEntry* own = view.Own(slot, owner);
  std::vector<ChainEntry> out;
  for (const ChainEntry& entry : slot.entries) {
    if (&entry != own) out.push_back(entry);
  }
  for (const ChainEntry& entry : record.entries) {
    const bool there = std::any_of(out.begin(), out.end(), [&entry](const ChainEntry& other) {
      return other.name == entry.name;
    });
    if (!there) out.push_back(entry);
  }
  return out;
}

Error OwnedByOther(const Slot& slot) {
  return MakeError(ErrorCode::kForbidden, "ProfileOwnedByOther",
                   "profile " + slot.profile +
                       " holds a certificate of another workflow: take it out of that workflow, "
                       "or put another certificate into the profile first");
}

std::string AttachUrl(const Slot& slot) {
  return "/mgmt/tm/ltm/virtual/" + UrlId(slot.virtual_server) + "/profiles";
}

void AddCreation(const Slot& slot, const std::vector<ChainEntry>& entries,
                 std::vector<Change>& to) {
  json body = EntriesJson(slot, entries);
  body["name"] = LeafOf(slot.profile);
  body["partition"] = slot.profile.substr(1, slot.profile.rfind('/') - 1);
  const NewProfile made = slot.create.value_or(NewProfile{});
  const bool client = slot.side == Side::kClient;
  body["defaultsFrom"] = !made.parent.empty() ? made.parent
                         : client             ? "/Common/clientssl"
                                              : "/Common/serverssl";
  if (!slot.server_name.empty()) body["serverName"] = slot.server_name;
  body["sniDefault"] = made.sni_default ? "true" : "false";
  to.push_back({"profile " + slot.profile, "POST",
                client ? "/mgmt/tm/ltm/profile/client-ssl" : "/mgmt/tm/ltm/profile/server-ssl",
                kube::Dump(body)});
}

void AddAttachment(const Slot& slot, std::vector<Change>& to) {
  const json body = {{"name", slot.profile},
                     {"context", slot.side == Side::kClient ? "clientside" : "serverside"}};
  to.push_back({"profile of " + slot.virtual_server, "POST", AttachUrl(slot), kube::Dump(body)});
}

void AddRemoval(const Slot& slot, std::vector<Change>& to) {
  if (slot.attached) {
    to.push_back({"profile of " + slot.virtual_server, "DELETE",
                  AttachUrl(slot) + "/" + UrlId(slot.profile)});
  }
  to.push_back({"profile " + slot.profile, "DELETE", ProfileUrl(slot)});
}

// Profiles that several virtual servers share are written once.
bool IsPlanned(const std::vector<Change>& changes, const std::string& path) {
  return std::any_of(changes.begin(), changes.end(),
                     [&path](const Change& change) { return change.path == path; });
}

void AddEntries(const Slot& slot, const std::vector<ChainEntry>& entries, ChangeSet& to) {
  const std::string path = ProfileUrl(slot);
  if (!SameEntries(slot.entries, entries) && !IsPlanned(to.changes, path)) {
    to.changes.push_back(
        {"profile " + slot.profile, "PATCH", path, kube::Dump(EntriesJson(slot, entries))});
  }
  Slot wanted = slot;
  wanted.entries = entries;
  to.wanted.push_back(std::move(wanted));
}

Result<void> Queue(const Context& ctx, Access& access, const Change& change, std::int64_t id) {
  Call call{change.what, change.path, change.method, change.body};
  call.transaction = id;
  auto queued = access.Do(ctx, call);
  if (queued.ok()) return {};
  Error error = std::move(queued).error();
  // Nothing is carried out before the commit.
  if (error.code == ErrorCode::kUnknownOutcome) {
    error = MakeError(ErrorCode::kUnavailable, error.reason, error.message);
  }
  return error;
}

Result<void> Commit(const Context& ctx, Access& access, std::int64_t id) {
  Call call{"transaction", "/mgmt/tm/transaction/" + std::to_string(id), "PATCH",
            R"({"state":"VALIDATING"})"};
  call.limit = kCommitLimit;
  CF_ASSIGN_OR_RETURN(const std::string body, access.Do(ctx, call));
  const auto done = ParseTransaction(body);
  if (done && done->state == "COMPLETED") return {};
  return MakeError(ErrorCode::kUnknownOutcome, "TransactionOpen",
                   "transaction: the device did not say that it is completed");
}

}  // namespace

Result<void> CheckSwitch(const View& view, const VersionObjects& objects, std::string_view owner) {
  for (const Slot& slot : view.slots) {
    const ChainEntry* replaced = ReplacedBy(view, slot, objects, owner);
    if (replaced != nullptr) {
      const auto origin = view.OriginOf(*replaced);
      if (origin && origin->owner != owner) return OwnedByOther(slot);
    }
    for (const ChainEntry& entry : slot.entries) {
      if (!entry.passphrase) continue;
      return MakeError(ErrorCode::kRefused, "PassphraseProtected",
                       "profile " + slot.profile +
                           " holds a key with a passphrase, which the device does not give out, so "
                           "that nobody could go back: use a profile without one");
    }
    const std::string_view home = PartitionOf(objects.cert);
    if (home != "Common" && home != PartitionOf(slot.profile)) {
      return MakeError(ErrorCode::kInvalid, "PartitionMismatch",
                       "profile " + slot.profile + " cannot use certificates of partition " +
                           std::string(home) + ": set spec.f5.partition to Common or to " +
                           std::string(PartitionOf(slot.profile)));
    }
  }
  return {};
}

Result<ChangeSet> PlanSwitch(const View& view, const VersionObjects& objects,
                             std::string_view owner) {
  CF_RETURN_IF_ERROR(CheckSwitch(view, objects, owner));
  ChangeSet out;
  for (const Slot& slot : view.slots) {
    const std::vector<ChainEntry> entries = EntriesWith(view, slot, objects, owner);
    if (slot.attached) {
      AddEntries(slot, entries, out);
      continue;
    }
    Slot wanted = slot;
    if (slot.exists) {
      out.changes.push_back({"profile " + slot.profile, "PATCH", ProfileUrl(slot),
                             kube::Dump(EntriesJson(slot, entries))});
    } else {
      AddCreation(slot, entries, out.changes);
    }
    AddAttachment(slot, out.changes);
    wanted.exists = wanted.attached = true;
    wanted.entries = entries;
    out.wanted.push_back(std::move(wanted));
  }
  return out;
}

Result<ChangeSet> PlanReturn(const View& view, const seams::WayBack& way_back,
                             std::string_view owner) {
  ChangeSet out;
  for (const Slot& slot : view.slots) {
    const auto record = RecordOf(way_back, slot);
    const bool ours = view.Own(slot, owner) != nullptr;
    const bool made = slot.create && slot.exists && slot.attached && ours;
    if ((record && record->absent) || (!record && made)) {
      Slot wanted = slot;
      if (made) {
        AddRemoval(slot, out.changes);
        wanted.exists = wanted.attached = false;
        wanted.entries.clear();
      }
      out.wanted.push_back(std::move(wanted));
    } else if (!ours) {
      // Somebody else's by now, or back already.
      out.wanted.push_back(slot);
    } else if (!record) {
      return MakeError(ErrorCode::kRefused, "NothingToGoBackTo",
                       "profile " + slot.profile +
                           ": what stood there before certflow is not recorded; put a certificate "
                           "into the profile by hand");
    } else {
      AddEntries(slot, EntriesBefore(view, slot, *record, owner), out);
    }
  }
  return out;
}

Result<std::string> Apply(const Context& ctx, Access& access, const std::vector<Change>& changes) {
  if (changes.empty()) return std::string();
  access.pair().NoteChange(ctx.clock.Steady());
  if (changes.size() == 1) {
    const Change& change = changes.front();
    return access.Do(ctx, {change.what, change.path, change.method, change.body});
  }
  const Call begin{"transaction", "/mgmt/tm/transaction", "POST", "{}"};
  CF_ASSIGN_OR_RETURN(const std::string body, access.Do(ctx, begin));
  const auto begun = ParseTransaction(body);
  if (!begun) return Unreadable("transaction");
  for (const Change& change : changes) {
    CF_RETURN_IF_ERROR(Queue(ctx, access, change, begun->id));
  }
  CF_RETURN_IF_ERROR(Commit(ctx, access, begun->id));
  return std::string();
}

}  // namespace certflow::providers::f5
