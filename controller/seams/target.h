#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/seams/bundle.h"

namespace certflow::seams {

// Where on the target the certificate is used: the vendor's own fields (a JSON object, decoded by
// the provider alone) and the names that outside objects are made of.
struct Binding {
  std::string id;  // stable within the plan: "0/edge-hosts"
  std::string workflow_ns;
  std::string workflow_name;
  std::string workflow_uid;
  std::string settings;  // JSON text, for example {"certificateFile":"/etc/..."}
};

// One place where the certificate is used, for people and the audit trail. What does not apply is
// empty; nothing secret.
struct Placement {
  std::string device;        // the host, the device's management name, or "kubernetes"
  std::string address;       // numeric, where the device tells at which it listens
  int port = 0;              // 0: unknown
  std::string virtual_host;  // a virtual server's full path, or "*:443" of a web server
  std::string server_name;
  std::string side;      // "ClientSide" or "ServerSide", where the device knows both
  std::string profile;   // the device's own word for what holds the certificate
  std::string location;  // a file, or "Secret web/shop-tls"
  friend bool operator==(const Placement&, const Placement&) = default;
};
inline constexpr std::size_t kMaxPlacements = 50;

// What a target must be told to go back, where it does not keep that by itself: what stood there
// before, in the device's own words. Recorded in the ledger before the switch, so bounded
// (kMaxWayBack entries, kMaxWayBackBytes each) and nothing secret.
using WayBack = std::map<std::string, std::string>;
inline constexpr std::size_t kMaxWayBack = 32;
inline constexpr std::size_t kMaxWayBackBytes = 2048;

// The name of what stood on a target before us: "original-<first 8 of the fingerprint>".
std::string OriginalVersion(std::string_view fingerprint);
bool IsOriginal(std::string_view version);
// kInvalid, "InvalidVersion", for a run's name that would pass for such.
Result<void> CheckNotOriginal(std::string_view version);
// A run's or an original's name as it may stand in names, paths and URLs: lower-case letters,
// digits and "-", which is not the first; at most 63 of them.
bool IsVersionName(std::string_view version);

// What stands on the target now. `active` names a version, or what stood there before us
// (OriginalVersion); empty when nothing is there yet.
struct TargetState {
  std::string active;
  std::string fingerprint;  // SHA-256 of the certificate that is configured, or empty
  // What was active before `active`, where the target keeps that by itself in the same step as the
  // switch ("" inside: nothing stood there). Then a switch needs no intent elsewhere.
  std::optional<std::string> previous;
  WayBack way_back;                 // to `active`; for targets that do not remember it
  std::vector<std::string> staged;  // versions that Activate can switch to
  // Why Stage would refuse as things stand: what is there belongs to somebody else.
  std::optional<Error> refusal;
  // What people should know and what stops nothing ("no virtual server uses ...").
  std::vector<std::string> notes;
  bool running = true;  // what is configured is also loaded; false asks for Activate once more
  // What the target still does by itself after a switch ("config-sync to dg: Changes Pending");
  // empty when it is through. Until then it is looked at again, and nothing is done.
  std::string settling;
  // How long ago we gave it something to do, for whichever binding, where that is known: many that
  // switch one after the other must not wait for each other in vain.
  std::optional<Duration> idle_for;
  std::vector<Placement> placements;  // at most kMaxPlacements
};

struct StagedRef {
  std::string version;
  // True when this takes a change back: then what cannot be checked before (a broken configuration
  // that somebody else made) does not stop it.
  bool reverting = false;
  WayBack way_back = {};  // with `reverting`: what Observe told of `version` before the switch
};

struct KeepList {
  std::vector<std::string> versions;  // never removed
};

// A device or place. Every call is safe to repeat, and reads the world before it changes it.
// Errors say on what they failed; kUnknownOutcome where a change may have been made.
class Target {
 public:
  virtual ~Target() = default;
  // Whether Observe tells `previous`. Where not, the caller records `active` and `way_back` before
  // the switch, and calls Activate until it has returned success once since: what follows a switch
  // (saving, passing it on to a peer) is finished by Activate on a version that is active already.
  virtual bool remembers_previous() const { return false; }
  // Reads and changes nothing.
  virtual Result<TargetState> Observe(const Context& ctx, const Binding& at) = 0;
  // Installs the bundle under a name with its version in it; nothing live changes. What stands
  // there and was not staged by us is kept as a version too, so that Activate can go back to it.
  virtual Result<void> Stage(const Context& ctx, const Binding& at, const Bundle& bundle) = 0;
  // Switches to a staged version, forwards or back, tests the configuration, and makes it live. On
  // an error what was live before is live again, or the error is kUnknownOutcome.
  virtual Result<void> Activate(const Context& ctx, const Binding& at, const StagedRef& which) = 0;
  // Takes the certificate out again where nothing stood before us (the way back from a first
  // deployment). `way_back` is what Observe told before that.
  virtual Result<void> Deactivate(const Context& ctx, const Binding& at,
                                  const WayBack& way_back) = 0;
  // Removes staged versions that are neither kept nor active.
  virtual Result<void> Prune(const Context& ctx, const Binding& at, const KeepList& keep) = 0;
  // The run that staged `version` has ended without success: takes away what it left, never what is
  // in use. For targets where something staged is in anybody's way; elsewhere Prune comes to it.
  virtual Result<void> Discard(const Context&, const Binding&, const std::string& /*version*/) {
    return {};
  }
};

}  // namespace certflow::seams
