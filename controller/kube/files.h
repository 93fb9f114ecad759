#pragma once

// For .cc files of this folder: files that change under us.

#include <cstdint>
#include <optional>
#include <string>

#include "controller/base/result.h"
#include "controller/base/secret.h"

namespace certflow::kube {

// At most kMaxFileBytes; kNotFound or kUnavailable otherwise.
inline constexpr std::size_t kMaxFileBytes = 4u << 20;
Result<SecretBytes> ReadSecretFile(const std::string& path);

// What tells that a file is another one than before; mounted Secrets change by a renamed symlink.
struct FileStamp {
  std::int64_t changed_ns = 0;
  std::uint64_t inode = 0;
  std::int64_t size = -1;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};
FileStamp StampOf(const std::string& path);

}  // namespace certflow::kube
