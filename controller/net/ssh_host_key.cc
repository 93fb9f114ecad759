#include "controller/net/ssh_host_key.h"

#include <algorithm>

#include "controller/base/base64.h"

namespace certflow::net {
namespace {

constexpr std::string_view kFingerprint = "SHA256:";

bool IsFingerprint(std::string_view pin) { return pin.starts_with(kFingerprint); }

struct KeyLine {
  std::string_view type;
  std::string_view blob;
};

KeyLine SplitLine(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return {};
  const std::string_view rest = line.substr(space + 1);
  return {line.substr(0, space), rest.substr(0, rest.find_first_of(" \r\n"))};
}

std::string BlobOf(ssh_key key) {
  char* text = nullptr;
  if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK) return {};
  std::string blob(text);
  ssh_string_free_char(text);
  return blob;
}

}  // namespace

bool IsHostKeyPin(std::string_view pin) {
  if (IsFingerprint(pin)) {
    const auto hash = Base64Decode(std::string(pin.substr(kFingerprint.size())) + "=");
    return hash.ok() && hash->size() == 32;
  }
  const KeyLine line = SplitLine(pin);
  constexpr std::string_view kTypes[] = {"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256",
                                         "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};
  const bool known = std::find(std::begin(kTypes), std::end(kTypes), line.type) != std::end(kTypes);
  return known && !line.blob.empty() && Base64Decode(line.blob).ok();
}

std::string FingerprintOf(ssh_key key) {
  unsigned char* hash = nullptr;
  std::size_t size = 0;
  if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != SSH_OK) return {};
  std::string text = Base64Encode(std::string_view(reinterpret_cast<const char*>(hash), size));
  ssh_clean_pubkey_hash(&hash);
  while (!text.empty() && text.back() == '=') text.pop_back();
  return std::string(kFingerprint) + text;
}

bool IsPinned(ssh_key key, const std::vector<std::string>& pins) {
  const std::string blob = BlobOf(key);
  const std::string fingerprint = FingerprintOf(key);
  if (blob.empty() || fingerprint.empty()) return false;
  return std::any_of(pins.begin(), pins.end(), [&](const std::string& pin) {
    return IsFingerprint(pin) ? pin == fingerprint : SplitLine(pin).blob == blob;
  });
}

std::string HostKeyAlgorithms(const std::vector<std::string>& pins) {
  std::string algorithms;
  for (const std::string& pin : pins) {
    if (IsFingerprint(pin)) return {};
    const std::string_view type = SplitLine(pin).type;
    if (!algorithms.empty()) algorithms += ',';
    // The key type ssh-rsa signs with SHA-2; SHA-1 signatures are not accepted.
    algorithms += type == "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : type;
  }
  return algorithms;
}

}  // namespace certflow::net
