#include "providers/targets/f5/objects.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "controller/base/base64.h"
#include "controller/base/sha1.h"
#include "controller/kube/document_json.h"

namespace certflow::providers::f5 {
namespace {

using nlohmann::json;

constexpr std::string_view kUploads = "/mgmt/shared/file-transfer/uploads/";
constexpr std::string_view kUploadFolder = "/var/config/rest/downloads/";
constexpr std::size_t kChunk = 512u << 10;
constexpr std::size_t kPage = 500;
constexpr std::size_t kMaxPages = 40;
constexpr std::string_view kKeyEnd = ".key";

std::string_view KindOf(FileKind kind) { return kind == FileKind::kKey ? "ssl-key" : "ssl-cert"; }

std::string ObjectUrl(FileKind kind, std::string_view path) {
  return "/mgmt/tm/sys/file/" + std::string(KindOf(kind)) + "/" + UrlId(path);
}

// "SHA1:<bytes>:<hex>", as the device computes it of the file.
std::string ChecksumOf(std::string_view content) {
  return "SHA1:" + std::to_string(content.size()) + ":" + HexEncode(Sha1(content));
}

// Best effort: what stays is overwritten by the next try under the same name.
void RemoveUpload(const Context& ctx, Access& access, const std::string& name) {
  const auto done = access.Do(ctx, RemovalOfUpload("removal of an upload", name));
  const std::string fault = done.ok() ? ParseCommandResult(*done) : done.error().message;
  if (fault.empty()) return;
  ctx.log.Warning("an uploaded file stays on the device",
                  {{"device", access.Address()}, {"file", name}, {"error", Sanitize(fault)}});
}

Result<FileObject> CheckSame(const Context& ctx, Access& access, FileKind kind,
                             const std::string& path, std::string_view content) {
  CF_ASSIGN_OR_RETURN(const std::string body,
                      access.Do(ctx, {"object " + path, ObjectUrl(kind, path)}));
  auto there = ParseFileObject(body);
  if (there && there->checksum == ChecksumOf(content)) return std::move(*there);
  return MakeError(ErrorCode::kRefused, "VersionInUse",
                   path + " has other content and is not overwritten");
}

Result<FileObject> Create(const Context& ctx, Access& access, FileKind kind,
                          const std::string& path, const std::string& upload,
                          std::string_view content) {
  const json body = {{"name", LeafOf(path)},
                     {"partition", path.substr(1, path.rfind('/') - 1)},
                     {"sourcePath", "file:" + std::string(kUploadFolder) + upload}};
  Call call{"object " + path, "/mgmt/tm/sys/file/" + std::string(KindOf(kind)), "POST",
            kube::Dump(body)};
  call.secret = kind == FileKind::kKey;
  auto made = access.Do(ctx, call);
  if (made.ok()) {
    auto file = ParseFileObject(*made);
    if (file) return std::move(*file);
    return MakeError(ErrorCode::kUnknownOutcome, "AnswerUnreadable",
                     call.what + ": this is no answer of iControl REST");
  }
  if (made.error().code != ErrorCode::kAlreadyExists) return std::move(made).error();
  return CheckSame(ctx, access, kind, path, content);
}

struct File {
  FileKind kind;
  const std::string& path;
  std::string upload;
  std::string_view content;
};

Result<FileObject> PutFiles(const Context& ctx, Access& access, const std::vector<File>& files) {
  for (const File& file : files) {
    CF_RETURN_IF_ERROR(Upload(ctx, access, "upload", file.upload, file.content));
  }
  FileObject cert;
  for (const File& file : files) {
    access.pair().NoteChange(ctx.clock.Steady());
    CF_ASSIGN_OR_RETURN(FileObject made,
                        Create(ctx, access, file.kind, file.path, file.upload, file.content));
    if (file.kind == FileKind::kCert && cert.path.empty()) cert = std::move(made);
  }
  return cert;
}

std::string FilterOf(std::string_view partition) {
  return "$filter=partition+eq+" + net::UrlEncode(partition.substr(0, partition.find('/')));
}

// What certflow made in the partition, read page by page from one unit, or from the active one.
Result<std::vector<Owned>> ListMade(const Context& ctx, Access& access, FileKind kind,
                                    std::optional<std::size_t> unit) {
  std::vector<Owned> out;
  for (std::size_t page = 0; page < kMaxPages; ++page) {
    Call call{
        "list of " + std::string(KindOf(kind)),
        "/mgmt/tm/sys/file/" + std::string(KindOf(kind)) + "?" +
            FilterOf(access.settings().partition) +
            "&$select=name,fullPath,checksum,fingerprint,keyType,sourcePath,createTime&$top=" +
            std::to_string(kPage) + "&$skip=" + std::to_string(page * kPage)};
    CF_ASSIGN_OR_RETURN(const std::string body,
                        unit ? access.DoOn(ctx, *unit, call) : access.Do(ctx, call));
    auto files = ParseFileObjects(body);
    if (!files) return Unreadable(call.what);
    for (FileObject& file : *files) {
      auto origin = OriginOf(file.source);
      if (origin) out.push_back({std::move(file), std::move(*origin)});
    }
    // A device that does not page answers with everything at once.
    if (files->size() != kPage) break;
  }
  return out;
}

Result<bool> Delete(const Context& ctx, Access& access, FileKind kind, const std::string& path) {
  access.pair().NoteChange(ctx.clock.Steady());
  auto done = access.Do(ctx, {"removal of " + path, ObjectUrl(kind, path), "DELETE"});
  if (done.ok() || done.error().reason == "ObjectMissing") return true;
  if (done.error().reason == "ObjectInUse") return false;
  return std::move(done).error();
}

}  // namespace

Result<void> Upload(const Context& ctx, Access& access, const std::string& what,
                    const std::string& name, std::string_view content) {
  for (std::size_t at = 0; at < content.size(); at += kChunk) {
    const std::string_view piece = content.substr(at, kChunk);
    Call call{what, std::string(kUploads) + name, "POST"};
    call.secret_body = SecretBytes(piece);
    call.secret = true;
    call.content_type = "application/octet-stream";
    call.content_range = std::to_string(at) + "-" + std::to_string(at + piece.size() - 1) + "/" +
                         std::to_string(content.size());
    auto done = access.Do(ctx, call);
    if (!done.ok()) return std::move(done).error();
    WipeString(*done);  // it may repeat what was sent
  }
  return {};
}

Call RemovalOfUpload(const std::string& what, const std::string& name) {
  const json body = {{"command", "run"}, {"utilCmdArgs", std::string(kUploadFolder) + name}};
  return {what, "/mgmt/tm/util/unix-rm", "POST", kube::Dump(body)};
}

Result<Parts> TakeApart(const seams::Bundle& bundle, std::string_view partition,
                        std::string_view owner) {
  CF_RETURN_IF_ERROR(CheckVersion(bundle.version));
  CF_RETURN_IF_ERROR(seams::CheckNotOriginal(bundle.version));
  CF_ASSIGN_OR_RETURN(const pki::PrivateKey key, pki::PrivateKey::FromPem(bundle.key_pem.Reveal()));
  CF_RETURN_IF_ERROR(pki::CheckPair(bundle.chain_pem, key));
  CF_ASSIGN_OR_RETURN(const auto chain, pki::ReadChain(bundle.chain_pem));
  CF_ASSIGN_OR_RETURN(const auto der, pki::PemToDer(bundle.chain_pem));
  Parts parts;
  for (std::size_t i = 0; i < der.size(); ++i) {
    (i == 0 ? parts.cert_pem : parts.chain_pem) += pki::DerToPem(der[i]);
  }
  const std::string name = ObjectName(chain.front(), bundle.version);
  parts.objects = ObjectsNamed(partition, name, der.size() > 1);
  parts.objects.rsa = key.spec().algorithm == pki::KeyAlgorithm::kRsa;
  parts.objects.fingerprint = chain.front().fingerprint;
  parts.origin = {std::string(owner), bundle.version, chain.front().fingerprint};
  parts.key_pem = bundle.key_pem.Clone();
  return parts;
}

Result<FileObject> PutObjects(const Context& ctx, Access& access, const Parts& parts) {
  const VersionObjects& objects = parts.objects;
  std::vector<File> files = {
      {FileKind::kKey, objects.key, UploadName(parts.origin, ".key"), parts.key_pem.Reveal()},
      {FileKind::kCert, objects.cert, UploadName(parts.origin, ".crt"), parts.cert_pem}};
  if (!objects.chain.empty()) {
    files.push_back(
        {FileKind::kCert, objects.chain, UploadName(parts.origin, "-chain.crt"), parts.chain_pem});
  }
  auto done = PutFiles(ctx, access, files);
  // Also after a failure: the key must not lie there. A device that is gone is not waited for.
  const bool gone = !done.ok() && (done.error().code == ErrorCode::kUnavailable ||
                                   done.error().code == ErrorCode::kCancelled);
  for (const File& file : files) {
    if (!gone) RemoveUpload(ctx, access, file.upload);
  }
  if (done.ok() && !done->fingerprint.empty() && done->fingerprint != objects.fingerprint) {
    return MakeError(ErrorCode::kRefused, "VersionInUse",
                     objects.cert + " holds another certificate and is not overwritten");
  }
  return done;
}

Result<bool> HasKey(const Context& ctx, Access& access, const VersionObjects& objects) {
  auto found = access.Do(ctx, {"object " + objects.key, ObjectUrl(FileKind::kKey, objects.key)});
  if (found.ok()) return true;
  if (found.error().reason == "ObjectMissing") return false;
  return std::move(found).error();
}

Result<std::vector<Owned>> ListOwned(const Context& ctx, Access& access, FileKind kind,
                                     std::string_view owner) {
  CF_ASSIGN_OR_RETURN(std::vector<Owned> out, ListMade(ctx, access, kind, std::nullopt));
  std::erase_if(out, [owner](const Owned& owned) { return owned.origin.owner != owner; });
  return out;
}

Result<bool> UnitsDiffer(const Context& ctx, Access& access) {
  std::optional<std::set<std::string>> first;
  for (std::size_t unit = 0; unit < access.pair().size(); ++unit) {
    CF_ASSIGN_OR_RETURN(const auto made, ListMade(ctx, access, FileKind::kKey, unit));
    std::set<std::string> paths;
    for (const Owned& owned : made) paths.insert(owned.file.path);
    if (first && *first != paths) return true;
    first = std::move(paths);
  }
  return false;
}

Result<Installed> FindVersion(const Context& ctx, Access& access, std::string_view owner,
                              std::string_view version) {
  CF_ASSIGN_OR_RETURN(auto files, ListOwned(ctx, access, FileKind::kCert, owner));
  Installed found;
  VersionObjects& objects = found.objects;
  for (Owned& owned : files) {
    if (owned.origin.version != version) continue;
    const std::string path = owned.file.path;
    if (path.ends_with("-chain.crt")) {
      objects.chain = path;
    } else if (path.ends_with(".crt")) {
      objects.cert = path;
      objects.key = path.substr(0, path.size() - 4) + std::string(kKeyEnd);
      objects.rsa = owned.file.key_type.starts_with("rsa");
      objects.fingerprint = owned.origin.fingerprint;
      found.cert = std::move(owned.file);
    }
  }
  if (!objects.cert.empty()) return found;
  return MakeError(ErrorCode::kNotFound, "VersionMissing",
                   "no certificate of " + std::string(version) + " is on " + access.Address());
}

Result<bool> DeleteVersion(const Context& ctx, Access& access, const std::string& key_path) {
  if (!key_path.ends_with(kKeyEnd)) return false;
  const std::string base = key_path.substr(0, key_path.size() - kKeyEnd.size());
  for (const char* end : {".crt", "-chain.crt"}) {
    CF_ASSIGN_OR_RETURN(const bool gone, Delete(ctx, access, FileKind::kCert, base + end));
    if (!gone) return false;
  }
  return Delete(ctx, access, FileKind::kKey, key_path);
}

}  // namespace certflow::providers::f5
