#include "tests/simulators/appliance/appliance.h"

#include <nlohmann/json.hpp>

#include "controller/base/base64.h"
#include "controller/pki/certificate.h"
#include "controller/pki/key.h"

namespace certflow::test {
namespace {

using fakes::RawReply;
using fakes::RawRequest;
using nlohmann::json;

constexpr const char* kToken = "token-of-the-appliance";

RawReply Json(int status, const json& body) { return RawReply::Status(status, body.dump()); }
RawReply Empty(int status) {
  RawReply reply;
  reply.bytes = "HTTP/1.1 " + std::to_string(status) + " Scripted\r\n" +
                (status == 204 ? "" : "Content-Length: 0\r\n") + "\r\n";
  return reply;
}
RawReply Error(int status, const std::string& message) {
  return Json(status, {{"error", message}});
}

// What stands behind the prefix, without the query; empty optional where it does not begin so.
std::optional<std::string> Under(const std::string& target, const std::string& prefix) {
  if (!target.starts_with(prefix)) return std::nullopt;
  return target.substr(prefix.size(), target.find('?') - prefix.size());
}

// The content of the one part of a multipart body.
std::string PartOf(const std::string& body) {
  const std::size_t begin = body.find("\r\n\r\n");
  const std::size_t end = body.rfind("\r\n--");
  if (!body.starts_with("--") || begin == std::string::npos || end < begin + 4) return {};
  return body.substr(begin + 4, end - begin - 4);
}

}  // namespace

Appliance::Appliance(const fakes::RawTls* tls)
    : server_([this](const RawRequest& request) { return Serve(request); }, tls) {}

RawReply Appliance::Serve(const RawRequest& request) {
  MutexLock lock(mutex_);
  const int number = ++count_;
  const bool strikes = number == break_at_;
  if (strikes && !break_after_) {
    RawReply cut;
    cut.reset = true;
    return cut;
  }
  if (request.head.find("PRIVATE") != std::string::npos) key_outside_ = true;
  RawReply reply = Handle(request);
  return strikes ? reply.CutAt(reply.bytes.size() / 2) : reply;
}

RawReply Appliance::Handle(const RawRequest& request) {
  if (!answer_prefix_.empty() && request.target.starts_with(answer_prefix_)) {
    return RawReply::Status(answer_status_, answer_body_);
  }
  if (request.target == "/oauth/token") return Token(request);
  if (request.header("Authorization") != std::string("Bearer ") + kToken) {
    return Error(401, "no such token");
  }
  if (auto rest = Under(request.target, "/api/v2/certificates"))
    return Certificates(request, *rest);
  if (auto rest = Under(request.target, "/api/v2/candidate/")) return Candidate(request, *rest);
  if (auto rest = Under(request.target, "/api/v2/running/profiles/")) {
    return Json(200, {{"name", *rest}, {"certificate", running_[*rest]}});
  }
  if (request.target.starts_with("/api/v2/jobs")) return Jobs();
  if (request.target == "/api/v2/commit" && request.method == "POST") {
    if (job_ > 0) return Error(409, "another commit is running");
    committing_ = candidate_;
    job_ = job_length_;
    if (job_ == 0) EndJob();
    return Json(202, {{"job", "7"}});
  }
  return Error(404, "no such resource");
}

RawReply Appliance::Token(const RawRequest& request) {
  const std::string wanted =
      "Basic " + Base64Encode(std::string(kClient) + ":" + std::string(kSecret));
  if (request.header("Authorization") != wanted) return Json(401, {{"error", "invalid_client"}});
  if (request.body.find("grant_type=client_credentials") == std::string::npos) {
    return Json(400, {{"error", "unsupported_grant_type"}});
  }
  return Json(200, {{"access_token", kToken}, {"token_type", "Bearer"}, {"expires_in", 600}});
}

Appliance::Certificate* Appliance::Find(const std::string& id) {
  const auto found = certificates_.find(id);
  return found == certificates_.end() ? nullptr : &found->second;
}

RawReply Appliance::Certificates(const RawRequest& request, const std::string& rest) {
  if (rest.empty() && request.method == "GET") {
    json list = json::array();
    for (const auto& [id, certificate] : certificates_) {
      list.push_back(
          {{"id", id}, {"name", certificate.name}, {"hasKey", !certificate.key.empty()}});
    }
    return Json(200, {{"certificates", list}});
  }
  if (rest.empty() && request.method == "POST") {
    const json body = json::parse(request.body, nullptr, false);
    const std::string name = body.value("name", ""), pem = body.value("pem", "");
    for (const auto& [id, certificate] : certificates_) {
      if (certificate.name == name) return Error(409, "the name is taken");
    }
    if (name.empty() || name.size() > 63 || !pki::ReadChain(pem).ok()) {
      return Error(422, "no certificate");
    }
    const std::string id = "c/" + std::to_string(++next_id_);  // has to be encoded in a path
    certificates_[id] = {id, name, pem, ""};
    return Json(201, {{"id", id}});
  }
  std::string id = rest.substr(1);
  const bool key = id.ends_with("/key");
  if (key) id.resize(id.size() - 4);
  if (id.starts_with("c%2F")) id = "c/" + id.substr(4);
  Certificate* certificate = Find(id);
  if (certificate == nullptr) return Error(404, "no such certificate");
  if (key && request.method == "PUT") return PutKey(*certificate, request.body);
  if (request.method == "DELETE") {
    for (const Profiles* profiles : {&candidate_, &running_, &committing_}) {
      for (const auto& [profile, used] : *profiles) {
        if (used == id) return Error(409, "in use by " + profile);
      }
    }
    certificates_.erase(id);
    return Empty(204);
  }
  std::string fingerprint = pki::ReadChain(certificate->chain)->front().fingerprint;
  return Json(200, {{"id", id}, {"name", certificate->name}, {"sha256", fingerprint}});
}

RawReply Appliance::PutKey(Certificate& certificate, const std::string& body) {
  const std::string pem = PartOf(body);
  const auto key = pki::PrivateKey::FromPem(pem);
  if (!key.ok() || !pki::CheckPair(certificate.chain, *key).ok()) {
    // As careless devices do: the answer shows what was sent.
    return Error(422, "the key does not fit: " + pem);
  }
  certificate.key = pem;
  return Empty(204);
}

RawReply Appliance::Candidate(const RawRequest& request, const std::string& rest) {
  if (rest == "discard" && request.method == "POST") {
    candidate_ = running_;
    return Empty(204);
  }
  const auto profile = Under(rest, "profiles/");
  if (!profile) return Error(404, "no such resource");
  if (request.method == "PATCH") {
    const std::string id = json::parse(request.body, nullptr, false).value("certificate", "");
    if (!id.empty() && Find(id) == nullptr) return Error(422, "no such certificate");
    candidate_[*profile] = id;
  }
  return Json(200, {{"name", *profile}, {"certificate", candidate_[*profile]}});
}

RawReply Appliance::Jobs() {
  if (job_ == 0) return Json(200, {{"jobs", json::array()}});
  const json active = {{"jobs", {{{"id", "7"}, {"type", "commit"}, {"looks", job_}}}}};
  if (--job_ == 0) EndJob();
  return Json(200, active);
}

void Appliance::EndJob() {
  job_ = 0;
  bool good = !commits_fail_;
  for (const auto& [profile, id] : committing_) {
    const Certificate* certificate = id.empty() ? nullptr : Find(id);
    if (!id.empty() && (certificate == nullptr || certificate->key.empty())) good = false;
  }
  if (good) running_ = committing_;
  committing_.clear();
}

void Appliance::PutForeign(const std::string& profile, const std::string& chain,
                           const std::string& key) {
  MutexLock lock(mutex_);
  if (job_ > 0) EndJob();
  const std::string id = "c/" + std::to_string(++next_id_);
  certificates_[id] = {id, "by-hand-" + std::to_string(next_id_), chain, key};
  candidate_[profile] = running_[profile] = id;
}

void Appliance::Reset() {
  MutexLock lock(mutex_);
  certificates_.clear();
  candidate_.clear();
  running_.clear();
  committing_.clear();
  job_ = 0;
}

std::optional<Appliance::Pair> Appliance::Served(const std::string& profile) {
  MutexLock lock(mutex_);
  if (job_ > 0) EndJob();
  const Certificate* certificate = Find(running_[profile]);
  if (certificate == nullptr) return std::nullopt;
  return Pair{certificate->chain, certificate->key};
}

std::vector<std::string> Appliance::CertificateNames() const {
  MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& entry : certificates_) names.push_back(entry.second.name);
  return names;
}

void Appliance::Break(int request, bool after) {
  MutexLock lock(mutex_);
  count_ = 0;
  break_at_ = request;
  break_after_ = after;
}

int Appliance::requests() const {
  MutexLock lock(mutex_);
  return count_;
}

void Appliance::SetJobLength(int looks, bool commits_fail) {
  MutexLock lock(mutex_);
  job_length_ = looks;
  commits_fail_ = commits_fail;
}

void Appliance::Answer(const std::string& prefix, int status, const std::string& body) {
  MutexLock lock(mutex_);
  answer_prefix_ = prefix;
  answer_status_ = status;
  answer_body_ = body;
}

bool Appliance::KeySeenOutsideBody() const {
  MutexLock lock(mutex_);
  return key_outside_;
}

}  // namespace certflow::test
