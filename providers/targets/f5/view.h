#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/seams/target.h"
#include "providers/targets/f5/access.h"
#include "providers/targets/f5/names.h"

namespace certflow::providers::f5 {

// A virtual server that uses a profile.
struct Listener {
  std::string virtual_server, address;
  int port = 0;
};

// One profile of a binding as it is on the device.
struct Slot {
  Side side = Side::kClient;
  std::string profile;  // full path
  bool exists = false;
  bool attached = true;  // to the virtual server, where there is one
  std::string virtual_server, address;
  int port = 0;
  std::vector<Listener> used_by;     // of a profile by its name: all that use it
  std::optional<NewProfile> create;  // ours to make and to take away
  std::string server_name;
  bool inherits = false;
  std::vector<ChainEntry> entries;  // empty where it does not exist or is not attached
};

// Everything of a binding, read in one go from the active unit.
struct View {
  std::vector<Slot> slots;
  std::map<std::string, FileObject> certs;  // those that the entries name
  std::vector<std::string> notes;           // for people; nothing is stopped by them

  const FileObject* Cert(const ChainEntry& entry) const;
  // Whose the entry's certificate is; empty for what certflow did not make.
  std::optional<Origin> OriginOf(const ChainEntry& entry) const;
  std::string Fingerprint(const ChainEntry& entry) const;
  bool IsRsa(const ChainEntry& entry) const;
  // The entry that belongs to `owner`; null for none.
  const ChainEntry* Own(const Slot& slot, std::string_view owner) const;
};

// Errors: kNotFound "VirtualServerMissing", "ProfileMissing"; kInvalid "ProfileAmbiguous".
Result<View> ReadView(const Context& ctx, Access& access, const std::vector<Place>& places);
// One profile and the certificates in it, into the view.
Result<void> ReadSlot(const Context& ctx, Access& access, Slot& slot, View& view);
// A profile's answer, into the slot; and the certificates that it names and the view does not have.
Result<void> TakeProfile(std::string_view body, Slot& slot);
Result<void> ReadCerts(const Context& ctx, Access& access, const Slot& slot, View& view);
std::string ProfileUrl(const Slot& slot);

// What the view says in the words of the seam.
seams::TargetState StateOf(const View& view, std::string_view owner, std::string_view device);
seams::WayBack WayBackOf(const View& view);
// The record of a slot; std::nullopt where there is none. `absent`: nothing stood there.
struct Record {
  bool absent = false;
  std::vector<ChainEntry> entries;
};
std::optional<Record> RecordOf(const seams::WayBack& way_back, const Slot& slot);
std::optional<Record> ParseRecord(std::string_view text);

}  // namespace certflow::providers::f5
