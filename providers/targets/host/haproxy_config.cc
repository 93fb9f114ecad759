#include "providers/targets/host/haproxy_config.h"

#include <algorithm>
#include <utility>

#include "controller/base/ascii.h"
#include "providers/targets/host/config_dump.h"

namespace certflow::providers::host {
namespace {

constexpr std::size_t kMaxWords = 200;  // of a line; HAProxy itself takes 64
constexpr std::size_t kMaxEntries = 5000;
constexpr std::size_t kMaxSteps = 500'000;  // over lines of lists and files of folders

// The words of a line as HAProxy splits them: quotes, backslashes, "#" for a comment.
std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool open = false;
  char quote = '\0';
  for (std::size_t at = 0; at < line.size() && words.size() < kMaxWords; ++at) {
    const char c = line[at];
    if (quote == '\'' ? c != '\'' : false) {
      word += c;
    } else if (c == '\\' && at + 1 < line.size()) {
      word += line[++at];
      open = true;
    } else if ((c == '"' || c == '\'') && (quote == '\0' || quote == c)) {
      quote = quote == '\0' ? c : '\0';
      open = true;
    } else if (quote == '\0' && c == '#') {
      break;
    } else if (quote == '\0' && (c == ' ' || c == '\t')) {
      if (open) words.push_back(std::exchange(word, {}));
      open = false;
    } else {
      word += c;
      open = true;
    }
  }
  if (open) words.push_back(std::move(word));
  return words;
}

class Reader {
 public:
  explicit Reader(const std::vector<ConfigFile>& files) : files_(files) {}

  Result<HaproxyConfig> Read() {
    for (const ConfigFile& file : files_) ReadCertificate(file);
    for (const ConfigFile& file : files_) {
      if (!file.name.starts_with('(')) CF_RETURN_IF_ERROR(ReadFile(file));
    }
    return std::move(config_);
  }

 private:
  void ReadCertificate(const ConfigFile& file) {
    constexpr std::string_view kInside = "(inside) ", kBeside = "(beside) ";
    const bool beside = file.name.starts_with(kBeside);
    if (!beside && !file.name.starts_with(kInside)) return;
    config_.files[file.name.substr(kInside.size())] = {file.text, beside};
  }

  Result<void> ReadFile(const ConfigFile& file) {
    std::string_view rest = file.text;
    for (std::size_t number = 1; !rest.empty(); ++number) {
      const std::vector<std::string> words = Words(TakeLine(rest));
      if (words.empty()) continue;
      if (words[0] == ".if") ++conditions_;
      if (words[0] == ".endif" && conditions_ > 0) --conditions_;
      CF_RETURN_IF_ERROR(ReadLine(file, number, words));
    }
    return {};
  }

  Result<void> ReadLine(const ConfigFile& file, std::size_t number,
                        const std::vector<std::string>& words) {
    static const std::string_view kSections[] = {
        "global", "defaults", "backend", "peers",       "resolvers", "userlist",    "mailers",
        "cache",  "program",  "ring",    "http-errors", "fcgi-app",  "log-forward", "crt-store"};
    if (words[0] == "frontend" || words[0] == "listen") {
      proxy_ = words.size() > 1 ? words[1] : "";
    } else if (std::find(std::begin(kSections), std::end(kSections), words[0]) !=
               std::end(kSections)) {
      proxy_.clear();
      global_ = words[0] == "global";
    } else if (words[0] == "crt-base" && words.size() > 1 && proxy_.empty() && global_) {
      base_ = words[1];
    } else if (words[0] == "bind" && !proxy_.empty() && words.size() > 1) {
      return ReadBind(file, number, words);
    }
    return {};
  }

  Result<void> ReadBind(const ConfigFile& file, std::size_t number,
                        const std::vector<std::string>& words) {
    HaproxyBind bind{proxy_, words[1], {}, conditions_ > 0, {}};
    for (std::size_t i = 2; i + 1 < words.size(); ++i) {
      if (words[i] == "crt") {
        AddCertificate(bind, words[++i]);
      } else if (words[i] == "crt-list") {
        AddList(bind, words[++i]);
      }
    }
    if (std::find(words.begin(), words.end(), "ssl") == words.end()) return {};
    if (bind.entries.empty() && bind.unreadable.empty()) return {};
    if (config_.binds.size() == kMaxVirtualHosts || entries_ > kMaxEntries || steps_ >= kMaxSteps) {
      return ConfigUnreadable(file.name, number, "there are too many bind lines or certificates");
    }
    config_.binds.push_back(std::move(bind));
    return {};
  }

  void Add(HaproxyBind& bind, std::string path, std::vector<std::string> filters) {
    if (++entries_ <= kMaxEntries) bind.entries.push_back({std::move(path), std::move(filters)});
  }
  // A file, or a folder, which stands for the files in it.
  void AddCertificate(HaproxyBind& bind, const std::string& word) {
    // "@store/name" is of a crt-store, not below crt-base.
    std::string path = word.starts_with('@') ? word : PathBelow(base_, word);
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    bool folder = false;
    for (auto at = config_.files.lower_bound(path + "/");
         at != config_.files.end() && at->first.starts_with(path) && ++steps_ < kMaxSteps; ++at) {
      if (FolderOf(at->first) != path) continue;
      Add(bind, at->first, {});
      folder = true;
    }
    if (!folder) Add(bind, std::move(path), {});
  }
  // Lines of a crt-list: PATH [OPTIONS] FILTER ...
  void AddList(HaproxyBind& bind, const std::string& path) {
    const ConfigFile* list = FindPart(files_, "(list) " + path);
    if (list == nullptr) {
      bind.unreadable = path;
      return;
    }
    std::string_view rest = list->text;
    while (!rest.empty() && entries_ <= kMaxEntries && ++steps_ < kMaxSteps) {
      std::vector<std::string> words = Words(TakeLine(rest));
      if (words.empty()) continue;
      std::vector<std::string> filters;
      bool options = false;
      for (std::size_t i = 1; i < words.size(); ++i) {
        options = options || words[i].starts_with('[');
        if (!options) filters.push_back(LowerCase(words[i]));
        if (words[i].ends_with(']')) options = false;
      }
      Add(bind, PathBelow(base_, words[0]), std::move(filters));
    }
  }

  const std::vector<ConfigFile>& files_;
  std::string proxy_, base_;
  bool global_ = false;
  int conditions_ = 0;
  std::size_t entries_ = 0, steps_ = 0;
  HaproxyConfig config_;
};

}  // namespace

Result<HaproxyConfig> ParseHaproxyConfig(std::string_view dump) {
  CF_ASSIGN_OR_RETURN(const std::vector<ConfigFile> files, SplitConfigDump(dump));
  return Reader(files).Read();
}

}  // namespace certflow::providers::host
