#include "providers/targets/host/apache_config.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "controller/base/ascii.h"
#include "providers/targets/host/config_dump.h"
#include "providers/targets/host/host_settings.h"

namespace certflow::providers::host {
namespace {

constexpr std::string_view kSpace = " \t";
constexpr std::size_t kMaxDefines = 2000;
constexpr std::size_t kMaxValue = 4096;

std::string_view Trim(std::string_view text) {
  const std::size_t from = text.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

// The next word, which `text` loses: up to a space, or in quotes.
std::string TakeWord(std::string_view& text) {
  text = Trim(text);
  if (text.empty()) return {};
  const char quote = text.front() == '"' || text.front() == '\'' ? text.front() : '\0';
  if (quote != '\0') text.remove_prefix(1);
  std::string word;
  while (!text.empty()) {
    const char c = text.front();
    if (quote == '\0' && kSpace.find(c) != std::string_view::npos) break;
    text.remove_prefix(1);
    if (quote != '\0' && c == quote) break;
    const bool escapes = c == '\\' && !text.empty() && (text.front() == quote || text[0] == '\\');
    word += escapes ? text.front() : c;
    if (escapes) text.remove_prefix(1);
  }
  return word;
}

// "Name: value" of what -S prints.
std::optional<std::string_view> Printed(std::string_view line, std::string_view name) {
  if (!line.starts_with(name)) return std::nullopt;
  return Trim(line.substr(name.size()));
}

// "NAME (FILE:LINE)" at the end of a line of -S.
bool ReadPlace(std::string_view text, ApacheVhostEntry& entry) {
  text = Trim(text);
  const std::size_t open = text.rfind(" (");
  const std::size_t colon = text.rfind(':');
  if (!text.ends_with(')') || open == std::string_view::npos || colon == std::string_view::npos ||
      colon < open) {
    return false;
  }
  entry.server_name = Trim(text.substr(0, open));
  entry.file = text.substr(open + 2, colon - open - 2);
  const std::string_view number = text.substr(colon + 1, text.size() - colon - 2);
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), entry.line);
  return error == std::errc() && end == number.data() + number.size();
}

enum class Truth { kYes, kNo, kUnknown };
Truth Not(Truth truth) {
  if (truth == Truth::kUnknown) return truth;
  return truth == Truth::kYes ? Truth::kNo : Truth::kYes;
}

// What certificates are said to be, in the main server and in a virtual host.
struct Tls {
  std::vector<std::string> certificates, keys;
  std::string chain, undecided;
  std::optional<bool> engine;
};

class Reader {
 public:
  explicit Reader(const std::vector<ConfigFile>& files) : files_(files) {
    if (const ConfigFile* printed = FindPart(files, "(vhosts)")) ReadPrinted(printed->text);
    if (const ConfigFile* printed = FindPart(files, "(modules)")) ReadModules(printed->text);
  }

  Result<ApacheConfig> Read() {
    const auto main = std::find_if(files_.begin(), files_.end(), [](const ConfigFile& file) {
      return !file.name.starts_with('(');
    });
    if (main == files_.end()) return ConfigUnreadable("apache", 0, "there is no configuration");
    if (root_.empty()) root_ = FolderOf(main->name);
    CF_RETURN_IF_ERROR(ReadFile(*main, 0));
    for (std::size_t i = 0; i < config_.vhosts.size(); ++i) Inherit(config_.vhosts[i], tls_[i]);
    return std::move(config_);
  }

 private:
  struct Section {
    std::string name;  // lower case
    Truth truth = Truth::kYes;
    std::string text;
    bool foreign = false;  // what is in it does not concern the server itself
  };

  void ReadPrinted(std::string_view text) {
    while (!text.empty()) {
      const std::string_view line = TakeLine(text);
      if (const auto root = Printed(line, "ServerRoot:")) {
        std::string_view rest = *root;
        root_ = TakeWord(rest);
      } else if (const auto define = Printed(line, "Define:")) {
        const std::size_t equals = std::min(define->find('='), define->size());
        Define(std::string(define->substr(0, equals)),
               std::string(define->substr(std::min(equals + 1, define->size()))));
      }
    }
  }
  void ReadModules(std::string_view text) {
    modules_known_ = true;
    while (!text.empty()) {
      std::string_view line = TakeLine(text);
      const std::string name = TakeWord(line);
      if (name.ends_with("_module")) modules_.insert(name);
    }
  }

  Result<void> ReadFile(const ConfigFile& file, std::size_t depth) {
    work_ += file.text.size() + 1;
    if (work_ > kMaxConfigWork || depth > kMaxIncludeDepth) {
      return ConfigUnreadable(file.name, 1, "files are included too deep or too often");
    }
    std::string_view rest = file.text;
    const std::size_t outside = sections_.size();
    std::size_t number = 0;
    while (!rest.empty()) {
      std::string line(TakeLine(rest));
      const std::size_t first = ++number;
      while (line.ends_with('\\') && !rest.empty()) {
        line.pop_back();
        line += TakeLine(rest);
        ++number;
      }
      CF_RETURN_IF_ERROR(ReadLine({file, first, depth, outside}, Trim(line)));
    }
    if (sections_.size() == outside) return {};
    return ConfigUnreadable(file.name, number, "ends in the middle of a section");
  }

  struct Place {
    const ConfigFile& file;
    std::size_t line;
    std::size_t depth;
    std::size_t outside;  // sections that were open where the file was included
  };

  Result<void> ReadLine(const Place& at, std::string_view line) {
    if (line.empty() || line.starts_with('#')) return {};
    if (line.starts_with("</")) {
      if (sections_.size() == at.outside) {
        return ConfigUnreadable(at.file.name, at.line, "a section ends that did not begin");
      }
      if (sections_.back().name == "virtualhost" && !sections_.back().foreign) current_.reset();
      sections_.pop_back();
      return {};
    }
    if (line.starts_with('<')) return BeginSection(at, line);
    std::string_view rest = line;
    const std::string name = LowerCase(TakeWord(rest));
    if (truth() == Truth::kNo || foreign()) return {};
    std::vector<std::string> words;
    while (!rest.empty() && words.size() < kMaxWords) {
      std::string word = TakeWord(rest);
      CF_ASSIGN_OR_RETURN(word, Expand(at, word));
      words.push_back(std::move(word));
    }
    return Directive(at, name, words);
  }

  Truth truth() const { return sections_.empty() ? Truth::kYes : sections_.back().truth; }
  bool foreign() const { return !sections_.empty() && sections_.back().foreign; }

  Result<void> BeginSection(const Place& at, std::string_view line) {
    if (sections_.size() == kMaxBlockDepth) {
      return ConfigUnreadable(at.file.name, at.line, "sections are nested too deep");
    }
    std::string_view rest = line.substr(1);
    if (rest.ends_with('>')) rest.remove_suffix(1);
    Section section{LowerCase(TakeWord(rest)), truth(), std::string(line.substr(0, 100)),
                    foreign()};
    const std::string argument = TakeWord(rest);
    const bool negated = argument.starts_with('!');
    const std::string_view plain = std::string_view(argument).substr(negated ? 1 : 0);
    std::optional<Truth> judged;
    if (section.name == "ifmodule") {
      judged = IsLoaded(plain);
    } else if (section.name == "ifdefine") {
      judged = defines_.contains(std::string(plain)) ? Truth::kYes : Truth::kNo;
    } else if (section.name == "ifversion" || section.name == "iffile") {
      judged = Truth::kUnknown;
    } else if (section.name == "virtualhost") {
      CF_RETURN_IF_ERROR(BeginVhost(at, argument, rest));
    } else {
      section.foreign = true;
      if (section.name == "macro") config_.uses_macros = true;
    }
    if (judged && section.truth != Truth::kNo) {
      const Truth own = negated ? Not(*judged) : *judged;
      if (own != Truth::kYes) section.truth = own;
    }
    sections_.push_back(std::move(section));
    return {};
  }

  Result<void> BeginVhost(const Place& at, const std::string& first, std::string_view rest) {
    if (truth() == Truth::kNo || foreign()) return {};
    if (config_.vhosts.size() == kMaxVirtualHosts) {
      return ConfigUnreadable(at.file.name, at.line, "there are more than 2000 virtual hosts");
    }
    ApacheVhost vhost;
    for (std::string word = first; !word.empty(); word = TakeWord(rest)) {
      CF_ASSIGN_OR_RETURN(std::string address, Expand(at, word));
      if (address.starts_with("_default_")) address = "*" + address.substr(9);
      vhost.addresses.push_back(std::move(address));
    }
    vhost.file = at.file.name;
    vhost.line = at.line;
    config_.vhosts.push_back(std::move(vhost));
    tls_.emplace_back();
    if (truth() == Truth::kUnknown) tls_.back().undecided = sections_.back().text;
    current_ = config_.vhosts.size() - 1;
    return {};
  }

  Result<void> Directive(const Place& at, const std::string& name,
                         const std::vector<std::string>& words) {
    if (words.empty()) return {};
    if (name == "include" || name == "includeoptional") return Include(at, words[0]);
    if (name == "serverroot") root_ = words[0];
    if (name == "use") config_.uses_macros = true;
    if (name == "loadmodule") modules_.insert(words[0]);
    if (name == "define") Define(words[0], words.size() > 1 ? words[1] : "");
    if (name == "undefine") defines_.erase(words[0]);
    if (name.starts_with("ssl")) return TlsDirective(at, name, words[0]);
    if (!current_) return {};
    ApacheVhost& vhost = config_.vhosts[*current_];
    if (name == "servername") vhost.server_name = HostOf(words[0]);
    if (name == "serveralias") {
      for (const std::string& word : words) vhost.aliases.push_back(LowerCase(word));
    }
    return {};
  }

  Result<void> TlsDirective(const Place& at, const std::string& name, const std::string& value) {
    const bool certificate = name == "sslcertificatefile", key = name == "sslcertificatekeyfile";
    const bool chain = name == "sslcertificatechainfile", engine = name == "sslengine";
    if (!certificate && !key && !chain && !engine) return {};
    Tls& into = current_ ? tls_[*current_] : main_;
    if (truth() == Truth::kUnknown) into.undecided = sections_.back().text;
    if (engine) into.engine = LowerCase(value) != "off";
    if (value.size() > kMaxRemotePath) {
      return ConfigUnreadable(at.file.name, at.line, "a path is longer than 1024 bytes");
    }
    if (chain) into.chain = PathBelow(root_, value);
    if (!certificate && !key) return {};
    auto& list = certificate ? into.certificates : into.keys;
    if (list.size() == kMaxPairs) {
      return ConfigUnreadable(at.file.name, at.line, "more than 16 certificates");
    }
    list.push_back(PathBelow(root_, value));
    return {};
  }

  Result<void> Include(const Place& at, const std::string& value) {
    std::string pattern = PathBelow(root_, value);
    while (pattern.size() > 1 && pattern.ends_with('/')) pattern.pop_back();
    work_ += files_.size();
    if (work_ > kMaxConfigWork) {
      return ConfigUnreadable(at.file.name, at.line, "there are too many includes");
    }
    for (const ConfigFile& other : files_) {
      // A folder stands for all that is in it.
      const bool inside = other.name.starts_with(pattern + "/");
      if (inside || GlobMatches(pattern, other.name)) {
        CF_RETURN_IF_ERROR(ReadFile(other, at.depth + 1));
      }
    }
    return {};
  }

  // ${NAME} where it is defined; else it stays, as with Apache.
  Result<std::string> Expand(const Place& at, const std::string& word) {
    std::string out;
    for (std::size_t from = 0;;) {
      const std::size_t open = word.find("${", from);
      const std::size_t close = open == std::string::npos ? open : word.find('}', open);
      if (close == std::string::npos) return out + word.substr(from);
      const auto value = defines_.find(word.substr(open + 2, close - open - 2));
      out += word.substr(from, open - from);
      out += value == defines_.end() ? word.substr(open, close + 1 - open) : value->second;
      from = close + 1;
      work_ += value == defines_.end() ? 0 : value->second.size();
      if (out.size() > kMaxValue || work_ > kMaxConfigWork) {
        return ConfigUnreadable(at.file.name, at.line, "a value is longer than 4096 bytes");
      }
    }
  }
  void Define(std::string name, const std::string& value) {
    if (defines_.size() < kMaxDefines) defines_[std::move(name)] = value.substr(0, kMaxValue);
  }

  // "ssl_module" or "mod_ssl.c".
  Truth IsLoaded(std::string_view module) const {
    std::string id(module);
    if (id == "core.c" || id == "http_core.c" || id == "mod_so.c") return Truth::kYes;
    if (id.starts_with("mod_") && id.ends_with(".c")) {
      id = id.substr(4, id.size() - 6) + "_module";
    } else if (id.ends_with(".c")) {
      id = "mpm_" + id.substr(0, id.size() - 2) + "_module";
    }
    if (modules_.contains(id)) return Truth::kYes;
    return modules_known_ ? Truth::kNo : Truth::kUnknown;
  }

  // [scheme://]name[:port]
  static std::string HostOf(std::string_view value) {
    const std::size_t scheme = value.find("://");
    if (scheme != std::string_view::npos) value.remove_prefix(scheme + 3);
    return LowerCase(value.substr(0, value.rfind(':')));
  }

  // As mod_ssl merges: by position, what the virtual host has less comes from the main server.
  void Inherit(ApacheVhost& vhost, Tls& own) const {
    auto rest = [](std::vector<std::string>& list, const std::vector<std::string>& base) {
      while (list.size() < base.size()) list.push_back(base[list.size()]);
    };
    rest(own.certificates, main_.certificates);
    rest(own.keys, main_.keys);
    vhost.certificates = std::move(own.certificates);
    vhost.keys = std::move(own.keys);
    vhost.chain = own.chain.empty() ? main_.chain : own.chain;
    vhost.tls = own.engine.value_or(main_.engine.value_or(false));
    vhost.undecided = own.undecided.empty() ? main_.undecided : own.undecided;
  }

  static constexpr std::size_t kMaxWords = 200;

  const std::vector<ConfigFile>& files_;
  std::string root_;
  std::vector<Section> sections_;
  std::optional<std::size_t> current_;
  Tls main_;
  std::vector<Tls> tls_;  // of each virtual host
  std::map<std::string, std::string> defines_;
  std::set<std::string> modules_;
  bool modules_known_ = false;
  std::size_t work_ = 0;
  ApacheConfig config_;
};

}  // namespace

std::vector<ApacheVhostEntry> ParseApacheVhosts(std::string_view printed) {
  std::vector<ApacheVhostEntry> entries;
  std::string address;
  while (!printed.empty() && entries.size() < kMaxVirtualHosts) {
    std::string_view line = TakeLine(printed);
    if (line.empty()) continue;
    ApacheVhostEntry entry;
    if (kSpace.find(line.front()) == std::string_view::npos) {
      address = TakeWord(line);
      // "*:443    is a NameVirtualHost" begins a group, "*:443    name (file:line)" is all of it.
    } else {
      line = Trim(line);
      if (!line.starts_with("port ")) continue;
      const std::size_t name = line.find(" namevhost ");
      if (name == std::string_view::npos) continue;
      line.remove_prefix(name + 11);
    }
    if (!ReadPlace(line, entry)) continue;
    entry.address = address;
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<ApacheConfig> ParseApacheConfig(std::string_view dump) {
  CF_ASSIGN_OR_RETURN(const std::vector<ConfigFile> files, SplitConfigDump(dump));
  CF_ASSIGN_OR_RETURN(ApacheConfig config, Reader(files).Read());
  const ConfigFile* printed = FindPart(files, "(vhosts)");
  if (printed == nullptr) return config;
  std::set<std::pair<std::string, std::size_t>> in_force;
  for (const ApacheVhostEntry& entry : ParseApacheVhosts(printed->text)) {
    in_force.emplace(entry.file, entry.line);
  }
  std::erase_if(config.vhosts, [&](const ApacheVhost& vhost) {
    return !in_force.contains({vhost.file, vhost.line});
  });
  return config;
}

}  // namespace certflow::providers::host
