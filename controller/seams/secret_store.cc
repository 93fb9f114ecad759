#include "controller/seams/secret_store.h"

#include <utility>

namespace certflow::seams {
namespace {

bool HasLabel(const SecretObject& secret, std::string_view label, std::string_view value) {
  const auto found = secret.labels.find(std::string(label));
  return found != secret.labels.end() && found->second == value;
}

std::string Named(std::string_view ns, std::string_view name) {
  return "Secret " + std::string(ns) + "/" + std::string(name);
}

}  // namespace

Result<void> CheckUsable(const SecretObject& secret) {
  if (HasLabel(secret, kManagedLabel, kManagedValue)) return {};
  if (HasLabel(secret, kAllowLabel, "true")) return {};
  return MakeError(ErrorCode::kForbidden, "SecretNotAllowed",
                   Named(secret.ns, secret.name) +
                       " is not certflow's; to let certflow use it: kubectl label secret -n " +
                       secret.ns + " " + secret.name + " " + std::string(kAllowLabel) + "=true");
}

Result<SecretBytes> ReadSecretKey(const Context& ctx, SecretStore& store, std::string_view ns,
                                  std::string_view name, std::string_view key) {
  Result<SecretObject> secret = store.Get(ctx, ns, name);
  if (!secret.ok() && secret.error().code == ErrorCode::kNotFound) {
    return MakeError(ErrorCode::kNotFound, "SecretMissing", Named(ns, name) + " does not exist");
  }
  if (!secret.ok()) return Annotate(std::move(secret).error(), Named(ns, name));
  CF_RETURN_IF_ERROR(CheckUsable(*secret));
  const auto found = secret->data.find(std::string(key));
  if (found == secret->data.end()) {
    return MakeError(ErrorCode::kNotFound, "SecretKeyMissing",
                     Named(ns, name) + " has no key \"" + Sanitize(key, 253) + "\"");
  }
  return std::move(found->second);
}

std::string_view WithoutLineEnd(std::string_view credential) {
  while (credential.ends_with('\n') || credential.ends_with('\r')) credential.remove_suffix(1);
  return credential;
}

}  // namespace certflow::seams
