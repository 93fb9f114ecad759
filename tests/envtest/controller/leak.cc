// Nothing secret where people and machines can read it: looked for once, at the end of everything.
#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "tests/envtest/controller/stage.h"

namespace certflow::envtest {
namespace {

constexpr std::size_t kShortest = 16;  // shorter texts are words that may occur anywhere

bool IsPublic(const std::string& name) {
  return name == "ca.crt" || name == "tls.crt" || name.ends_with(".pub");
}

// What would betray a value: a line from the middle of it, where it has several.
std::string TellTale(std::string_view value) {
  std::size_t begin = 0;
  while (begin < value.size()) {
    std::size_t end = std::min(value.find('\n', begin), value.size());
    std::string_view line = value.substr(begin, end - begin);
    bool frame = line.starts_with("-----");
    // The first line of a key says which kind it is, the same for all.
    if (!frame && begin > 0 && line.size() >= kShortest) return std::string(line);
    if (!frame && end == value.size() && line.size() >= kShortest) return std::string(line);
    begin = end + 1;
  }
  return "";
}

}  // namespace

void Stage::ExpectNothingLeaked() {
  std::vector<std::string> hidden = hidden_;
  for (const Json& secret : List("secrets", "")) {
    const Json data = secret.value("data", Json::object());
    for (const auto& [name, value] : data.items()) {
      auto decoded = Base64Decode(value.get<std::string>());
      if (!decoded.ok() || IsPublic(name)) continue;
      if (std::string tale = TellTale(decoded->Reveal()); !tale.empty()) hidden.push_back(tale);
    }
  }
  EXPECT_GT(hidden.size(), 3u);
  std::map<std::string, std::string> seen;
  for (const std::string& log : logs_) seen["log " + log] = test::ReadFile(log);
  for (const char* plural : {"runs", "workflows", "authorities", "targets", "channels", "events",
                             "ingresses", "leases"}) {
    for (const Json& object : List(plural, "")) {
      seen[std::string(plural) + " " + NameOf(object)] += object.dump();
    }
  }
  for (const auto& [where, text] : seen) {
    EXPECT_EQ(text.find("PRIVATE KEY"), std::string::npos) << where;
    for (const std::string& secret : hidden) {
      EXPECT_EQ(text.find(secret), std::string::npos)
          << where << " has " << secret.substr(0, 4) << "... in it";
    }
  }
}

}  // namespace certflow::envtest
