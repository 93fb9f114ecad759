#include "controller/net/curl_engine.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <string>
#include <system_error>

#include "controller/net/sigpipe_guard.h"

namespace certflow::net {
namespace {

constexpr std::size_t kMaxIdleHandles = 128;
constexpr long kMaxIdleConnections = 256;
constexpr std::uint64_t kWakeupMark = ~std::uint64_t{0};

SteadyTime Now() { return std::chrono::steady_clock::now(); }

}  // namespace

struct CurlEngine::Job {
  CURL* easy = nullptr;
  LaneState* lane = nullptr;
  SteadyTime deadline;
  std::uint64_t id = 0;
  Ending ending;
  Mutex mutex;
  CondVar finished;
  bool done CF_GUARDED_BY(mutex) = false;
};

void InitCurl() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (done != CURLE_OK) throw std::runtime_error("libcurl cannot be initialised");
}

CurlEngine::CurlEngine(std::string_view name, const HttpEngineOptions& options) {
  InitCurl();
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wakeup_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeupMark;
  if (epoll_ < 0 || wakeup_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "http engine");
  }
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i].engine = this;
    lanes_[i].index = static_cast<std::uint32_t>(i);
  }
  SetUpLane(lanes_[0], options.max_connections_per_host, options.http2);
  SetUpLane(lanes_[1], 0, false);
  thread_ = std::thread([this] { Loop(); });
  pthread_setname_np(thread_.native_handle(), std::string(name.substr(0, 15)).c_str());
}

void CurlEngine::SetUpLane(LaneState& lane, long max_per_host, bool http2) {
  lane.multi = curl_multi_init();
  if (lane.multi == nullptr) throw std::bad_alloc();
  curl_multi_setopt(lane.multi, CURLMOPT_SOCKETFUNCTION, &CurlEngine::OnSocket);
  curl_multi_setopt(lane.multi, CURLMOPT_SOCKETDATA, &lane);
  curl_multi_setopt(lane.multi, CURLMOPT_TIMERFUNCTION, &CurlEngine::OnTimer);
  curl_multi_setopt(lane.multi, CURLMOPT_TIMERDATA, &lane);
  curl_multi_setopt(lane.multi, CURLMOPT_MAX_HOST_CONNECTIONS, max_per_host);
  curl_multi_setopt(lane.multi, CURLMOPT_MAXCONNECTS, kMaxIdleConnections);
  curl_multi_setopt(lane.multi, CURLMOPT_PIPELINING, http2 ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING);
}

void CurlEngine::Close() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
  }
  Wake();
  thread_.join();
}

CurlEngine::~CurlEngine() {
  if (thread_.joinable()) Close();
  {
    MutexLock lock(mutex_);
    idle_.clear();
  }
  const SigpipeGuard guard;  // closing a TLS connection writes to it
  for (LaneState& lane : lanes_) curl_multi_cleanup(lane.multi);
  ::close(wakeup_);
  ::close(epoll_);
}

EasyHandle CurlEngine::TakeHandle() {
  {
    MutexLock lock(mutex_);
    if (!idle_.empty()) {
      EasyHandle easy = std::move(idle_.back());
      idle_.pop_back();
      return easy;
    }
  }
  EasyHandle easy(curl_easy_init());
  if (!easy) throw std::bad_alloc();
  return easy;
}

void CurlEngine::GiveBack(EasyHandle easy) {
  curl_easy_reset(easy.get());
  MutexLock lock(mutex_);
  if (idle_.size() < kMaxIdleHandles) idle_.push_back(std::move(easy));
}

Ending CurlEngine::Run(CURL* easy, Lane lane, SteadyTime deadline, const std::stop_token& stop) {
  Job job;
  job.easy = easy;
  job.lane = &lanes_[static_cast<std::size_t>(lane)];
  job.deadline = deadline;
  {
    MutexLock lock(mutex_);
    if (closing_) return {Ending::Cause::kStopped, CURLE_OK};
    job.id = next_id_++;
    submitted_.push_back(&job);
  }
  Wake();
  const std::stop_callback on_stop(stop, [this, id = job.id] { Cancel(id); });
  MutexLock lock(job.mutex);
  while (!job.done) job.finished.wait(job.mutex);
  return job.ending;
}

void CurlEngine::Wake() {
  {
    MutexLock lock(mutex_);
    if (awake_) return;
    awake_ = true;
  }
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the thread wakes anyway.
  [[maybe_unused]] const ssize_t written = ::write(wakeup_, &one, sizeof one);
}

void CurlEngine::Cancel(std::uint64_t id) {
  {
    MutexLock lock(mutex_);
    cancelled_.push_back(id);
  }
  Wake();
}

void CurlEngine::Loop() {
  const SigpipeGuard guard;
  while (TakeCommands()) {
    HandleEvents();
    HandleTimers();
    for (LaneState& lane : lanes_) ReapFinished(lane);
    EndLate();
  }
  EndAll();
}

bool CurlEngine::TakeCommands() {
  std::vector<Job*> submitted;
  std::vector<std::uint64_t> cancelled;
  {
    MutexLock lock(mutex_);
    if (closing_) return false;
    submitted.swap(submitted_);
    cancelled.swap(cancelled_);
  }
  for (Job* job : submitted) Start(job);
  for (const std::uint64_t id : cancelled) EndById(id, Ending::Cause::kStopped);
  return true;
}

void CurlEngine::Start(Job* job) {
  running_.emplace(job->id, job);
  if (job->deadline != SteadyTime::max()) deadlines_.emplace(job->deadline, job->id);
  curl_easy_setopt(job->easy, CURLOPT_PRIVATE, job);
  if (curl_multi_add_handle(job->lane->multi, job->easy) != CURLM_OK) {
    End(job, {Ending::Cause::kFinished, CURLE_FAILED_INIT});
  }
}

void CurlEngine::End(Job* job, Ending ending) {
  curl_multi_remove_handle(job->lane->multi, job->easy);
  running_.erase(job->id);
  deadlines_.erase({job->deadline, job->id});
  MutexLock lock(job->mutex);
  job->ending = ending;
  job->done = true;
  // Under the lock, because the job is gone as soon as its caller sees `done`.
  job->finished.notify_one();
}

void CurlEngine::EndById(std::uint64_t id, Ending::Cause cause) {
  const auto found = running_.find(id);
  if (found != running_.end()) End(found->second, {cause, CURLE_OK});
}

void CurlEngine::EndLate() {
  const SteadyTime now = Now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    EndById(deadlines_.begin()->second, Ending::Cause::kDeadline);
  }
}

void CurlEngine::EndAll() {
  std::vector<Job*> submitted;
  {
    MutexLock lock(mutex_);
    submitted.swap(submitted_);
  }
  for (Job* job : submitted) End(job, {Ending::Cause::kStopped, CURLE_OK});
  while (!running_.empty()) EndById(running_.begin()->first, Ending::Cause::kStopped);
}

int CurlEngine::WaitMilliseconds() const {
  SteadyTime until = std::min(lanes_[0].timer, lanes_[1].timer);
  if (!deadlines_.empty()) until = std::min(until, deadlines_.begin()->first);
  if (until == SteadyTime::max()) return -1;
  // Rounded up, so that it is never woken a little too early and spins.
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

void CurlEngine::HandleEvents() {
  std::array<epoll_event, 64> events{};
  const int count =
      epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), WaitMilliseconds());
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.u64 == kWakeupMark) {
      std::uint64_t counter = 0;
      [[maybe_unused]] const ssize_t got = ::read(wakeup_, &counter, sizeof counter);
      MutexLock lock(mutex_);
      awake_ = false;
      continue;
    }
    const auto fd = static_cast<curl_socket_t>(event.data.u64 & 0xFFFFFFFFu);
    const LaneState& lane = lanes_[event.data.u64 >> 32];
    int what = 0;
    if ((event.events & EPOLLIN) != 0) what |= CURL_CSELECT_IN;
    if ((event.events & EPOLLOUT) != 0) what |= CURL_CSELECT_OUT;
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) what |= CURL_CSELECT_ERR;
    int still_running = 0;
    curl_multi_socket_action(lane.multi, fd, what, &still_running);
  }
}

void CurlEngine::HandleTimers() {
  for (LaneState& lane : lanes_) {
    if (lane.timer > Now()) continue;
    lane.timer = SteadyTime::max();
    int still_running = 0;
    curl_multi_socket_action(lane.multi, CURL_SOCKET_TIMEOUT, 0, &still_running);
  }
}

void CurlEngine::ReapFinished(LaneState& lane) {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(lane.multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    char* job = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &job);
    End(reinterpret_cast<Job*>(job), {Ending::Cause::kFinished, code});
  }
}

int CurlEngine::OnSocket(CURL*, curl_socket_t fd, int what, void* lane_data, void* known) {
  auto& lane = *static_cast<LaneState*>(lane_data);
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(lane.engine->epoll_, EPOLL_CTL_DEL, fd, nullptr);
    return 0;
  }
  epoll_event event{};
  if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
  event.data.u64 = (std::uint64_t{lane.index} << 32) | static_cast<std::uint32_t>(fd);
  const int operation = known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  epoll_ctl(lane.engine->epoll_, operation, fd, &event);
  if (known == nullptr) curl_multi_assign(lane.multi, fd, &lane);
  return 0;
}

int CurlEngine::OnTimer(CURLM*, long milliseconds, void* lane_data) {
  auto& lane = *static_cast<LaneState*>(lane_data);
  lane.timer =
      milliseconds < 0 ? SteadyTime::max() : Now() + std::chrono::milliseconds(milliseconds);
  return 0;
}

}  // namespace certflow::net
