#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tests/fakes/net/raw_http_server.h"

namespace certflow::fakes {

// A server's TLS settings, shared by its connections.
class RawTlsContext {
 public:
  explicit RawTlsContext(const RawTls& tls);
  ~RawTlsContext();
  void* native() const { return context_; }

 private:
  void* context_ = nullptr;
};

// One accepted connection, plain or TLS, blocking. Does not own the descriptor.
class RawChannel {
 public:
  RawChannel(int fd, const RawTlsContext* tls);
  ~RawChannel();
  bool Handshake();
  // Appends what is there; false at the end.
  bool Read(std::string& to);
  bool Write(std::string_view bytes);
  void ResetOnEnd() { reset_ = true; }
  void End();
  std::string ClientCommonName() const;
  std::string ServerName() const;

 private:
  int fd_;
  void* ssl_ = nullptr;
  bool reset_ = false;
};

}  // namespace certflow::fakes
