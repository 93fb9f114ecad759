#pragma once

#include <libssh/libssh.h>

#include <string>
#include <string_view>
#include <vector>

namespace certflow::net {

// "ssh-ed25519 AAAA... [comment]" or "SHA256:...".
bool IsHostKeyPin(std::string_view pin);
bool IsPinned(ssh_key key, const std::vector<std::string>& pins);
// "SHA256:...".
std::string FingerprintOf(ssh_key key);
// What to ask the host for, so that it shows a key that is pinned and not another of its own; empty
// when a fingerprint leaves it open.
std::string HostKeyAlgorithms(const std::vector<std::string>& pins);

}  // namespace certflow::net
