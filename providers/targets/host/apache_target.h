#pragma once

#include <memory>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/net/shell.h"
#include "controller/seams/target.h"
#include "providers/targets/host/host_target.h"

namespace certflow::providers::host {

// Apache on a host, over a shell that is connected as the settings say. `target_settings_json` is
// the DeploymentTarget's spec.apache, a binding's settings are the workflow's `apache` member: the
// pair's files, or a virtual host, which Apache is asked for. kInvalid for wrong settings. Not
// thread-safe, as the shell is not.
Result<std::unique_ptr<seams::Target>> MakeApacheTarget(std::string_view target_settings_json,
                                                        std::unique_ptr<net::Shell> shell);

// Whether a DeploymentTarget can be used: the host answers, sudo works where asked for, and Apache
// is there. One command, which changes nothing. kNotFound, "ApacheMissing".
Result<HostReadiness> CheckApacheHost(const Context& ctx, std::string_view target_settings_json,
                                      net::Shell& shell);

}  // namespace certflow::providers::host
