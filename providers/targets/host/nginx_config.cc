#include "providers/targets/host/nginx_config.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "controller/base/ascii.h"
#include "providers/targets/host/config_dump.h"
#include "providers/targets/host/host_settings.h"

namespace certflow::providers::host {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

// One directive: its words, and whether ";", "{", "}" or the end (0) follows.
struct Directive {
  std::vector<std::string> words;
  char end = 0;
  std::size_t line = 1;
};

// Words as nginx splits them (ngx_conf_file.c).
class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  Directive Next() {
    Directive out;
    while (true) {
      SkipSpaceAndComments();
      if (out.words.empty()) out.line = line_;
      if (rest_.empty()) return out;
      const char c = rest_.front();
      if (c == ';' || c == '{' || c == '}') {
        Take();
        out.end = c;
        return out;
      }
      out.words.push_back(c == '"' || c == '\'' ? Quoted() : Plain());
    }
  }
  // Over a block that is not in nginx's own language, up to its "}".
  void SkipForeignBlock() {
    int depth = 1;
    while (!rest_.empty() && depth > 0) {
      const char c = Take();
      if (c == '{') ++depth;
      if (c == '}') --depth;
      if (c == '-' && rest_.starts_with('-')) SkipLine();
      if (c == '"' || c == '\'') SkipString(c);
    }
  }

 private:
  char Take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '\n') ++line_;
    return c;
  }
  void SkipLine() {
    while (!rest_.empty() && rest_.front() != '\n') Take();
  }
  void SkipString(char quote) {
    while (!rest_.empty() && rest_.front() != '\n') {
      const char c = Take();
      if (c == '\\' && !rest_.empty()) Take();
      if (c == quote) return;
    }
  }
  void SkipSpaceAndComments() {
    while (!rest_.empty()) {
      if (kSpace.find(rest_.front()) != std::string_view::npos) {
        Take();
      } else if (rest_.front() == '#') {
        SkipLine();
      } else {
        return;
      }
    }
  }
  std::string Quoted() {
    const char quote = Take();
    std::string word;
    while (!rest_.empty()) {
      const char c = Take();
      if (c == quote) break;
      word += c == '\\' && !rest_.empty() ? Escaped() : c;
    }
    return word;
  }
  std::string Plain() {
    std::string word;
    while (!rest_.empty()) {
      const char c = rest_.front();
      const bool variable = c == '{' && word.ends_with('$');
      if (kSpace.find(c) != std::string_view::npos || c == ';' || (c == '{' && !variable)) break;
      Take();
      if (variable) {
        word += c;
        while (!rest_.empty() && !word.ends_with('}')) word += Take();
      } else {
        word += c == '\\' && !rest_.empty() ? Escaped() : c;
      }
    }
    return word;
  }
  char Escaped() {
    const char c = Take();
    if (c == 't') return '\t';
    if (c == 'r') return '\r';
    return c == 'n' ? '\n' : c;
  }

  std::string_view rest_;
  std::size_t line_ = 1;
};

enum class Block { kMain, kHttp, kServer, kOther };

class Reader {
 public:
  explicit Reader(const std::vector<ConfigFile>& files)
      : files_(files), folder_(FolderOf(files.front().name)) {}

  Result<NginxConfig> Read() {
    CF_RETURN_IF_ERROR(ReadFile(files_.front(), 0));
    EndHttp();
    return std::move(config_);
  }

 private:
  Result<void> ReadFile(const ConfigFile& file, std::size_t depth) {
    work_ += file.text.size() + 1;
    if (work_ > kMaxConfigWork || depth > kMaxIncludeDepth) {
      return ConfigUnreadable(file.name, 1, "files are included too deep or too often");
    }
    Lexer lexer(file.text);
    const std::size_t outside = blocks_.size();
    while (true) {
      const Directive directive = lexer.Next();
      if (directive.end == 0) {
        if (directive.words.empty() && blocks_.size() == outside) return {};
        return ConfigUnreadable(file.name, directive.line, "ends in the middle of a block");
      }
      if (directive.end == '}') {
        if (blocks_.size() == outside || !directive.words.empty()) {
          return ConfigUnreadable(file.name, directive.line, "\"}\" does not belong here");
        }
        EndBlock();
      } else if (directive.end == '{') {
        CF_RETURN_IF_ERROR(BeginBlock(file, directive, lexer));
      } else {
        CF_RETURN_IF_ERROR(Simple(file, directive, depth));
      }
    }
  }

  Block block() const { return blocks_.empty() ? Block::kMain : blocks_.back(); }

  Result<void> BeginBlock(const ConfigFile& file, const Directive& directive, Lexer& lexer) {
    const std::string name = directive.words.empty() ? "" : directive.words.front();
    if (name.ends_with("_by_lua_block")) {
      lexer.SkipForeignBlock();
      return {};
    }
    if (blocks_.size() == kMaxBlockDepth) {
      return ConfigUnreadable(file.name, directive.line, "blocks are nested too deep");
    }
    Block inner = Block::kOther;
    if (name == "http" && block() == Block::kMain) inner = Block::kHttp;
    if (name == "server" && block() == Block::kHttp) {
      if (config_.servers.size() == kMaxVirtualHosts) {
        return ConfigUnreadable(file.name, directive.line, "there are more than 2000 servers");
      }
      inner = Block::kServer;
      config_.servers.emplace_back();
      all_tls_ = false;
    }
    blocks_.push_back(inner);
    return {};
  }

  void EndBlock() {
    if (block() == Block::kServer) {
      NginxServer& server = config_.servers.back();
      if (server.listens.empty()) server.listens.push_back({"", 80, false});
      for (NginxListen& listen : server.listens) listen.tls = listen.tls || all_tls_;
    }
    if (block() == Block::kHttp) EndHttp();
    blocks_.pop_back();
  }
  // Both lists are inherited, each for itself, and only where the server says nothing of its own.
  void EndHttp() {
    for (NginxServer& server : config_.servers) {
      if (server.certificates.empty()) server.certificates = http_.certificates;
      if (server.keys.empty()) server.keys = http_.keys;
    }
  }

  Result<void> Simple(const ConfigFile& file, const Directive& directive, std::size_t depth) {
    const std::vector<std::string>& words = directive.words;
    if (words.size() < 2) return {};
    if (words[0] == "include") return Include(file, directive, depth);
    if (block() != Block::kServer && block() != Block::kHttp) return {};
    NginxServer& into = block() == Block::kServer ? config_.servers.back() : http_;
    if (words[0] == "ssl_certificate" || words[0] == "ssl_certificate_key") {
      auto& list = words[0] == "ssl_certificate" ? into.certificates : into.keys;
      if (list.size() == kMaxPairs) {
        return ConfigUnreadable(file.name, directive.line, "more than 16 certificates");
      }
      if (words[1].size() > kMaxRemotePath) {
        return ConfigUnreadable(file.name, directive.line, "a path is longer than 1024 bytes");
      }
      list.push_back(PathBelow(folder_, words[1]));
    } else if (block() == Block::kServer && words[0] == "server_name") {
      for (std::size_t i = 1; i < words.size(); ++i) into.names.push_back(LowerCase(words[i]));
    } else if (block() == Block::kServer && words[0] == "listen") {
      NginxListen listen = ParseNginxListen(words[1]);
      listen.tls = std::find(words.begin() + 2, words.end(), "ssl") != words.end() ||
                   std::find(words.begin() + 2, words.end(), "quic") != words.end();
      into.listens.push_back(std::move(listen));
    } else if (words[0] == "ssl" && words[1] == "on") {
      all_tls_ = true;
    }
    return {};
  }

  Result<void> Include(const ConfigFile& file, const Directive& directive, std::size_t depth) {
    const std::string pattern = PathBelow(folder_, directive.words[1]);
    // So that many includes of nothing cost something too.
    work_ += files_.size();
    if (work_ > kMaxConfigWork) {
      return ConfigUnreadable(file.name, directive.line, "there are too many includes");
    }
    for (const ConfigFile& other : files_) {
      if (GlobMatches(pattern, other.name)) CF_RETURN_IF_ERROR(ReadFile(other, depth + 1));
    }
    return {};
  }

  const std::vector<ConfigFile>& files_;
  const std::string folder_;
  std::vector<Block> blocks_;
  NginxServer http_;
  bool all_tls_ = false;
  std::size_t work_ = 0;
  NginxConfig config_;
};

int PortOf(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port > 0 && port < 65536 ? port
                                                                                              : 0;
}

}  // namespace

NginxListen ParseNginxListen(std::string_view text) {
  if (text.starts_with("unix:")) return {std::string(text), 0, false};
  if (PortOf(text) != 0) return {"", PortOf(text), false};
  const std::size_t bracket = text.find(']');
  const std::size_t colon =
      text.find(':', text.starts_with('[') && bracket != std::string_view::npos ? bracket : 0);
  std::string_view address = text.substr(0, colon);
  const int port = colon == std::string_view::npos ? 80 : PortOf(text.substr(colon + 1));
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  if (address == "*" || address == "0.0.0.0" || address == "::") address = {};
  return {std::string(address), port, false};
}

Result<NginxConfig> ParseNginxConfig(std::string_view dump) {
  CF_ASSIGN_OR_RETURN(const std::vector<ConfigFile> files, SplitConfigDump(dump));
  return Reader(files).Read();
}

}  // namespace certflow::providers::host
