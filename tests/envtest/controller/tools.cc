#include <algorithm>
#include <cctype>

#include "controller/base/clock.h"
#include "controller/kube/program.h"
#include "tests/envtest/controller/stage.h"

namespace certflow::envtest {
namespace {

kube::ProgramOutput Run(std::vector<std::string> argv, const std::string& input) {
  static const std::unique_ptr<Clock> clock = MakeSystemClock();
  Context ctx{*clock, clock->Steady() + std::chrono::seconds(20), {}, {}};
  auto ran = kube::RunProgram(ctx, {std::move(argv), kube::OwnEnvironment(), input});
  if (ran.ok()) return std::move(*ran);
  return {-1, "", ran.error().message};
}

}  // namespace

std::string RunTool(std::vector<std::string> argv, const std::string& input) {
  const std::string name = argv.front();
  kube::ProgramOutput ran = Run(std::move(argv), input);
  EXPECT_EQ(ran.exit_code, 0) << name << ": " << ran.err;
  return ran.out;
}

std::string ServedFingerprint(const std::string& endpoint, const std::string& name) {
  kube::ProgramOutput shown =
      Run({"openssl", "s_client", "-connect", endpoint, "-servername", name}, "Q\n");
  if (shown.out.find("BEGIN CERTIFICATE") == std::string::npos) return "";
  std::string text = RunTool({"openssl", "x509", "-noout", "-fingerprint", "-sha256"}, shown.out);
  text.erase(0, text.find('=') + 1);
  std::string out;
  for (unsigned char c : text) {
    if (std::isxdigit(c) != 0) out += static_cast<char>(std::tolower(c));
  }
  return out;
}

std::string Fill(std::string text, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    const std::string mark = "{" + name + "}";
    for (std::size_t at = text.find(mark); at != std::string::npos;
         at = text.find(mark, at + value.size())) {
      text.replace(at, mark.size(), value);
    }
  }
  return text;
}

}  // namespace certflow::envtest
