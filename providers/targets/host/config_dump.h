#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/base/result.h"

// What the readers of server configurations have in common. All of it is pure, and bounded in size,
// depth and work: the text comes from a host.
namespace certflow::providers::host {

inline constexpr std::size_t kMaxConfigBytes = 256u << 10;
inline constexpr std::size_t kMaxConfigFiles = 2000;
inline constexpr std::size_t kMaxIncludeDepth = 16;
inline constexpr std::size_t kMaxBlockDepth = 64;
// Text that is read altogether, a file that is included twice counted twice.
inline constexpr std::size_t kMaxConfigWork = 8 * kMaxConfigBytes;
inline constexpr std::size_t kMaxVirtualHosts = 2000;
inline constexpr std::size_t kMaxPairs = 16;  // of one virtual host

// A part of a dump. Names in brackets, as "(vhosts)", are no files but what a program printed.
struct ConfigFile {
  std::string name;
  std::string text;
};

// Splits what `nginx -T` prints and kLocate* (host_scripts.h) imitate: each file after a line
// "# configuration file NAME:". The first one is the main one. kRefused, "ConfigTooLarge" beyond
// the limits; "ConfigUnreadable" where there is none.
Result<std::vector<ConfigFile>> SplitConfigDump(std::string_view text);
// The part of that name, or null.
const ConfigFile* FindPart(const std::vector<ConfigFile>& files, std::string_view name);

// Whether `path` fits the pattern as glob(3) would expand it: "*", "?" and "[...]" within one part
// of the path.
bool GlobMatches(std::string_view pattern, std::string_view path);
// `path` below `folder` unless it is absolute.
std::string PathBelow(std::string_view folder, std::string_view path);
std::string FolderOf(std::string_view path);

// The next line of `text`, which loses it; without CR.
std::string_view TakeLine(std::string_view& text);

Error ConfigUnreadable(std::string_view file, std::size_t line, std::string_view why);

}  // namespace certflow::providers::host
