#include "providers/targets/f5/answers.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>

#include "controller/pki/certificate.h"
#include "providers/targets/f5/names.h"

namespace certflow::providers::f5 {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxText = 2048;
constexpr std::size_t kMaxToken = 4096;
constexpr std::size_t kMaxDetails = 64;
constexpr std::size_t kMaxEntries = 16;
constexpr int kMaxDepth = 24;
constexpr std::int64_t kMicrosPerMilli = 1000;
constexpr std::int64_t kMaxTokenSeconds = 36'000;
constexpr std::size_t kCodeDigits = 8;

// nlohmann's parser does not recurse, but the walkers below do.
json Parse(std::string_view body) {
  json parsed = json::parse(
      body, [](int depth, json::parse_event_t, json&) { return depth <= kMaxDepth; }, false);
  return parsed.is_object() ? parsed : json();
}

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return {};
  return found->get_ref<const std::string&>().substr(0, kMaxText);
}

// A reference, where "none" stands for nothing.
std::string Path(const json& object, const char* name) {
  std::string path = Text(object, name);
  return path == "none" ? std::string() : path;
}

bool Says(const json& object, const char* name, std::string_view word) {
  return Text(object, name) == word;
}

std::optional<std::int64_t> Number(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<std::int64_t>();
}

// The items of a collection: a list that may be absent where there is nothing in it.
template <typename T>
std::optional<std::vector<T>> ItemsOf(const json& parsed,
                                      const std::function<std::optional<T>(const json&)>& read) {
  if (!Text(parsed, "kind").ends_with("collectionstate")) return std::nullopt;
  std::vector<T> out;
  const auto items = parsed.find("items");
  if (items == parsed.end()) return out;
  if (!items->is_array()) return std::nullopt;
  for (const json& item : *items) {
    if (out.size() == kMaxItems) break;
    if (!item.is_object()) return std::nullopt;
    auto value = read(item);
    if (!value) return std::nullopt;
    out.push_back(std::move(*value));
  }
  return out;
}

template <typename T>
std::optional<std::vector<T>> Items(std::string_view body,
                                    const std::function<std::optional<T>(const json&)>& read) {
  return ItemsOf(Parse(body), read);
}

// A link ends in ".../client-ssl/~Common~www?ver=13.1.0"; the host in it is never used.
std::string KindOfLink(std::string_view link) {
  link = link.substr(0, link.find('?'));
  const std::size_t last = link.rfind('/');
  if (last == link.npos) return {};
  link = link.substr(0, last);
  return std::string(link.substr(link.rfind('/') + 1));
}

// "/Common/10.10.10.10:443", "/Common/2001:db8::1.443", "/Common/10.10.10.10%1:443".
void ReadDestination(std::string_view destination, VirtualServer& into) {
  destination = destination.substr(destination.rfind('/') + 1);
  const bool six = std::count(destination.begin(), destination.end(), ':') > 1;
  const std::size_t mark = destination.rfind(six ? '.' : ':');
  if (mark == destination.npos) return;
  const std::string_view port = destination.substr(mark + 1);
  std::from_chars(port.data(), port.data() + port.size(), into.port);
  if (into.port < 0 || into.port > 65535) into.port = 0;
  const std::string_view address = destination.substr(0, mark);
  into.address = address.substr(0, address.find('%'));
}

std::optional<VirtualServer> ReadVirtualServer(const json& from) {
  VirtualServer out;
  out.path = Text(from, "fullPath");
  if (out.path.empty()) return std::nullopt;
  ReadDestination(Text(from, "destination"), out);
  const auto reference = from.find("profilesReference");
  if (reference == from.end() || !reference->is_object()) return out;
  const auto items = reference->find("items");
  if (items == reference->end() || !items->is_array()) return out;
  for (const json& item : *items) {
    if (!item.is_object() || out.profiles.size() == kMaxItems) return std::nullopt;
    AttachedProfile profile;
    profile.path = Text(item, "fullPath");
    const auto name = item.find("nameReference");
    if (name != item.end() && name->is_object()) profile.kind = KindOfLink(Text(*name, "link"));
    out.profiles.push_back(std::move(profile));
  }
  return out;
}

ChainEntry ReadEntry(const json& from) {
  ChainEntry entry{Text(from, "name"), Path(from, "cert"), Path(from, "key"), Path(from, "chain"),
                   false};
  entry.passphrase = !Path(from, "passphrase").empty();
  return entry;
}

std::optional<SslProfile> ReadProfile(const json& from, std::string_view kind) {
  if (Text(from, "kind") != kind) return std::nullopt;
  SslProfile profile;
  profile.path = Text(from, "fullPath");
  profile.server_name = Path(from, "serverName");
  if (profile.path.empty()) return std::nullopt;
  return profile;
}

std::optional<FileObject> ReadFileObject(const json& from) {
  FileObject file;
  file.path = Text(from, "fullPath");
  if (file.path.empty()) return std::nullopt;
  file.checksum = Text(from, "checksum");
  file.fingerprint = pki::ReadFingerprint(Text(from, "fingerprint"));
  file.key_type = Text(from, "keyType");
  file.source = Path(from, "sourcePath");
  file.created = Text(from, "createTime");
  return file;
}

// Statistics nest each value as {"entries":{KEY:{"nestedStats":{"entries":{...}}}}}, and a value is
// {"description": text}. Calls `visit` with every value's key and text, in the device's order.
void Walk(const json& node,
          const std::function<void(const std::string&, const std::string&)>& visit, int depth = 0) {
  const auto entries = node.find("entries");
  if (entries == node.end() || !entries->is_object() || depth > kMaxDepth) return;
  for (const auto& [key, value] : entries->items()) {
    if (!value.is_object()) continue;
    if (value.contains("description")) visit(key, Text(value, "description"));
    const auto nested = value.find("nestedStats");
    if (nested != value.end() && nested->is_object()) Walk(*nested, visit, depth + 1);
  }
}

bool IsCode(std::string_view text) {
  return text.size() > kCodeDigits && text[kCodeDigits] == ':' &&
         std::all_of(text.begin(), text.begin() + kCodeDigits,
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::optional<Login> ParseLogin(std::string_view body) {
  json parsed = Parse(body);
  const auto token = parsed.find("token");
  if (token == parsed.end() || !token->is_object()) return std::nullopt;
  const auto value = token->find("token");
  const auto seconds = Number(*token, "timeout");
  if (value == token->end() || !value->is_string() || !seconds || *seconds < 1) return std::nullopt;
  auto& text = value->get_ref<std::string&>();
  // It goes into a header and a path.
  const bool plain = !text.empty() && text.size() <= kMaxToken &&
                     std::all_of(text.begin(), text.end(),
                                 [](unsigned char c) { return std::isalnum(c) || c == '-'; });
  if (!plain) return std::nullopt;
  Login login{SecretBytes::Take(std::move(text)),
              std::chrono::seconds(std::min(*seconds, kMaxTokenSeconds))};
  return login;
}

std::optional<Duration> ParseTokenLife(std::string_view body) {
  const json parsed = Parse(body);
  const auto until = Number(parsed, "expirationMicros");
  const auto now = Number(parsed, "lastUpdateMicros");
  if (!until || !now || *until <= *now || *now < 0) return std::nullopt;
  const Duration life((*until - *now) / kMicrosPerMilli);
  return std::min<Duration>(life, std::chrono::seconds(kMaxTokenSeconds));
}

std::optional<std::vector<DeviceItem>> ParseDevices(std::string_view body) {
  return Items<DeviceItem>(body, [](const json& item) -> std::optional<DeviceItem> {
    DeviceItem device{Text(item, "name"), Text(item, "failoverState"), Text(item, "version"),
                      Says(item, "selfDevice", "true")};
    if (device.name.empty()) return std::nullopt;
    return device;
  });
}

std::optional<std::vector<DeviceGroup>> ParseDeviceGroups(std::string_view body) {
  return Items<DeviceGroup>(body, [](const json& item) -> std::optional<DeviceGroup> {
    DeviceGroup group{Text(item, "fullPath"), Says(item, "type", "sync-failover"),
                      Says(item, "autoSync", "enabled")};
    if (group.path.empty()) group.path = Text(item, "name");
    if (group.path.empty()) return std::nullopt;
    return group;
  });
}

std::optional<SyncStatus> ParseSyncStatus(std::string_view body) {
  const json parsed = Parse(body);
  if (!parsed.is_object()) return std::nullopt;
  SyncStatus sync;
  Walk(parsed, [&sync](const std::string& key, const std::string& text) {
    if (key == "mode") sync.mode = text;
    if (key == "status" && sync.status.empty()) sync.status = text;
    if (key == "details" && sync.details.size() < kMaxDetails) sync.details.push_back(text);
  });
  if (sync.status.empty()) return std::nullopt;
  return sync;
}

std::string StatusOfGroup(const SyncStatus& sync, std::string_view group) {
  bool named = false;
  for (const std::string_view line : sync.details) {
    const std::size_t open = line.find(" (");
    const std::size_t close = line.find("): ");
    if (open == line.npos || close == line.npos || close < open) continue;
    named = true;
    if (LeafOf(line.substr(0, open)) == LeafOf(group)) {
      return std::string(line.substr(open + 2, close - open - 2));
    }
  }
  // Only other groups are named: it is one of those that is not in sync.
  return named ? "In Sync" : sync.status;
}

std::optional<VirtualServer> ParseVirtualServer(std::string_view body) {
  const json parsed = Parse(body);
  if (Text(parsed, "kind") != "tm:ltm:virtual:virtualstate") return std::nullopt;
  return ReadVirtualServer(parsed);
}

// The last page of a list has no link to a next one; nor has a list that is not paged, and that one
// may be longer than what is read of it.
std::optional<VirtualServerPage> ParseVirtualServers(std::string_view body) {
  const json parsed = Parse(body);
  auto items = ItemsOf<VirtualServer>(parsed, &ReadVirtualServer);
  if (!items) return std::nullopt;
  const bool cut = !items->empty() && parsed["items"].size() > items->size();
  return VirtualServerPage{std::move(*items), cut || !Text(parsed, "nextLink").empty()};
}

std::optional<SslProfile> ParseClientProfile(std::string_view body) {
  const json parsed = Parse(body);
  auto profile = ReadProfile(parsed, "tm:ltm:profile:client-ssl:client-sslstate");
  if (!profile) return std::nullopt;
  profile->inherits = Says(parsed, "inheritCertkeychain", "true");
  const auto chain = parsed.find("certKeyChain");
  if (chain == parsed.end()) return profile;
  if (!chain->is_array()) return std::nullopt;
  for (const json& item : *chain) {
    if (!item.is_object() || profile->entries.size() == kMaxEntries) return std::nullopt;
    profile->entries.push_back(ReadEntry(item));
  }
  return profile;
}

std::optional<SslProfile> ParseServerProfile(std::string_view body) {
  const json parsed = Parse(body);
  auto profile = ReadProfile(parsed, "tm:ltm:profile:server-ssl:server-sslstate");
  if (!profile) return std::nullopt;
  ChainEntry entry = ReadEntry(parsed);
  entry.name.clear();
  if (!entry.cert.empty()) profile->entries.push_back(std::move(entry));
  return profile;
}

std::optional<FileObject> ParseFileObject(std::string_view body) {
  return ReadFileObject(Parse(body));
}

std::optional<std::vector<FileObject>> ParseFileObjects(std::string_view body) {
  return Items<FileObject>(body, &ReadFileObject);
}

std::optional<Transaction> ParseTransaction(std::string_view body) {
  const json parsed = Parse(body);
  const auto id = Number(parsed, "transId");
  if (!id || *id <= 0) return std::nullopt;
  return Transaction{*id, Text(parsed, "state")};
}

Error Unreadable(std::string_view what) {
  return MakeError(ErrorCode::kUnavailable, "AnswerUnreadable",
                   std::string(what) + ": this is no answer of iControl REST");
}

std::string ParseCommandResult(std::string_view body) { return Text(Parse(body), "commandResult"); }

Fault ParseFault(std::string_view body) {
  const json parsed = Parse(body);
  Fault fault;
  fault.message = Text(parsed, "message");
  fault.worker = Text(parsed, "kind") == ":resterrorresponse" || parsed.contains("restOperationId");
  fault.api_error = Number(parsed, "apiError").value_or(0);
  constexpr std::string_view kFailed = "transaction failed:";
  std::string_view text = fault.message;
  if (text.starts_with(kFailed)) {
    fault.in_transaction = true;
    text.remove_prefix(kFailed.size());
  }
  if (IsCode(text)) fault.code = text.substr(0, kCodeDigits);
  return fault;
}

}  // namespace certflow::providers::f5
