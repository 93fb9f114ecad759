#include "tests/simulators/cdn/cdn.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace certflow::test {
namespace {

using fakes::RawReply;
using fakes::RawRequest;
using nlohmann::json;

constexpr std::size_t kMaxOperations = 30;
constexpr std::size_t kMaxKeys = 256;

RawReply Json(int status, const json& body) { return RawReply::Status(status, body.dump()); }

RawReply CloudflareError(int status, int code, const std::string& message) {
  return Json(status, {{"success", false},
                       {"errors", {{{"code", code}, {"message", message}}}},
                       {"messages", json::array()},
                       {"result", nullptr}});
}
RawReply CloudflareGood(const json& result) {
  return Json(200, {{"success", true},
                    {"errors", json::array()},
                    {"messages", json::array()},
                    {"result", result}});
}

std::string HostOf(const std::string& url) {
  const std::size_t begin = url.find("://") + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

}  // namespace

Cdn::Cdn(const fakes::RawTls* tls)
    : server_([this](const RawRequest& request) { return Serve(request); }, tls) {}

RawReply Cdn::Serve(const RawRequest& request) {
  MutexLock lock(mutex_);
  ++count_;
  int next = 0;
  if (!script_.empty()) {
    next = script_.front();
    script_.erase(script_.begin());
  }
  if (next == -1) return RawReply::Close();
  if (next == 429) {
    RawReply reply;
    reply.bytes = "HTTP/1.1 429 Scripted\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n";
    return reply;
  }
  if (next > 0) return RawReply::Status(next, "no");
  RawReply reply = Handle(request);
  return next == -2 ? reply.CutAt(8) : reply;
}

RawReply Cdn::Handle(const RawRequest& request) {
  if (request.target.starts_with("/client/v4/")) return Cloudflare(request);
  return Fastly(request);
}

RawReply Cdn::Cloudflare(const RawRequest& request) {
  if (request.header("Authorization") != std::string("Bearer ") + kToken) {
    return CloudflareError(401, 1000, "Invalid API Token");
  }
  if (request.target == "/client/v4/user/tokens/verify") {
    return CloudflareGood({{"id", "f267e341f3dd4697bd3b9f71dd96247f"}, {"status", token_status_}});
  }
  if (request.target != std::string("/client/v4/zones/") + kZone + "/purge_cache") {
    return CloudflareError(404, 7003, "Could not route to the zone");
  }
  const json body = json::parse(request.body, nullptr, false);
  if (request.header("Content-Type") != "application/json" || !body.is_object()) {
    return CloudflareError(400, 1012, "Request must contain one of purge_everything, files, hosts");
  }
  const auto hosts = body.value("hosts", std::vector<std::string>());
  const auto files = body.value("files", std::vector<std::string>());
  if (hosts.size() + files.size() > kMaxOperations) {
    return CloudflareError(400, 1094, "too many items in one request");
  }
  for (auto& [url, object] : cache_) {
    const bool named = std::find(files.begin(), files.end(), url) != files.end() ||
                       std::find(hosts.begin(), hosts.end(), HostOf(url)) != hosts.end();
    if (named || body.value("purge_everything", false)) object.state = State::kGone;
  }
  return CloudflareGood({{"id", kZone}});
}

RawReply Cdn::Fastly(const RawRequest& request) {
  if (request.header("Fastly-Key") != kToken) {
    return Json(401, {{"msg", "Provided credentials are missing or invalid"}});
  }
  if (request.target == "/tokens/self") return Json(200, {{"id", "t"}, {"scope", "purge_select"}});
  const bool soft = request.header("Fastly-Soft-Purge") == "1";
  const State after = soft ? State::kStale : State::kGone;
  const std::string service = std::string("/service/") + kService;
  if (request.method != "POST") return Json(405, {{"msg", "Method not allowed"}});
  if (request.target == service + "/purge_all") {
    if (soft) return Json(400, {{"msg", "purge_all cannot be soft"}});
    for (auto& [url, object] : cache_) object.state = State::kGone;
    return Json(200, {{"status", "ok"}});
  }
  if (request.target == service + "/purge") {
    const auto keys = json::parse(request.body, nullptr, false)
                          .value("surrogate_keys", std::vector<std::string>());
    if (keys.empty() || keys.size() > kMaxKeys) return Json(400, {{"msg", "1 to 256 keys"}});
    for (auto& [url, object] : cache_) {
      for (const std::string& key : object.keys) {
        if (std::find(keys.begin(), keys.end(), key) != keys.end()) object.state = after;
      }
    }
    return Json(200, json::object());
  }
  if (request.target.starts_with("/purge/")) {
    const auto found = cache_.find("https://" + request.target.substr(7));
    if (found != cache_.end()) found->second.state = after;
    return Json(200, {{"status", "ok"}, {"id", "1"}});
  }
  return Json(404, {{"msg", "Record not found"}});
}

void Cdn::Cache(const std::string& url, std::vector<std::string> keys) {
  MutexLock lock(mutex_);
  cache_[url] = {std::move(keys), State::kFresh};
}

Cdn::State Cdn::StateOf(const std::string& url) const {
  MutexLock lock(mutex_);
  return cache_.at(url).state;
}

void Cdn::Script(std::vector<int> statuses) {
  MutexLock lock(mutex_);
  script_ = std::move(statuses);
}

int Cdn::requests() const {
  MutexLock lock(mutex_);
  return count_;
}

void Cdn::SetTokenStatus(const std::string& status) {
  MutexLock lock(mutex_);
  token_status_ = status;
}

}  // namespace certflow::test
