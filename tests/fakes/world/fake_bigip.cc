#include "tests/fakes/world/fake_bigip.h"

#include <algorithm>

#include "controller/base/base64.h"
#include "controller/base/sha1.h"
#include "controller/pki/certificate.h"
#include "tests/fakes/tls/test_certificate.h"

namespace certflow::fakes {
namespace {

using nlohmann::json;

constexpr const char* kProfile = "/Common/site";
constexpr const char* kOther = "/Common/shop";
constexpr std::string_view kProfiles = "/mgmt/tm/ltm/profile/client-ssl/";
constexpr std::string_view kUploads = "/mgmt/shared/file-transfer/uploads/";
constexpr std::string_view kFiles = "/mgmt/tm/sys/file/";
constexpr std::string_view kFolder = "/var/config/rest/downloads/";

net::HttpResponse Json(const json& body, int status = 200) {
  return {status, {{"content-type", "application/json"}}, body.dump()};
}

net::HttpResponse Refused(int status, const std::string& message) {
  return Json(
      {{"code", status}, {"message", message}, {"errorStack", json::array()}, {"apiError", 3}},
      status);
}

json Collection(const std::string& kind, json items) {
  return {{"kind", "tm:" + kind + "collectionstate"}, {"items", std::move(items)}};
}

std::string BodyOf(const net::HttpRequest& request) {
  return std::string(request.secret_body.empty() ? request.body : request.secret_body.Reveal());
}

std::string FingerprintOf(const std::string& pem) {
  const auto chain = pki::ReadChain(pem);
  return chain.ok() ? chain->front().fingerprint : "";
}

// "SHA256/3A:F7:...".
std::string Written(const std::string& fingerprint) {
  std::string out = "SHA256/";
  for (std::size_t i = 0; i < fingerprint.size(); ++i) {
    if (i > 0 && i % 2 == 0) out += ':';
    out += static_cast<char>(std::toupper(fingerprint[i]));
  }
  return out;
}

}  // namespace

FakeBigIp::FakeBigIp(std::string name, const std::string& dns_name, WallTime now)
    : name_(std::move(name)) {
  const TestHierarchy before = MakeHierarchy("DNS:" + dns_name, now);
  const std::string key(before.leaf.key.ToPem().Reveal());
  MutexLock lock(mutex_);
  files_["ssl-cert/Common/old.crt"] = {before.leaf.pem, ""};
  files_["ssl-cert/Common/old-ca.crt"] = {before.intermediate.pem, ""};
  files_["ssl-key/Common/old.key"] = {key, ""};
  for (const char* profile : {kProfile, kOther}) {
    chains_[profile] = json::array({{{"name", "old"},
                                     {"cert", "/Common/old.crt"},
                                     {"key", "/Common/old.key"},
                                     {"chain", "/Common/old-ca.crt"}}});
  }
  TlsServerOptions options;
  options.chain_pem = before.served_chain();
  options.key_pem = SecretBytes(key);
  server_ = TlsServer::Start(options);
  history_ = {FingerprintOf(before.leaf.pem)};
}

json FakeBigIp::settings() const {
  return {{"hosts", {host()}},
          {"username", "admin"},
          {"passwordSecretRef", {{"name", "f5-login"}, {"key", "password"}}},
          {"tls", {{"publicKeyPins", {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}}}};
}

json FakeBigIp::binding(const std::string& profile) const {
  return {{"profiles", {{{"name", profile}}}}};
}

std::string FakeBigIp::Content(const char* kind, const json& path) const {
  const auto found = files_.find(std::string(kind) + path.get<std::string>());
  return found == files_.end() ? "" : found->second.content;
}

bool FakeBigIp::Fits(const json& entry) const {
  const auto key = pki::PrivateKey::FromPem(Content("ssl-key", entry.at("key")));
  return key.ok() && pki::CheckPair(Content("ssl-cert", entry.at("cert")), *key).ok();
}

FakeBigIp::Pair FakeBigIp::Read() const {
  const json& entry = chains_.at(kProfile).front();
  return {FingerprintOf(Content("ssl-cert", entry["cert"])), Fits(entry)};
}

FakeBigIp::Pair FakeBigIp::Live() const {
  MutexLock lock(mutex_);
  return Read();
}

std::vector<std::string> FakeBigIp::history() const {
  MutexLock lock(mutex_);
  return history_;
}

int FakeBigIp::served() const {
  MutexLock lock(mutex_);
  return server_->accepted() - accepted_before_;
}

std::string FakeBigIp::profile() const {
  MutexLock lock(mutex_);
  return chains_.at(kProfile).dump();
}

std::vector<std::string> FakeBigIp::objects() const {
  MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [id, file] : files_) names.push_back(id);
  return names;
}

std::vector<std::string> FakeBigIp::uploads() const {
  MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, content] : uploads_) names.push_back(name);
  return names;
}

void FakeBigIp::Serve() {
  const Pair now = Read();
  if (now.fingerprint == history_.back()) return;
  history_.push_back(now.fingerprint);
  const json& entry = chains_.at(kProfile).front();
  std::string served = Content("ssl-cert", entry["cert"]);
  if (entry.contains("chain") && entry["chain"] != "none") {
    served += Content("ssl-cert", entry["chain"]);
  }
  server_->Load(served, SecretBytes(Content("ssl-key", entry["key"])));
  accepted_before_ = server_->accepted();
}

Result<net::HttpResponse> FakeBigIp::Do(const net::HttpRequest& request) {
  const std::string path = request.url.substr(request.url.find("/mgmt"));
  const bool change =
      request.method != "GET" && (path.starts_with(kFiles) || path.starts_with("/mgmt/tm/ltm/"));
  if (change && before_change) before_change();
  MutexLock lock(mutex_);
  return Answer(request, path.substr(0, path.find('?')));
}

net::HttpResponse FakeBigIp::Answer(const net::HttpRequest& request, std::string path) {
  const std::string& method = request.method;
  if (path == "/mgmt/shared/authn/login") {
    return Json({{"token", {{"token", "T0KEN"}, {"timeout", 1200}}}});
  }
  if (path.starts_with("/mgmt/shared/authz/tokens/")) return Json(json::object());
  if (path == "/mgmt/tm/cm/device") {
    return Json(Collection("cm:device:device", {{{"name", name_},
                                                 {"failoverState", "active"},
                                                 {"selfDevice", "true"},
                                                 {"version", "17.1.0"}}}));
  }
  if (path == "/mgmt/tm/cm/device-group") {
    return Json(Collection("cm:device-group:device-group", json::array()));
  }
  if (path == "/mgmt/tm/ltm/virtual") {
    return Json(
        Collection("ltm:virtual:virtual",
                   {{{"fullPath", "/Common/vs"},
                     {"destination", "/Common/192.0.2.1:443"},
                     {"profilesReference",
                      {{"items", {{{"fullPath", kProfile}, {"context", "clientside"}}}}}}}}));
  }
  if (path.starts_with(kUploads)) {
    uploads_[path.substr(kUploads.size())] = BodyOf(request);
    return Json({{"remainingByteCount", 0}});
  }
  if (path == "/mgmt/tm/util/unix-rm") {
    const std::string file = json::parse(request.body).at("utilCmdArgs");
    uploads_.erase(file.substr(kFolder.size()));
    return Json({{"kind", "tm:util:unix-rm:runstate"}});
  }
  if (path == "/mgmt/tm/sys/config" && method == "POST") return Json({{"command", "save"}});
  if (path.starts_with(kFiles)) return OnFiles(request, path.substr(kFiles.size()));
  if (path.starts_with(kProfiles)) return OnProfile(request, path.substr(kProfiles.size()));
  return Refused(404, "Public URI path not registered");
}

json FakeBigIp::FileJson(const std::string& id) const {
  const File& file = files_.at(id);
  const bool key = id.starts_with("ssl-key");
  json out = {
      {"kind", key ? "tm:sys:file:ssl-key:ssl-keystate" : "tm:sys:file:ssl-cert:ssl-certstate"},
      {"fullPath", id.substr(id.find('/'))},
      {"keyType", "ec-public"},
      {"checksum",
       "SHA1:" + std::to_string(file.content.size()) + ":" + HexEncode(Sha1(file.content))}};
  if (!file.source.empty()) out["sourcePath"] = file.source;
  if (!key) out["fingerprint"] = Written(FingerprintOf(file.content));
  return out;
}

// "ssl-cert" for all of them, "ssl-cert/~Common~site.crt" for one.
net::HttpResponse FakeBigIp::OnFiles(const net::HttpRequest& request, const std::string& path) {
  const std::string kind = path.substr(0, path.find('/'));
  if (path == kind && request.method == "POST") return CreateFile(kind, request.body);
  if (path == kind) {
    json items = json::array();
    for (const auto& [id, file] : files_) {
      if (id.starts_with(kind + "/")) items.push_back(FileJson(id));
    }
    return Json(Collection("sys:file:" + kind + ":" + kind, items));
  }
  std::string id = kind + path.substr(kind.size() + 1);
  std::replace(id.begin(), id.end(), '~', '/');
  if (!files_.contains(id)) {
    return Refused(404, "01020036:3: The requested object (" + id + ") was not found.");
  }
  if (request.method == "GET") return Json(FileJson(id));
  const std::string quoted = "\"" + id.substr(id.find('/')) + "\"";
  const auto names_it = [&](const auto& one) {
    return one.second.dump().find(quoted) != std::string::npos;
  };
  if (std::any_of(chains_.begin(), chains_.end(), names_it)) {
    return Refused(400, "01071349:3: File object by name (" + id + ") is in use.");
  }
  files_.erase(id);
  return {200, {}, ""};
}

net::HttpResponse FakeBigIp::CreateFile(const std::string& kind, const std::string& body) {
  const json asked = json::parse(body);
  const std::string source = asked.at("sourcePath");
  const std::string id = kind + "/" + asked.at("partition").get<std::string>() + "/" +
                         asked.at("name").get<std::string>();
  if (files_.contains(id)) {
    return Refused(409, "01020066:3: The requested object (" + id + ") already exists.");
  }
  const auto upload = uploads_.find(source.substr(source.rfind('/') + 1));
  if (upload == uploads_.end()) return Refused(400, "Failed! exit_code (3).");
  files_[id] = {upload->second, source};
  return Json(FileJson(id));
}

net::HttpResponse FakeBigIp::OnProfile(const net::HttpRequest& request, std::string name) {
  std::replace(name.begin(), name.end(), '~', '/');
  const auto found = chains_.find(name);
  if (found == chains_.end()) return Refused(404, "01020036:3: The profile was not found.");
  if (request.method == "PATCH") {
    const json next = json::parse(request.body).at("certKeyChain");
    for (const json& entry : next) {
      if (!Fits(entry)) return Refused(400, "01070317:3: key and certificate do not match");
    }
    if (next.size() != 1) return Refused(400, "010717e3:3: one entry a type of key");
    found->second = next;
    Serve();
  } else if (request.method != "GET") {
    return Refused(405, "not allowed");
  }
  return Json({{"kind", "tm:ltm:profile:client-ssl:client-sslstate"},
               {"fullPath", name},
               {"certKeyChain", found->second}});
}

}  // namespace certflow::fakes
