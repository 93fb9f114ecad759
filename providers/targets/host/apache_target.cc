#include "providers/targets/host/apache_target.h"

#include <utility>

#include "providers/targets/host/apache_config.h"
#include "providers/targets/host/config_dump.h"
#include "providers/targets/host/named_place.h"

namespace certflow::providers::host {
namespace {

// Apache writes "AH00526: Syntax error on line 3 of FILE:" and in the next line why, among notes
// and warnings.
std::string FirstApacheError(std::string_view output) {
  std::string_view last;
  while (!output.empty()) {
    const std::string_view line = TakeLine(output);
    if (line.find("Syntax error on line") != std::string_view::npos) {
      return std::string(line) + " " + std::string(TakeLine(output));
    }
    const bool summary = line.starts_with("Action ") || line.starts_with("The Apache error log");
    if (!line.empty() && !summary) last = line;
  }
  return std::string(last);
}

// Apache's own test does not look whether key and certificate belong together, and a reload with a
// pair that does not ends Apache. A key with a passphrase is Apache's own business.
//
// It writes its PidFile anew when it has taken a reload up. "-k graceful" starts an Apache that
// does not run, which is for others to do, except where our reload has ended it.
constexpr std::string_view kFunctions = R"sh(
apache() { "$APACHE" ${CONFIG:+-f "$CONFIG"} "$@"; }
server_test() {
  apache -t || return 1
  [ -e "$CERT" ] && [ -e "$KEY" ] && command -v openssl >/dev/null || return 0
  certificate_half=$(openssl x509 -in "$CERT" -noout -pubkey 2>/dev/null) || return 0
  key_half=$(openssl pkey -in "$KEY" -passin pass: -pubout 2>/dev/null) || return 0
  [ "$certificate_half" = "$key_half" ] && return 0
  echo "the key in $KEY does not belong to the certificate in $CERT"
  return 1
}
# A zombie, which nobody has fetched yet, is none.
alive() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
server_reload() {
  pid_file=$(apache -S 2>/dev/null | sed -n 's/^PidFile: "\(.*\)"$/\1/p')
  pid=$(head -n 1 "$pid_file" 2>/dev/null)
  if [ -z "$pid" ] || ! alive "$pid"; then
    echo "Apache does not run, says its PidFile $pid_file"
    return 1
  fi
  before=$(stat -c '%i %z' "$pid_file")
  apache -k graceful || return 1
  tries=0
  while [ "$tries" -lt 100 ]; do
    now=$(stat -c '%i %z' "$pid_file" 2>/dev/null)
    if [ -n "$now" ] && [ "$now" != "$before" ]; then return 0; fi
    if ! alive "$pid"; then
      echo "Apache ended while it was reloaded; its error log says why"
      return 2
    fi
    sleep 0.1
    tries=$((tries + 1))
  done
  echo "Apache did not take the reload up within 10 s; its error log says why"
  return 1
}
server_restore() {
  if [ "$reload_code" != 2 ]; then
    server_reload
    return
  fi
  # "-k start" goes by the process that the PidFile names, which may wait to be fetched.
  pid=$(head -n 1 "$(apache -S 2>/dev/null | sed -n 's/^PidFile: "\(.*\)"$/\1/p')" 2>/dev/null)
  tries=0
  while [ "$tries" -lt 50 ] && kill -0 "${pid:-none}" 2>/dev/null; do
    sleep 0.1
    tries=$((tries + 1))
  done
  apache -k start
}
server_runs() { :; }
)sh";

// Arguments of these two: the program, and its configuration file or nothing.
constexpr std::string_view kCheck = R"sh(
[ -x "$1" ] || answer 'failed ApacheMissing'
version=$("$1" -v 2>/dev/null | head -n 1)
if out=$("$1" ${2:+-f "$2"} -t 2>&1); then out=; fi
printf 'certflow ok\n%s\n%s\n' "$version" "$out"
)sh";

constexpr std::string_view kLocate = R"sh(
[ -x "$1" ] || answer 'failed ApacheMissing'
program=$1 main=$2
apache() { "$program" ${main:+-f "$main"} "$@" 2>/dev/null; }
files=
if printed=$(apache -S); then
  files=$(apache -t -D DUMP_INCLUDES | sed -n 's/^ *([0-9*]*) //p')
fi
if [ -n "$files" ]; then
  echo 'certflow ok'
  printf '# configuration file (vhosts):\n%s\n' "$printed"
  printf '# configuration file (modules):\n%s\n' "$(apache -t -D DUMP_MODULES)"
  printf '%s\n' "$files" | while IFS= read -r file; do show "$file"; done
else
  built=$("$program" -V 2>/dev/null)
  built_in() { printf '%s\n' "$built" | sed -n "s/.*-D $1=\"\\(.*\\)\".*/\\1/p"; }
  root=$(built_in HTTPD_ROOT)
  if [ -z "$main" ]; then
    main=$(built_in SERVER_CONFIG_FILE)
    case $main in /*) ;; *) main=$root/$main ;; esac
  fi
  [ -r "$main" ] || answer 'failed NotReadable' "$main"
  own=$(sed -n 's/^[[:space:]]*ServerRoot[[:space:]]\{1,\}"\{0,1\}\([^"]*\).*/\1/p' "$main" | head -n 1)
  echo 'certflow ok'
  walk "$main" "${own:-$root}"
  fault "$("$program" ${2:+-f "$2"} -t 2>&1)"
fi
end_dump
)sh";

Result<Location> LocateApache(const Context& ctx, net::Shell& shell, const ApacheSettings& settings,
                              std::string_view json) {
  CF_ASSIGN_OR_RETURN(const HostBinding<ApacheName> binding, ParseApacheBinding(json));
  if (binding.paths) return AtPaths(*binding.paths, binding.key_type);
  CF_ASSIGN_OR_RETURN(
      const std::string dump,
      AskForDump(ctx, shell, settings, kLocate, {settings.apache_path, settings.config_file}));
  CF_ASSIGN_OR_RETURN(const ApacheConfig config, ParseApacheConfig(dump));
  CF_ASSIGN_OR_RETURN(NamedPlace place,
                      OrFault(FindApachePlace(config, binding.name), dump, FirstApacheError));
  return AtNamedPlace(ctx, shell, settings, std::move(place), binding.key_type);
}

}  // namespace

Result<std::unique_ptr<seams::Target>> MakeApacheTarget(std::string_view target_settings_json,
                                                        std::unique_ptr<net::Shell> shell) {
  CF_ASSIGN_OR_RETURN(const ApacheSettings settings, ParseApacheSettings(target_settings_json));
  ServerCommands server{"APACHE=" + net::ShellQuote(settings.apache_path) + " CONFIG=" +
                            net::ShellQuote(settings.config_file) + std::string(kFunctions),
                        FirstApacheError};
  return MakeHostTarget(std::move(shell), std::move(server), settings,
                        [settings](const Context& ctx, net::Shell& on, std::string_view json) {
                          return LocateApache(ctx, on, settings, json);
                        });
}

Result<HostReadiness> CheckApacheHost(const Context& ctx, std::string_view target_settings_json,
                                      net::Shell& shell) {
  CF_ASSIGN_OR_RETURN(const ApacheSettings settings, ParseApacheSettings(target_settings_json));
  return CheckHost(ctx, shell, settings, kCheck, {settings.apache_path, settings.config_file},
                   FirstApacheError);
}

}  // namespace certflow::providers::host
