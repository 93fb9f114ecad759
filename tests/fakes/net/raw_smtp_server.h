#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/fakes/net/raw_http_server.h"

namespace certflow::fakes {

// What a scripted mail server answers. Keys: "GREETING", "EHLO", "STARTTLS", "AUTH", "MAIL",
// "RCPT", "DATA", "MESSAGE" (after the final dot), "QUIT". The value is the reply without line end,
// or "hang" or "close". What is missing is answered as a friendly server would.
using SmtpScript = std::map<std::string, std::string>;

struct SmtpOptions {
  SmtpScript script;
  RawTls tls;  // without a certificate there is no TLS
  bool implicit_tls = false;
  bool offer_starttls = true;
};

struct SmtpMessage {
  std::string from;
  std::vector<std::string> to;
  std::string text;  // without dot stuffing and final dot
  bool tls = false;
  std::string login;  // the decoded AUTH PLAIN response
};

// A scripted SMTP server on a loopback socket.
class RawSmtpServer {
 public:
  explicit RawSmtpServer(SmtpOptions options);
  ~RawSmtpServer();
  std::uint16_t port() const;
  // Completely received, whatever was answered then.
  std::vector<SmtpMessage> messages() const;
  // Every command line in the order received.
  std::vector<std::string> commands() const;
  // Blocks until a command that begins so was received; false after ten seconds.
  bool WaitForCommand(const std::string& verb) const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace certflow::fakes
