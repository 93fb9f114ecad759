#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"
#include "controller/net/address.h"

namespace certflow::providers::f5 {

// What a DeploymentTarget's spec.f5 says, without the credentials, which are the caller's.
struct DeviceSettings {
  std::vector<net::HostPort> hosts;  // the units of a pair, or the one there is
  std::string username;              // empty: from a Secret
  std::string login_provider = "tmos";
  std::string ca_bundle;                     // trust in the management certificate: this,
  std::string server_name;                   // with the name that stands in it,
  std::vector<std::string> public_key_pins;  // or its public key (base64 of SHA-256)
  std::string partition = "Common";          // where certificates and keys are put
  std::string device_group;                  // empty: the only one that there is
  bool sync = true;                          // config-sync where the group does not do it by itself
  bool push_pending = false;                 // also with changes of others that wait for a sync
  int keep = 1;                              // old versions beside the active and the previous one
};
// kInvalid names the field and the fault.
Result<DeviceSettings> ParseDeviceSettings(std::string_view json);

// The pair's name for gates and breakers: its addresses in order. Empty for unreadable settings.
std::string PairName(std::string_view device_settings_json);

enum class Side { kClient, kServer };
// The two words of the API: "ClientSide", "ServerSide".
std::string_view SideName(Side side);

struct NewProfile {
  std::string parent;  // full path; empty: the device's own default
  bool sni_default = false;
};

// One place of a binding: a virtual server's profile, or a profile by its name.
struct Place {
  std::string virtual_server;  // full path, or empty
  Side side = Side::kClient;
  std::string profile;               // full path; empty: the virtual server's only one
  std::string server_name;           // SNI: which one, where the virtual server has several
  std::optional<NewProfile> create;  // where it has none
};
inline constexpr std::size_t kMaxPlaces = 20;

// The workflow's `f5` member. `partition` is for names that say none.
Result<std::vector<Place>> ParsePlaces(std::string_view json, std::string_view partition);

}  // namespace certflow::providers::f5
