#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/net/shell.h"
#include "controller/seams/target.h"
#include "providers/targets/host/host_settings.h"

namespace certflow::providers::host {

// How the server that uses the files is asked.
struct ServerCommands {
  // Shell text that defines four functions. They may use what kPrelude does ($CERT, $KEY, $C, $K).
  //   server_test     fails and says why when the configuration is not good
  //   server_reload   fails and says why when the running server could not be told; with 2 when
  //                   that has ended it
  //   server_restore  the same on the way back from a reload that failed; starts what has ended
  //   server_runs     fails when the running server is known to hold another certificate
  std::string functions;
  // The line of the test's output that a person needs.
  std::string (*first_error)(std::string_view output) = nullptr;
};

// Versions of one pair of files on a host, and the atomic switch between them: what every server
// that reads PEM files has in common (scripts and folder layout: host_scripts.h). One command a
// call. Not thread-safe, as the shell is not.
//
// Errors beyond the shell's own: kInvalid (paths, names, a pair that does not fit), kNotFound
// ("VersionMissing", "DirectoryMissing"), kForbidden ("FolderOwnedByOther", "FileOwnedByOther",
// "DirectoryNotWritable", "SudoRefused"), kRefused ("ConfigBroken": before a switch,
// "VersionDamaged"; "ConfigTestFailed", "ReloadFailed": switched back), kUnknownOutcome (also
// "ReloadFailed": switched back, and the server does not run any more).
class HostFiles {
 public:
  HostFiles(net::Shell& shell, ServerCommands server, std::string host, bool sudo);

  // Without placements.
  Result<seams::TargetState> Observe(const Context& ctx, const seams::Binding& at,
                                     const PairPaths& paths);
  Result<void> Stage(const Context& ctx, const seams::Binding& at, const PairPaths& paths,
                     const seams::Bundle& bundle);
  Result<void> Activate(const Context& ctx, const seams::Binding& at, const PairPaths& paths,
                        const seams::StagedRef& which);
  Result<void> Deactivate(const Context& ctx, const seams::Binding& at, const PairPaths& paths);
  Result<void> Prune(const Context& ctx, const seams::Binding& at, const PairPaths& paths,
                     const seams::KeepList& keep);

 private:
  struct Call {
    std::string_view body;
    std::vector<std::string> arguments;
    std::string_view input;
    bool changes = true;
  };
  Result<std::string> Run(const Context& ctx, const seams::Binding& at, const PairPaths& paths,
                          const Call& call);

  net::Shell& shell_;
  ServerCommands server_;
  std::string host_;
  bool sudo_;
};

// `sh -c SCRIPT certflow ARGUMENTS` as one command line, below sudo where asked for.
std::string ShellCommand(std::string_view script, const std::vector<std::string>& arguments,
                         bool sudo);

// What a script said (see host_scripts.h): the explanation after "certflow ok", or the error.
// `first_error` may be null.
Result<std::string> ReadAnswer(const net::CommandResult& result, std::string_view what, bool sudo,
                               std::string (*first_error)(std::string_view));

}  // namespace certflow::providers::host
