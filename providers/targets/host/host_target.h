#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/net/shell.h"
#include "controller/seams/target.h"
#include "providers/targets/host/host_files.h"
#include "providers/targets/host/host_settings.h"
#include "providers/targets/host/named_place.h"

namespace certflow::providers::host {

// Where a binding's pair lies, and what must be minded there.
struct Location {
  PairPaths paths;
  std::string chain_file;  // see NamedPlace
  std::string key_type;    // of the bundles that may go there; empty: any
  bool found_by_name = false;
  std::vector<seams::Placement> placements;
};

// Finds it from a binding's settings; asks the server where they give a name.
using Locate =
    std::function<Result<Location>(const Context& ctx, net::Shell& shell, std::string_view json)>;

// A server on a host that reads PEM files: HostFiles at the place that `locate` finds. The server
// is asked for it once a binding in the object's life; the way back holds what was found, so that
// it leads there whatever the configuration says by then.
std::unique_ptr<seams::Target> MakeHostTarget(std::unique_ptr<net::Shell> shell,
                                              ServerCommands server, const HostSettings& settings,
                                              Locate locate);

// The location that files given by their paths are at.
Location AtPaths(const PairPaths& paths, std::string_view key_type);
// The location of what was found by name. Where it has several certificates, the one of
// `key_type`; the host is asked for their types then. kRefused, "SeveralCertificates".
Result<Location> AtNamedPlace(const Context& ctx, net::Shell& shell, const HostSettings& settings,
                              NamedPlace place, std::string_view key_type);

// Runs one of the scripts that change nothing (below) and gives its answer. An unknown outcome is
// kUnavailable.
Result<std::string> AskHost(const Context& ctx, net::Shell& shell, const HostSettings& settings,
                            std::string_view script, const std::vector<std::string>& arguments,
                            std::string_view what);
// The same for a script that dumps a configuration (config_dump.h) and ends with `end_dump`.
// kRefused, "ConfigTooLarge", when it did not come whole.
Result<std::string> AskForDump(const Context& ctx, net::Shell& shell, const HostSettings& settings,
                               std::string_view script, const std::vector<std::string>& arguments);

// What was looked for in a dump, and where it was not found what the server has against its
// configuration (the dump's part "(fault)"): such a dump may not be all of it.
Result<NamedPlace> OrFault(Result<NamedPlace> found, std::string_view dump,
                           std::string (*first_error)(std::string_view));

// The beginning of such scripts. It defines
//   answer REASON [TEXT]  ends the script: "failed X"
//   show FILE             a part of a dump, without comments
//   walk FILE FOLDER      that and what the file includes, for servers that do not tell
//   fault TEXT            what the server's own test printed, as the part "(fault)"
//   certificate FILE      the public part of a certificate's file, as a part of a dump
//   end_dump
extern const std::string_view kAskPrelude;

// What a server's readiness check found.
struct HostReadiness {
  std::string server;   // "nginx/1.22.1"
  std::string warning;  // why its configuration does not pass its own test; empty when it does
};
// Runs a script that answers with the line of the version and what the test printed, if it failed.
Result<HostReadiness> CheckHost(const Context& ctx, net::Shell& shell, const HostSettings& settings,
                                std::string_view script, const std::vector<std::string>& arguments,
                                std::string (*first_error)(std::string_view));

}  // namespace certflow::providers::host
