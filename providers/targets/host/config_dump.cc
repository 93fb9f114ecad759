#include "providers/targets/host/config_dump.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

namespace certflow::providers::host {
namespace {

constexpr std::string_view kHeader = "# configuration file ";

// "[...]" at the start of `pattern`, which loses it. False also where it is no such thing.
bool TakeClass(std::string_view& pattern, char c) {
  std::size_t end =
      pattern.find(']', pattern.starts_with("[!") || pattern.starts_with("[^") ? 3 : 2);
  if (end == std::string_view::npos) return false;
  std::string_view inside = pattern.substr(1, end - 1);
  pattern.remove_prefix(end + 1);
  const bool negated = inside.starts_with('!') || inside.starts_with('^');
  if (negated) inside.remove_prefix(1);
  bool found = false;
  for (std::size_t at = 0; at < inside.size(); ++at) {
    if (at + 2 < inside.size() && inside[at + 1] == '-') {
      found = found || (inside[at] <= c && c <= inside[at + 2]);
      at += 2;
    } else {
      found = found || inside[at] == c;
    }
  }
  return found != negated;
}

// One part of a path. One star is remembered at a time, which makes it at most quadratic.
bool PartMatches(std::string_view pattern, std::string_view text) {
  if (text.starts_with('.') && !pattern.starts_with('.')) return false;
  std::string_view after_star, star_text;
  bool star = false;
  while (true) {
    std::string_view rest = pattern;
    bool fits = false;
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      after_star = pattern;
      star_text = text;
      star = true;
      continue;
    }
    if (pattern.empty() && text.empty()) return true;
    if (!pattern.empty() && !text.empty()) {
      if (pattern.front() == '[') {
        fits = TakeClass(rest, text.front());
      } else {
        fits = pattern.front() == '?' || pattern.front() == text.front();
        rest.remove_prefix(1);
      }
    }
    if (fits) {
      pattern = rest;
      text.remove_prefix(1);
      continue;
    }
    if (!star || star_text.empty()) return false;
    star_text.remove_prefix(1);
    text = star_text;
    pattern = after_star;
  }
}

std::string_view TakePart(std::string_view& path) {
  const std::size_t slash = std::min(path.find('/'), path.size());
  const std::string_view part = path.substr(0, slash);
  path.remove_prefix(std::min(slash + 1, path.size()));
  return part;
}

}  // namespace

Error ConfigUnreadable(std::string_view file, std::size_t line, std::string_view why) {
  return MakeError(ErrorCode::kRefused, "ConfigUnreadable",
                   Sanitize(file, 300) + ":" + std::to_string(line) + ": " + std::string(why));
}

Result<std::vector<ConfigFile>> SplitConfigDump(std::string_view text) {
  if (text.size() > kMaxConfigBytes) {
    return MakeError(ErrorCode::kRefused, "ConfigTooLarge",
                     "the server's configuration is longer than 256 KiB: name the files instead of "
                     "the virtual host");
  }
  std::vector<ConfigFile> files;
  std::set<std::string, std::less<>> names;
  bool again = false;  // a file that is included twice is shown twice
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.starts_with(kHeader) && line.ends_with(':')) {
      if (files.size() == kMaxConfigFiles) {
        return MakeError(ErrorCode::kRefused, "ConfigTooLarge",
                         "the server's configuration has more than 2000 files: name the files of "
                         "the certificate instead of the virtual host");
      }
      std::string_view name = line.substr(kHeader.size());
      name.remove_suffix(1);
      again = !names.emplace(name).second;
      if (!again) files.push_back({std::string(name), {}});
    } else if (!files.empty() && !again) {
      files.back().text += line;
      files.back().text += '\n';
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (files.empty()) {
    return MakeError(ErrorCode::kRefused, "ConfigUnreadable",
                     "the server did not show its configuration: name the files instead of the "
                     "virtual host");
  }
  return files;
}

const ConfigFile* FindPart(const std::vector<ConfigFile>& files, std::string_view name) {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const ConfigFile& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

bool GlobMatches(std::string_view pattern, std::string_view path) {
  while (!pattern.empty() || !path.empty()) {
    if (pattern.empty() || path.empty()) return false;
    if (!PartMatches(TakePart(pattern), TakePart(path))) return false;
  }
  return true;
}

std::string PathBelow(std::string_view folder, std::string_view path) {
  // "engine:..." and such are no files; who looks for a file sees it by the colon.
  const bool scheme = path.find(':') < path.find('/');
  if (path.starts_with('/') || folder.empty() || scheme) return std::string(path);
  return std::string(folder) + (folder.ends_with('/') ? "" : "/") + std::string(path);
}

std::string FolderOf(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

std::string_view TakeLine(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace certflow::providers::host
