#include "providers/targets/host/nginx_target.h"

#include <utility>

#include "providers/targets/host/config_dump.h"
#include "providers/targets/host/host_settings.h"
#include "providers/targets/host/host_target.h"
#include "providers/targets/host/named_place.h"
#include "providers/targets/host/nginx_config.h"

namespace certflow::providers::host {
namespace {

// nginx writes "nginx: [emerg] why in FILE:LINE" among warnings, and a summary at the end.
std::string FirstNginxError(std::string_view output) {
  std::string_view alert, last;
  while (!output.empty()) {
    const std::string_view line = TakeLine(output);
    if (line.find("[emerg]") != std::string_view::npos) return std::string(line);
    const bool grave = line.find("[alert]") != std::string_view::npos ||
                       line.find("[crit]") != std::string_view::npos ||
                       line.find("[error]") != std::string_view::npos;
    if (grave && alert.empty()) alert = line;
    if (!line.empty()) last = line;
  }
  return std::string(alert.empty() ? last : alert);
}

constexpr std::string_view kFunctions = R"sh(
server_test() { "$NGINX" -t ${CONFIG:+-c "$CONFIG"}; }
server_reload() { "$NGINX" -s reload ${CONFIG:+-c "$CONFIG"}; }
server_restore() { server_reload; }
server_runs() { :; }
)sh";

// Arguments of these two: the program, and its configuration file or nothing.
constexpr std::string_view kCheck = R"sh(
[ -x "$1" ] || answer 'failed NginxMissing' "$1"
[ -z "$2" ] || [ -e "$2" ] || answer 'failed ConfigFileMissing' "$2"
version=$("$1" -v 2>&1)
if out=$("$1" -t ${2:+-c "$2"} 2>&1); then out=; fi
printf 'certflow ok\n%s\n%s\n' "$version" "$out"
)sh";

// nginx shows nothing where its test fails, as it does while the files are not there yet.
constexpr std::string_view kLocate = R"sh(
[ -x "$1" ] || answer 'failed NginxMissing'
if out=$("$1" -T ${2:+-c "$2"} 2>/dev/null); then
  echo 'certflow ok'
  printf '%s\n' "$out" |
    sed -e '/^[[:space:]]\{1,\}#/d' -e 's/^[[:space:]]*//' -e '/^$/d' \
      -e '/^#/{/^# configuration file /!d;}'
else
  main=$2
  [ -n "$main" ] || main=$("$1" -V 2>&1 | sed -n 's/.*--conf-path=\([^ ]*\).*/\1/p')
  [ -r "$main" ] || answer 'failed NotReadable' "$main"
  echo 'certflow ok'
  walk "$main" "${main%/*}"
  fault "$("$1" -t ${2:+-c "$2"} 2>&1)"
fi
end_dump
)sh";

Result<Location> LocateNginx(const Context& ctx, net::Shell& shell, const NginxSettings& settings,
                             std::string_view json) {
  CF_ASSIGN_OR_RETURN(const HostBinding<NginxName> binding, ParseNginxBinding(json));
  if (binding.paths) return AtPaths(*binding.paths, binding.key_type);
  CF_ASSIGN_OR_RETURN(
      const std::string dump,
      AskForDump(ctx, shell, settings, kLocate, {settings.nginx_path, settings.config_file}));
  CF_ASSIGN_OR_RETURN(const NginxConfig config, ParseNginxConfig(dump));
  CF_ASSIGN_OR_RETURN(NamedPlace place,
                      OrFault(FindNginxPlace(config, binding.name), dump, FirstNginxError));
  return AtNamedPlace(ctx, shell, settings, std::move(place), binding.key_type);
}

}  // namespace

Result<std::unique_ptr<seams::Target>> MakeNginxTarget(std::string_view target_settings_json,
                                                       std::unique_ptr<net::Shell> shell) {
  CF_ASSIGN_OR_RETURN(const NginxSettings settings, ParseNginxSettings(target_settings_json));
  ServerCommands server{"NGINX=" + net::ShellQuote(settings.nginx_path) + " CONFIG=" +
                            net::ShellQuote(settings.config_file) + std::string(kFunctions),
                        FirstNginxError};
  return MakeHostTarget(std::move(shell), std::move(server), settings,
                        [settings](const Context& ctx, net::Shell& on, std::string_view json) {
                          return LocateNginx(ctx, on, settings, json);
                        });
}

Result<HostReadiness> CheckNginxHost(const Context& ctx, std::string_view target_settings_json,
                                     net::Shell& shell) {
  CF_ASSIGN_OR_RETURN(const NginxSettings settings, ParseNginxSettings(target_settings_json));
  return CheckHost(ctx, shell, settings, kCheck, {settings.nginx_path, settings.config_file},
                   FirstNginxError);
}

}  // namespace certflow::providers::host
