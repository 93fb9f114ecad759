#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/scale/requests.h"

namespace certflow::scale {

struct ServerAddress {
  std::string url, ca_file, token;
};

struct SendOptions {
  int in_flight = 8;
  bool keep_answers = false;
};

struct Sent {
  std::size_t good = 0;
  double seconds = 0;
  std::vector<double> latencies;     // seconds, of the good ones, unordered
  std::vector<std::string> answers;  // as the requests, where kept; empty for a failed one
  std::string first_error;           // empty: all were answered with 2xx
};

// Sends all requests over `in_flight` connections that stay open, each as soon as the one before it
// on its connection was answered: as fast as the server takes them, and nothing besides. 429 is
// sent again after a moment; any other failure counts.
Sent SendAll(const ServerAddress& server, const std::vector<Request>& requests,
             const SendOptions& options);

}  // namespace certflow::scale
