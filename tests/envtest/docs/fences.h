#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace certflow::envtest {

// A fenced block of a Markdown file.
struct Fence {
  std::string where;  // "docs/install.md:12", the line of its first fence
  std::string language;
  std::string text;
};
std::vector<Fence> FencesOf(std::string_view file, std::string_view markdown);

// The names after "namespace:" in YAML, each once, in the order of the text.
std::vector<std::string> NamespacesIn(std::string_view yaml);

// The commands of a shell block that begin with `program`, cut into words as a shell would do it
// with quotes and line continuations; what follows a pipe, "&&", ";" or "<" is left off.
std::vector<std::vector<std::string>> CommandsOf(std::string_view shell, std::string_view program);

// What a kubectl command line uses.
struct KubectlUse {
  std::vector<std::string> command;  // "get", or "create secret tls"
  std::vector<std::string> flags;    // "--sort-by", "-n", without values
  std::vector<std::string> kinds;    // of the commands that name resources: "cwf", "lease"
};
KubectlUse UseOf(const std::vector<std::string>& words);

}  // namespace certflow::envtest
