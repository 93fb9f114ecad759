#include "controller/serve/http_server.h"

#include <algorithm>
#include <charconv>
#include <thread>
#include <utility>
#include <vector>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "controller/serve/third_party/cpp-httplib/httplib.h"
#pragma GCC diagnostic pop

namespace certflow::serve {

struct HttpServer::Impl {
  std::string name;
  Logger log;
  httplib::Server server;
  std::vector<std::pair<std::string, Handler>> routes;
  std::thread thread;

  void Answer(const httplib::Request& request, httplib::Response& response) const {
    const Handler* handler = Find(request.path);
    if (handler == nullptr) {
      response.status = 404;
      response.set_content("not found\n", "text/plain");
      return;
    }
    std::string host = request.get_header_value("Host");
    host = host.substr(0, host.find(':'));
    ServedResponse answer = (*handler)({request.path, host, request.has_param("verbose")});
    response.status = answer.status;
    response.set_header("X-Content-Type-Options", "nosniff");
    response.set_header("Cache-Control", "no-store");
    response.set_content(answer.body, answer.content_type);
  }

  const Handler* Find(const std::string& path) const {
    auto it = std::find_if(routes.begin(), routes.end(), [&](const auto& route) {
      return route.first.ends_with('/') ? path.starts_with(route.first) : path == route.first;
    });
    return it == routes.end() ? nullptr : &it->second;
  }
};

HttpServer::HttpServer(std::string name, const Logger& log) : impl_(std::make_unique<Impl>()) {
  impl_->name = std::move(name);
  impl_->log = log.With({{"server", impl_->name}});
}

HttpServer::~HttpServer() { Stop(); }

void HttpServer::Get(std::string path, Handler handler) {
  impl_->routes.emplace_back(std::move(path), std::move(handler));
}

Result<std::uint16_t> HttpServer::Start(std::string_view address) {
  httplib::Server& server = impl_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads, kThreads, kQueued); };
  server.set_read_timeout(kReadTimeoutSeconds, 0);
  server.set_write_timeout(kReadTimeoutSeconds, 0);
  server.set_keep_alive_timeout(kReadTimeoutSeconds);
  server.set_payload_max_length(0);
  server.Get(".*",
             [impl = impl_.get()](const httplib::Request& request, httplib::Response& response) {
               impl->Answer(request, response);
             });
  std::size_t colon = address.rfind(':');
  std::string host(address.substr(0, colon));
  int port = -1;
  if (colon != std::string_view::npos) {
    const std::string digits(address.substr(colon + 1));
    std::from_chars(digits.data(), digits.data() + digits.size(), port);
  }
  if (host.empty()) host = "0.0.0.0";
  int bound =
      port == 0 ? server.bind_to_any_port(host) : (server.bind_to_port(host, port) ? port : -1);
  if (port < 0 || bound < 0) {
    return MakeError(ErrorCode::kInvalid, "ListenFailed",
                     impl_->name + ": cannot listen on " + std::string(address));
  }
  impl_->thread = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "serve");
    impl->server.listen_after_bind();
  });
  server.wait_until_ready();
  impl_->log.Info("listening", {{"port", bound}});
  return static_cast<std::uint16_t>(bound);
}

void HttpServer::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->server.stop();
  impl_->thread.join();
}

}  // namespace certflow::serve
