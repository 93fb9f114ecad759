#pragma once

#include <string>
#include <string_view>

#include "controller/net/shell.h"

namespace certflow::test {

// net::Shell on this machine, for what is about the commands and not about the way to them.
// `prefix` is put before every command.
class LocalShell : public net::Shell {
 public:
  LocalShell() = default;
  explicit LocalShell(std::string prefix) : prefix_(std::move(prefix)) {}
  Result<net::CommandResult> Run(const Context& ctx, std::string_view command,
                                 std::string_view input) override;

 private:
  std::string prefix_;
};

}  // namespace certflow::test
