#include "providers/targets/host/host_scripts.h"

namespace certflow::providers::host {

// Renames are `mv -T`, which is rename(2) also when the destination is a link to a folder.
const std::string_view kPrelude = R"sh(
LC_ALL=C PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
umask 077
trap '' HUP PIPE
D=$1 CERT=$2 KEY=$3 OWNER=$4
shift 4
if [ "$CERT" = "$KEY" ]; then C=combined.pem K=; else C=fullchain.pem K=privkey.pem; fi
touched=
why=

finish() {
  printf 'certflow %s\n' "$1"
  [ -z "$why" ] || printf '%s\n' "$why"
  exit 0
}
die() {
  [ -z "$2" ] || why=$2
  if [ -n "$touched" ]; then finish "unknown $1"; else finish "failed $1"; fi
}
try() {
  why=$("$@" 2>&1) || die WriteFailed
  why=
}
# To the disk, where this sync can take names.
flush() { sync "$@" 2>/dev/null || :; }

live() { readlink "$D/live"; }
mark() { cat "$D/$1" 2>/dev/null; }
exists() { [ -e "$1" ] || [ -L "$1" ]; }
ours() { [ "$(readlink "$1")" = "$D/live/$2" ]; }
linked() { ours "$CERT" "$C" && { [ -z "$K" ] || ours "$KEY" "$K"; }; }
any_linked() { ours "$CERT" "$C" || { [ -n "$K" ] && ours "$KEY" "$K"; }; }
complete() { [ -f "$D/$1/$C" ] && { [ -z "$K" ] || [ -f "$D/$1/$K" ]; }; }
# Content as it was when the version was made; servers do not notice all of what can be wrong.
intact() { [ ! -e "$D/$1/sums" ] || [ "$(sums "$1")" = "$(mark "$1/sums")" ]; }

# SHA-256 of the first certificate's DER; empty when there is none.
fingerprint() {
  inside=
  body=$(head -c 1048576 "$1" | while IFS= read -r line; do
    case $line in
      "-----BEGIN CERTIFICATE-----"*) inside=1 ;;
      "-----END CERTIFICATE-----"*) break ;;
      *) [ -z "$inside" ] || printf '%s\n' "$line" ;;
    esac
  done)
  [ -n "$body" ] || return 0
  sum=$(printf '%s\n' "$body" | base64 -di 2>/dev/null | sha256sum)
  printf '%s\n' "${sum%% *}"
}

check_owner() {
  [ ! -L "$D" ] || die FolderIsLink
  if [ -e "$D/owner" ]; then
    [ "$(mark owner)" = "$OWNER" ] || die FolderOwnedByOther "$(mark owner)"
  fi
  for file in "$CERT" "$KEY"; do
    to=$(readlink "$file")
    case $to in
      "$D"/live/*) ;;
      */.certflow-*/live/*) die FileOwnedByOther "$to" ;;
    esac
  done
}

open_folder() {
  [ -d "${CERT%/*}" ] || die DirectoryMissing "${CERT%/*}"
  [ -d "${KEY%/*}" ] || die DirectoryMissing "${KEY%/*}"
  [ -w "${CERT%/*}" ] || die DirectoryNotWritable "${CERT%/*}"
  [ -w "${KEY%/*}" ] || die DirectoryNotWritable "${KEY%/*}"
  # Others may pass through, as they could reach the files before; the files guard themselves.
  [ -d "$D" ] || try mkdir -m 711 "$D"
  [ -e "$D/owner" ] || put owner "$OWNER"
}

# put NAME TEXT: replaces a small file of the folder in one step.
put() {
  printf '%s\n' "$2" 2>/dev/null >"$D/.tmp-put" || die WriteFailed "cannot write $D/$1"
  flush "$D/.tmp-put"
  try mv -fT "$D/.tmp-put" "$D/$1"
  flush "$D"
}
# point TARGET LINK: replaces a link or file in one step.
point() {
  try ln -sfT "$1" "${2%/*}/.certflow-new-${2##*/}"
  try mv -fT "${2%/*}/.certflow-new-${2##*/}" "$2"
  flush "${2%/*}"
}
link_files() {
  ours "$CERT" "$C" || point "$D/live/$C" "$CERT"
  [ -z "$K" ] || ours "$KEY" "$K" || point "$D/live/$K" "$KEY"
}
unlink_files() {
  if ours "$CERT" "$C"; then try rm -f "$CERT"; fi
  if [ -n "$K" ] && ours "$KEY" "$K"; then try rm -f "$KEY"; fi
  flush "${CERT%/*}" "${KEY%/*}"
}

# like REFERENCE FILE MODE: owner, group and mode of what it replaces.
like() {
  if [ -e "$1" ]; then
    why=$(chown --reference="$1" "$2" 2>&1 && chmod --reference="$1" "$2" 2>&1) || die OwnerNotKept
    why=
  else
    try chmod "$3" "$2"
  fi
}
sums() { (cd "$D/$1" && sha256sum "$C" ${K:+"$K"}) 2>/dev/null; }
# keep NEW VERSION: names a complete folder; false when the name has other content.
keep() {
  put "$1/sums" "$(sums "$1")"
  flush "$D/$1/$C" ${K:+"$D/$1/$K"} "$D/$1"
  if [ -d "$D/$2" ]; then
    [ "$(sums "$1")" = "$(sums "$2")" ] || return 1
    try rm -rf "$D/$1"
    return 0
  fi
  try mv -T "$D/$1" "$D/$2"
  flush "$D"
}
sweep() {
  for left in "$D"/.new-* "$D"/.old-* "$D"/.tmp-* "${CERT%/*}/.certflow-new-${CERT##*/}" \
    "${KEY%/*}/.certflow-new-${KEY##*/}"; do
    if exists "$left"; then try rm -rf "$left"; fi
  done
}

# Keeps what stands there and was not put there by us as a version, and puts links with the same
# content in its place: whatever happens between two of these steps, both files read as before.
adopt() {
  if linked; then return 0; fi
  if ! exists "$CERT" && ! exists "$KEY"; then return 0; fi
  if [ ! -e "$CERT" ] || [ ! -e "$KEY" ]; then
    # Half of our own links: a first activation that died.
    if any_linked && { ! exists "$CERT" || ! exists "$KEY"; }; then return 0; fi
    die PairIncomplete
  fi
  new=.new-original-$$
  try rm -rf "$D/$new"
  try mkdir -m 711 "$D/$new"
  try cp "$CERT" "$D/$new/$C"
  like "$CERT" "$D/$new/$C"
  if [ -n "$K" ]; then
    try cp "$KEY" "$D/$new/$K"
    like "$KEY" "$D/$new/$K"
  fi
  print=$(fingerprint "$D/$new/$C")
  [ -n "$print" ] || die NotACertificate "$CERT"
  name=original-$(printf %.8s "$print")
  if ! keep "$new" "$name"; then
    # The same certificate with another chain or key.
    print=$(sums "$new" | sha256sum)
    name=$name-$(printf %.8s "$print")
    keep "$new" "$name" || die WriteFailed "$D/$name was changed by somebody else"
  fi
  put original "$name"
  point "$name" "$D/live"
  # What stood there is taken to be what runs.
  put reloaded "$name"
  link_files
}

# activate VERSION REVERTING
activate() {
  complete "$1" || die VersionMissing "$1"
  intact "$1" || die VersionDamaged "$D/$1"
  adopt
  live=$(live) loaded=$(mark reloaded)
  if linked && [ "$live" = "$1" ] && [ "$loaded" = "$1" ] && server_runs; then finish ok; fi
  # Where to go back to; empty where nothing stood before.
  prev=$live
  [ "$prev" != "$1" ] || prev=$loaded
  [ "$prev" != "$1" ] || prev=
  # (Half of our links is a first activation or its way back that died: nothing stood before.)
  linked || prev=
  [ -z "$prev" ] || complete "$prev" || prev=
  # A configuration that names files which are not there yet cannot be judged before they are.
  if [ -n "$prev" ] && [ "$live" != "$1" ] && [ "$2" != 1 ]; then
    why=$(server_test 2>&1) || die ConfigBroken
    why=
  fi
  # Told only while this version is live, so it can be written before the switch.
  if [ "$live" != "$1" ]; then
    if linked; then put "$1/previous" "$live"; else put "$1/previous" ""; fi
  fi
  touched=1
  point "$1" "$D/live"
  link_files
  out=$(server_test 2>&1) || undo "$1" "$2" ConfigTestFailed "$out"
  out=$(server_reload 2>&1) || {
    reload_code=$?
    undo "$1" "$2" ReloadFailed "$out"
  }
  [ "$(live)" = "$1" ] || die Overtaken "$(live)"
  put reloaded "$1"
  finish ok
}
# undo VERSION REVERTING REASON OUTPUT
undo() {
  # On the way back the files are right even when somebody else broke the configuration.
  [ "$2" != 1 ] || [ "$3" != ReloadFailed ] || die "$3" "$4"
  if [ -n "$prev" ]; then
    point "$prev" "$D/live"
  else
    unlink_files
    try rm -f "$D/live" "$D/reloaded"
  fi
  if server_test >/dev/null 2>&1; then
    if [ "$3" = ReloadFailed ] && ! server_restore >/dev/null 2>&1 && [ "$reload_code" = 2 ]; then
      die "$3" "$4; with the former files it cannot be started either"
    fi
  elif [ "$2" = 1 ]; then
    point "$1" "$D/live"
    link_files
    die "$3" "$4"
  fi
  touched=
  die "$3" "$4"
}
check_owner
)sh";

const std::string_view kObserve = R"sh(
state() {
  if ours "$1" "$2"; then echo ours; elif [ -e "$1" ]; then echo file
  elif [ -L "$1" ]; then echo dangling; else echo absent; fi
}
cert=$(state "$CERT" "$C")
key=$cert
[ -z "$K" ] || key=$(state "$KEY" "$K")
print=
if [ -e "$CERT" ]; then
  [ -r "$CERT" ] || die NotReadable "$CERT"
  print=$(fingerprint "$CERT")
fi
list=
for path in "$D"/*; do
  if [ -d "$path" ] && [ ! -L "$path" ] && complete "${path##*/}"; then
    list="$list
version ${path##*/}"
  fi
done
why="certificate $cert
key $key
fingerprint $print
live $(live)
reloaded $(mark reloaded)$list"
if [ -e "$D/live/previous" ]; then
  why="$why
previous $(mark live/previous)"
fi
if [ "$cert" = ours ] && ! server_runs; then
  why="$why
loaded no"
fi
finish ok
)sh";

const std::string_view kStage = R"sh(
[ ! -d "$D" ] || sweep
open_folder
adopt
new=.new-$1
try mkdir -m 711 "$D/$new"
if [ -z "$K" ]; then
  cat >"$D/$new/$C" || die WriteFailed
  [ "$(wc -c <"$D/$new/$C")" -eq $(($2 + $3)) ] || die InputCut
else
  head -c "$2" >"$D/$new/$C" || die WriteFailed
  cat >"$D/$new/$K" || die WriteFailed
  [ "$(wc -c <"$D/$new/$C")" -eq "$2" ] && [ "$(wc -c <"$D/$new/$K")" -eq "$3" ] || die InputCut
fi
if [ -z "$K" ]; then
  like "$CERT" "$D/$new/$C" 600
else
  like "$CERT" "$D/$new/$C" 644
  like "$KEY" "$D/$new/$K" 600
fi
if ! keep "$new" "$1"; then
  [ "$(live)" != "$1" ] || die VersionInUse "$1"
  try rm -rf "$D/.old-$1"
  try mv -T "$D/$1" "$D/.old-$1"
  keep "$new" "$1"
  try rm -rf "$D/.old-$1"
fi
finish ok
)sh";

const std::string_view kActivate = R"sh(
activate "$1" "$2"
)sh";

// Goes back to what stood before us where something did; a pair that was there is never taken away.
const std::string_view kDeactivate = R"sh(
[ -d "$D" ] || finish ok
original=$(mark original)
if [ -n "$original" ]; then
  if ! any_linked; then finish ok; fi
  activate "$original" 1
fi
touched=1
unlink_files
if exists "$D/live" || [ -e "$D/reloaded" ]; then
  try rm -f "$D/live"
  # A server that needs the files cannot be reloaded without them: it stays as it runs.
  if server_test >/dev/null 2>&1; then
    out=$(server_reload 2>&1) || die ReloadFailed "$out"
  fi
  try rm -f "$D/reloaded"
fi
finish ok
)sh";

const std::string_view kPrune = R"sh(
[ -d "$D" ] || finish ok
sweep
live=$(live) loaded=$(mark reloaded) left=
for path in "$D"/*; do
  version=${path##*/}
  if [ ! -d "$path" ] || [ -L "$path" ]; then continue; fi
  for wanted in "$live" "$loaded" "$@"; do
    if [ "$version" = "$wanted" ]; then
      left=1
      continue 2
    fi
  done
  try mv -T "$path" "$D/.old-$version"
  try rm -rf "$D/.old-$version"
done
if [ -z "$left" ] && ! any_linked; then
  try rm -f "$D/live" "$D/reloaded" "$D/original" "$D/owner"
  try rmdir "$D"
fi
finish ok
)sh";

const std::string_view kPutChallenge = R"sh(
umask 077
trap '' HUP PIPE
new=$1/.certflow-$2
out=$(mkdir -p -m 755 "$1" 2>&1) || { printf 'certflow failed WriteFailed\n%s\n' "$out"; exit 0; }
out=$( { cat >"$new" && chmod 644 "$new"; } 2>&1) &&
  [ "$(wc -c <"$new")" -eq "$3" ] && out=$(mv -fT "$new" "$1/$2" 2>&1) &&
  { echo 'certflow ok'; exit 0; }
rm -f "$new"
printf 'certflow failed WriteFailed\n%s\n' "$out"
)sh";

const std::string_view kRemoveChallenge = R"sh(
out=$(rm -f "$1/$2" "$1/.certflow-$2" 2>&1) || {
  printf 'certflow failed WriteFailed\n%s\n' "$out"
  exit 0
}
echo 'certflow ok'
)sh";

}  // namespace certflow::providers::host
