#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/error.h"
#include "controller/base/secret.h"

// What a device answers, read. Pure functions of a body that anybody may have written: bounded, and
// never more than what is asked for. std::nullopt for what is not the answer that was expected.
namespace certflow::providers::f5 {

// Lists are cut here; a device with more is read page by page.
inline constexpr std::size_t kMaxItems = 2000;

struct Login {
  SecretBytes token;
  Duration life{0};
};
std::optional<Login> ParseLogin(std::string_view body);
// How long a token lives from this answer on (the flat item that an extension answers with).
std::optional<Duration> ParseTokenLife(std::string_view body);

struct DeviceItem {
  std::string name;
  std::string state;  // "active", "standby", ...
  std::string version;
  bool self = false;
};
std::optional<std::vector<DeviceItem>> ParseDevices(std::string_view body);

struct DeviceGroup {
  std::string path;
  bool fails_over = false;  // type sync-failover
  bool auto_sync = false;
};
std::optional<std::vector<DeviceGroup>> ParseDeviceGroups(std::string_view body);

struct SyncStatus {
  std::string mode;                  // "standalone", "high-availability"
  std::string status;                // "In Sync", "Changes Pending", ...
  std::vector<std::string> details;  // "dg (Changes Pending): ..."
};
std::optional<SyncStatus> ParseSyncStatus(std::string_view body);
// The status of one group, told from the lines where those name groups; the status as a whole
// stands for all groups of the device.
std::string StatusOfGroup(const SyncStatus& sync, std::string_view group);

struct AttachedProfile {
  std::string path;
  std::string kind;  // "client-ssl", ... of nameReference; empty where the device does not tell
};
struct VirtualServer {
  std::string path;
  std::string address;  // numeric, of the destination
  int port = 0;
  std::vector<AttachedProfile> profiles;
};
std::optional<VirtualServer> ParseVirtualServer(std::string_view body);
struct VirtualServerPage {
  std::vector<VirtualServer> items;
  bool more = false;  // another page follows
};
std::optional<VirtualServerPage> ParseVirtualServers(std::string_view body);

// One certificate in a profile. A server-side profile has one at most, without a name.
struct ChainEntry {
  std::string name, cert, key, chain;  // full paths; `chain` empty for "none"
  bool passphrase = false;
  friend bool operator==(const ChainEntry&, const ChainEntry&) = default;
};
struct SslProfile {
  std::string path;
  std::string server_name;
  bool inherits = false;  // its certificates are those of its parent
  std::vector<ChainEntry> entries;
};
std::optional<SslProfile> ParseClientProfile(std::string_view body);
std::optional<SslProfile> ParseServerProfile(std::string_view body);

// A certificate or key object.
struct FileObject {
  std::string path;
  std::string checksum;     // "SHA1:<size>:<hex>"
  std::string fingerprint;  // SHA-256 in lower-case hex; empty where the version has none
  std::string key_type;     // "rsa-public", "ec-private", ...
  std::string source;       // sourcePath
  std::string created;      // RFC 3339, sorts by time
};
std::optional<FileObject> ParseFileObject(std::string_view body);
std::optional<std::vector<FileObject>> ParseFileObjects(std::string_view body);

// A transaction as it was begun or committed. The number has 16 digits: never a double.
struct Transaction {
  std::int64_t id = 0;
  std::string state;
};
std::optional<Transaction> ParseTransaction(std::string_view body);

// For an answer to `what` that is none of the above: kUnavailable, "AnswerUnreadable".
Error Unreadable(std::string_view what);

// What a shell utility had to say; empty for nothing.
std::string ParseCommandResult(std::string_view body);

// An error in one of its three forms; all empty for a page of HTML.
struct Fault {
  std::string code;  // mcpd's, eight hex digits ("01070317"), also from within a transaction
  std::int64_t api_error = 0;
  bool worker = false;  // from restjavad (":resterrorresponse"), not from the configuration
  bool in_transaction = false;
  std::string message;  // raw, for telling apart what has no code; not for quoting unless coded
};
Fault ParseFault(std::string_view body);

}  // namespace certflow::providers::f5
