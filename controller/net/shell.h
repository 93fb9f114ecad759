#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"

namespace certflow::net {

// Who and where. The host key is pinned: `host_keys` holds the accepted public keys, each either a
// line of known_hosts without the host ("ssh-ed25519 AAAA...") or an OpenSSH fingerprint
// ("SHA256:..."). Empty is an error, never trust on first use.
struct SshEndpoint {
  std::string host;
  std::uint16_t port = 22;
  std::string user;
  SecretBytes private_key_pem;  // OpenSSH or PEM, without a passphrase
  std::vector<std::string> host_keys;
};

struct CommandResult {
  int exit_code = 0;
  std::string out;  // each cut at kMaxCommandOutput
  std::string err;
};
inline constexpr std::size_t kMaxCommandOutput = 256u << 10;

// Runs commands on one host. Not thread-safe: one user at a time.
class Shell {
 public:
  virtual ~Shell() = default;
  // `command` is given to the remote user's shell as it is: build it with ShellQuote. `input` goes
  // to its standard input, which is then closed; secrets travel there and nowhere else. A non-zero
  // exit is success at this level. Errors: kUnavailable (not connected; nothing ran), kUntrusted
  // (host key), kUnauthorized, kUnknownOutcome (connection lost or deadline passed while it ran),
  // kCancelled.
  virtual Result<CommandResult> Run(const Context& ctx, std::string_view command,
                                    std::string_view input) = 0;
};

// Opens connections; thread-safe. Connecting happens at the first Run.
class ShellConnector {
 public:
  virtual ~ShellConnector() = default;
  virtual Result<std::unique_ptr<Shell>> Connect(const Context& ctx,
                                                 const SshEndpoint& endpoint) = 0;
};

// libssh. Link-local and metadata addresses are refused after resolving (kRefused).
std::unique_ptr<ShellConnector> MakeSshConnector();

// One POSIX shell word, whatever the text. A NUL byte is cut off together with what follows, so
// callers refuse it first.
std::string ShellQuote(std::string_view text);

}  // namespace certflow::net
