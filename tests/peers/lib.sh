# shellcheck shell=bash
# Shared by the peers of this folder; source it, do not run it.
#
# A peer is `tests/peers/NAME DIR [arguments]`: it runs in the foreground with all of its state in DIR, on free loopback
# ports, prints one line `ready key=value ...` when it answers, and ends with its children on SIGTERM, on SIGINT, when its
# standard input closes, or when one of its programs ends by itself (then with exit code 1). Messages go to standard error.
#
#   set -euo pipefail
#   # shellcheck source-path=SCRIPTDIR source=lib.sh
#   source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#   peer_init "$1"                     # sets $dir (absolute) and the traps
#   port=; free_port port                   # sets $port
#   make_ca; make_certificate server localhost DNS:localhost IP:127.0.0.1
#   start server some-program --port "$port"       # output goes to $dir/server.log
#   wait_for 10 "the server" answers "$port"
#   ready address="127.0.0.1:$port"
#   serve_until_stopped

export PATH="$PATH:/usr/sbin:/sbin"  # where Debian keeps the servers; a plain user's PATH lacks it
peer=$(basename "$0")
dir=
# shellcheck disable=SC2034  # read by the peers that have just one port
port=
peer_pids=()

say() { echo "$peer: $*" >&2; }
fail() { say "$*"; exit 1; }

# peer_init DIR: makes DIR, lets `dir` name it and sees to it that whatever was started ends with this script.
peer_init() {
  [[ -n "${1:-}" ]] || fail "usage: $peer DIR [arguments]"
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  trap 'peer_stop' EXIT
  trap 'exit 0' TERM INT HUP
}

# need PROGRAM ...: a missing program is named with the remedy.
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is not installed; dev/setup installs it"
  done
}

# free_port NAME: sets NAME to a port nobody listens on. It lies below the range from which the kernel takes ports for
# outgoing connections, and stays locked for the other peers as long as this script lives.
free_port() {
  local locks tries candidate hex fd
  locks=${TMPDIR:-/tmp}/certflow-ports-$UID
  mkdir -p "$locks"
  for ((tries = 0; tries < 200; tries++)); do
    candidate=$((12000 + (RANDOM * 32768 + RANDOM) % 20000))
    exec {fd}>"$locks/$candidate"
    printf -v hex ':%04X ' "$candidate"
    if flock -n "$fd" && ! cat /proc/net/{tcp,udp,tcp6,udp6} 2>/dev/null | grep -q "$hex"; then
      printf -v "$1" '%s' "$candidate"
      return 0
    fi
    exec {fd}>&-
  done
  fail "no free port in 200 tries"
}

# start NAME COMMAND ...: in the background in a process group of its own, output to $dir/NAME.log, its pid in
# `started`. The program also ends when this script is killed with SIGKILL.
start() {
  local name=$1
  shift
  set -m
  setpriv --pdeathsig KILL -- "$@" </dev/null >>"$dir/$name.log" 2>&1 &
  started=$!
  set +m
  peer_pids+=("$started")
}

# stop PID: ends one program that was started with `start`, and its children.
stop() {
  local pid=$1 other left=() tries
  kill -TERM -- "-$pid" 2>/dev/null || true
  for ((tries = 0; tries < 40; tries++)); do
    kill -0 -- "-$pid" 2>/dev/null || break
    sleep 0.05
  done
  kill -KILL -- "-$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  for other in "${peer_pids[@]}"; do [[ "$other" == "$pid" ]] || left+=("$other"); done
  peer_pids=("${left[@]}")
}

peer_stop() {
  local pid
  trap '' TERM INT HUP
  for pid in "${peer_pids[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for pid in "${peer_pids[@]}"; do stop "$pid"; done
}

# wait_for SECONDS WHAT COMMAND ...: until COMMAND succeeds; ends the peer, with the last lines of its logs, when it does
# not in time or when a started program is gone.
wait_for() {
  local seconds=$1 what=$2 end pid
  shift 2
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    for pid in "${peer_pids[@]}"; do
      kill -0 "$pid" 2>/dev/null || { show_logs; fail "$what: a program ended at once"; }
    done
    ((SECONDS < end)) || { show_logs; fail "$what does not answer after $seconds s"; }
    sleep 0.05
  done
}

show_logs() { tail -n 20 "$dir"/*.log >&2 2>/dev/null || true; }

# answers PORT: somebody accepts connections on it.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# make_ca: a throw-away CA, $dir/ca.pem and $dir/ca-key.pem.
make_ca() {
  new_certificate ca "certflow test CA" -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign,cRLSign -addext subjectKeyIdentifier=hash
}

# make_certificate FILE CN SAN ...: $dir/FILE.pem and $dir/FILE-key.pem, signed by the CA of make_ca; a SAN is written as
# for openssl: DNS:localhost IP:127.0.0.1.
make_certificate() {
  local file=$1 cn=$2 sans
  shift 2
  sans=$(IFS=,; echo "$*")
  new_certificate "$file" "$cn" -CA "$dir/ca.pem" -CAkey "$dir/ca-key.pem" \
    -addext basicConstraints=critical,CA:FALSE -addext "subjectAltName=$sans"
}

# new_certificate FILE CN OPTION ...: the system's openssl.cnf is left out, its extensions would come on top of ours.
new_certificate() {
  local file=$1 cn=$2
  shift 2
  printf '[req]\ndistinguished_name=dn\n[dn]\n' >"$dir/$file.cnf"
  (umask 077 && openssl req -x509 -config "$dir/$file.cnf" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj "/CN=$cn" -keyout "$dir/$file-key.pem" -out "$dir/$file.pem" "$@" 2>>"$dir/openssl.log") ||
    { show_logs; fail "openssl could not make $file.pem"; }
  chmod 644 "$dir/$file.pem"
}

# ready KEY=VALUE ...: tells the caller that the peer answers.
ready() { echo "ready $*"; }

# serve_until_stopped: returns when standard input closes; fails when one of the programs ends by itself.
serve_until_stopped() {
  local pid code
  while true; do
    for pid in "${peer_pids[@]}"; do
      kill -0 "$pid" 2>/dev/null || { show_logs; fail "a program ended by itself"; }
    done
    code=0
    IFS= read -r -t 0.5 _ || code=$?
    # Above 128 the time was up; any other failure is the end of the input.
    if ((code > 0 && code <= 128)); then return 0; fi
  done
}
