#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"

namespace certflow::kube {

// One program run to its end, without a shell.
struct Program {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH when it has no '/'
  std::vector<std::string> env;   // "NAME=value", the whole environment
  std::string input;              // for its standard input
  std::size_t max_output = 1u << 20;
};

struct ProgramOutput {
  int exit_code = 0;  // 128 + signal when it was killed
  std::string out;    // may be secret: the caller wipes it
  std::string err;
};

// A non-zero exit is success at this level. The program and what it started die when the context
// ends (kTimeout, kCancelled), when it writes too much (kRefused) and when this process dies.
// kNotFound when there is no such program. Safe to call from several threads.
Result<ProgramOutput> RunProgram(const Context& ctx, const Program& program);

// This process' environment, as Program::env wants it.
std::vector<std::string> OwnEnvironment();

}  // namespace certflow::kube
