#include "providers/targets/host/haproxy_target.h"

#include <utility>

#include "providers/targets/host/config_dump.h"
#include "providers/targets/host/haproxy_config.h"
#include "providers/targets/host/named_place.h"

namespace certflow::providers::host {
namespace {

// HAProxy writes "[ALERT]    (1) : config : parsing [FILE:LINE] : why" among notes and warnings;
// the stats socket begins with what matters.
std::string FirstHaproxyError(std::string_view output) {
  std::string_view first;
  while (!output.empty()) {
    const std::string_view line = TakeLine(output);
    if (line.find("[ALERT]") != std::string_view::npos) return std::string(line);
    if (first.empty()) first = line;
  }
  return std::string(first);
}

// ask: standard input to the stats socket, its answer to standard output, by the first of four
// programs of which hosts have at least one: perl and python3 are part of most systems.
constexpr std::string_view kAsk = R"sh(
socket_tool() {
  for tool in socat perl python3 nc; do
    if command -v "$tool" >/dev/null; then
      echo "$tool"
      return 0
    fi
  done
  echo "none of socat, perl, python3 and nc is there to talk to $SOCKET with"
  return 1
}
ask() {
  case $(socket_tool) in
    socat)
      case $SOCKET in /*) to=UNIX-CONNECT:$SOCKET ;; *) to=TCP:$SOCKET ;; esac
      socat -t 30 - "$to"
      ;;
    perl)
      perl -MIO::Socket::UNIX -MIO::Socket::INET -e '
        my $to = shift;
        alarm 30;
        my $s = $to =~ m{^/} ? IO::Socket::UNIX->new(Peer => $to) : IO::Socket::INET->new($to);
        die "$to: $!\n" unless $s;
        local $/;
        print $s scalar <STDIN>;
        $s->flush;
        $s->shutdown(1);
        print scalar <$s>;' "$SOCKET"
      ;;
    python3)
      python3 -c '
import socket, sys
to = sys.argv[1]
if to.startswith("/"):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(to)
else:
    host, port = to.rsplit(":", 1)
    s = socket.create_connection((host.strip("[]"), int(port)), 30)
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
while True:
    got = s.recv(65536)
    if not got:
        break
    sys.stdout.buffer.write(got)' "$SOCKET"
      ;;
    nc)
      case $SOCKET in /*) nc -U "$SOCKET" ;; *) nc "${SOCKET%:*}" "${SOCKET##*:}" ;; esac
      ;;
    *) return 1 ;;
  esac
}
)sh";

// The payload ends at an empty line, so it must have none. HAProxy shows SHA-1 fingerprints.
constexpr std::string_view kFunctions = R"sh(
server_test() { "$HAPROXY" -c -f "$CONFIG"; }
server_reload() {
  if [ -n "$SOCKET" ]; then update; else signal; fi
}
server_restore() { server_reload; }
server_runs() { [ -z "$SOCKET" ] || [ "$(served)" = "$(sha1 "$CERT")" ]; }
served() {
  echo "show ssl cert $CERT" | ask 2>/dev/null | sed -n 's/^SHA1 FingerPrint: //p'
}
sha1() {
  sed -n -e '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' \
    -e '/^-----END CERTIFICATE-----/q' "$1" | grep -v '^-----' | base64 -di 2>/dev/null |
    sha1sum | cut -d ' ' -f 1 | tr a-f A-F
}
# The certificate of a transaction that somebody else has begun. A process has one at a time, and
# HAProxy 2.6 takes "set ssl cert" of a file that it does not know for a part of it.
busy_with() {
  busy=$(echo 'show ssl cert' | ask 2>/dev/null | sed -n 's/^\*//p')
  [ -n "$busy" ] && [ "$busy" != "$CERT" ] && echo "$busy"
}
update() {
  socket_tool >/dev/null || { socket_tool; return 1; }
  if [ ! -e "$CERT" ]; then
    # Only a reload makes the process forget it.
    [ ! -s "$PIDFILE" ] || signal
    return
  fi
  tries=0
  while busy=$(busy_with) && [ "$tries" -lt 20 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  # Nobody needs two seconds between two commands: whoever began it is gone.
  case $busy:$(readlink "$busy") in
    :*) ;;
    *:*/.certflow-*/live/*) echo "abort ssl cert $busy" | ask >/dev/null 2>&1 ;;
    *)
      echo "somebody is changing $busy: \"abort ssl cert $busy\" on the stats socket ends that"
      return 1
      ;;
  esac
  said=$({
    printf 'set ssl cert %s <<\n' "$CERT"
    grep -hv '^[[:space:]]*$' "$CERT" ${K:+"$KEY"}
    echo
  } | ask 2>&1)
  case $said in
    *"Transaction created for certificate $CERT!"* | *"Transaction updated for certificate $CERT!"*) ;;
    *'Transaction updated for certificate '*)
      # Begun since we looked, and holding our pair now: nobody may commit that.
      busy=$(printf '%s\n' "$said" | sed -n 's/^Transaction updated for certificate \(.*\)!$/\1/p')
      echo "abort ssl cert $busy" | ask >/dev/null 2>&1
      echo "somebody began to change $busy at the same moment, and that was ended"
      return 1
      ;;
    *'not referenced'*)
      load
      return
      ;;
    *)
      printf '%s\n' "${said:-no answer on $SOCKET}"
      return 1
      ;;
  esac
  said=$(echo "commit ssl cert $CERT" | ask 2>&1)
  case $said in
    *Success*) ;;
    *)
      echo "abort ssl cert $CERT" | ask >/dev/null 2>&1
      printf '%s\n' "$said" | grep -v '^Committing'
      return 1
      ;;
  esac
  server_runs && return 0
  echo "the stats socket shows another certificate than was committed"
  return 1
}
# A file that the process has not read yet.
load() {
  signal || return 1
  tries=0
  while [ "$tries" -lt 50 ]; do
    if server_runs; then return 0; fi
    sleep 0.2
    tries=$((tries + 1))
  done
  echo "HAProxy was reloaded, and its configuration does not name $CERT"
  return 1
}
# The master process starts new workers, and ends the old ones when their connections are done. A
# process that neither catches nor holds back the signal (the twelfth) is no master, and would end.
signal() {
  pid=$(head -n 1 "$PIDFILE" 2>/dev/null)
  if [ -n "$pid" ] && grep -qE '^Sig(Cgt|Blk):.*[89a-f]..$' "/proc/$pid/status" 2>/dev/null; then
    kill -USR2 "$pid" 2>&1
  else
    echo "$PIDFILE names no master process (haproxy -W) that could be told to reload"
    return 1
  fi
}
)sh";

// Arguments: the program, its configuration. An administrator's command that does nothing tells
// whether certificates may be changed.
constexpr std::string_view kCheck = R"sh(
[ -x "$1" ] || answer 'failed HaproxyMissing'
version=$("$1" -v 2>/dev/null | head -n 1)
if out=$("$1" -c -f "$2" 2>&1); then out=; fi
if [ -n "$SOCKET" ]; then
  socket_tool >/dev/null || answer 'failed SocketToolMissing'
  said=$(echo 'abort ssl cert /nonexistent' | ask 2>&1)
  case $said in
    *'Permission denied'*) answer 'failed SocketRefused' "$SOCKET" ;;
    *'No ongoing transaction'*) ;;
    *) out="$out
no answer on the stats socket $SOCKET: $said" ;;
  esac
fi
printf 'certflow ok\n%s\n%s\n' "$version" "$out"
)sh";

// Arguments as above. What might be a certificate or a list is shown; which of it counts is for
// ParseHaproxyConfig.
constexpr std::string_view kLocate = R"sh(
[ -x "$1" ] || answer 'failed HaproxyMissing'
shift
if [ -d "$1" ]; then set -- "$1"/*.cfg; fi
[ -r "$1" ] || answer 'failed NotReadable' "$1"
after() { trim "$@" | tr -s ' \t' '\n\n' | sed -n "/^$word\$/{n;p;}" | tr -d "\"'" | sort -u; }
word=crt-base
base=$(after "$@" | head -n 1)
word=crt-list
lists=$(after "$@")
word=crt
names=$(after "$@")
echo 'certflow ok'
for file in "$@"; do show "$file"; done
printf '%s\n' "$lists" | while IFS= read -r list; do
  case $list in /*) if [ -r "$list" ]; then printf '# configuration file (list) %s:\n' "$list"; trim "$list"; echo; fi ;; esac
done
{
  printf '%s\n' "$names"
  printf '%s\n' "$lists" | while IFS= read -r list; do
    case $list in /*) if [ -r "$list" ]; then trim "$list" | sed 's/^[[:space:]]*\([^[:space:]]*\).*/\1/'; fi ;; esac
  done
} | sort -u | while IFS= read -r path; do
  case $path in
    '') continue ;;
    /*) ;;
    *)
      [ -n "$base" ] || continue
      path=$base/$path
      ;;
  esac
  if [ -d "$path" ]; then
    for file in "${path%/}"/*; do
      case $file in *.key | *.issuer | *.ocsp | *.sctl | *.dh) ;; *) certificate "$file" ;; esac
    done
  else
    certificate "$path"
  fi
done
end_dump
)sh";

Result<Location> LocateHaproxy(const Context& ctx, net::Shell& shell,
                               const HaproxySettings& settings, std::string_view json) {
  CF_ASSIGN_OR_RETURN(const HostBinding<HaproxyName> binding, ParseHaproxyBinding(json));
  Location location;
  if (binding.paths) {
    location = AtPaths(*binding.paths, binding.key_type);
  } else {
    CF_ASSIGN_OR_RETURN(
        const std::string dump,
        AskForDump(ctx, shell, settings, kLocate, {settings.haproxy_path, settings.config_file}));
    CF_ASSIGN_OR_RETURN(const HaproxyConfig config, ParseHaproxyConfig(dump));
    CF_ASSIGN_OR_RETURN(NamedPlace place, FindHaproxyPlace(config, binding.name, binding.key_type));
    CF_ASSIGN_OR_RETURN(location,
                        AtNamedPlace(ctx, shell, settings, std::move(place), binding.key_type));
  }
  // The name is a word of the commands on the stats socket.
  if (!settings.stats_socket.empty() &&
      location.paths.certificate_file.find_first_of(" ;\\<\"'*") != std::string::npos) {
    return MakeError(ErrorCode::kInvalid, "InvalidSettings",
                     "certificateFile: " + Sanitize(location.paths.certificate_file, 200) +
                         " cannot be named on the stats socket: rename it, or remove statsSocket");
  }
  return location;
}

std::string SocketOf(const HaproxySettings& settings) {
  return "SOCKET=" + net::ShellQuote(settings.stats_socket) + std::string(kAsk);
}

}  // namespace

Result<std::unique_ptr<seams::Target>> MakeHaproxyTarget(std::string_view target_settings_json,
                                                         std::unique_ptr<net::Shell> shell) {
  CF_ASSIGN_OR_RETURN(const HaproxySettings settings, ParseHaproxySettings(target_settings_json));
  ServerCommands server{"HAPROXY=" + net::ShellQuote(settings.haproxy_path) +
                            " CONFIG=" + net::ShellQuote(settings.config_file) +
                            " PIDFILE=" + net::ShellQuote(settings.pid_file) + "\n" +
                            SocketOf(settings) + std::string(kFunctions),
                        FirstHaproxyError};
  return MakeHostTarget(std::move(shell), std::move(server), settings,
                        [settings](const Context& ctx, net::Shell& on, std::string_view json) {
                          return LocateHaproxy(ctx, on, settings, json);
                        });
}

Result<HostReadiness> CheckHaproxyHost(const Context& ctx, std::string_view target_settings_json,
                                       net::Shell& shell) {
  CF_ASSIGN_OR_RETURN(const HaproxySettings settings, ParseHaproxySettings(target_settings_json));
  return CheckHost(ctx, shell, settings, SocketOf(settings) + std::string(kCheck),
                   {settings.haproxy_path, settings.config_file}, FirstHaproxyError);
}

}  // namespace certflow::providers::host
