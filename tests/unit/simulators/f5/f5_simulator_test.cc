// The simulated BIG-IP of tests/simulators/f5 does what public sources say. Its tests are
// Python beside this file; each is one result here, so that a failure is seen by its name.

#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/peers/peer.h"

namespace certflow {
namespace {

constexpr char kRunner[] =
    "/usr/bin/python3 '" CERTFLOW_SOURCE_DIR "/tests/unit/simulators/f5/run_tests.py'";

struct Outcome {
  bool passed = false;
  std::string text;
};

std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "re");
  if (pipe == nullptr) return output;
  std::array<char, 4096> buffer;
  for (std::size_t got; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.append(buffer.data(), got);
  }
  pclose(pipe);
  return output;
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// When the tests cannot even be listed there is still one, which fails.
std::vector<std::string> Names() {
  std::vector<std::string> names = Lines(OutputOf(std::string(kRunner) + " --list"));
  if (names.empty()) names.emplace_back("the_tests_can_be_listed");
  return names;
}

// All of them run once, for the first one that asks.
const std::map<std::string, Outcome>& Outcomes() {
  static const std::map<std::string, Outcome> outcomes = [] {
    std::map<std::string, Outcome> found;
    for (const std::string& line : Lines(OutputOf(kRunner))) {
      const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!json.is_object()) continue;
      found[json.value("name", "")] = {json.value("passed", false), json.value("text", "")};
    }
    return found;
  }();
  return outcomes;
}

// What went wrong with tests that never began, such as a simulator that did not start.
std::string Others() {
  std::string text;
  for (const auto& [name, outcome] : Outcomes()) {
    if (!outcome.passed) text += name + "\n" + outcome.text + "\n";
  }
  return text;
}

class F5Simulator : public testing::TestWithParam<std::string> {};

TEST_P(F5Simulator, R50) {
  const auto found = Outcomes().find(GetParam());
  ASSERT_NE(found, Outcomes().end()) << "it did not run; what failed:\n" << Others();
  EXPECT_TRUE(found->second.passed) << found->second.text;
}

std::string TestName(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Python, F5Simulator, testing::ValuesIn(Names()), TestName);

// The convention of tests/peers/lib.sh, as every other peer keeps it.
TEST(F5Peer, SaysWhereItAnswersAndEndsWithItsParent) {
  test::Peer peer("f5", {"--empty"}, /*timeout_s=*/120);  // makes an RSA key first
  for (const char* key : {"a", "b", "control", "ca", "user", "password", "group", "inventory"}) {
    EXPECT_FALSE(peer[key].empty()) << key;
  }
  EXPECT_NE(test::ReadFile(peer["ca"]).find("BEGIN CERTIFICATE"), std::string::npos);
}

}  // namespace
}  // namespace certflow
