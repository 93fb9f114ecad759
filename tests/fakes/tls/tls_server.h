#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "controller/base/secret.h"

namespace certflow::fakes {

enum class TlsBehaviour {
  kServe,    // a proper handshake, then close
  kHang,     // accepts and says nothing
  kClose,    // accepts and closes
  kGarbage,  // answers in plain text
};

struct TlsServerOptions {
  TlsBehaviour behaviour = TlsBehaviour::kServe;
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any
  std::string chain_pem;   // served as it is, leaf first
  SecretBytes key_pem;
  int highest_version = 0;  // TLS1_VERSION, ...; 0: no limit
  bool require_client_certificate = false;
};

// A TLS server on loopback with one thread. Ends when destroyed, hanging connections included.
class TlsServer {
 public:
  // Null when the port is taken; aborts on a certificate that OpenSSL does not take.
  static std::unique_ptr<TlsServer> Start(const TlsServerOptions& options);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  // Serves another pair from the next connection on, as a server does that reloads.
  void Load(const std::string& chain_pem, SecretBytes key_pem);

  std::uint16_t port() const { return port_; }
  std::string endpoint() const;
  // The last SNI that a client sent.
  std::string server_name() const;
  int accepted() const { return accepted_; }

 private:
  struct State;
  explicit TlsServer(std::unique_ptr<State> state);
  void Run();
  void Answer(int connection);
  void Serve(int connection);

  std::unique_ptr<State> state_;
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_ = 0;
  std::thread thread_;
};

}  // namespace certflow::fakes
