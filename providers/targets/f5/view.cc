#include "providers/targets/f5/view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/kube/document_json.h"
#include "providers/targets/f5/listing.h"

namespace certflow::providers::f5 {
namespace {

using nlohmann::json;

constexpr std::string_view kClientKind = "client-ssl";
constexpr std::string_view kServerKind = "server-ssl";

std::string_view KindOf(Side side) { return side == Side::kClient ? kClientKind : kServerKind; }

bool IsMissing(const Error& error) { return error.reason == "ObjectMissing"; }

Result<VirtualServer> ReadVirtualServer(const Context& ctx, Access& access,
                                        const std::string& path) {
  const Call call{"virtual server " + path,
                  "/mgmt/tm/ltm/virtual/" + UrlId(path) + "?expandSubcollections=true"};
  auto body = access.Do(ctx, call);
  if (!body.ok() && IsMissing(body.error())) {
    return MakeError(ErrorCode::kNotFound, "VirtualServerMissing",
                     "there is no virtual server " + path + " on " + access.Address() +
                         ": correct name and partition in the workflow");
  }
  if (!body.ok()) return std::move(body).error();
  auto virtual_server = ParseVirtualServer(*body);
  if (!virtual_server) return Unreadable(call.what);
  return std::move(*virtual_server);
}

std::string CreatedPath(const Place& place) {
  return CreatedProfilePath(place.virtual_server, place.server_name, place.side == Side::kClient);
}

// The profiles of one side, read. Devices before 12.1 do not tell a profile's kind; those are not
// supported.
Result<std::vector<Slot>> ReadProfilesOf(const Context& ctx, Access& access, const Place& place,
                                         const VirtualServer& on, View& view) {
  std::vector<Slot> out;
  for (const AttachedProfile& attached : on.profiles) {
    if (attached.kind != KindOf(place.side)) continue;
    if (!place.profile.empty() && attached.path != place.profile) continue;
    Slot slot;
    slot.side = place.side;
    slot.profile = attached.path;
    slot.virtual_server = on.path;
    slot.address = on.address;
    slot.port = on.port;
    if (attached.path == CreatedPath(place)) {
      slot.create = place.create;
    }
    // Several virtual servers may share one profile.
    const auto known = std::find_if(view.slots.begin(), view.slots.end(), [&slot](const Slot& s) {
      return s.exists && s.attached && s.profile == slot.profile && s.side == slot.side;
    });
    if (known != view.slots.end()) {
      slot.exists = true;
      slot.server_name = known->server_name;
      slot.inherits = known->inherits;
      slot.entries = known->entries;
    } else {
      CF_RETURN_IF_ERROR(ReadSlot(ctx, access, slot, view));
    }
    out.push_back(std::move(slot));
  }
  return out;
}

Error Ambiguous(const Place& place, const std::vector<Slot>& slots) {
  std::string names;
  for (const Slot& slot : slots) {
    names += (names.empty() ? "" : ", ") + slot.profile;
    if (!slot.server_name.empty()) names += " (" + slot.server_name + ")";
  }
  return MakeError(ErrorCode::kInvalid, "ProfileAmbiguous",
                   "virtual server " + place.virtual_server + " has several " +
                       std::string(KindOf(place.side)) + " profiles: say which by profile or " +
                       "serverName; there are " + Sanitize(names, 400));
}

Error NoProfile(const Place& place) {
  std::string which = place.profile.empty() ? "" : " " + place.profile;
  if (!place.server_name.empty()) which = " with the server name " + place.server_name;
  return MakeError(ErrorCode::kNotFound, "ProfileMissing",
                   "virtual server " + place.virtual_server + " has no " +
                       std::string(KindOf(place.side)) + " profile" + which +
                       ": attach one, or let one be made with createProfile");
}

// Where the virtual server has none: the one that certflow makes, perhaps there already and not
// attached.
Result<Slot> ReadNewSlot(const Context& ctx, Access& access, const Place& place,
                         const VirtualServer& on, View& view) {
  Slot slot;
  slot.side = place.side;
  slot.profile = CreatedPath(place);
  slot.virtual_server = on.path;
  slot.address = on.address;
  slot.port = on.port;
  slot.create = place.create;
  slot.server_name = place.server_name;
  auto read = ReadSlot(ctx, access, slot, view);
  if (!read.ok() && read.error().reason != "ProfileMissing") return std::move(read).error();
  slot.attached = false;
  slot.entries.clear();
  return slot;
}

Result<void> AddVirtualServer(const Context& ctx, Access& access, const Place& place, View& view) {
  CF_ASSIGN_OR_RETURN(const VirtualServer on, ReadVirtualServer(ctx, access, place.virtual_server));
  CF_ASSIGN_OR_RETURN(std::vector<Slot> slots, ReadProfilesOf(ctx, access, place, on, view));
  if (!place.server_name.empty()) {
    std::erase_if(slots, [&](const Slot& s) { return s.server_name != place.server_name; });
  }
  if (slots.size() > 1) return Ambiguous(place, slots);
  if (slots.empty() && !place.create) return NoProfile(place);
  if (slots.empty()) {
    CF_ASSIGN_OR_RETURN(Slot slot, ReadNewSlot(ctx, access, place, on, view));
    slots.push_back(std::move(slot));
  }
  view.slots.push_back(std::move(slots.front()));
  return {};
}

Result<void> AddProfile(const Context& ctx, Access& access, const Place& place, View& view) {
  Slot slot;
  slot.side = place.side;
  slot.profile = place.profile;
  CF_RETURN_IF_ERROR(ReadSlot(ctx, access, slot, view));
  view.slots.push_back(std::move(slot));
  return {};
}

void NoteUsers(Slot& slot, const VirtualServerList& list, View& view) {
  const auto users = UsersOf(list, slot.profile, KindOf(slot.side));
  for (const VirtualServer* user : users) {
    slot.used_by.push_back({user->path, user->address, user->port});
  }
  const std::string what = "profile " + slot.profile;
  if (!list.complete) {
    view.notes.push_back(what + ": the device has more than " + std::to_string(kMaxVirtualServers) +
                         " virtual servers; which of the others use it is not looked up");
  } else if (users.empty()) {
    view.notes.push_back("no virtual server uses " + what +
                         " itself: nobody is served what is put into it, unless another profile "
                         "inherits from it");
  } else if (users.size() > seams::kMaxPlacements) {
    view.notes.push_back(std::to_string(users.size()) + " virtual servers use " + what + "; " +
                         std::to_string(seams::kMaxPlacements) + " of them are recorded");
  }
}

// Which virtual servers use the profiles that are given by name. It is for people: a device that
// will not tell is worked on all the same.
Result<void> AddUsers(const Context& ctx, Access& access, View& view) {
  const auto by_name = [](const Slot& slot) { return slot.virtual_server.empty(); };
  if (std::none_of(view.slots.begin(), view.slots.end(), by_name)) return {};
  auto list = ListVirtualServers(ctx, access);
  if (!list.ok() && list.error().retry != Retry::kNever) return std::move(list).error();
  if (!list.ok()) {
    view.notes.push_back("which virtual servers use the profiles is not known: " +
                         list.error().message);
    return {};
  }
  for (Slot& slot : view.slots) {
    if (by_name(slot)) NoteUsers(slot, **list, view);
  }
  return {};
}

Result<void> ReadCert(const Context& ctx, Access& access, const std::string& path, View& view) {
  if (view.certs.contains(path)) return {};
  CF_ASSIGN_OR_RETURN(
      const std::string body,
      access.Do(ctx, {"certificate " + path, "/mgmt/tm/sys/file/ssl-cert/" + UrlId(path)}));
  auto file = ParseFileObject(body);
  if (!file) return Unreadable("certificate " + path);
  view.certs[path] = std::move(*file);
  return {};
}

// The version that stands in a slot; empty for nothing.
std::string VersionIn(const View& view, const Slot& slot, std::string_view owner) {
  if (const ChainEntry* own = view.Own(slot, owner)) return view.OriginOf(*own)->version;
  if (slot.entries.empty()) return {};
  const std::string fingerprint = view.Fingerprint(slot.entries.front());
  if (!fingerprint.empty()) return seams::OriginalVersion(fingerprint);
  const FileObject* cert = view.Cert(slot.entries.front());
  return seams::OriginalVersion(
      Sha256Hex(cert == nullptr ? slot.entries.front().cert : cert->checksum));
}

std::string RecordKey(const Slot& slot) { return std::string(KindOf(slot.side)) + slot.profile; }

seams::Placement PlacementOf(const Slot& slot, const Listener& on, std::string_view device) {
  seams::Placement out;
  out.device = device;
  out.address = on.address;
  out.port = on.port;
  out.virtual_host = on.virtual_server;
  out.server_name = slot.server_name;
  out.side = SideName(slot.side);
  out.profile = slot.profile;
  return out;
}

void AddPlacements(const Slot& slot, std::string_view device, std::vector<seams::Placement>& to) {
  std::vector<Listener> on = slot.used_by;
  if (on.empty()) on.push_back({slot.virtual_server, slot.address, slot.port});
  for (const Listener& listener : on) {
    if (to.size() == seams::kMaxPlacements) return;
    to.push_back(PlacementOf(slot, listener, device));
  }
}

}  // namespace

const FileObject* View::Cert(const ChainEntry& entry) const {
  const auto found = certs.find(entry.cert);
  return found == certs.end() ? nullptr : &found->second;
}

std::optional<Origin> View::OriginOf(const ChainEntry& entry) const {
  const FileObject* cert = Cert(entry);
  return cert == nullptr ? std::nullopt : f5::OriginOf(cert->source);
}

// Versions before 14 do not tell it: there it is known of what certflow put there, by the name of
// the file that the object was made of.
std::string View::Fingerprint(const ChainEntry& entry) const {
  const FileObject* cert = Cert(entry);
  if (cert == nullptr) return {};
  if (!cert->fingerprint.empty()) return cert->fingerprint;
  const auto origin = f5::OriginOf(cert->source);
  return origin ? origin->fingerprint : std::string();
}

bool View::IsRsa(const ChainEntry& entry) const {
  const FileObject* cert = Cert(entry);
  return cert != nullptr && cert->key_type.starts_with("rsa");
}

const ChainEntry* View::Own(const Slot& slot, std::string_view owner) const {
  for (const ChainEntry& entry : slot.entries) {
    const auto origin = OriginOf(entry);
    if (origin && origin->owner == owner) return &entry;
  }
  return nullptr;
}

std::string ProfileUrl(const Slot& slot) {
  return "/mgmt/tm/ltm/profile/" + std::string(KindOf(slot.side)) + "/" + UrlId(slot.profile);
}

Result<void> TakeProfile(std::string_view body, Slot& slot) {
  auto profile = slot.side == Side::kClient ? ParseClientProfile(body) : ParseServerProfile(body);
  if (!profile || profile->path != slot.profile) return Unreadable("profile " + slot.profile);
  slot.exists = true;
  slot.server_name = profile->server_name;
  slot.inherits = profile->inherits;
  slot.entries = std::move(profile->entries);
  return {};
}

Result<void> ReadSlot(const Context& ctx, Access& access, Slot& slot, View& view) {
  auto body = access.Do(ctx, {"profile " + slot.profile, ProfileUrl(slot)});
  if (!body.ok() && IsMissing(body.error())) {
    return MakeError(ErrorCode::kNotFound, "ProfileMissing",
                     "there is no " + std::string(KindOf(slot.side)) + " profile " + slot.profile +
                         " on " + access.Address() +
                         ": correct name and partition in the workflow");
  }
  if (!body.ok()) return std::move(body).error();
  CF_RETURN_IF_ERROR(TakeProfile(*body, slot));
  return ReadCerts(ctx, access, slot, view);
}

Result<void> ReadCerts(const Context& ctx, Access& access, const Slot& slot, View& view) {
  for (const ChainEntry& entry : slot.entries) {
    CF_RETURN_IF_ERROR(ReadCert(ctx, access, entry.cert, view));
  }
  return {};
}

Result<View> ReadView(const Context& ctx, Access& access, const std::vector<Place>& places) {
  View view;
  for (const Place& place : places) {
    CF_RETURN_IF_ERROR(place.virtual_server.empty() ? AddProfile(ctx, access, place, view)
                                                    : AddVirtualServer(ctx, access, place, view));
  }
  CF_RETURN_IF_ERROR(AddUsers(ctx, access, view));
  return view;
}

seams::TargetState StateOf(const View& view, std::string_view owner, std::string_view device) {
  seams::TargetState state;
  std::vector<std::string> versions, fingerprints;
  state.notes = view.notes;
  for (const Slot& slot : view.slots) {
    AddPlacements(slot, device, state.placements);
    versions.push_back(VersionIn(view, slot, owner));
    const ChainEntry* shown = view.Own(slot, owner);
    if (shown == nullptr && !slot.entries.empty()) shown = &slot.entries.front();
    fingerprints.push_back(shown == nullptr ? "" : view.Fingerprint(*shown));
  }
  const auto all_equal = [](const std::vector<std::string>& list) {
    return std::adjacent_find(list.begin(), list.end(), std::not_equal_to<>()) == list.end();
  };
  if (versions.empty()) return state;
  if (all_equal(fingerprints)) state.fingerprint = fingerprints.front();
  if (all_equal(versions)) {
    state.active = versions.front();
  } else {
    // A mixture is something that stood there before, too; it is named by all that is in it.
    std::string all;
    for (const std::string& version : versions) all += version + "\n";
    state.active = seams::OriginalVersion(Sha256Hex(all));
    state.fingerprint.clear();
  }
  if (!state.active.empty()) state.staged.push_back(state.active);
  return state;
}

seams::WayBack WayBackOf(const View& view) {
  seams::WayBack out;
  for (const Slot& slot : view.slots) {
    json record = json::object();
    if (!slot.exists || !slot.attached) {
      record["absent"] = true;
    } else {
      record["entries"] = json::array();
      for (const ChainEntry& entry : slot.entries) {
        json item = {{"name", entry.name}, {"cert", entry.cert}, {"key", entry.key}};
        if (!entry.chain.empty()) item["chain"] = entry.chain;
        record["entries"].push_back(std::move(item));
      }
    }
    out[RecordKey(slot)] = kube::Dump(record);
  }
  return out;
}

std::optional<Record> ParseRecord(std::string_view text) {
  const json from = json::parse(text, nullptr, false);
  if (!from.is_object()) return std::nullopt;
  Record record;
  record.absent = from.value("absent", json(false)) == json(true);
  const auto entries = from.find("entries");
  if (record.absent || entries == from.end() || !entries->is_array()) {
    return record.absent ? std::optional<Record>(record) : std::nullopt;
  }
  const auto text_of = [](const json& item, const char* name) {
    const auto found = item.find(name);
    return found != item.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  for (const json& item : *entries) {
    if (!item.is_object()) return std::nullopt;
    record.entries.push_back({text_of(item, "name"), text_of(item, "cert"), text_of(item, "key"),
                              text_of(item, "chain"), false});
  }
  return record;
}

std::optional<Record> RecordOf(const seams::WayBack& way_back, const Slot& slot) {
  const auto found = way_back.find(RecordKey(slot));
  return found == way_back.end() ? std::nullopt : ParseRecord(found->second);
}

}  // namespace certflow::providers::f5
