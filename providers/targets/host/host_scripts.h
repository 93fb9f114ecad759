#pragma once

#include <string_view>

// What runs on the host, for /bin/sh (POSIX) with coreutils and nothing else.
//
// Every script is kPrelude, the server's four functions (ServerCommands, host_files.h) and one
// body, given to `sh -c` with the arguments FOLDER CERTIFICATE_FILE KEY_FILE OWNER and those of the
// body.
// It prints nothing until it ends, so that a lost connection cannot stop it half-way by SIGPIPE,
// and then either
//   certflow ok                  followed by "name value" lines, or
//   certflow failed REASON       nothing live was changed, or it was put back
//   certflow unknown REASON      what is live may be something else than before
// followed by lines of explanation. Anything else is the failure of shell or sudo itself.
//
// The folder:
//   <version>/fullchain.pem, <version>/privkey.pem   or <version>/combined.pem; complete by rename
//   <version>/sums       SHA-256 of these files when the version was made
//   <version>/previous   what was live when the version was switched to; empty for nothing
//   live       symlink to the version that CERTIFICATE_FILE and KEY_FILE resolve through
//   reloaded   the version that the server was last told to load
//   original   the version that stood there before us
//   owner      the workflow and the certificate file that the folder belongs to
//   .new-* .old-* .tmp-*   unfinished work of a script that died
namespace certflow::providers::host {

extern const std::string_view kPrelude;
extern const std::string_view kObserve;     // no arguments
extern const std::string_view kStage;       // VERSION CHAIN_BYTES KEY_BYTES, chain and key on stdin
extern const std::string_view kActivate;    // VERSION, and 1 when reverting
extern const std::string_view kDeactivate;  // no arguments
extern const std::string_view kPrune;       // the versions to keep

// FOLDER TOKEN BYTES, content on stdin; FOLDER TOKEN. Without the prelude.
extern const std::string_view kPutChallenge;
extern const std::string_view kRemoveChallenge;

}  // namespace certflow::providers::host
