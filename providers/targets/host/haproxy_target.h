#pragma once

#include <memory>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/net/shell.h"
#include "controller/seams/target.h"
#include "providers/targets/host/host_target.h"

namespace certflow::providers::host {

// HAProxy on a host, over a shell that is connected as the settings say: the certificate's file is
// switched, and the running process is given the same by the stats socket, both or neither; without
// a stats socket it is reloaded. `target_settings_json` is the DeploymentTarget's spec.haproxy, a
// binding's settings are the workflow's `haproxy` member: the file, or a frontend, whose bind lines
// are read. kInvalid for wrong settings. Not thread-safe, as the shell is not.
Result<std::unique_ptr<seams::Target>> MakeHaproxyTarget(std::string_view target_settings_json,
                                                         std::unique_ptr<net::Shell> shell);

// Whether a DeploymentTarget can be used: the host answers, sudo works where asked for, HAProxy is
// there, and the stats socket, where it answers, lets certificates be changed. One command, which
// changes nothing. kNotFound, "HaproxyMissing", "SocketToolMissing"; kForbidden, "SocketRefused".
Result<HostReadiness> CheckHaproxyHost(const Context& ctx, std::string_view target_settings_json,
                                       net::Shell& shell);

}  // namespace certflow::providers::host
