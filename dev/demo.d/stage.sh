# shellcheck shell=bash
# shellcheck disable=SC2034  # what the functions find is for the caller
# What dev/demo stands on; source it: telling the story, judging what is seen, running programs, looking at what is served.
# It uses $work (a private folder, gone in the end) of the caller, and once they are known $kubectl and $mailbox.
: "${work:?}" "${kubectl=}" "${mailbox=}"

# What the functions below found, for the caller.
says='' answer='' code=0 run='' seen='' serves='' verdict='' mail=''

# --- telling ---------------------------------------------------------------------------------------------------------

bold='' dim='' green='' red='' cyan='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' cyan=$'\e[36m' plain=$'\e[0m'
fi
story_begin=${EPOCHREALTIME/[.,]/}
act='' act_begin=$story_begin scene='' scene_begin=$story_begin scenes=() acts=() expectations=0

# tenths SINCE: seconds since then, with one digit after the point.
tenths() {
  local spent=$(((${EPOCHREALTIME/[.,]/} - $1) / 100000))
  printf '%d.%d' $((spent / 10)) $((spent % 10))
}

close_scene() {
  if [[ -n $scene ]]; then scenes+=("$(printf '%13s s  %s' "$(tenths "$scene_begin")" "$scene")"); fi
  scene=''
}

close_act() {
  close_scene
  if [[ -n $act ]]; then acts+=("$(printf '%7s s  %s' "$(tenths "$act_begin")" "$act")" "${scenes[@]}"); fi
  act='' scenes=()
}

begin_act() {
  close_act
  act=$1 act_begin=${EPOCHREALTIME/[.,]/}
  printf '\n%s=== %s ===%s\n' "$bold" "$1" "$plain"
}

begin_scene() {
  close_scene
  scene=$1 scene_begin=${EPOCHREALTIME/[.,]/}
  printf '\n%s--- %s ---%s\n\n' "$bold" "$1" "$plain"
}

# tell TEXT: something is done, or is to be known.
tell() { printf '%s%7s s%s  %s\n' "$dim" "$(tenths "$story_begin")" "$plain" "$*"; }
indented() { sed 's/^\(.\)/    \1/'; }

# --- judging ---------------------------------------------------------------------------------------------------------

holds() {
  expectations=$((expectations + 1))
  printf '%s       ok%s  %s\n' "$green" "$plain" "$1"
}

# broken WHAT EXPECTED SEEN: ends the demo.
broken() {
  printf '\n%s   BROKEN%s  %s\n           expected: %s\n           seen:     %s\n' "$red" "$plain" "$1" "$2" "${3:-(nothing)}"
  if [[ -s $work/certflow.out ]]; then
    printf '\nThe last warnings and errors of the controller:\n'
    grep -E '"level":"(warning|error)"' "$work/certflow.out" | tail -n 8 | indented || true
  fi
  exit 1
}

# expect WHAT EXPECTED SEEN
expect() { if [[ "$2" == "$3" ]]; then holds "$1"; else broken "$@"; fi; }
# expect_part WHAT PART SEEN: SEEN holds PART.
expect_part() { if [[ "$3" == *"$2"* ]]; then holds "$1"; else broken "$1" "... $2 ..." "$3"; fi; }
expect_other() { if [[ "$2" != "$3" ]]; then holds "$1"; else broken "$1" "something else than $2" "$3"; fi; }

# await SECONDS WHAT EXPECTED COMMAND ...: until COMMAND prints EXPECTED.
await() {
  local end=$((SECONDS + $1)) what=$2 expected=$3 seen
  shift 3
  while true; do
    seen=$("$@" 2>&1) || true
    [[ $seen != "$expected" ]] || break
    ((SECONDS < end)) || broken "$what" "$expected" "$seen"
    sleep 0.3
  done
  holds "$what"
}

# --- programs --------------------------------------------------------------------------------------------------------

names=() pids=() alive=''

# launch NAME COMMAND ...: in the background, in a process group of its own, so that Ctrl-C reaches the demo alone. Its standard
# input stays open as long as the demo lives; output goes to $work/NAME.out and $work/NAME.log.
launch() {
  local name=$1
  shift
  if [[ -z $alive ]]; then
    mkfifo "$work/alive"
    exec {alive}<>"$work/alive"
  fi
  set -m
  setpriv --pdeathsig TERM -- "$@" <"$work/alive" >"$work/$name.out" 2>"$work/$name.log" {alive}>&- &
  set +m
  names+=("$name") pids+=("$!")
}

# interruptible FILE COMMAND ...: in the foreground for the caller, but a signal to the demo alone ends it too. Its output
# goes to FILE; a redirection by the caller would also catch what is said at the end.
interruptible() {
  local result=0 output=$1
  shift
  set -m
  setpriv --pdeathsig TERM -- "$@" </dev/null >"$output" 2>&1 &
  set +m
  names+=("$1") pids+=("$!")
  wait "${pids[-1]}" || result=$?
  unset 'pids[-1]' 'names[-1]'
  return "$result"
}

is_running() {
  local text
  { read -r text <"/proc/$1/stat"; } 2>/dev/null && [[ ${text##*) } != Z* ]]
}

# ready NAME: waits until it has said so; what it said on that line is in $says.
ready() {
  local i end=$((SECONDS + 180))
  for i in "${!names[@]}"; do [[ ${names[i]} != "$1" ]] || break; done
  until says=$(grep -m 1 -a '^ready' "$work/$1.out"); do
    is_running "${pids[i]}" || broken "$1 starts" "a line that begins with ready" "$(tail -n 20 "$work/$1.log")"
    ((SECONDS < end)) || broken "$1 starts within three minutes" "a line that begins with ready" "$(tail -n 20 "$work/$1.log")"
    sleep 0.1
  done
}

# said KEY: of the line of the last `ready`.
said() { sed -n "s/.* $1=\([^ ]*\).*/\1/p" <<<"$says"; }

# stop_last: the program that was launched last, by force after fifteen seconds.
stop_last() {
  local pid=${pids[-1]} tries
  unset 'pids[-1]' 'names[-1]'
  kill -TERM "$pid" 2>/dev/null || true
  for ((tries = 0; tries < 150; tries++)); do
    is_running "$pid" || break
    sleep 0.1
  done
  kill -KILL -- "-$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

# The control plane was launched first and goes last.
stop_everything() {
  local i
  for ((i = ${#pids[@]} - 2; i > 0; i--)); do kill -TERM "${pids[i]}" 2>/dev/null || true; done
  while ((${#pids[@]})); do stop_last; done
}

first_that_ended() {
  local i
  for i in "${!pids[@]}"; do
    is_running "${pids[i]}" || { echo "${names[i]}"; return; }
  done
}

# --- the cluster -----------------------------------------------------------------------------------------------------

# as USER ARGUMENT ...: kubectl as that user.
as() {
  local user=$1
  shift
  "$kubectl" --kubeconfig "$work/plane/$user.kubeconfig" "$@"
}

# types USER ARGUMENT ...: the same, shown as if it was typed, with what kubectl answers; $answer and $code hold that.
types() {
  local user=$1
  shift
  printf '%s%s$%s kubectl%s\n' "$cyan" "$user" "$plain" "$(as_typed "$@")"
  code=0
  answer=$(as "$user" "$@" 2>&1) || code=$?
  if [[ -n $answer ]]; then indented <<<"$answer"; fi
}

# as_typed WORD ...: with quotes where a person would write them.
as_typed() {
  local word
  for word in "$@"; do
    case $word in
      *=*' '*) printf " %s='%s'" "${word%%=*}" "${word#*=}" ;;
      *' '*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
}

# apply USER FILE: a template of dev/demo.d, filled in.
apply() {
  local answer
  printf '%s%s$%s kubectl apply --server-side -f dev/demo.d/%s\n' "$cyan" "$1" "$plain" "$2"
  python3 dev/demo.d/show.py render "$work/values" "dev/demo.d/$2" >"$work/$2"
  answer=$(as "$1" apply --server-side -f "$work/$2" 2>&1) || broken "$1 applies $2" "applied" "$answer"
  indented <<<"$answer"
}

# value NAME: keeps standard input for the templates.
value() { cat >"$work/values/$1"; }

# field KIND/NAME JSONPATH
field() { as admin -n shop get "$1" -o "jsonpath={$2}"; }
# is_ready KIND/NAME [NAMESPACE]
is_ready() { as admin -n "${2:-shop}" get "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'; }

# run_of WORKFLOW NUMBER: the run's name, once it is there.
run_of() {
  as admin -n shop get workflowruns --field-selector "spec.workflowRef.name=$1" \
    -o "jsonpath={.items[?(@.spec.number==$2)].metadata.name}"
}

# await_run WORKFLOW NUMBER: sets $run.
await_run() {
  local end=$((SECONDS + 120))
  until run=$(run_of "$1" "$2" 2>/dev/null) && [[ -n $run ]]; do
    ((SECONDS < end)) || broken "there is run $2 of $1" "a WorkflowRun" "$(as admin -n shop get cwr 2>&1)"
    sleep 0.3
  done
}

# await_state WHAT STATE: of $run. A run that ended otherwise is not waited for.
await_state() {
  local end=$((SECONDS + 300)) state
  while true; do
    state=$(field "workflowrun/$run" .status.state 2>&1) || true
    [[ $state != "$2" ]] || break
    case $state in Succeeded | Failed | RolledBack | Held | Cancelled) break ;; esac
    ((SECONDS < end)) || break
    sleep 0.3
  done
  if [[ $state != "$2" ]]; then
    record
    broken "$1" "run $run is $2" "$state: $(field "workflowrun/$run" .status.message)"
  fi
  holds "$1"
}

record() { as admin -n shop get "workflowrun/$run" -o json | python3 dev/demo.d/show.py record; }

# --- outside ---------------------------------------------------------------------------------------------------------

# looks_at ENDPOINT NAME ROOTS: what a client sees there, and whether it would trust it; $seen, $serves (the fingerprint as
# certflow writes it) and $verdict hold it.
looks_at() {
  printf '%svisitor$%s openssl s_client -connect %s -servername %s\n' "$cyan" "$plain" "$1" "$2"
  look "$@"
  printf '%s\nfor %s: %s\n' "$seen" "$2" "$verdict" | indented
}

look() {
  local all
  all=$(timeout 10 openssl s_client -connect "$1" -servername "$2" -verify_hostname "$2" -CAfile "$3" </dev/null 2>/dev/null) ||
    true
  verdict=$(sed -n 's/^ *Verify return code: [0-9]* (\(.*\))$/\1/p' <<<"$all" | head -n 1)
  seen=$(openssl x509 -noout -subject -issuer -serial -enddate -ext subjectAltName <<<"$all" 2>/dev/null |
    sed '/^$/d; /^X509v3/d; s/^ *DNS:/names=DNS:/') || true
  serves=$(fingerprint <<<"$all")
}

# fingerprint: of the certificate in standard input.
fingerprint() { openssl x509 -noout -fingerprint -sha256 2>/dev/null | sed 's/.*=//' | tr -d ':\n' | tr '[:upper:]' '[:lower:]'; }

secret_fingerprint() { field "secret/$1" '.data.tls\.crt' 2>/dev/null | base64 -d | fingerprint; }

# mails WORD ...: those that hold all words; `await_mail WHAT WORD ...` waits for one and shows it.
mails() { python3 dev/demo.d/show.py mails "$mailbox" "$@"; }

await_mail() {
  local what=$1 end=$((SECONDS + 120))
  shift
  until mail=$(mails "$@") && [[ -n $mail ]]; do
    ((SECONDS < end)) || broken "$what" "a mail with: $*" "$(mails)"
    sleep 0.3
  done
  holds "$what"
  printf '\n%s\n' "$mail"
}
