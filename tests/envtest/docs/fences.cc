#include "tests/envtest/docs/fences.h"

#include <algorithm>
#include <optional>
#include <sstream>

namespace certflow::envtest {
namespace {

constexpr std::string_view kFence = "```";

std::vector<std::string> Lines(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
  return lines;
}

// Lines that end in a backslash go on in the next one.
std::vector<std::string> JoinedLines(std::string_view text) {
  std::vector<std::string> joined;
  bool goes_on = false;
  for (std::string& line : Lines(text)) {
    const bool more = line.ends_with('\\');
    if (more) line.pop_back();
    if (goes_on) {
      joined.back() += line;
    } else {
      joined.push_back(std::move(line));
    }
    goes_on = more;
  }
  return joined;
}

bool EndsCommand(std::string_view word) {
  return word == "|" || word == "&&" || word == ";" || word == "<" || word == ">" ||
         word.starts_with('#') || word.starts_with("<<");
}

// The words of one command.
std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  char quote = 0;
  bool quoted = false;
  auto end = [&] {
    if (!word) return true;
    if (!quoted && EndsCommand(*word)) return false;
    words.push_back(std::move(*word));
    word.reset();
    quoted = false;
    return true;
  };
  for (const char c : line) {
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        *word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      quoted = true;
      if (!word) word.emplace();
    } else if (c == ' ' || c == '\t') {
      if (!end()) return words;
    } else {
      if (!word) word.emplace();
      *word += c;
    }
  }
  end();
  return words;
}

bool TakesValue(std::string_view flag) {
  return flag == "-n" || flag == "-l" || flag == "-o" || flag == "-f" || flag == "-p";
}

// Commands whose first argument is a resource.
bool NamesResources(std::string_view command) {
  return command == "get" || command == "annotate" || command == "label" || command == "describe" ||
         command == "delete" || command == "patch";
}

// "cwf,cwr" and "deployment/certflow" without the names.
std::vector<std::string> KindsIn(std::string_view word) {
  std::istringstream in{std::string(word)};
  std::vector<std::string> kinds;
  for (std::string kind; std::getline(in, kind, ',');)
    kinds.push_back(kind.substr(0, kind.find('/')));
  return kinds;
}

}  // namespace

std::vector<Fence> FencesOf(std::string_view file, std::string_view markdown) {
  std::vector<Fence> fences;
  bool inside = false;
  int number = 0;
  for (const std::string& line : Lines(markdown)) {
    ++number;
    const std::size_t start = std::min(line.find_first_not_of(' '), line.size());
    const std::string_view text = std::string_view(line).substr(start);
    if (text.starts_with(kFence)) {
      if (!inside) {
        fences.push_back({std::string(file) + ":" + std::to_string(number),
                          std::string(text.substr(kFence.size())), ""});
      }
      inside = !inside;
    } else if (inside) {
      fences.back().text += line + "\n";
    }
  }
  return fences;
}

std::vector<std::string> NamespacesIn(std::string_view yaml) {
  constexpr std::string_view kKey = "namespace: ";
  std::vector<std::string> found;
  for (std::size_t at = yaml.find(kKey); at != std::string_view::npos; at = yaml.find(kKey, at)) {
    at += kKey.size();
    std::string name(yaml.substr(at, yaml.find_first_of(" ,}\n", at) - at));
    if (std::find(found.begin(), found.end(), name) == found.end()) found.push_back(name);
  }
  return found;
}

std::vector<std::vector<std::string>> CommandsOf(std::string_view shell, std::string_view program) {
  std::vector<std::vector<std::string>> commands;
  for (const std::string& line : JoinedLines(shell)) {
    std::vector<std::string> words = Words(line);
    if (!words.empty() && words.front() == program) commands.push_back(std::move(words));
  }
  return commands;
}

KubectlUse UseOf(const std::vector<std::string>& words) {
  KubectlUse use;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.size() > 1 && word.front() == '-') {
      use.flags.push_back(word.substr(0, word.find('=')));
      if (TakesValue(use.flags.back())) ++i;
      continue;
    }
    const bool sub = use.flags.empty() && !use.command.empty() && use.command[0] == "create";
    if (use.command.empty() || (sub && use.command.size() < 3)) {
      use.command.push_back(word);
    } else if (use.kinds.empty() && NamesResources(use.command[0])) {
      use.kinds = KindsIn(word);
    }
  }
  return use;
}

}  // namespace certflow::envtest
