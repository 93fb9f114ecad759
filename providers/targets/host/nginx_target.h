#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/net/shell.h"
#include "controller/seams/challenge_files.h"
#include "controller/seams/target.h"
#include "providers/targets/host/host_target.h"

namespace certflow::providers::host {

// nginx on a host, over a shell that is connected as the settings say. `target_settings_json` is
// the DeploymentTarget's spec.nginx, a binding's settings are the workflow's `nginx` member (see
// host_settings.h): the pair's files, or a server_name, which nginx is asked for. kInvalid for
// wrong settings. Not thread-safe, as the shell is not.
Result<std::unique_ptr<seams::Target>> MakeNginxTarget(std::string_view target_settings_json,
                                                       std::unique_ptr<net::Shell> shell);

// Answers http-01 from the settings' challengeDirectory; kInvalid when there is none.
Result<std::unique_ptr<seams::ChallengeFiles>> MakeHostChallengeFiles(
    std::string_view target_settings_json, std::unique_ptr<net::Shell> shell);

// Whether a DeploymentTarget can be used: the host answers, sudo works where asked for, nginx and
// its configFile are there. One command, which changes nothing. kNotFound, "NginxMissing" or
// "ConfigFileMissing". A configuration that fails its own test is a warning only: others broke it,
// and the way back must stay open.
Result<HostReadiness> CheckNginxHost(const Context& ctx, std::string_view target_settings_json,
                                     net::Shell& shell);

}  // namespace certflow::providers::host
