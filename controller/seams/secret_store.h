#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "controller/base/context.h"
#include "controller/base/result.h"
#include "controller/base/secret.h"

namespace certflow::seams {

struct SecretObject {
  std::string ns;
  std::string name;
  std::string uid;
  std::string version;  // resourceVersion; a Put with it is conditional, empty means create
  std::string type = "Opaque";
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::string owner_api_version, owner_kind, owner_name,
      owner_uid;  // controller reference, or empty
  std::map<std::string, SecretBytes> data;
  // What a store read beside all this (finalizers, further owners) and puts back; opaque.
  std::string rest;
};

// Named Secrets, never a list. Labels: kManagedLabel marks what certflow wrote, kAllowLabel what an
// operator lets it use.
inline constexpr std::string_view kManagedLabel = "app.kubernetes.io/managed-by";
inline constexpr std::string_view kManagedValue = "certflow";
inline constexpr std::string_view kAllowLabel = "certflow.dev/allow";

// Errors are those of kube::Client where the API server keeps them (Origin::kApiServer).
class SecretStore {
 public:
  virtual ~SecretStore() = default;
  // Whatever it is; kNotFound.
  virtual Result<SecretObject> Get(const Context& ctx, std::string_view ns,
                                   std::string_view name) = 0;
  // Create (version empty) or replace (version set). kAlreadyExists, kConflict. Returns it with its
  // new version and without data.
  virtual Result<SecretObject> Put(const Context& ctx, const SecretObject& secret) = 0;
  virtual Result<void> Delete(const Context& ctx, std::string_view ns, std::string_view name,
                              std::string_view uid) = 0;
};

// Whether certflow may read it at all: it wrote it, or it is allowed by label. kForbidden,
// "SecretNotAllowed", with the remedy.
Result<void> CheckUsable(const SecretObject& secret);
// One key of an allowed Secret; kNotFound "SecretMissing" or "SecretKeyMissing" naming both.
Result<SecretBytes> ReadSecretKey(const Context& ctx, SecretStore& store, std::string_view ns,
                                  std::string_view name, std::string_view key);
// A credential as it is meant: editors and `echo` leave line breaks at the end of a value.
std::string_view WithoutLineEnd(std::string_view credential);

}  // namespace certflow::seams
