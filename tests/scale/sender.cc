#include "tests/scale/sender.h"

#include <curl/curl.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

namespace certflow::scale {
namespace {

using Steady = std::chrono::steady_clock;

double Since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

std::size_t Append(char* data, std::size_t size, std::size_t count, void* to) {
  static_cast<std::string*>(to)->append(data, size * count);
  return size * count;
}

struct Shared {
  const ServerAddress& server;
  const std::vector<Request>& requests;
  const SendOptions& options;
  std::atomic<std::size_t> next{0};
  std::mutex mutex;  // guards `sent`; each answer has its own place
  Sent sent;
};

// One connection.
class Lane {
 public:
  explicit Lane(Shared& shared) : shared_(shared), curl_(curl_easy_init()) {
    for (const std::string& line :
         {"Authorization: Bearer " + shared.server.token, std::string("Accept: application/json"),
          std::string("Content-Type: application/json"), std::string("Expect:")}) {
      headers_ = curl_slist_append(headers_, line.c_str());
    }
    curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(curl_, CURLOPT_CAINFO, shared.server.ca_file.c_str());
    curl_easy_setopt(curl_, CURLOPT_USERAGENT, "certflow-load/1");
    curl_easy_setopt(curl_, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl_, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, Append);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &answer_);
  }
  ~Lane() {
    curl_easy_cleanup(curl_);
    curl_slist_free_all(headers_);
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  void Run() {
    for (std::size_t i = shared_.next++; i < shared_.requests.size(); i = shared_.next++) Send(i);
    std::lock_guard lock(shared_.mutex);
    Sent& sent = shared_.sent;
    sent.good += latencies_.size();
    sent.latencies.insert(sent.latencies.end(), latencies_.begin(), latencies_.end());
    if (sent.first_error.empty()) sent.first_error = error_;
  }

 private:
  void Send(std::size_t index) {
    const Request& request = shared_.requests[index];
    const std::string url = shared_.server.url + request.path;
    curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl_, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, request.body.c_str());
    const auto start = Steady::now();
    long status = 0;
    CURLcode code = CURLE_OK;
    do {
      if (status == 429) std::this_thread::sleep_for(std::chrono::milliseconds(200));
      answer_.clear();
      code = curl_easy_perform(curl_);
      curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    } while (code == CURLE_OK && status == 429);
    if (code == CURLE_OK && status >= 200 && status < 300) {
      latencies_.push_back(Since(start));
      if (shared_.options.keep_answers) shared_.sent.answers[index] = answer_;
    } else if (error_.empty()) {
      error_ = request.method + " " + request.path + ": " +
               (code == CURLE_OK ? std::to_string(status) + " " + answer_.substr(0, 300)
                                 : std::string(curl_easy_strerror(code)));
    }
  }

  Shared& shared_;
  CURL* curl_;
  curl_slist* headers_ = nullptr;
  std::string answer_, error_;
  std::vector<double> latencies_;
};

}  // namespace

Sent SendAll(const ServerAddress& server, const std::vector<Request>& requests,
             const SendOptions& options) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  Shared shared{server, requests, options};
  if (options.keep_answers) shared.sent.answers.resize(requests.size());
  const auto start = Steady::now();
  {
    std::vector<std::jthread> lanes;
    for (int i = 0; i < options.in_flight; ++i) {
      lanes.emplace_back([&shared] { Lane(shared).Run(); });
    }
  }
  shared.sent.seconds = Since(start);
  return std::move(shared.sent);
}

}  // namespace certflow::scale
