#include "providers/targets/f5/names.h"

#include <algorithm>
#include <chrono>

#include "controller/base/base64.h"

namespace certflow::providers::f5 {
namespace {

constexpr std::size_t kMaxNamePart = 100;
constexpr std::size_t kMaxVersion = 63;
constexpr std::size_t kOwnerDigits = 10;
constexpr std::size_t kFingerprintDigits = 64;
constexpr std::string_view kUploadPrefix = "certflow_";

bool IsLower(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool IsPlain(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }

std::string SubjectOf(const pki::CertificateInfo& leaf) {
  if (!leaf.common_name.empty()) return leaf.common_name;
  if (!leaf.dns_names.empty()) return leaf.dns_names.front();
  return leaf.ip_addresses.empty() ? "certificate" : leaf.ip_addresses.front();
}

// Letters, digits, "-" and "_", with a letter first.
std::string PlainText(std::string_view subject) {
  std::string text;
  if (subject.starts_with("*.")) {
    text = "wildcard_";
    subject.remove_prefix(2);
  }
  for (char c : subject.substr(0, kMaxNamePart)) text += IsPlain(c) || c == '-' ? c : '_';
  const bool letter = !text.empty() && IsPlain(text.front()) && text.front() > '9';
  return letter ? text : "cn_" + text;
}

std::string QuarterOf(WallTime time) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(time));
  const unsigned quarter = (static_cast<unsigned>(day.month()) + 2) / 3;
  return std::to_string(static_cast<int>(day.year())) + "_Q" + std::to_string(quarter);
}

}  // namespace

std::string ObjectName(const pki::CertificateInfo& leaf, std::string_view version) {
  std::string run(version);
  if (run.starts_with("st-")) run = "ST-" + run.substr(3);
  return PlainText(SubjectOf(leaf)) + "_" + QuarterOf(leaf.not_before) + "_" + run;
}

VersionObjects ObjectsNamed(std::string_view partition, std::string_view object_name,
                            bool with_chain) {
  const std::string path = "/" + std::string(partition) + "/" + std::string(object_name);
  return {path + ".crt", path + ".key", with_chain ? path + "-chain.crt" : "", false, ""};
}

std::string OwnerOf(const seams::Binding& at) {
  return Sha256Hex(at.workflow_ns + "/" + at.workflow_name).substr(0, kOwnerDigits);
}

std::string UploadName(const Origin& origin, std::string_view extension) {
  return std::string(kUploadPrefix) + origin.owner + "_" + origin.version + "_" +
         origin.fingerprint + std::string(extension);
}

std::optional<Origin> OriginOf(std::string_view source_path) {
  std::string_view name = LeafOf(source_path);
  if (!name.starts_with(kUploadPrefix)) return std::nullopt;
  name.remove_prefix(kUploadPrefix.size());
  const std::size_t first = name.find('_');
  const std::size_t second = first == name.npos ? name.npos : name.find('_', first + 1);
  if (second == name.npos || name.size() < second + 1 + kFingerprintDigits) return std::nullopt;
  Origin origin{std::string(name.substr(0, first)),
                std::string(name.substr(first + 1, second - first - 1)),
                std::string(name.substr(second + 1, kFingerprintDigits))};
  const bool fits = origin.owner.size() == kOwnerDigits && CheckVersion(origin.version).ok() &&
                    std::all_of(origin.owner.begin(), origin.owner.end(), IsHex) &&
                    std::all_of(origin.fingerprint.begin(), origin.fingerprint.end(), IsHex);
  if (!fits) return std::nullopt;
  return origin;
}

std::string CreatedProfilePath(std::string_view virtual_server, std::string_view server_name,
                               bool client_side) {
  const std::string_view leaf = LeafOf(virtual_server);
  std::string path(virtual_server.substr(0, virtual_server.size() - leaf.size()));
  path += "certflow_" + std::string(leaf);
  if (!server_name.empty()) path += "_" + PlainText(server_name);
  return path + (client_side ? "_clientssl" : "_serverssl");
}

std::string UrlId(std::string_view full_path) {
  std::string id(full_path);
  std::replace(id.begin(), id.end(), '/', '~');
  return id;
}

std::string_view PartitionOf(std::string_view full_path) {
  if (full_path.starts_with('/')) full_path.remove_prefix(1);
  return full_path.substr(0, full_path.find('/'));
}

std::string_view LeafOf(std::string_view full_path) {
  const std::size_t slash = full_path.rfind('/');
  return slash == full_path.npos ? full_path : full_path.substr(slash + 1);
}

Result<void> CheckVersion(std::string_view version) {
  if (seams::IsVersionName(version)) return {};
  return MakeError(ErrorCode::kInvalid, "InvalidVersion",
                   "\"" + Sanitize(version, kMaxVersion) + "\" cannot be part of an object's name");
}

}  // namespace certflow::providers::f5
