#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "controller/base/log.h"
#include "controller/base/result.h"

namespace certflow::serve {

struct ServedRequest {
  std::string path;
  std::string host;  // the Host header without a port
  bool verbose = false;
};
struct ServedResponse {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
};

// What others call, over plain HTTP/1.1: GET only, exact paths or everything below a prefix.
// Bounded: kThreads connections are served at a time, kQueued wait, bodies are refused, headers and
// idle connections are cut by the library's limits and kReadTimeout.
class HttpServer {
 public:
  static constexpr int kThreads = 4;
  static constexpr int kQueued = 64;
  static constexpr int kReadTimeoutSeconds = 5;
  using Handler = std::function<ServedResponse(const ServedRequest&)>;

  HttpServer(std::string name, const Logger& log);
  ~HttpServer();
  // A path that ends in "/" stands for everything below it. Before Start.
  void Get(std::string path, Handler handler);
  // `address` is "host:port", ":port" for every interface; port 0 takes a free one. The port.
  Result<std::uint16_t> Start(std::string_view address);
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace certflow::serve
