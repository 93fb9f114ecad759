#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "providers/targets/f5/answers.h"
#include "providers/targets/f5/faults.h"
#include "providers/targets/f5/names.h"
#include "providers/targets/f5/view.h"

namespace certflow::providers::f5 {
namespace {

void Require(bool holds) {
  if (!holds) __builtin_trap();
}

// What is said to people is short and one line, whatever the device wrote.
void CheckMessage(const Error& error) {
  Require(error.message.size() < 4096 && error.message.find_first_of("\r\n") == error.message.npos);
}

// What a profile holds is recorded before a switch, and comes back from the record.
void CheckRecord(Side side, const std::optional<SslProfile>& profile) {
  if (!profile) return;
  View view;
  Slot slot;
  slot.side = side;
  slot.profile = profile->path;
  slot.exists = true;
  slot.entries = profile->entries;
  view.slots.push_back(slot);
  const auto record = RecordOf(WayBackOf(view), slot);
  Require(record && !record->absent && record->entries.size() == slot.entries.size());
  for (std::size_t i = 0; i < slot.entries.size(); ++i) {
    ChainEntry wanted = slot.entries[i];
    wanted.passphrase = false;
    Require(record->entries[i] == wanted);
  }
}

void CheckErrors(const std::string& body) {
  for (const int status : {400, 401, 404, 409, 500, 503}) {
    net::HttpResponse response;
    response.status = status;
    response.body = body;
    CheckMessage(ErrorOfAnswer(response, {true, false}));
    CheckMessage(ErrorOfAnswer(response, {false, true}));
    CheckMessage(ErrorOfLogin(response));
    (void)IsTokenRefused(response);
  }
}

}  // namespace

// What a BIG-IP answers, or whatever is at its address.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  (void)ParseLogin(text);
  (void)ParseTokenLife(text);
  (void)ParseDevices(text);
  (void)ParseDeviceGroups(text);
  if (const auto sync = ParseSyncStatus(text)) (void)StatusOfGroup(*sync, "/Common/dg");
  if (const auto server = ParseVirtualServer(text))
    Require(server->port >= 0 && server->port < 65536);
  if (const auto page = ParseVirtualServers(text)) Require(page->items.size() <= kMaxItems);
  CheckRecord(Side::kClient, ParseClientProfile(text));
  CheckRecord(Side::kServer, ParseServerProfile(text));
  if (const auto file = ParseFileObject(text)) {
    if (const auto origin = OriginOf(file->source)) {
      const auto again = OriginOf(UploadName(*origin, ".crt"));
      Require(again && again->owner == origin->owner && again->version == origin->version);
    }
  }
  (void)ParseFileObjects(text);
  (void)ParseTransaction(text);
  (void)ParseCommandResult(text);
  (void)ParseRecord(text);
  CheckErrors(text);
  return 0;
}

}  // namespace certflow::providers::f5
