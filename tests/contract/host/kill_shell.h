#pragma once

#include <string>

#include "tests/peers/local_shell.h"
#include "tests/peers/peer.h"

namespace certflow::contract {

// A shell whose scripts are killed with SIGKILL right before their n-th command that changes a
// file, as when the host loses power there.
class KillPoints {
 public:
  KillPoints();
  // For `MakeShell` scripts from now on; 0 for never.
  void Arm(int command);
  int commands() const;
  std::unique_ptr<net::Shell> MakeShell() const;

 private:
  test::TempFolder folder_;
};

}  // namespace certflow::contract
