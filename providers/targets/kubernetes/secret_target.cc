#include "providers/targets/kubernetes/secret_target.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "controller/kube/document_json.h"
#include "controller/pki/certificate.h"
#include "controller/pki/key.h"
#include "providers/targets/kubernetes/tls_secret.h"

namespace certflow::providers::kubernetes {
namespace {

using seams::Binding;
using seams::SecretObject;

Result<std::string> SecretName(const Binding& at, const std::string& by_default) {
  std::string name = by_default;
  if (!at.settings.empty()) {
    CF_ASSIGN_OR_RETURN(const kube::Document document, kube::ParseDocument(at.settings));
    const auto& from = kube::Json(document);
    const auto found = from.find("secretName");
    if (found != from.end() && !found->is_null()) {
      if (!found->is_string()) {
        return MakeError(ErrorCode::kInvalid, "InvalidSettings", "secretName: must be a string");
      }
      name = found->get<std::string>();
    }
  }
  CF_RETURN_IF_ERROR(CheckSecretName("secretName", name));
  return name;
}

Result<void> CheckPair(const TlsData& data) {
  CF_ASSIGN_OR_RETURN(const pki::PrivateKey key, pki::PrivateKey::FromPem(data.key.Reveal()));
  return pki::CheckPair(data.certificate.Reveal(), key);
}

std::string ActiveOf(const SecretObject& live, const TlsData& data) {
  return IsOurs(live, data) ? Annotation(live, kVersionAnnotation) : data.OriginalName();
}

// Somebody else made what was not there a moment ago.
Error Outrun(Error error) {
  error.code = ErrorCode::kConflict;
  error.retry = Retry::kBackoff;
  error.reason = "Conflict";
  return error;
}

class SecretTarget : public seams::Target {
 public:
  SecretTarget(seams::SecretStore& store, SecretTargetOptions options)
      : store_(store), options_(std::move(options)) {}

  bool remembers_previous() const override { return true; }
  Result<seams::TargetState> Observe(const Context& ctx, const Binding& at) override;
  Result<void> Stage(const Context& ctx, const Binding& at, const seams::Bundle& bundle) override;
  Result<void> Activate(const Context& ctx, const Binding& at,
                        const seams::StagedRef& which) override;
  Result<void> Deactivate(const Context& ctx, const Binding& at,
                          const seams::WayBack& way_back) override;
  Result<void> Prune(const Context& ctx, const Binding& at, const seams::KeepList& keep) override;

 private:
  struct Staged {
    std::string name;  // of the versioned Secret
    TlsData data;
  };
  struct Seen {
    std::string name;
    std::optional<SecretObject> secret;  // empty: there is none
  };

  Result<std::optional<SecretObject>> Find(const Context& ctx, const std::string& name);
  Result<std::optional<SecretObject>> TakeLive(const Context& ctx, const std::string& name);
  SecretObject NewSecret(const Binding& at, std::string name) const;
  Result<void> PutVersion(const Context& ctx, const Binding& at, const std::string& name,
                          const TlsData& data);
  Result<TlsData> ReadPair(const Context& ctx, const Binding& at, const std::string& name,
                           const std::string& version);
  Result<void> SaveOriginal(const Context& ctx, const Binding& at, const SecretObject& live,
                            const TlsData& data);
  Result<void> ListAsStaged(const Context& ctx, const Binding& at, std::optional<SecretObject> live,
                            const std::string& name, const std::string& version);
  Result<void> PutLive(const Context& ctx, SecretObject live);
  Result<std::optional<SecretObject>> FindOwn(const Context& ctx, const Binding& at,
                                              const std::string& name);

  seams::SecretStore& store_;
  SecretTargetOptions options_;
  std::optional<Seen> seen_;      // the live Secret as read last, for the next write
  std::optional<Staged> staged_;  // the last one, judged, so that Activate need not read it again
  std::vector<std::string> staged_versions_;
};

Result<std::optional<SecretObject>> SecretTarget::Find(const Context& ctx,
                                                       const std::string& name) {
  Result<SecretObject> found = store_.Get(ctx, options_.ns, name);
  if (found.ok()) return std::optional<SecretObject>(std::move(*found));
  if (found.error().code == ErrorCode::kNotFound) return std::optional<SecretObject>();
  return std::move(found).error();
}

// What Observe saw is used once: every write after it is conditional on its resourceVersion.
Result<std::optional<SecretObject>> SecretTarget::TakeLive(const Context& ctx,
                                                           const std::string& name) {
  std::optional<Seen> seen = std::exchange(seen_, std::nullopt);
  if (seen && seen->name == name) return std::move(seen->secret);
  return Find(ctx, name);
}

SecretObject SecretTarget::NewSecret(const Binding& at, std::string name) const {
  SecretObject secret;
  secret.ns = options_.ns;
  secret.name = std::move(name);
  secret.type = kTlsType;
  secret.labels[std::string(seams::kManagedLabel)] = seams::kManagedValue;
  secret.annotations[std::string(kWorkflowAnnotation)] = WorkflowOf(at);
  return secret;
}

Result<seams::TargetState> SecretTarget::Observe(const Context& ctx, const Binding& at) {
  CF_ASSIGN_OR_RETURN(const std::string name, SecretName(at, options_.default_secret_name));
  CF_ASSIGN_OR_RETURN(std::optional<SecretObject> live, Find(ctx, name));
  seams::TargetState state;
  seams::Placement placement;
  placement.device = "kubernetes";
  placement.location = "Secret " + options_.ns + "/" + name;
  state.placements = {std::move(placement)};
  if (live) {
    const TlsData data = TlsData::Of(*live);
    state.fingerprint = data.Fingerprint();
    if (auto usable = CheckOwner(*live, at); !usable.ok()) state.refusal = usable.error();
    state.active = ActiveOf(*live, data);
    const auto previous = live->annotations.find(std::string(kPreviousAnnotation));
    if (IsOurs(*live, data) && previous != live->annotations.end()) {
      state.previous = previous->second;
    }
    state.staged = ListedVersions(*live);
  }
  for (const std::string& version : staged_versions_) {
    std::erase(state.staged, version);
    state.staged.push_back(version);
  }
  seen_ = Seen{name, std::move(live)};
  return state;
}

Result<void> SecretTarget::Stage(const Context& ctx, const Binding& at,
                                 const seams::Bundle& bundle) {
  CF_ASSIGN_OR_RETURN(const std::string name, SecretName(at, options_.default_secret_name));
  const std::string versioned = name + "." + bundle.version;
  CF_RETURN_IF_ERROR(CheckSecretName("version", bundle.version));
  CF_RETURN_IF_ERROR(CheckSecretName("secretName", versioned));
  CF_RETURN_IF_ERROR(seams::CheckNotOriginal(bundle.version));
  TlsData data = TlsData::Of(bundle);
  CF_RETURN_IF_ERROR(CheckPair(data));
  const bool by_caller = options_.staged_by_caller && options_.ns == at.workflow_ns &&
                         name == options_.default_secret_name;
  if (!by_caller) {
    // No key is put beside a Secret that must not be touched.
    CF_ASSIGN_OR_RETURN(std::optional<SecretObject> live, TakeLive(ctx, name));
    if (live) CF_RETURN_IF_ERROR(CheckOwner(*live, at));
    CF_RETURN_IF_ERROR(PutVersion(ctx, at, versioned, data));
    CF_RETURN_IF_ERROR(ListAsStaged(ctx, at, std::move(live), name, bundle.version));
  }
  staged_ = Staged{versioned, std::move(data)};
  AddVersion(staged_versions_, bundle.version);
  return {};
}

// Creates the version, or finds it: whole, or with the key alone as it was before the issuance.
Result<void> SecretTarget::PutVersion(const Context& ctx, const Binding& at,
                                      const std::string& name, const TlsData& data) {
  CF_ASSIGN_OR_RETURN(std::optional<SecretObject> there, Find(ctx, name));
  if (!there) {
    SecretObject secret = NewSecret(at, name);
    data.WriteTo(secret);
    Result<SecretObject> done = store_.Put(ctx, secret);
    if (done.ok()) return {};
    // Read again before the name is judged.
    if (done.error().code != ErrorCode::kAlreadyExists) return std::move(done).error();
    return Outrun(std::move(done).error());
  }
  CF_RETURN_IF_ERROR(CheckOwner(*there, at));
  const TlsData old = TlsData::Of(*there);
  if (old.SameAs(data)) return {};
  if (!old.certificate.empty() || !SecretEquals(old.key.Reveal(), data.key.Reveal())) {
    return MakeError(ErrorCode::kRefused, "VersionInUse",
                     "Secret " + options_.ns + "/" + name + " has other content");
  }
  data.WriteTo(*there);
  CF_RETURN_IF_ERROR(store_.Put(ctx, *there));
  return {};
}

// So that Prune finds it even when it is never activated. What is not ours is kept as a version
// first, and stays as it is until then.
Result<void> SecretTarget::ListAsStaged(const Context& ctx, const Binding& at,
                                        std::optional<SecretObject> live, const std::string& name,
                                        const std::string& version) {
  if (!live) {
    seen_ = Seen{name, std::nullopt};
    return {};
  }
  const TlsData data = TlsData::Of(*live);
  std::vector<std::string> versions = ListedVersions(*live);
  const bool listed = std::find(versions.begin(), versions.end(), version) != versions.end();
  if (!IsOurs(*live, data)) {
    CF_RETURN_IF_ERROR(SaveOriginal(ctx, at, *live, data));
  } else if (!listed) {
    AddVersion(versions, version);
    WriteVersions(*live, versions);
    return PutLive(ctx, std::move(*live));
  }
  seen_ = Seen{name, std::move(live)};
  return {};
}

Result<void> SecretTarget::SaveOriginal(const Context& ctx, const Binding& at,
                                        const SecretObject& live, const TlsData& data) {
  const std::string version = data.OriginalName();
  if (std::find(staged_versions_.begin(), staged_versions_.end(), version) !=
      staged_versions_.end()) {
    return {};
  }
  CF_RETURN_IF_ERROR(PutVersion(ctx, at, live.name + "." + version, data));
  AddVersion(staged_versions_, version);
  return {};
}

Result<TlsData> SecretTarget::ReadPair(const Context& ctx, const Binding& at,
                                       const std::string& name, const std::string& version) {
  if (staged_ && staged_->name == name) return staged_->data.Clone();
  CF_ASSIGN_OR_RETURN(const std::optional<SecretObject> there, Find(ctx, name));
  if (!there) {
    return MakeError(ErrorCode::kNotFound, "VersionMissing",
                     "Secret " + options_.ns + "/" + name + " does not exist");
  }
  CF_RETURN_IF_ERROR(CheckOwner(*there, at));
  TlsData data = TlsData::Of(*there);
  // What stood there before us may have been anything, and is put back as it was.
  if (!seams::IsOriginal(version)) CF_RETURN_IF_ERROR(CheckPair(data));
  return data;
}

Result<void> SecretTarget::PutLive(const Context& ctx, SecretObject live) {
  seen_.reset();
  Result<SecretObject> done = store_.Put(ctx, live);
  if (!done.ok() && done.error().code == ErrorCode::kAlreadyExists) {
    return Outrun(std::move(done).error());
  }
  if (!done.ok()) return std::move(done).error();
  live.version = done->version;
  live.uid = done->uid;
  std::string name = live.name;
  seen_ = Seen{std::move(name), std::move(live)};
  return {};
}

Result<void> SecretTarget::Activate(const Context& ctx, const Binding& at,
                                    const seams::StagedRef& which) {
  CF_ASSIGN_OR_RETURN(const std::string name, SecretName(at, options_.default_secret_name));
  CF_RETURN_IF_ERROR(CheckSecretName("version", which.version));
  CF_ASSIGN_OR_RETURN(const TlsData data,
                      ReadPair(ctx, at, VersionName(name, which.version), which.version));
  CF_ASSIGN_OR_RETURN(std::optional<SecretObject> live, TakeLive(ctx, name));
  std::vector<std::string> versions;
  std::string previous;
  if (live) {
    CF_RETURN_IF_ERROR(CheckOwner(*live, at));
    const TlsData old = TlsData::Of(*live);
    versions = ListedVersions(*live);
    previous = ActiveOf(*live, old);
    if (IsOurs(*live, old)) {
      if (Annotation(*live, kVersionAnnotation) == which.version && old.SameAs(data)) return {};
    } else if (!(seams::IsOriginal(which.version) && old.SameAs(data))) {
      CF_RETURN_IF_ERROR(SaveOriginal(ctx, at, *live, old));
      AddVersion(versions, old.OriginalName());
      live->annotations[std::string(kOriginalAnnotation)] = old.OriginalName();
    }
  } else {
    live = NewSecret(at, name);
  }
  AddVersion(versions, which.version);
  WriteVersions(*live, versions);
  live->annotations[std::string(kWorkflowAnnotation)] = WorkflowOf(at);
  if (previous != which.version) live->annotations[std::string(kPreviousAnnotation)] = previous;
  live->annotations[std::string(kVersionAnnotation)] = which.version;
  live->annotations[std::string(kFingerprintAnnotation)] = data.Fingerprint();
  data.WriteTo(*live);
  return PutLive(ctx, std::move(*live));
}

// The live Secret when this workflow wrote it; empty when there is none or nothing of ours in it.
Result<std::optional<SecretObject>> SecretTarget::FindOwn(const Context& ctx, const Binding& at,
                                                          const std::string& name) {
  CF_ASSIGN_OR_RETURN(std::optional<SecretObject> live, TakeLive(ctx, name));
  if (!live || Annotation(*live, kVersionAnnotation).empty()) return std::optional<SecretObject>();
  CF_RETURN_IF_ERROR(CheckOwner(*live, at));
  return live;
}

Result<void> SecretTarget::Deactivate(const Context& ctx, const Binding& at,
                                      const seams::WayBack&) {
  CF_ASSIGN_OR_RETURN(const std::string name, SecretName(at, options_.default_secret_name));
  CF_ASSIGN_OR_RETURN(std::optional<SecretObject> live, FindOwn(ctx, at, name));
  if (!live) return {};
  const std::string original = Annotation(*live, kOriginalAnnotation);
  if (!original.empty()) {
    seen_ = Seen{name, std::move(live)};
    return Activate(ctx, at, {original, true});
  }
  // The list goes with the Secret, so what only this target knows goes first.
  if (options_.ns != at.workflow_ns) {
    for (const std::string& version : ListedVersions(*live)) {
      CF_ASSIGN_OR_RETURN(const auto there, Find(ctx, VersionName(name, version)));
      if (!there || !CheckOwner(*there, at).ok()) continue;
      CF_RETURN_IF_ERROR(store_.Delete(ctx, options_.ns, there->name, there->uid));
    }
    staged_.reset();
    staged_versions_.clear();
  }
  return store_.Delete(ctx, options_.ns, name, live->uid);
}

Result<void> SecretTarget::Prune(const Context& ctx, const Binding& at,
                                 const seams::KeepList& keep) {
  CF_ASSIGN_OR_RETURN(const std::string name, SecretName(at, options_.default_secret_name));
  CF_ASSIGN_OR_RETURN(std::optional<SecretObject> live, FindOwn(ctx, at, name));
  if (!live) return {};
  const std::string active = Annotation(*live, kVersionAnnotation);
  std::vector<std::string> left;
  const std::vector<std::string> versions = ListedVersions(*live);
  for (const std::string& version : versions) {
    if (version == active ||
        std::find(keep.versions.begin(), keep.versions.end(), version) != keep.versions.end()) {
      left.push_back(version);
      continue;
    }
    CF_ASSIGN_OR_RETURN(const auto there, Find(ctx, VersionName(name, version)));
    if (there) {
      CF_RETURN_IF_ERROR(CheckOwner(*there, at));
      CF_RETURN_IF_ERROR(store_.Delete(ctx, options_.ns, there->name, there->uid));
    }
    std::erase(staged_versions_, version);
    if (staged_ && staged_->name == VersionName(name, version)) staged_.reset();
  }
  // A write of its own only when it spares enough reads.
  if (versions.size() - left.size() < kMaxForgotten) return {};
  WriteVersions(*live, left);
  return PutLive(ctx, std::move(*live));
}

}  // namespace

std::unique_ptr<seams::Target> MakeSecretTarget(seams::SecretStore& store,
                                                SecretTargetOptions options) {
  return std::make_unique<SecretTarget>(store, std::move(options));
}

}  // namespace certflow::providers::kubernetes
