#pragma once

#include <curl/curl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <stop_token>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controller/base/clock.h"
#include "controller/base/mutex.h"
#include "controller/net/http_client.h"

namespace certflow::net {

// How a transfer ended: by itself with `code`, or because it was taken off the engine.
struct Ending {
  enum class Cause { kFinished, kDeadline, kStopped };
  Cause cause = Cause::kFinished;
  CURLcode code = CURLE_OK;
};

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using EasyHandle = std::unique_ptr<CURL, EasyDeleter>;

// Once a process, before the first handle.
void InitCurl();

// Drives libcurl's multi interface on one thread with epoll: work is proportional to what happens,
// not to how many wait. Callbacks of transfers run on that thread. Thread-safe.
class CurlEngine {
 public:
  // Streams live for minutes and must not use up the connections of short calls.
  enum class Lane { kShort, kStream };

  CurlEngine(std::string_view name, const HttpEngineOptions& options);
  ~CurlEngine();
  // Ends what runs (kStopped) and the thread; Run starts nothing afterwards. Once.
  void Close() CF_EXCLUDES(mutex_);
  CurlEngine(const CurlEngine&) = delete;
  CurlEngine& operator=(const CurlEngine&) = delete;

  // A handle without options, and back again; kept to save their making.
  EasyHandle TakeHandle() CF_EXCLUDES(mutex_);
  void GiveBack(EasyHandle easy) CF_EXCLUDES(mutex_);

  // Blocks until the transfer ended. `easy` is off the engine then and belongs to the caller alone.
  Ending Run(CURL* easy, Lane lane, SteadyTime deadline, const std::stop_token& stop)
      CF_EXCLUDES(mutex_);

 private:
  struct Job;
  struct LaneState {
    CurlEngine* engine = nullptr;
    std::uint32_t index = 0;
    CURLM* multi = nullptr;
    SteadyTime timer = SteadyTime::max();
  };

  static int OnSocket(CURL* easy, curl_socket_t fd, int what, void* lane, void* known);
  static int OnTimer(CURLM* multi, long milliseconds, void* lane);

  void SetUpLane(LaneState& lane, long max_per_host, bool http2);
  void Wake() CF_EXCLUDES(mutex_);
  void Cancel(std::uint64_t id) CF_EXCLUDES(mutex_);
  // The rest runs on the engine's thread.
  void Loop();
  bool TakeCommands() CF_EXCLUDES(mutex_);
  void Start(Job* job);
  void End(Job* job, Ending ending);
  void EndById(std::uint64_t id, Ending::Cause cause);
  void EndLate();
  void EndAll() CF_EXCLUDES(mutex_);
  void HandleEvents();
  void HandleTimers();
  void ReapFinished(LaneState& lane);
  int WaitMilliseconds() const;

  std::array<LaneState, 2> lanes_;
  int epoll_ = -1;
  int wakeup_ = -1;

  // Of the engine's thread alone.
  std::unordered_map<std::uint64_t, Job*> running_;
  std::set<std::pair<SteadyTime, std::uint64_t>> deadlines_;

  Mutex mutex_;
  std::vector<Job*> submitted_ CF_GUARDED_BY(mutex_);
  std::vector<std::uint64_t> cancelled_ CF_GUARDED_BY(mutex_);
  std::vector<EasyHandle> idle_ CF_GUARDED_BY(mutex_);
  std::uint64_t next_id_ CF_GUARDED_BY(mutex_) = 1;
  bool awake_ CF_GUARDED_BY(mutex_) = false;
  bool closing_ CF_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace certflow::net
