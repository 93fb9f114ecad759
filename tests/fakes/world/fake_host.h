#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "controller/base/clock.h"
#include "controller/net/shell.h"
#include "tests/fakes/tls/tls_server.h"
#include "tests/fakes/world/lifeline.h"
#include "tests/peers/peer.h"

namespace certflow::fakes {

// A host with an nginx in a temporary folder: the scripts that come over the shell really run, the
// command nginx is a script that refuses a pair that does not fit, and what it loaded last is
// served with TLS on loopback. Outlives the processes that use it. Thread-safe.
class FakeHost {
 public:
  // Serves a pair of somebody else for `dns_name` at first.
  FakeHost(std::string name, const std::string& dns_name, WallTime now);

  const std::string& name() const { return name_; }
  // spec.nginx of its DeploymentTarget, and of a workflow's target, as JSON.
  std::string settings() const;
  std::string binding() const;
  std::string endpoint() const;
  const std::string& original() const { return original_; }  // fingerprint

  // What the two files hold now: the certificate's fingerprint, and whether the key fits it.
  struct Pair {
    std::string fingerprint;
    bool fits = false;
  };
  Pair Live() const;
  Pair Loaded() const;
  // What the folder for http-01 holds for a token, or nothing.
  std::string Challenge(const std::string& token) const;
  // Versions beside the live files.
  std::size_t versions() const;

  void BreakConfiguration(bool broken) { Flag("broken", broken); }
  void RefuseReload(bool refuse) { Flag("refuse-reload", refuse); }

  Result<net::CommandResult> Run(const Context& ctx, std::string_view command,
                                 std::string_view input);

 private:
  void Flag(const std::string& file, bool set);
  void WriteNginx() const;
  void Serve() CF_REQUIRES(mutex_);
  Pair Read(const std::string& folder) const;

  const std::string name_;
  test::TempFolder folder_;
  std::string original_;
  mutable Mutex mutex_;
  std::string served_ CF_GUARDED_BY(mutex_);  // PEM
  std::unique_ptr<TlsServer> server_ CF_GUARDED_BY(mutex_);
};

// Leads to hosts by their names.
class FakeShells : public net::ShellConnector {
 public:
  explicit FakeShells(Lifeline& life) : life_(life) {}
  void Add(FakeHost& host) { hosts_[host.name()] = &host; }
  // A host that cannot be reached.
  void SetDown(const std::string& host, bool down);
  // Called before each command, for what happens in the middle.
  using Hook = std::function<void(const std::string& host)>;
  void BeforeCommand(Hook hook);

  Result<std::unique_ptr<net::Shell>> Connect(const Context& ctx,
                                              const net::SshEndpoint& endpoint) override;
  Result<net::CommandResult> Run(const Context& ctx, const std::string& host,
                                 std::string_view command, std::string_view input);

 private:
  Lifeline& life_;
  std::map<std::string, FakeHost*> hosts_;
  Mutex mutex_;
  std::map<std::string, bool> down_ CF_GUARDED_BY(mutex_);
  Hook before_command_ CF_GUARDED_BY(mutex_);
};

}  // namespace certflow::fakes
