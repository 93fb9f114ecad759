#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace certflow::fakes {

struct RawRequest {
  int connection = 0;     // from 0, in the order of accepting
  int on_connection = 0;  // from 0, the request's place on its connection
  std::string method;
  std::string target;
  std::string head;  // request line and headers as they came
  std::string body;
  std::string client_common_name;  // of a client certificate
  std::string server_name;         // SNI

  // First value of a header, any case; empty when absent.
  std::string header(std::string_view name) const;
};

// Bytes and how they are sent.
struct RawReply {
  std::string bytes;
  std::size_t piece = 0;               // at most so many a write; 0: all at once
  std::chrono::milliseconds pause{0};  // between pieces
  bool hang = false;                   // afterwards nothing, and the connection stays
  bool close = false;                  // afterwards an orderly end
  bool reset = false;                  // afterwards RST

  static RawReply Ok(std::string_view body, std::string_view headers = {});
  static RawReply Status(int status, std::string_view body = {});
  static RawReply Hang() {
    RawReply r;
    r.hang = true;
    return r;
  }
  static RawReply Close() {
    RawReply r;
    r.close = true;
    return r;
  }
  // Only the first `count` bytes, then the connection ends.
  RawReply CutAt(std::size_t count) const;
  RawReply AndClose() const {
    RawReply r = *this;
    r.close = true;
    return r;
  }
};

struct RawTls {
  std::string cert_pem;
  std::string key_pem;
  std::string client_ca_pem;  // demand a client certificate of this CA
};

// A scripted HTTP/1.1 server on a loopback socket: what it reads is real, what it answers is the
// script's business, so that every fault can be played. The script runs on the connection's thread.
class RawHttpServer {
 public:
  using Script = std::function<RawReply(const RawRequest&)>;

  explicit RawHttpServer(Script script, const RawTls* tls = nullptr);
  ~RawHttpServer();

  std::uint16_t port() const;
  std::string url(std::string_view path = "/") const;
  // What was read completely so far.
  std::vector<RawRequest> requests() const;
  int connections() const;
  // Connections that have not ended.
  int open_connections() const;
  // Blocks until so many requests were read, or so few connections are open; false after ten
  // seconds.
  bool WaitForRequests(std::size_t count) const;
  bool WaitForOpenConnections(int count) const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace certflow::fakes
