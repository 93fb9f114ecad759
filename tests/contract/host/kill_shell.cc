#include "tests/contract/host/kill_shell.h"

#include <filesystem>
#include <string>

namespace certflow::contract {
namespace {

constexpr const char* kCommands[] = {"mv",   "ln",       "rm",        "mkdir", "rmdir",
                                     "cp",   "chmod",    "chown",     "cat",   "head",
                                     "sync", "readlink", "sha256sum", "socat"};

// Stands in for a command: counts, and kills the script instead when its turn has come.
constexpr std::string_view kStandIn = R"sh(#!/bin/sh
read -r n <"$CF_POINTS/count"
n=$((n + 1))
echo "$n" >"$CF_POINTS/count"
read -r kill <"$CF_POINTS/kill"
if [ "$n" -eq "$kill" ]; then
  kill -9 "$CF_MAIN" "$PPID"
  exit 137
fi
PATH=$CF_PATH
export PATH
exec "${0##*/}" "$@"
)sh";

}  // namespace

KillPoints::KillPoints() {
  std::filesystem::create_directory(folder_ / "bin");
  for (const char* name : kCommands) {
    const std::string path = folder_ / (std::string("bin/") + name);
    test::WriteFile(path, kStandIn);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  Arm(0);
}

void KillPoints::Arm(int command) {
  test::WriteFile(folder_ / "count", "0\n");
  test::WriteFile(folder_ / "kill", std::to_string(command) + "\n");
}

int KillPoints::commands() const { return std::stoi(test::ReadFile(folder_ / "count")); }

std::unique_ptr<net::Shell> KillPoints::MakeShell() const {
  const std::string points = folder_.path().string();
  return std::make_unique<test::LocalShell>(
      "CF_POINTS=" + points + " CF_PATH=$PATH PATH=" + points + "/bin:$PATH CF_MAIN=$$; " +
      "export CF_POINTS CF_PATH PATH CF_MAIN; exec ");
}

}  // namespace certflow::contract
