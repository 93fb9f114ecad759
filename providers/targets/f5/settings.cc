#include "providers/targets/f5/settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/kube/document_json.h"
#include "controller/pki/certificate.h"
#include "providers/fields/fields.h"

namespace certflow::providers::f5 {
namespace {

using nlohmann::json;

constexpr std::uint16_t kManagementPort = 443;
constexpr std::size_t kMaxName = 128;
constexpr int kMaxKeep = 50;
constexpr std::size_t kPinBytes = 32;

bool IsNamePart(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && text.front() != '.' && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  c == '.' || c == '_' || c == '-';
         });
}

// "Common", or a folder in it: "Common/app.app".
Result<void> CheckPartition(std::string_view field, std::string_view partition) {
  const std::size_t slash = partition.find('/');
  const bool folder = slash != partition.npos;
  if (IsNamePart(partition.substr(0, slash)) &&
      (!folder || IsNamePart(partition.substr(slash + 1)))) {
    return {};
  }
  return InvalidField(field, "\"" + Sanitize(partition, kMaxName) +
                                 "\" is not a partition, such as Common, or a folder, such as "
                                 "Common/app.app");
}

Result<void> ReadTrust(const json& from, DeviceSettings& settings) {
  CF_RETURN_IF_ERROR(ReadString(from, "caBundle", settings.ca_bundle));
  CF_RETURN_IF_ERROR(ReadString(from, "serverName", settings.server_name));
  CF_ASSIGN_OR_RETURN(settings.public_key_pins, ReadStrings(from, "publicKeyPins"));
  if (settings.ca_bundle.empty() == settings.public_key_pins.empty()) {
    return InvalidField("tls", "needs either caBundle or publicKeyPins");
  }
  if (!settings.ca_bundle.empty() && !pki::ReadChain(settings.ca_bundle).ok()) {
    return InvalidField("tls.caBundle", "holds no certificate that can be read");
  }
  for (const std::string& pin : settings.public_key_pins) {
    const auto bytes = Base64Decode(pin);
    if (!bytes.ok() || bytes->size() != kPinBytes) {
      return InvalidField("tls.publicKeyPins",
                          "\"" + Sanitize(pin, 64) + "\" is not the base64 of a SHA-256 digest");
    }
  }
  return {};
}

Result<void> ReadHosts(const json& from, DeviceSettings& settings) {
  CF_ASSIGN_OR_RETURN(const std::vector<std::string> hosts, ReadStrings(from, "hosts"));
  if (hosts.empty() || hosts.size() > 2) return InvalidField("hosts", "needs one or two addresses");
  for (const std::string& host : hosts) {
    auto where = net::ParseHostPort(host, kManagementPort);
    if (!where.ok()) return Annotate(std::move(where).error(), "hosts");
    settings.hosts.push_back(std::move(*where));
  }
  return {};
}

Result<std::string> ReadPath(const json& from, const char* field, std::string_view partition) {
  std::string name;
  CF_RETURN_IF_ERROR(ReadString(from, field, name));
  if (name.empty()) return name;
  if (!IsNamePart(name)) {
    return InvalidField(field,
                        "\"" + Sanitize(name, kMaxName) + "\" is not a name without partition");
  }
  return "/" + std::string(partition) + "/" + name;
}

Result<std::string> ReadPartition(const json& from, std::string_view otherwise) {
  std::string partition(otherwise);
  CF_RETURN_IF_ERROR(ReadString(from, "partition", partition));
  CF_RETURN_IF_ERROR(CheckPartition("partition", partition));
  return partition;
}

Result<NewProfile> ReadNewProfile(const json& from) {
  NewProfile made;
  CF_RETURN_IF_ERROR(ReadString(from, "parent", made.parent));
  const std::string_view parent = made.parent;
  if (!parent.empty() && (!parent.starts_with('/') || parent.find('/', 1) == parent.npos ||
                          !CheckPartition("parent", parent.substr(1, parent.rfind('/') - 1)).ok() ||
                          !IsNamePart(parent.substr(parent.rfind('/') + 1)))) {
    return InvalidField("createProfile.parent", "must be a full path, such as /Common/clientssl");
  }
  made.sni_default = from.value("sniDefault", json(false)) == json(true);
  return made;
}

Result<Place> ReadVirtualServer(const json& from, std::string_view otherwise) {
  Place place;
  CF_ASSIGN_OR_RETURN(const std::string partition, ReadPartition(from, otherwise));
  CF_ASSIGN_OR_RETURN(place.virtual_server, ReadPath(from, "name", partition));
  if (place.virtual_server.empty()) return InvalidField("name", "is missing");
  CF_ASSIGN_OR_RETURN(const std::string side,
                      ReadWord(from, "side", "ClientSide", {"ClientSide", "ServerSide"}));
  place.side = side == "ClientSide" ? Side::kClient : Side::kServer;
  CF_ASSIGN_OR_RETURN(place.profile, ReadPath(from, "profile", partition));
  CF_RETURN_IF_ERROR(ReadString(from, "serverName", place.server_name));
  if (const auto made = from.find("createProfile"); made != from.end() && made->is_object()) {
    CF_ASSIGN_OR_RETURN(place.create, ReadNewProfile(*made));
  }
  if (!place.profile.empty() && (place.create || !place.server_name.empty())) {
    return InvalidField("profile",
                        "names the profile already: leave out createProfile and serverName");
  }
  return place;
}

Result<Place> ReadProfile(const json& from, std::string_view otherwise) {
  Place place;
  CF_ASSIGN_OR_RETURN(const std::string partition, ReadPartition(from, otherwise));
  CF_ASSIGN_OR_RETURN(place.profile, ReadPath(from, "name", partition));
  if (place.profile.empty()) return InvalidField("name", "is missing");
  CF_ASSIGN_OR_RETURN(const std::string side,
                      ReadWord(from, "side", "ClientSide", {"ClientSide", "ServerSide"}));
  place.side = side == "ClientSide" ? Side::kClient : Side::kServer;
  return place;
}

Result<void> ReadPlaces(const json& from, const char* field, std::string_view partition,
                        Result<Place> (*read)(const json&, std::string_view),
                        std::vector<Place>& into) {
  const auto list = from.find(field);
  if (list == from.end() || list->is_null()) return {};
  if (!list->is_array()) return InvalidField(field, "must be a list");
  for (const json& item : *list) {
    if (!item.is_object()) return InvalidField(field, "must be a list of objects");
    auto place = read(item, partition);
    if (!place.ok()) return Annotate(std::move(place).error(), field);
    if (into.size() == kMaxPlaces) return InvalidField(field, "more than 20 places in one target");
    into.push_back(std::move(*place));
  }
  return {};
}

}  // namespace

Result<DeviceSettings> ParseDeviceSettings(std::string_view text) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  const json& from = kube::Json(document);
  DeviceSettings settings;
  CF_RETURN_IF_ERROR(ReadHosts(from, settings));
  CF_RETURN_IF_ERROR(ReadString(from, "username", settings.username));
  CF_RETURN_IF_ERROR(ReadString(from, "loginProviderName", settings.login_provider));
  CF_RETURN_IF_ERROR(ReadTrust(ReadObject(from, "tls"), settings));
  CF_ASSIGN_OR_RETURN(settings.partition, ReadPartition(from, "Common"));
  CF_RETURN_IF_ERROR(ReadString(from, "deviceGroup", settings.device_group));
  const json sync = ReadObject(from, "configSync");
  CF_ASSIGN_OR_RETURN(const std::string policy,
                      ReadWord(sync, "policy", "Automatic", {"Automatic", "Never"}));
  CF_ASSIGN_OR_RETURN(const std::string pending,
                      ReadWord(sync, "pendingChanges", "Refuse", {"Refuse", "Push"}));
  settings.sync = policy == "Automatic";
  settings.push_pending = pending == "Push";
  const auto keep = from.find("keep");
  if (keep != from.end() && keep->is_number_integer()) {
    settings.keep =
        static_cast<int>(std::clamp<std::int64_t>(keep->get<std::int64_t>(), 0, kMaxKeep));
  }
  return settings;
}

std::string PairName(std::string_view device_settings_json) {
  const json from = json::parse(device_settings_json, nullptr, false);
  if (!from.is_object()) return {};
  auto hosts = ReadStrings(from, "hosts");
  if (!hosts.ok()) return {};
  std::sort(hosts->begin(), hosts->end());
  std::string name;
  for (const std::string& host : *hosts) name += (name.empty() ? "" : ",") + host;
  return name;
}

std::string_view SideName(Side side) { return side == Side::kClient ? "ClientSide" : "ServerSide"; }

Result<std::vector<Place>> ParsePlaces(std::string_view text, std::string_view partition) {
  CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(text));
  const json& from = kube::Json(document);
  std::vector<Place> places;
  CF_RETURN_IF_ERROR(ReadPlaces(from, "virtualServers", partition, &ReadVirtualServer, places));
  CF_RETURN_IF_ERROR(ReadPlaces(from, "profiles", partition, &ReadProfile, places));
  if (places.empty()) return InvalidField("f5", "needs virtualServers or profiles");
  return places;
}

}  // namespace certflow::providers::f5
